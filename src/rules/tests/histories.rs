//! Histories by chance, small and nasty: four pseudonyms, of which some are one person, two sites, two versions of
//! everything, and corrections of whatever there is. A history is a list of choices; what a choice says depends on
//! it and on its place alone.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use proptest::prelude::*;

use crate::{
    pb::{
        self, AdministrationStatus, CorrectionKind, Finding, MonitoringDecisionKind, PatientState,
        SampleEventKind, SamplePurpose, Signatory, WithdrawalScope, record::Kind,
    },
    rules::{
        book::Book,
        fact::{Fact, Facts, Records, Subject, corrected, event_day},
        question::{Question, seen},
    },
    tlog::{Index, TreeSize},
};

const SITES: [&str; 2] = ["9521123001015", "9521123001022"];
const MAKER: &str = "9521123000018";
const GTIN: &str = "09521123450011";
const VECTOR: &str = "09521123450028";

/// The first day of a history.
const START: NaiveDate = NaiveDate::from_ymd_opt(2018, 1, 1).expect("a day");

/// How many days a history has: seven years, in which samples, visits and contacts fall due, and amendments.
const DAYS: u64 = 2_600;

/// One thing that happens: of what kind, to whom, when, and a number for whatever else is chosen.
pub(super) type Choice = (u8, u8, When, u8);

/// The days since the first, and the hour where it is known.
type When = (u64, Option<u8>);

/// What happens besides what always does.
pub(super) fn any_choices(most: usize) -> impl Strategy<Value = Vec<Choice>> {
    // Much happens on a few days, so that the hour tells what was first.
    let on =
        prop_oneof![2 => 0..DAYS, 1 => (1..=BUSY).prop_map(|number| number * DAYS / (BUSY + 1))];
    let when = (on, prop::option::of(6_u8..22));
    prop::collection::vec((0..KINDS, 0_u8..4, when, any::<u8>()), 0..most)
}

/// How many days are busy.
const BUSY: u64 = 3;

/// How many kinds of choices there are.
const KINDS: u8 = 25;

/// The day that is so many days after the first.
pub(super) fn day(days: u64) -> NaiveDate {
    START + Days::new(days)
}

/// The records of a history, each after what it corrects.
pub(super) fn records(choices: &[Choice]) -> Vec<pb::Record> {
    let mut history = History {
        records: Vec::new(),
        samples: Vec::new(),
        hour: None,
    };
    history.begin();
    for choice in choices {
        history.happens(*choice);
    }
    history.records
}

/// The records as facts, recorded one after the other, a minute apart, after the last day of the history.
pub(super) fn book<'a>(records: impl IntoIterator<Item = &'a pb::Record>) -> Book {
    let first = day(DAYS + 1).and_time(NaiveTime::MIN).and_utc();
    let mut book = Book::default();
    for (index, record) in (0_u32..).zip(records) {
        let recorded_at = first + TimeDelta::minutes(index.into());
        book.insert(fact(u64::from(index), recorded_at, record.clone()));
    }
    book
}

pub(super) fn fact(index: u64, recorded_at: DateTime<Utc>, record: pb::Record) -> Fact {
    Fact {
        index: Index::new(index),
        recorded_at,
        actor: record.actor_person.clone(),
        on: event_day(&record).unwrap(),
        record,
        replacement: None,
    }
}

struct History {
    records: Vec<pb::Record>,
    samples: Vec<String>,
    /// The hour of what is told next, where it is known.
    hour: Option<u8>,
}

/// A time as records have it.
fn time((days, hour): When) -> String {
    let on = day(days);
    hour.map_or_else(
        || on.to_string(),
        |hour| format!("{on}T{hour:02}:30:00+08:00"),
    )
}

fn site(number: u8) -> String {
    SITES[usize::from(number % 2)].to_owned()
}

fn patient(number: u8) -> String {
    format!("P{}", number % 4)
}

fn lot(gtin: &str, number: u8) -> pb::LotKey {
    pb::LotKey {
        gtin: gtin.to_owned(),
        lot: format!("L{}", number % 4),
        ..Default::default()
    }
}

fn item(lot: pb::LotKey) -> pb::Item {
    pb::Item {
        what: Some(pb::item::What::Lot(lot)),
        quantity: Some(quantity("1")),
        ..Default::default()
    }
}

fn quantity(value: &str) -> pb::Quantity {
    pb::Quantity {
        value: value.to_owned(),
        unit: "{bag}".to_owned(),
        ..Default::default()
    }
}

fn consent(version: u8) -> pb::ConsentVersionKey {
    pb::ConsentVersionKey {
        family: "ICF".to_owned(),
        version: (version % 2 + 1).to_string(),
    }
}

fn plan(version: u8) -> pb::PlanVersionKey {
    pb::PlanVersionKey {
        plan_id: "PLAN".to_owned(),
        version: (version % 2 + 1).to_string(),
    }
}

/// One of a few, by a number.
fn one_of<T: Copy>(these: &[T], number: u8) -> T {
    these[usize::from(number) % these.len()]
}

impl History {
    fn tell(&mut self, days: u64, of: &str, at: &str, kind: Kind) {
        self.records.push(pb::Record {
            // A correction is known by its id.
            record_id: if matches!(kind, Kind::Correction(_)) {
                format!("C-{:03}", self.records.len())
            } else {
                format!("R-{:03}", self.records.len())
            },
            event_time: time((days, self.hour)),
            site: at.to_owned(),
            site_tz: "Asia/Shanghai".to_owned(),
            patient: of.to_owned(),
            kind: Some(kind),
            ..Default::default()
        });
    }

    /// What every history has: the product, two versions of its documents, and patients who were treated.
    fn begin(&mut self) {
        let product = pb::ProductRegistered {
            product_id: "PRODUCT".to_owned(),
            version: 1,
            gtins: vec![GTIN.to_owned()],
            product_classes: vec![pb::ProductClass::Lenti.into()],
            ..Default::default()
        };
        self.tell(0, "", MAKER, Kind::ProductRegistered(product));
        for version in [0, 1] {
            let from = 1 + u64::from(version) * 900;
            self.versions(version, from);
        }
        for number in 0..3_u8 {
            self.treated(number, 20 + u64::from(number) * 3);
        }
        let second = pb::PatientRegistered {
            identity_commitment: vec![0; 32],
            ..Default::default()
        };
        self.tell(400, &patient(3), &site(1), Kind::PatientRegistered(second));
    }

    /// A version of the consent document and of the plan, in force at both sites.
    fn versions(&mut self, version: u8, from: u64) {
        let document = pb::ConsentDocumentVersion {
            family: consent(version).family,
            version: consent(version).version,
            ordinal: u32::from(version) + 1,
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            reconsent_due: Some(pb::ReconsentDue {
                due: Some(pb::reconsent_due::Due::Days(60)),
                before_next_procedure: false,
            }),
            ..Default::default()
        };
        self.tell(from, "", MAKER, Kind::ConsentDocumentVersion(document));
        let asked = pb::FollowUpPlanVersion {
            plan_id: plan(version).plan_id,
            version: plan(version).version,
            ordinal: u32::from(version) + 1,
            product_ids: vec!["PRODUCT".to_owned()],
            parameters: Some(pb::PlanParameters {
                follow_up_months: Some(180 + u32::from(version) * 24),
                signal_action_days: Some(30),
                ..Default::default()
            }),
            linked_consent: Some(consent(version)),
            justification: "more is known".to_owned(),
            ..Default::default()
        };
        self.tell(from + 1, "", MAKER, Kind::FollowUpPlanVersion(asked));
        for (number, days) in [(0, from + 2), (1, from + 5)] {
            self.activated(version, &site(number), days);
        }
    }

    fn activated(&mut self, version: u8, at: &str, days: u64) {
        let effective_from = day(days).to_string();
        let consent = pb::ConsentVersionActivated {
            version: Some(consent(version)),
            site: at.to_owned(),
            effective_from: effective_from.clone(),
            ..Default::default()
        };
        self.tell(days, "", at, Kind::ConsentVersionActivated(consent));
        let plan = pb::PlanActivated {
            plan: Some(plan(version)),
            site: at.to_owned(),
            effective_from,
            ..Default::default()
        };
        self.tell(days, "", at, Kind::PlanActivated(plan));
    }

    /// A patient from registration to enrolment; the third is a minor.
    fn treated(&mut self, number: u8, days: u64) {
        let (who, at) = (patient(number), site(number));
        let is_minor = number == 2;
        let age = |days| {
            if is_minor {
                day(days).to_string()
            } else {
                String::new()
            }
        };
        let registered = pb::PatientRegistered {
            identity_commitment: vec![number; 32],
            assent_on: age(500),
            majority_on: age(1_500),
            ..Default::default()
        };
        self.tell(days, &who, &at, Kind::PatientRegistered(registered));
        self.signed(number, days + 1, 0, u8::from(is_minor));
        let registered = pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: lot(GTIN, number).lot,
            role: pb::LotRole::DrugProduct.into(),
            manufacturer: MAKER.to_owned(),
            expiry: "2019-06-30".to_owned(),
            quantity: Some(quantity("1")),
            coi: format!("COI-{number}"),
            intended_patient: who.clone(),
            ..Default::default()
        };
        self.tell(days + 2, "", MAKER, Kind::LotRegistered(registered));
        let step = pb::Transformation {
            inputs: vec![item(lot(VECTOR, number / 2))],
            outputs: vec![item(lot(GTIN, number))],
            coi: format!("COI-{number}"),
            ..Default::default()
        };
        self.tell(days + 2, "", MAKER, Kind::Transformation(step));
        self.given(number, days + 30, number);
        let enrolment = pb::FollowUpEnrolment {
            plan_id: "PLAN".to_owned(),
            ..Default::default()
        };
        self.tell(days + 31, &who, &at, Kind::FollowUpEnrolment(enrolment));
    }

    fn signed(&mut self, number: u8, days: u64, version: u8, by: u8) {
        let signed = pb::ConsentSigned {
            version: Some(consent(version)),
            signatory: one_of(&[Signatory::Self_, Signatory::Lar, Signatory::Assent], by).into(),
            ..Default::default()
        };
        let (who, at) = (patient(number), site(number));
        self.tell(days, &who, &at, Kind::ConsentSigned(signed));
    }

    fn given(&mut self, number: u8, days: u64, of: u8) {
        let administration = pb::Administration {
            product_id: "PRODUCT".to_owned(),
            lot: Some(lot(GTIN, of)),
            coi: format!("COI-{}", of % 4),
            status: AdministrationStatus::Given.into(),
            ..Default::default()
        };
        let (who, at) = (patient(number), site(number));
        self.tell(days, &who, &at, Kind::Administration(administration));
    }

    fn sample(&self, number: u8) -> String {
        let at = usize::from(number).checked_rem(self.samples.len());
        at.map_or_else(|| "S-?".to_owned(), |at| self.samples[at].clone())
    }

    fn happens(&mut self, (kind, who, (days, hour), more): Choice) {
        self.hour = hour;
        let (of, at) = (patient(who), site(more));
        match kind {
            0 => self.signed(who, days, more, more / 2),
            1 => self.given(who, days, more),
            2..=9 => {
                let kind = of_the_patient(kind, days, more);
                self.tell(days, &of, &at, kind);
            }
            10 | 11 => {
                let sample_id = format!("S-{}", self.records.len());
                self.samples.push(sample_id.clone());
                let purposes = [SamplePurpose::Persistence, SamplePurpose::Clonality];
                let sample = pb::SampleCollected {
                    sample_id,
                    purposes: vec![one_of(&purposes, more / 4).into()],
                    ..Default::default()
                };
                self.tell(days, &of, &at, Kind::SampleCollected(sample));
            }
            12..=14 => {
                let kind = self.of_a_sample(kind, more);
                let of = if more.is_multiple_of(2) { &of } else { "" };
                self.tell(days, of, &at, kind);
            }
            15..=18 => {
                let kind = of_many(kind, days, more);
                self.tell(days, "", &at, kind);
            }
            19 => {
                let of = if more.is_multiple_of(2) { &of } else { "" };
                let decision = decided(of, more);
                self.tell(days, of, &at, decision);
            }
            20 => self.people(who, days, more),
            21 => {
                let kind = bound(more);
                self.tell(days, &of, &at, kind);
            }
            _ => self.correct(who, days, more),
        }
    }

    fn of_a_sample(&mut self, kind: u8, more: u8) -> Kind {
        let sample_id = self.sample(more / 2);
        if kind == 12 {
            let findings = [
                Finding::WithinExpected,
                Finding::DominantClone,
                Finding::ClonalExpansion,
                Finding::VectorNotDetected,
                Finding::RclNegative,
            ];
            return Kind::AssayResult(pb::AssayResult {
                sample_id,
                findings: vec![one_of(&findings, more).into()],
                ..Default::default()
            });
        }
        let events = [
            SampleEventKind::Rejected,
            SampleEventKind::Aliquoted,
            SampleEventKind::Relabelled,
            SampleEventKind::Received,
            SampleEventKind::Stored,
        ];
        let event = one_of(&events, more);
        let new = format!("S-{}", self.records.len());
        let mut told = pb::SampleEvent {
            sample_id,
            event: event.into(),
            ..Default::default()
        };
        if event == SampleEventKind::Aliquoted {
            self.samples.push(new.clone());
            told.aliquots.push(pb::Aliquot {
                sample_id: new,
                ..Default::default()
            });
        } else if event == SampleEventKind::Relabelled {
            self.samples.push(new.clone());
            told.new_sample_id = new;
        } else if event == SampleEventKind::Stored {
            told.position = Some(pb::StoragePosition {
                place: "A1".to_owned(),
                ..Default::default()
            });
        }
        Kind::SampleEvent(told)
    }

    /// A second pseudonym of somebody is given up, or turns out to be somebody else's after all.
    fn people(&mut self, who: u8, days: u64, more: u8) {
        let (of, other) = (patient(who), patient(who + 1 + more % 3));
        let kind = if more.is_multiple_of(2) {
            Kind::PatientMerged(pb::PatientMerged {
                merged_patient: other,
            })
        } else {
            let moved = self.records.iter().filter(|one| one.patient == of);
            let moved = moved.skip(usize::from(more % 5)).step_by(2);
            Kind::PatientSplit(pb::PatientSplit {
                split_patient: other,
                moved_records: moved.map(|one| one.record_id.clone()).collect(),
            })
        };
        self.tell(days, &of, &site(who), kind);
    }

    /// A correction of an earlier record, or of an earlier correction.
    fn correct(&mut self, who: u8, days: u64, more: u8) {
        let back = usize::from(more / 2) % 40 + 1;
        let Some(target) = self.records.len().checked_sub(back) else {
            return;
        };
        let target = self.records[target].clone();
        let change = |path: &str, new: String| {
            vec![pb::FieldChange {
                path: path.to_owned(),
                new,
                ..Default::default()
            }]
        };
        let is_correction = matches!(target.kind, Some(Kind::Correction(_)));
        let lot = format!("L{}", who % 4);
        let own = match &target.kind {
            Some(Kind::Administration(_)) => ("administration.lot.lot", lot),
            Some(Kind::Transformation(_)) => ("transformation.inputs[0].lot.lot", lot),
            Some(Kind::LotDisposition(_)) => ("lot_disposition.lot.lot", lot),
            Some(Kind::LotRegistered(_)) => ("lot_registered.intended_patient", patient(who)),
            Some(Kind::AssayResult(_)) => ("assay_result.sample_id", self.sample(who)),
            Some(Kind::SampleEvent(_)) => ("sample_event.sample_id", self.sample(who)),
            Some(Kind::AdverseEvent(_)) => ("adverse_event.case_id", format!("CASE-{}", who % 3)),
            _ => ("site", site(who)),
        };
        let (kind, changes) = match more % 5 {
            0 => (CorrectionKind::DidNotOccur, Vec::new()),
            _ if is_correction => (CorrectionKind::DidNotOccur, Vec::new()),
            1 if !target.patient.is_empty() => {
                let changes = change("patient", patient(who));
                (CorrectionKind::WrongPatient, changes)
            }
            2 | 3 => (CorrectionKind::IncorrectData, change(own.0, own.1)),
            _ => {
                let when = time(((days * 7) % DAYS, self.hour));
                (CorrectionKind::IncorrectData, change("event_time", when))
            }
        };
        let correction = pb::Correction {
            target: target.record_id,
            correction_kind: kind.into(),
            changes,
            ..Default::default()
        };
        self.tell(DAYS, "", &target.site, Kind::Correction(correction));
    }
}

fn of_the_patient(kind: u8, days: u64, more: u8) -> Kind {
    match kind {
        2 => Kind::ConsentDeclined(pb::ConsentDeclined {
            version: Some(consent(more)),
            signatory: one_of(&[Signatory::Self_, Signatory::Lar], more / 2).into(),
            ..Default::default()
        }),
        3 => {
            let scopes = [
                WithdrawalScope::AllProcedures,
                WithdrawalScope::InvasiveSampling,
                WithdrawalScope::Contact,
            ];
            Kind::ConsentWithdrawn(pb::ConsentWithdrawn {
                scopes: vec![one_of(&scopes, more).into()],
                ..Default::default()
            })
        }
        4 | 5 => {
            let states = [
                PatientState::LostToFollowUp,
                PatientState::Found,
                PatientState::Transferred,
                PatientState::Active,
                PatientState::Completed,
                PatientState::Deceased,
            ];
            let state = one_of(&states, more);
            let moves = state == PatientState::Transferred;
            Kind::PatientStatus(pb::PatientStatus {
                state: state.into(),
                transferred_to: if moves { site(more / 8) } else { String::new() },
                ..Default::default()
            })
        }
        6 => Kind::FollowUpVisit(pb::FollowUpVisit::default()),
        7 => Kind::FollowUpContact(pb::FollowUpContact {
            reached: Some(!more.is_multiple_of(3)),
            ..Default::default()
        }),
        8 => Kind::SamplingWaiver(pb::SamplingWaiver {
            purposes: vec![SamplePurpose::Persistence.into()],
            valid_from: day(days).to_string(),
            valid_to: day(days + u64::from(more)).to_string(),
            ..Default::default()
        }),
        _ => Kind::AdverseEvent(pb::AdverseEvent {
            case_id: format!("CASE-{}", more % 3),
            suspected_rcl: Some(more.is_multiple_of(2)),
            serious: vec![i32::from(more % 3)],
            ..Default::default()
        }),
    }
}

fn of_many(kind: u8, days: u64, more: u8) -> Kind {
    let items = vec![item(lot(GTIN, more))];
    match (kind, more % 4) {
        (15, _) => Kind::RiskSignal(pb::RiskSignal {
            signal_id: format!("SIG-{}", more % 3),
            product_ids: vec!["PRODUCT".to_owned()],
            changes_risk: Some(true),
            ..Default::default()
        }),
        (16, _) => Kind::SignalDecision(pb::SignalDecision {
            signal_id: format!("SIG-{}", more % 3),
            not_needed: vec![pb::SignalAction::Plan.into()],
            closed: Some(more.is_multiple_of(5)),
            ..Default::default()
        }),
        (17, 0) => Kind::RecallOpened(pb::RecallOpened {
            recall_id: "RECALL".to_owned(),
            roots: vec![lot(VECTOR, more / 4)],
            ..Default::default()
        }),
        (17, 1) => Kind::RecallNotice(pb::RecallNotice {
            recall_id: "RECALL".to_owned(),
            site: site(more / 4),
            ..Default::default()
        }),
        (17, _) => Kind::ConsentVersionActivated(pb::ConsentVersionActivated {
            version: Some(consent(more)),
            site: site(more / 4),
            effective_from: day(days).to_string(),
            ..Default::default()
        }),
        (_, 0) => Kind::LotDisposition(pb::LotDisposition {
            lot: Some(lot(GTIN, more / 4)),
            disposition: i32::from(more % 7),
            ..Default::default()
        }),
        (_, 1) => Kind::Shipment(pb::Shipment {
            items,
            from_gln: MAKER.to_owned(),
            to_gln: site(more / 4),
            ..Default::default()
        }),
        (_, 2) => Kind::ShipmentReceived(pb::ShipmentReceived {
            items,
            from_gln: MAKER.to_owned(),
            to_gln: site(more / 4),
            ..Default::default()
        }),
        (_, _) => Kind::ProductDestroyed(pb::ProductDestroyed {
            items,
            ..Default::default()
        }),
    }
}

/// What binds a patient to a chain of identity.
fn bound(more: u8) -> Kind {
    let coi = format!("COI-{}", more / 2 % 4);
    if more.is_multiple_of(2) {
        Kind::CoiAssigned(pb::CoiAssigned {
            coi,
            ..Default::default()
        })
    } else {
        Kind::MaterialCollected(pb::MaterialCollected {
            coi,
            ..Default::default()
        })
    }
}

fn decided(of: &str, more: u8) -> Kind {
    let decisions = [
        MonitoringDecisionKind::Extend,
        MonitoringDecisionKind::Shorten,
        MonitoringDecisionKind::Waive,
        MonitoringDecisionKind::Stop,
        MonitoringDecisionKind::Intensify,
        MonitoringDecisionKind::Resume,
    ];
    let product = if of.is_empty() { "PRODUCT" } else { "" };
    Kind::MonitoringDecision(pb::MonitoringDecision {
        decision: one_of(&decisions, more / 2).into(),
        product_id: product.to_owned(),
        follow_up_months: Some(u32::from(more)),
        ..Default::default()
    })
}

/// The records as their corrections leave them, as if each had been right at once.
pub(super) fn righted(records: &[pb::Record]) -> Vec<pb::Record> {
    let mut righted = seen(book(records).facts(), &Question::EVERYTHING);
    righted.sort_by_key(|fact| fact.index);
    righted.iter().map(|fact| fact.record.clone()).collect()
}

/// What a record must not arrive before.
#[derive(Debug)]
pub(super) struct Arrival {
    after: Vec<BTreeSet<usize>>,
}

impl Arrival {
    /// Which order of some records the clocks, or what they say, leave no choice about:
    ///
    /// - Facts of one instant count in the order in which they were recorded, and so do facts of one day of which no
    ///   more is known. So do facts that a correction brings there.
    /// - Corrections, merges and splits tell what is known of others, and a later one takes precedence over an
    ///   earlier one: these are in the order in which they came to be known.
    /// - A correction is recorded after what it corrects: any other is refused.
    pub(super) fn of(records: &[pb::Record]) -> Self {
        let mut known_times: Vec<BTreeSet<(NaiveDate, Option<DateTime<Utc>>)>> = Vec::new();
        let time_of = |record: &pb::Record| {
            let (on, at, _) = fact(0, DateTime::default(), record.clone()).moment();
            (on, at)
        };
        let mut place = std::collections::BTreeMap::new();
        let mut first = Vec::new();
        for (at, record) in records.iter().enumerate() {
            place.insert(record.record_id.as_str(), at);
            let target = corrected(record).and_then(|id| place.get(id).copied());
            first.push(target.map_or(at, |target: usize| first[target]));
            known_times.push(BTreeSet::from([time_of(record)]));
            if let Some(Kind::Correction(correction)) = &record.kind {
                let times = correction
                    .changes
                    .iter()
                    .filter(|one| one.path == "event_time");
                let target: usize = first[at];
                known_times[target].extend(times.map(|one| {
                    time_of(&pb::Record {
                        event_time: one.new.clone(),
                        ..records[target].clone()
                    })
                }));
            }
        }
        let of_knowledge = |record: &pb::Record| {
            matches!(
                record.kind,
                Some(Kind::Correction(_) | Kind::PatientMerged(_) | Kind::PatientSplit(_))
            )
        };
        let before = |at: usize| {
            let record = &records[at];
            let target = corrected(record).and_then(|id| place.get(id).copied());
            let mut before: BTreeSet<usize> = target.into_iter().collect();
            for earlier in 0..at {
                let both = of_knowledge(&records[earlier]) && of_knowledge(record);
                if both || !known_times[earlier].is_disjoint(&known_times[at]) {
                    before.insert(earlier);
                }
            }
            before
        };
        Self {
            after: (0..records.len()).map(before).collect(),
        }
    }

    /// An order of arrival by chance: of the records that may come next, whichever a number says.
    pub(super) fn order(&self, mut chance: impl FnMut(usize) -> usize) -> Vec<usize> {
        let mut arrived = BTreeSet::new();
        let mut order = Vec::new();
        while order.len() < self.after.len() {
            let may_come =
                |at: &usize| !arrived.contains(at) && self.after[*at].is_subset(&arrived);
            let next: Vec<usize> = (0..self.after.len()).filter(may_come).collect();
            let next = next[chance(next.len())];
            arrived.insert(next);
            order.push(next);
        }
        order
    }
}

/// A book of which no more is known than so many facts, as whoever asks about the past is handed it.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) book: &'a Book,
    pub(super) size: TreeSize,
}

impl Facts for Known<'_> {
    type Error = Infallible;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, Infallible> {
        let mut about = self.book.about(subject)?;
        about.retain(|fact| fact.index.value() < self.size.value());
        Ok(about)
    }
}

impl Records for Known<'_> {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Infallible> {
        let record = self.book.record(record_id)?;
        Ok(record.filter(|fact| fact.index.value() < self.size.value()))
    }
}

/// The facts below an index, as they were when there were no more.
pub(super) fn prefix(facts: &[Arc<Fact>], size: usize) -> Book {
    let mut book = Book::default();
    for fact in &facts[..size] {
        book.insert(Fact::clone(fact));
    }
    book
}
