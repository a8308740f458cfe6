//! What every list and every answer promises, whatever was recorded: the pages of a list are one long page, also
//! while records are added between them, and a question about what was known once gets the answer that it got then.
//! Asked through the services, of a population by chance and of records about who is who.

use std::collections::{BTreeMap, BTreeSet};

use genetrail::{
    clock::Clock as _,
    pb::{
        self, GetChainOfIdentityRequest, GetCheckpointRequest, GetConsentStatusRequest,
        GetRecallRequest, GetScheduleRequest, ListDeviationsRequest, ListObligationsRequest,
        ListOpenSignalsRequest, ListReconsentRequest, ListRetentionRequest, ListStockRequest,
        ListTreatedNotEnrolledRequest, LotKey, Question, QuestionView, RecordBatchRequest,
        SummarizePeriodRequest, TraceLotRequest, TracePatientRequest, TraceSampleRequest,
        consent_service_client::ConsentServiceClient,
        follow_up_service_client::FollowUpServiceClient, question::KnownAt, record::Kind,
        trace_lot_request::Root, trace_service_client::TraceServiceClient,
    },
    population::{Programme, Recorded, records},
};
use tonic::transport::Channel;

use super::support::{TestServer, as_actor, plain, uuid};

/// Few patients: what is said once for all of them is several hundred records already.
const PROGRAMME: Programme = Programme {
    seed: 5,
    patients: 12,
};

/// So many records come after the first of a population.
const MANY: usize = 700;

/// The recall of all vectors.
const RECALL: &str = "RECALL-1";

/// A page of everything.
const WHOLE: i32 = 1_000;

/// A server, and what is still to be recorded.
struct Growing {
    server: TestServer,
    rest: std::vec::IntoIter<Recorded>,
    consent: ConsentServiceClient<Channel>,
    follow_up: FollowUpServiceClient<Channel>,
    trace: TraceServiceClient<Channel>,
    names: Names,
}

/// What may be asked about.
#[derive(Default)]
struct Names {
    patients: BTreeSet<String>,
    lots: BTreeSet<(String, String)>,
    samples: BTreeSet<String>,
    cois: BTreeSet<String>,
    /// Who gave the first material, and a sample of that patient.
    treated: String,
    sample: String,
}

/// Rows as text, by the list and the field that they are in.
type Rows = BTreeMap<String, Vec<String>>;

/// The population, and people who turn out to be one, and two after all; corrections of corrections among them.
fn history() -> Vec<Recorded> {
    let mut told: Vec<Recorded> = records(PROGRAMME).take(MANY).collect();
    let of = |is: fn(&Kind) -> bool| -> Vec<pb::Record> {
        let records = told.iter().map(|one| &one.record);
        let of_kind = records.filter(|one| one.kind.as_ref().is_some_and(is));
        of_kind.cloned().collect()
    };
    let people = of(|kind| matches!(kind, Kind::PatientRegistered(_)));
    let signed = of(|kind| matches!(kind, Kind::ConsentSigned(_)));
    let sampled = of(|kind| matches!(kind, Kind::SampleCollected(_)));
    let enrolled = of(|kind| matches!(kind, Kind::FollowUpEnrolment(_)));
    let (first, second) = (&people[0].patient, &people[1].patient);
    let moved = signed.iter().filter(|one| one.patient == *second);
    let merged = pb::PatientMerged {
        merged_patient: second.clone(),
    };
    let split = pb::PatientSplit {
        split_patient: second.clone(),
        moved_records: moved.map(|one| one.record_id.clone()).collect(),
    };
    let signal = |signal_id: &str| pb::RiskSignal {
        signal_id: signal_id.to_owned(),
        product_classes: vec![pb::ProductClass::Aav.into()],
        changes_risk: Some(true),
        source: pb::SignalSource::Registry.into(),
        summary: "seen elsewhere".to_owned(),
        ..Default::default()
    };
    let recall = pb::RecallOpened {
        recall_id: RECALL.to_owned(),
        recall_class: pb::RecallClass::I.into(),
        authority: "NMPA".to_owned(),
        roots: made_of(&told).into_iter().map(|one| key(&one)).collect(),
        ..Default::default()
    };
    let never = |target: &str| corrects(target, pb::CorrectionKind::DidNotOccur, None);
    let anothers = |target: &str| {
        let to = Some(("patient", people[2].patient.as_str()));
        corrects(target, pb::CorrectionKind::WrongPatient, to)
    };
    let nobody = String::new();
    let more = [
        (first, Kind::PatientMerged(merged)),
        (&nobody, anothers(&sampled[5].record_id)),
        (&nobody, never(&signed[0].record_id)),
        (&nobody, never(&enrolled[2].record_id)),
        (&nobody, never(&enrolled[3].record_id)),
        (first, Kind::PatientSplit(split)),
        (&nobody, Kind::RecallOpened(recall)),
        (&nobody, Kind::RiskSignal(signal("LATER-1"))),
        // Of the signature that was given after all, and of the split.
        (&nobody, never(&uuid(2))),
        (&nobody, never(&uuid(5))),
        (&nobody, Kind::RiskSignal(signal("LATER-2"))),
        (&nobody, never(&enrolled[4].record_id)),
    ];
    // They come to be known one after the other, from when half of the records are.
    for (number, (patient, kind)) in (0_u32..).zip(more) {
        let at = MANY / 2 + 30 * usize::try_from(number).unwrap();
        let Recorded { at: when, record } = told[at].clone();
        let record = pb::Record {
            record_id: uuid(number),
            patient: patient.clone(),
            reason: "found out later".to_owned(),
            kind: Some(kind),
            links: Vec::new(),
            ..record
        };
        told.insert(at + 1, Recorded { at: when, record });
    }
    told
}

/// The vectors that lots were made of, in the order of their use.
fn made_of(told: &[Recorded]) -> Vec<(String, String)> {
    let inputs = told.iter().flat_map(|one| match &one.record.kind {
        Some(Kind::Transformation(step)) => step.inputs.as_slice(),
        _ => &[],
    });
    let lots = inputs.filter_map(|input| match &input.what {
        Some(pb::item::What::Lot(lot)) => Some((lot.gtin.clone(), lot.lot.clone())),
        _ => None,
    });
    lots.collect()
}

fn key((gtin, lot): &(String, String)) -> LotKey {
    LotKey {
        gtin: gtin.clone(),
        lot: lot.clone(),
        ..LotKey::default()
    }
}

fn corrects(target: &str, kind: pb::CorrectionKind, change: Option<(&str, &str)>) -> Kind {
    let change = change.map(|(path, new)| pb::FieldChange {
        path: path.to_owned(),
        new: new.to_owned(),
        ..Default::default()
    });
    Kind::Correction(pb::Correction {
        target: target.to_owned(),
        correction_kind: kind.into(),
        changes: change.into_iter().collect(),
        ..Default::default()
    })
}

impl Growing {
    async fn start() -> Self {
        let history = history();
        let mut names = Names::default();
        for Recorded { record, .. } in &history {
            #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds have names")]
            match record.kind.as_ref().unwrap() {
                Kind::LotRegistered(lot) => {
                    names.lots.insert((lot.gtin.clone(), lot.lot.clone()));
                    names.cois.insert(lot.coi.clone());
                }
                Kind::MaterialCollected(_) if names.treated.is_empty() => {
                    names.treated.clone_from(&record.patient);
                }
                Kind::SampleCollected(sample) => {
                    if names.sample.is_empty() && names.treated == record.patient {
                        names.sample.clone_from(&sample.sample_id);
                    }
                    names.samples.insert(sample.sample_id.clone());
                }
                _ => {}
            }
            names.patients.insert(record.patient.clone());
        }
        names.patients.remove("");
        names.cois.remove("");
        let server = TestServer::start_at(history[0].at, |_| ()).await;
        Self {
            consent: ConsentServiceClient::new(server.channel()),
            follow_up: FollowUpServiceClient::new(server.channel()),
            trace: TraceServiceClient::new(server.channel()),
            rest: history.into_iter(),
            server,
            names,
        }
    }

    /// Records so many more, at the time of the last of them.
    async fn record(&mut self, many: usize) {
        let next: Vec<Recorded> = self.rest.by_ref().take(many).collect();
        let Some(last) = next.last() else { return };
        self.server.clock.set(last.at);
        let records = next.into_iter().map(|one| one.record);
        let request = RecordBatchRequest {
            submissions: records.map(plain).collect(),
            validate_only: false,
        };
        let mut recording = self.server.recording();
        recording.record_batch(as_actor(request)).await.unwrap();
    }
}

/// Follows the pages of a list to the end, recording so many records after each; the rows of each of its fields, and
/// the tree that all of them are of.
macro_rules! pages {
    ($of:ident.$client:ident.$method:ident($request:expr), $size:expr, $add:expr, $($rows:ident)+) => {{
        let mut request = $request;
        request.page_size = $size;
        let mut rows = Rows::new();
        let mut tree = None;
        loop {
            let asked = $of.$client.$method(request.clone()).await;
            let answer = asked.unwrap().into_inner();
            $(
                let name = format!("{} {}", stringify!($method), stringify!($rows));
                let of_field = rows.entry(name).or_default();
                for row in &answer.$rows {
                    let row = format!("{row:?}");
                    // A patient of several pages has the samples on each.
                    if stringify!($rows) != "samples" || !of_field.contains(&row) {
                        of_field.push(row);
                    }
                }
            )+
            let size = answer.answered.unwrap().tree_size;
            assert_eq!(*tree.get_or_insert(size), size, "{}", stringify!($method));
            if answer.next_page_token.is_empty() {
                break (rows, size);
            }
            request.page_token = answer.next_page_token;
            $of.record($add).await;
        }
    }};
}

/// Asks for a list in small pages while records are added, and then whole of the tree that the pages were of.
macro_rules! is_one_page {
    ($of:ident.$client:ident.$method:ident($request:expr), $size:expr, $($rows:ident)+) => {
        let (in_pages, size) = pages!($of.$client.$method($request), $size, 2, $($rows)+);
        let mut request = $request;
        request.question.as_mut().unwrap().known_at = Some(KnownAt::TreeSize(size));
        let (whole, _) = pages!($of.$client.$method(request), WHOLE, 0, $($rows)+);
        let rows: usize = whole.values().map(Vec::len).sum();
        assert!($size < i32::try_from(rows).unwrap(), "one page of {}", stringify!($method));
        assert_eq!(in_pages, whole);
    };
}

/// A request about a day, and whatever else is said.
macro_rules! asks {
    ($request:ident of $question:expr $(, $field:ident: $value:expr)*) => {
        $request {
            question: Some($question),
            $($field: $value,)*
            ..Default::default()
        }
    };
}

fn on(as_of: &str) -> Question {
    Question {
        as_of: as_of.to_owned(),
        ..Question::default()
    }
}

fn root(lot: &(String, String)) -> Root {
    Root::Lot(key(lot))
}

/// When everybody is asked to sign anew, and nobody has yet.
const ASKED_ANEW: &str = "2018-02-20";

/// After everything that is recorded.
const AFTER_ALL: &str = "2023-06-30";

#[tokio::test]
async fn the_pages_of_every_list_are_one_page_while_records_are_added() {
    let mut of = Growing::start().await;
    of.record(MANY / 2).await;
    let owed = || asks!(ListObligationsRequest of on(AFTER_ALL));
    is_one_page!(of.follow_up.list_obligations(owed()), 3, obligations);

    of.record(MANY / 8).await;
    let vector = made_of(&history())[0].clone();
    let went = || asks!(TraceLotRequest of on(AFTER_ALL), root: Some(root(&vector)));
    is_one_page!(of.trace.trace_lot(went()), 1, materials administrations samples unadministered);
    let patient = of.names.treated.clone();
    let from = || asks!(TracePatientRequest of on(AFTER_ALL), patient: patient.clone());
    is_one_page!(of.trace.trace_patient(from()), 1, ancestors);
    let sample_id = of.names.sample.clone();
    let taken = || asks!(TraceSampleRequest of on(AFTER_ALL), sample_id: sample_id.clone());
    is_one_page!(of.trace.trace_sample(taken()), 1, materials);

    let stock = || asks!(ListStockRequest of on(AFTER_ALL));
    is_one_page!(of.trace.list_stock(stock()), 20, rows);
    let kept = || asks!(ListRetentionRequest of on(AFTER_ALL));
    is_one_page!(of.trace.list_retention(kept()), 20, rows);
    let raised = || asks!(ListDeviationsRequest of on(AFTER_ALL));
    is_one_page!(of.trace.list_deviations(raised()), 100, rows);

    of.record(MANY / 4).await;
    let anew = || asks!(ListReconsentRequest of on(ASKED_ANEW));
    is_one_page!(of.consent.list_reconsent(anew()), 1, rows);
    let signals = || asks!(ListOpenSignalsRequest of on(AFTER_ALL));
    is_one_page!(of.follow_up.list_open_signals(signals()), 1, signals);
    let treated = || asks!(ListTreatedNotEnrolledRequest of on(ASKED_ANEW));
    is_one_page!(
        of.follow_up.list_treated_not_enrolled(treated()),
        1,
        patients
    );
    let recall = || asks!(GetRecallRequest of on(AFTER_ALL), recall_id: RECALL.to_owned());
    is_one_page!(of.trace.get_recall(recall()), 1,
        sites materials administrations samples unadministered reconciliations);
}

/// An answer as text, or why there is none.
macro_rules! told {
    ($of:ident.$client:ident.$method:ident($request:expr)) => {{
        let answer = $of.$client.$method($request).await;
        let answer = answer.map(tonic::Response::into_inner);
        format!("{:?}", answer.map_err(|status| status.code()))
    }};
}

impl Growing {
    /// The answers to a question about everything, the lists whole.
    async fn answers(&mut self, question: &Question) -> Vec<String> {
        let q = || question.clone();
        let whole = WHOLE;
        let mut told = vec![
            told!(
                self.consent
                    .list_reconsent(asks!(ListReconsentRequest of q(), page_size: whole))
            ),
            told!(
                self.follow_up
                    .list_obligations(asks!(ListObligationsRequest of q(), page_size: whole))
            ),
            told!(self.follow_up.list_treated_not_enrolled(
                asks!(ListTreatedNotEnrolledRequest of q(), page_size: whole)
            )),
            told!(
                self.follow_up
                    .list_open_signals(asks!(ListOpenSignalsRequest of q(), page_size: whole))
            ),
            told!(self.follow_up.summarize_period(
                asks!(SummarizePeriodRequest of q(), from: "2015-01-01".to_owned())
            )),
            told!(
                self.trace
                    .list_stock(asks!(ListStockRequest of q(), page_size: whole))
            ),
            told!(
                self.trace
                    .list_retention(asks!(ListRetentionRequest of q(), page_size: whole))
            ),
            told!(
                self.trace
                    .list_deviations(asks!(ListDeviationsRequest of q(), page_size: whole))
            ),
            told!(
                self.trace
                    .get_recall(asks!(GetRecallRequest of q(), recall_id: RECALL.to_owned()))
            ),
        ];
        told.extend(self.answers_of_each(question).await);
        told
    }

    /// The answers about each patient, and about some of the rest.
    #[expect(
        clippy::needless_update,
        reason = "some requests have more fields, some have not"
    )]
    async fn answers_of_each(&mut self, question: &Question) -> Vec<String> {
        let q = || question.clone();
        let mut told = Vec::new();
        for patient in self.names.patients.clone() {
            let patient = || patient.clone();
            told.extend([
                told!(
                    self.consent.get_consent_status(
                        asks!(GetConsentStatusRequest of q(), patient: patient())
                    )
                ),
                told!(
                    self.follow_up
                        .get_schedule(asks!(GetScheduleRequest of q(), patient: patient()))
                ),
                told!(
                    self.trace
                        .trace_patient(asks!(TracePatientRequest of q(), patient: patient()))
                ),
            ]);
        }
        for lot in self.names.lots.clone().iter().step_by(5) {
            told.push(told!(
                self.trace
                    .trace_lot(asks!(TraceLotRequest of q(), root: Some(root(lot))))
            ));
        }
        for sample_id in self.names.samples.clone().into_iter().step_by(5) {
            told.push(told!(self.trace.trace_sample(
                asks!(TraceSampleRequest of q(), sample_id: sample_id)
            )));
        }
        for coi in self.names.cois.clone() {
            let asked = asks!(GetChainOfIdentityRequest of q(), coi: coi);
            told.push(told!(self.trace.get_chain_of_identity(asked)));
        }
        told
    }
}

/// An answer without its page token, which tells as well how the question was put.
fn but_token(answer: &str) -> (&str, bool) {
    let (answer, token) = answer
        .split_once("next_page_token: ")
        .unwrap_or((answer, ""));
    (answer, token.starts_with("\"\""))
}

#[tokio::test]
async fn what_was_answered_once_is_answered_again_of_what_was_known_then() {
    let mut of = Growing::start().await;
    let mut asked = Vec::new();
    for (many, view) in [
        (MANY / 2 + 40, QuestionView::AsCorrected),
        (MANY / 8, QuestionView::AsRecorded),
        (MANY / 8, QuestionView::AsCorrected),
    ] {
        of.record(many).await;
        let size = of
            .server
            .ledger()
            .get_checkpoint(GetCheckpointRequest {})
            .await;
        let size = size.unwrap().into_inner().tree_size;
        let question = Question {
            view: view.into(),
            ..on(AFTER_ALL)
        };
        let told = of.answers(&question).await;
        let then = of.server.clock.now().to_rfc3339();
        for known_at in [KnownAt::TreeSize(size), KnownAt::RecordedBy(then)] {
            let question = Question {
                known_at: Some(known_at),
                ..question.clone()
            };
            asked.push((question, told.clone()));
        }
    }
    of.record(MANY).await;
    for (question, told) in asked {
        let again = of.answers(&question).await;
        for (then, now) in told.iter().zip(&again) {
            assert_eq!(but_token(then), but_token(now), "{question:?}");
        }
        assert_eq!(told.len(), again.len());
    }
}
