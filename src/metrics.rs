//! What is counted, and the page it is read from. Labels are methods and codes, of which there are few;
//! never anything that a caller sends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::pb;

/// The bounds of the buckets of durations, in seconds: from what a call costs by itself to what a caller
/// gives up on.
const SECONDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// The bounds of the buckets of commits, in entries.
const ENTRIES: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// Codes of gRPC are numbered from 0 to 16.
const CODES: usize = 17;

/// Starts counting, for the whole process, and returns what renders the page. Again: the same.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(
            Matcher::Full("genetrail_commit_entries".to_owned()),
            &ENTRIES,
        )?
        .build_recorder();
    let handle = recorder.handle();
    // Where the process counts somewhere else already, the page stays empty.
    drop(metrics::set_global_recorder(recorder));
    describe();
    *installed = Some(handle.clone());
    Ok(handle)
}

fn describe() {
    metrics::describe_counter!(
        "genetrail_calls_total",
        "Calls that ended, by method and code."
    );
    metrics::describe_histogram!("genetrail_call_seconds", "How long calls took, by method.");
    metrics::describe_histogram!("genetrail_commit_entries", "Entries that shared a commit.");
    metrics::describe_counter!(
        "genetrail_entries_total",
        "Entries recorded since the start."
    );
    metrics::describe_counter!("genetrail_entry_bytes_total", "Their bytes.");
    metrics::describe_gauge!("genetrail_tree_size", "The published tree size.");
    metrics::describe_gauge!(
        "genetrail_queue_kib",
        "KiB of records that wait to be recorded."
    );
    metrics::describe_gauge!(
        "genetrail_stopped",
        "1 when the ledger has stopped writing."
    );
}

/// The counters of every method there is, looked up once.
pub(crate) struct CallMetrics {
    methods: BTreeMap<String, Arc<Method>>,
    unknown: Arc<Method>,
}

/// What is known of a method, and its counters.
pub(crate) struct Method {
    /// Its path, `/package.Service/Method`.
    pub(crate) path: String,
    /// Whether its answer is a stream.
    pub(crate) is_streaming: bool,
    /// Whether it is of this crate's own services.
    pub(crate) is_ours: bool,
    ended: [OnceLock<Counter>; CODES],
    seconds: Histogram,
}

impl CallMetrics {
    /// Of the methods in these descriptors.
    pub(crate) fn new(descriptors: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut methods = BTreeMap::new();
        for descriptors in descriptors {
            for file in FileDescriptorSet::decode(*descriptors)?.file {
                for service in &file.service {
                    let service_path = format!("/{}.{}/", file.package(), service.name());
                    for method in &service.method {
                        let path = format!("{service_path}{}", method.name());
                        let is_ours = file.package().starts_with("genetrail.");
                        let streaming = method.server_streaming();
                        methods.insert(
                            path.clone(),
                            Arc::new(Method::new(path, streaming, is_ours)),
                        );
                    }
                }
            }
        }
        let unknown = Arc::new(Method::new("unknown".to_owned(), false, true));
        Ok(Self { methods, unknown })
    }

    /// The method of a path.
    pub(crate) fn method(&self, path: &str) -> Arc<Method> {
        Arc::clone(self.methods.get(path).unwrap_or(&self.unknown))
    }
}

impl Method {
    fn new(path: String, is_streaming: bool, is_ours: bool) -> Self {
        let seconds = metrics::histogram!("genetrail_call_seconds", "method" => path.clone());
        let ended = [const { OnceLock::new() }; CODES];
        Self {
            path,
            is_streaming,
            is_ours,
            ended,
            seconds,
        }
    }

    /// Counts a call that ended.
    pub(crate) fn count(&self, code: Code, lasted: Duration) {
        let number = usize::try_from(i32::from(code)).unwrap_or_default();
        if let Some(ended) = self.ended.get(number) {
            let method = || self.path.clone();
            let name = || format!("{code:?}");
            ended
                .get_or_init(|| {
                    metrics::counter!("genetrail_calls_total", "method" => method(), "code" => name())
                })
                .increment(1);
        }
        self.seconds.record(lasted);
    }
}

/// The descriptors of all methods that are served.
pub(crate) const SERVED: [&[u8]; 3] = [
    pb::DESCRIPTORS,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_own_counters_and_what_is_unknown_shares_one() {
        let calls = CallMetrics::new(&SERVED).unwrap();
        let record = calls.method("/genetrail.v1.RecordingService/Record");
        assert!(record.is_ours && !record.is_streaming);
        let stream = calls.method("/genetrail.v1.RecordingService/RecordStream");
        assert!(stream.is_ours && stream.is_streaming);
        let watch = calls.method("/grpc.health.v1.Health/Watch");
        assert!(!watch.is_ours && watch.is_streaming);
        for unknown in ["", "/", "/genetrail.v1.RecordingService/Forget", "/x.Y/Z"] {
            assert_eq!(calls.method(unknown).path, "unknown");
        }
    }
}
