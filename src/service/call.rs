//! What every call has, whatever its method: an id in its answer and in the log, a deadline that is kept,
//! a place in the metrics, an answer when the code panics, and an end when the server ends. Does not know
//! what a method does.
//!
//! A call is logged by its method, code, duration and id; never by what it carries.

use std::{
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Frame, SizeHint};
use tokio::{
    sync::watch,
    time::{Instant, Sleep},
};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        Bytes, Service,
        http::{HeaderMap, HeaderName, HeaderValue, Request, Response},
    },
};

use super::error::{CallError, complete};
use crate::metrics::{CallMetrics, Method};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("grpc-timeout");

/// The longest request id that is taken over from a caller: a UUID, and room for a prefix.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// gRPC's own timer runs outside of ours, and would answer CANCELLED: be a tick earlier.
const EARLIER: Duration = Duration::from_millis(2);

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The id of the call that this task is in, for the log and for the caller to quote.
pub(super) fn request_id() -> String {
    let id = CURRENT.try_with(|id| id.to_str().unwrap_or_default().to_owned());
    id.unwrap_or_default()
}

/// How far the server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It takes calls.
    Serving,
    /// It takes no more, and finishes those it has.
    Draining,
    /// Those that have not ended by now are ended.
    Over,
}

/// Waits until the server's life has come so far, or its end is not known any more.
pub(crate) async fn reached(mut phase: watch::Receiver<Phase>, until: Phase) {
    // An error means that the server is gone, which is further than any phase.
    drop(phase.wait_for(|now| until <= *now).await);
}

/// The layer that goes around all services.
#[derive(Clone)]
pub(crate) struct Calls {
    ids: Arc<RequestIds>,
    metrics: Arc<CallMetrics>,
    phase: watch::Receiver<Phase>,
}

impl Calls {
    /// The layer; ids that it makes begin with `seed`.
    pub(crate) fn new(seed: u32, metrics: Arc<CallMetrics>, phase: watch::Receiver<Phase>) -> Self {
        let ids = Arc::new(RequestIds {
            seed,
            next: AtomicU64::new(1),
        });
        Self {
            ids,
            metrics,
            phase,
        }
    }
}

impl<S> tower_layer::Layer<S> for Calls {
    type Service = InCall<S>;

    fn layer(&self, inner: S) -> InCall<S> {
        InCall {
            calls: self.clone(),
            inner,
        }
    }
}

/// A service with the layer around it.
#[derive(Clone)]
pub(crate) struct InCall<S> {
    calls: Calls,
    inner: S,
}

impl<S> Service<Request<Body>> for InCall<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Answering>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.calls.metrics.method(request.uri().path());
        let id = self.calls.ids.of(request.headers());
        let deadline = deadline(request.headers()).map(|left| Instant::now() + left);
        let call = Call {
            method,
            id,
            began: Instant::now(),
            ended: false,
        };
        // A stream that only watches has nothing to finish.
        let until = if call.method.is_ours {
            Phase::Over
        } else {
            Phase::Draining
        };
        let ends = call.method.is_streaming.then(|| self.calls.phase.clone());
        let answer = CURRENT.scope(call.id.clone(), caught(self.inner.call(request)));
        Box::pin(async move {
            let answer = match deadline {
                None => Some(answer.await),
                // What would come too late is not begun.
                Some(at) if at <= Instant::now() => None,
                Some(at) => tokio::time::timeout_at(at, answer).await.ok(),
            };
            let response = match answer {
                Some(Some(Ok(response))) => response,
                Some(Some(Err(error))) => return Err(error),
                Some(None) => CURRENT.sync_scope(call.id.clone(), || {
                    Status::from(CallError::Panicked).into_http()
                }),
                None => Status::from(CallError::DeadlinePassed).into_http(),
            };
            Ok(Answering::begin(call, response, deadline, ends, until))
        })
    }
}

/// The output of a future; `None` if it panicked. What panicked is dropped with its call.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// The time a caller leaves us, as the header `grpc-timeout` says it: at most 8 digits and a unit. What is
/// not written so is no deadline.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(DEADLINE)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if 8 < digits.len() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let left = match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Some(left.saturating_sub(EARLIER))
}

/// Makes ids for calls that bring none.
struct RequestIds {
    seed: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// The caller's own id, if it is one that a log can carry; else a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        if let Some(id) = headers.get(REQUEST_ID)
            && (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
            && id.as_bytes().iter().all(is_plain)
        {
            return id.clone();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = Bytes::from(format!("{:08x}-{number:x}", self.seed));
        HeaderValue::from_maybe_shared(id).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// A call from its beginning to its end. Dropped before it ended: the caller has gone.
struct Call {
    method: Arc<Method>,
    id: HeaderValue,
    began: Instant,
    ended: bool,
}

impl Call {
    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let lasted = self.began.elapsed();
        self.method.count(code, lasted);
        let (method, id) = (
            self.method.path.as_str(),
            self.id.to_str().unwrap_or_default(),
        );
        let us = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX);
        let name = format_args!("{code:?}");
        match code {
            Code::Ok => {
                tracing::debug!(
                    request_id = id,
                    method,
                    code = name,
                    duration_us = us,
                    "call"
                );
            }
            Code::Internal | Code::DataLoss | Code::Unknown => {
                tracing::error!(
                    request_id = id,
                    method,
                    code = name,
                    duration_us = us,
                    "call"
                );
            }
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => {
                tracing::warn!(
                    request_id = id,
                    method,
                    code = name,
                    duration_us = us,
                    "call"
                );
            }
            Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => {
                tracing::info!(
                    request_id = id,
                    method,
                    code = name,
                    duration_us = us,
                    "call"
                );
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The body of an answer, watched to its end.
pub(crate) struct Answering {
    /// `None` when nothing more comes.
    body: Option<Body>,
    call: Call,
    deadline: Option<Pin<Box<Sleep>>>,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Answering {
    fn begin(
        mut call: Call,
        response: Response<Body>,
        deadline: Option<Instant>,
        ends: Option<watch::Receiver<Phase>>,
        until: Phase,
    ) -> Response<Self> {
        let mut response = response;
        // An error is told in the headers where nothing came before it.
        if let Some(status) = Status::from_header_map(response.headers()) {
            let status = if call.method.is_ours {
                complete(status)
            } else {
                status
            };
            call.end(status.code());
            response = status.into_http();
        }
        response.headers_mut().insert(REQUEST_ID, call.id.clone());
        let watched = !call.ended;
        response.map(|body| Self {
            body: Some(body),
            deadline: deadline
                .filter(|_| watched)
                .map(|at| Box::pin(tokio::time::sleep_until(at))),
            end: ends.filter(|_| watched).map(
                |phase| -> Pin<Box<dyn Future<Output = ()> + Send>> {
                    Box::pin(reached(phase, until))
                },
            ),
            call,
        })
    }

    /// Ends the answer with an error.
    fn cut(&mut self, error: CallError) -> Frame<Bytes> {
        self.body = None;
        let status = CURRENT.sync_scope(self.call.id.clone(), || Status::from(error));
        self.call.end(status.code());
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert(
                Status::GRPC_STATUS,
                HeaderValue::from(i32::from(status.code())),
            );
        }
        Frame::trailers(trailers)
    }

    /// What goes by: the end of the call is in the trailers.
    fn watch(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            let status = Status::from_header_map(trailers);
            self.call
                .end(status.map_or(Code::Unknown, |status| status.code()));
        }
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Ok(this.cut(CallError::DeadlinePassed))));
        }
        if let Some(end) = &mut this.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Ok(this.cut(CallError::ShuttingDown))));
        }
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| {
            CURRENT.sync_scope(this.call.id.clone(), || Pin::new(body).poll_frame(cx))
        }));
        let Ok(polled) = polled else {
            return Poll::Ready(Some(Ok(this.cut(CallError::Panicked))));
        };
        let frame = ready!(polled);
        if let Some(Ok(frame)) = &frame {
            this.watch(frame);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    /// A service that does what its caller's path says.
    #[derive(Clone)]
    struct Obedient;

    impl Service<Request<Body>> for Obedient {
        type Response = Response<Body>;
        type Error = std::convert::Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Self::Error>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            Box::pin(async move {
                match request.uri().path() {
                    "/panics" => panic!("of a call"),
                    "/body/panics" => Ok(Response::new(Body::new(Panicking))),
                    "/bare" => Ok(Status::internal("failed to decode").into_http()),
                    "/ours" => Ok(Status::from(CallError::Panicked).into_http()),
                    _ => std::future::pending().await,
                }
            })
        }
    }

    /// A body that panics.
    struct Panicking;

    impl http_body::Body for Panicking {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            panic!("of a body")
        }
    }

    /// The status of a call with this path, and the id that it bears.
    async fn call(path: &str, headers: &[(&'static str, &'static str)]) -> (Status, String) {
        let metrics = Arc::new(CallMetrics::new(&[]).unwrap());
        let (_phase, phases) = watch::channel(Phase::Serving);
        let mut service = tower_layer::Layer::layer(&Calls::new(7, metrics, phases), Obedient);
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = service
            .call(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let id = response
            .headers()
            .get(REQUEST_ID)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if let Some(status) = Status::from_header_map(response.headers()) {
            return (status, id);
        }
        let mut body = response.into_body();
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
        (Status::from_header_map(&trailers).unwrap(), id)
    }

    #[tokio::test]
    async fn a_panic_is_told_as_our_fault_with_an_id_to_quote_and_without_its_words() {
        for path in ["/panics", "/body/panics"] {
            let (status, id) = call(path, &[("x-request-id", "abc")]).await;
            assert_eq!(
                (status.code(), id.as_str()),
                (Code::Internal, "abc"),
                "{path}"
            );
            assert!(status.message().contains("abc") && !status.message().contains("of a"));
        }
    }

    #[tokio::test]
    async fn what_grpc_says_is_completed_and_what_we_say_is_not_changed() {
        assert_eq!(call("/bare", &[]).await.0.code(), Code::InvalidArgument);
        assert_eq!(call("/ours", &[]).await.0.code(), Code::Internal);
    }

    #[tokio::test]
    async fn a_call_that_does_not_come_back_ends_at_its_deadline() {
        let (status, _) = call("/pending", &[("grpc-timeout", "10m")]).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_call_whose_time_is_over_when_it_comes_is_not_begun() {
        for timeout in ["0n", "1u", "2m"] {
            // It would have panicked, or answered.
            for path in ["/panics", "/ours"] {
                let (status, _) = call(path, &[("grpc-timeout", timeout)]).await;
                assert_eq!(status.code(), Code::DeadlineExceeded, "{path} {timeout}");
            }
        }
    }

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it_and_a_tick_earlier() {
        let check = |text: &'static str, expected: Option<Duration>| {
            let mut headers = HeaderMap::new();
            headers.insert(DEADLINE, HeaderValue::from_static(text));
            let expected = expected.map(|left| left.saturating_sub(EARLIER));
            assert_eq!(deadline(&headers), expected, "{text}");
        };
        check("2H", Some(Duration::from_secs(7_200)));
        check("3M", Some(Duration::from_secs(180)));
        check("5S", Some(Duration::from_secs(5)));
        check("250m", Some(Duration::from_millis(250)));
        check("99999999u", Some(Duration::from_micros(99_999_999)));
        check("0n", Some(Duration::ZERO));
        for malformed in [
            "",
            "S",
            "5",
            "5s",
            "-5S",
            "+5S",
            "1.5S",
            "123456789S",
            "5 S",
        ] {
            check(malformed, None);
        }
        assert_eq!(deadline(&HeaderMap::new()), None);
    }

    #[test]
    fn a_request_id_is_taken_over_only_if_a_log_can_carry_it() {
        let ids = RequestIds {
            seed: 0xabc,
            next: AtomicU64::new(1),
        };
        let check = |id: &[u8], taken: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            assert_eq!(ids.of(&headers) == id, taken, "{id:?}");
        };
        check(b"0f8fad5b-d9cb-469f-a165-70867728950e", true);
        check(&[b'a'; 64], true);
        check(b"", false);
        check(&[b'a'; 65], false);
        check(b"Mary Smith", false);
        check(b"a\"b", false);
        check(b"\xe9", false);
        let first = ids.of(&HeaderMap::new());
        assert!(first.to_str().unwrap().starts_with("00000abc-"));
        assert_ne!(first, ids.of(&HeaderMap::new()));
    }
}
