//! Every answer that the rules have to a question, row by row as text, so that two of them can be compared.
//! Entries are named by their record's id: at which index a record stands is no part of an answer here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use chrono::Months;

use crate::{
    pb,
    rules::{
        catalogue::Catalogue,
        conformity::Conformity,
        consent::{
            requirements::{Requirement, requirements},
            signatures::Signatures,
        },
        deviations::{self, Deviation, Review},
        dossier::Dossier,
        fact::{Fact, Facts, LotId, Material, Records, Subject, subjects},
        follow_up::{
            Why,
            obligations::Obligation,
            period::Period,
            schedule::{Met, Schedule},
            signals,
            summary::{Days, Summary},
        },
        patient::Patient,
        question::{Question, seen},
        trace::{
            forward::{self, Position, TracedAdministration, TracedMaterial},
            graph::{Way, walk},
            identity::chain_of_identity,
            lot::Lot,
            patient::{self as of_patient, trace_patient},
            recall::recall,
            retention::retention,
            sample::trace_sample,
        },
    },
    tlog::Index,
};

/// What may be asked about: everything that some facts are about.
#[derive(Debug, Default)]
pub(super) struct Names {
    patients: BTreeSet<String>,
    lots: BTreeSet<LotId>,
    samples: BTreeSet<String>,
    cois: BTreeSet<String>,
    recalls: BTreeSet<String>,
}

impl Names {
    pub(super) fn of(facts: &[Arc<Fact>]) -> Self {
        let mut names = Self::default();
        for fact in facts {
            if let Some(pb::record::Kind::RecallOpened(recall)) = fact.kind() {
                names.recalls.insert(recall.recall_id.clone());
            }
            for subject in subjects(&fact.record) {
                match subject {
                    Subject::Patient(patient) => names.patients.insert(patient),
                    Subject::Lot(lot) | Subject::Stock(lot) => names.lots.insert(lot),
                    Subject::Sample(sample) => names.samples.insert(sample),
                    Subject::Coi(coi) => names.cois.insert(coi),
                    Subject::Catalogue
                    | Subject::MadeOf(_)
                    | Subject::Donation(_)
                    | Subject::Case(_)
                    | Subject::Consignment(_)
                    | Subject::Identity(_)
                    | Subject::TraceCode(_)
                    | Subject::Place(_) => false,
                };
            }
        }
        names
    }
}

/// The rows of the answers to a question about all of these.
pub(super) fn answers<F: Records<Error = std::convert::Infallible>>(
    facts: &F,
    names: &Names,
    question: &Question,
) -> Vec<String> {
    let Ok(of_catalogue) = facts.about(&Subject::Catalogue);
    let mut told = Told {
        facts,
        question,
        catalogue: Catalogue::of(&of_catalogue, question),
        rows: Vec::new(),
    };
    told.patients(&names.patients);
    told.products();
    told.conformity(&names.patients);
    told.lots(&names.lots);
    for sample in &names.samples {
        told.sample(sample);
    }
    for coi in &names.cois {
        told.chain(coi);
    }
    for recall in &names.recalls {
        told.recall(recall);
    }
    told.rows
}

/// What the known entries raise, by the code of the rule.
pub(super) fn raised<F: Records<Error = std::convert::Infallible>>(
    facts: &F,
    entries: &[Arc<Fact>],
    question: &Question,
) -> Vec<(&'static str, String)> {
    let Ok(of_catalogue) = facts.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&of_catalogue, question);
    let mut review = Review::new(facts, &catalogue, *question);
    let mut rows = Vec::new();
    for fact in entries.iter().filter(|fact| question.knows(fact)) {
        let first = subjects(&fact.record).into_iter().next();
        let about = first.map(|subject| facts.about(&subject));
        let about = about.transpose().unwrap_or_default().unwrap_or_default();
        let as_seen = seen(&about, question);
        if let Some(own) = as_seen.iter().find(|one| one.index == fact.index) {
            rows.extend(deviations::own(&own.fact));
        }
        let Ok(with_others) = review.of_record(fact);
        let Ok(of_receipt) = deviations::of_record(facts, fact, &catalogue, question);
        assert_eq!(of_receipt, with_others, "a receipt says what the list says");
        rows.extend(with_others);
    }
    rows.iter()
        .map(|row| (row.rule.code, deviation(row)))
        .collect()
}

fn deviation(row: &Deviation) -> String {
    let Deviation {
        rule,
        raised_by,
        field,
        about,
        details,
        evidence,
    } = row;
    let mut evidence: Vec<&str> = evidence.iter().map(|fact| id(fact)).collect();
    evidence.sort_unstable();
    let by = id(raised_by);
    format!(
        "{} {by} {field} {} {about:?} {details:?} {evidence:?}",
        rule.code,
        row.patient()
    )
}

struct Told<'a, F> {
    facts: &'a F,
    question: &'a Question,
    catalogue: Catalogue,
    rows: Vec<String>,
}

impl<F: Facts<Error = std::convert::Infallible>> Told<'_, F> {
    fn tell(&mut self, row: impl Debug) {
        self.rows.push(format!("{row:?}"));
    }

    fn patients(&mut self, patients: &BTreeSet<String>) {
        let to = self.question.as_of;
        let from = to - Months::new(12);
        let mut summary = Summary::default();
        for name in patients {
            let Ok(dossier) = Dossier::of_patient(self.facts, name);
            let patient = Patient::of(&dossier, self.question);
            let signatures = Signatures::of(&patient, &self.catalogue);
            if patient.id == *name {
                let days = Days { from, to };
                summary.add(&patient, &self.catalogue, &signatures, days, None);
            }
            self.patient(name, &patient, &signatures);
            let Ok(trace) = trace_patient(self.facts, self.question, name);
            let Some(trace) = trace else { continue };
            self.tell((name, trace.patient, trace.standing, trace.cois));
            self.administrations(trace.administrations);
            for mut row in trace.never_administered {
                in_order(&mut row.why);
                self.tell((name, row));
            }
            let Ok(made_from) = of_patient::materials(self.facts, self.question, &trace.ancestors);
            self.materials(made_from);
        }
        for (figure, counted) in summary.figures {
            let patients = counted.patients;
            let evidence = ids(counted.evidence.into_values());
            self.tell((figure, counted.count, patients, evidence));
        }
        self.tell(summary.sites);
    }

    fn patient(&mut self, name: &str, patient: &Patient, signatures: &Signatures) {
        let on = self.question.as_of;
        self.tell((name, &patient.id, patient.site(on), patient.is_alive(on)));
        for one in &signatures.all {
            self.tell((name, id(&one.said), &one.version, one.on, &one.faults));
        }
        for one in &signatures.sets {
            let said: Vec<&str> = one.said.iter().map(|said| id(said)).collect();
            self.tell((name, said, &one.version, one.on, one.by));
        }
        for one in &signatures.declines {
            self.tell((name, id(&one.said), &one.version, one.on, one.counts));
        }
        let period = Period::of(patient, &self.catalogue, signatures, on);
        for one in requirements(patient, &self.catalogue, signatures, &period) {
            let reason = reason(&one.why);
            let why = Why::default();
            self.tell((name, Requirement { why, ..one }, reason));
        }
        let schedule = Schedule::of(patient, &self.catalogue, signatures, on);
        self.schedule(name, schedule);
    }

    fn schedule(&mut self, name: &str, schedule: Schedule) {
        let Schedule {
            period,
            planned,
            taken,
            tasks,
            intensified,
            incomplete,
            open,
        } = schedule;
        self.tell((name, period.status, period.end));
        for course in period.courses {
            let plan = course.plan.map(|plan| plan.version);
            let months = course.months.map(|months| months.value);
            self.tell((
                name,
                &course.product_id,
                course.first,
                course.anchor,
                course.begun,
            ));
            self.tell((
                plan,
                course.status,
                months,
                course.end,
                course.until_decision,
            ));
            self.tell((course.amendments, course.gaps, reason(&course.why)));
        }
        for mut one in planned {
            let met = one.met_by.take().map(|met| (met.on, met.record_id));
            self.tell((name, one, met));
        }
        for one in taken {
            self.tell((
                name,
                one.sample_id,
                one.due,
                one.on,
                one.days_late,
                reason(&one.why),
            ));
        }
        for one in intensified {
            self.tell((name, one.from, one.to, reason(&one.why)));
        }
        for one in incomplete {
            let Met { on, record_id, .. } = one.visit;
            self.tell((name, on, record_id, one.missing));
        }
        for (list, rows) in [("tasks", tasks), ("open", open)] {
            for one in rows {
                let reason = reason(&one.why);
                let why = Why::default();
                self.tell((name, list, Obligation { why, ..one }, reason));
            }
        }
    }

    fn products(&mut self) {
        let on = self.question.as_of;
        for one in signals::open(&self.catalogue, on) {
            let reason = reason(&one.why);
            let why = Why::default();
            self.tell((signals::OpenSignal { why, ..one }, reason));
        }
    }

    /// How a product stands to the guideline, for these patients.
    fn conformity(&mut self, patients: &BTreeSet<String>) {
        let on = self.question.as_of;
        let products: Vec<String> = self.catalogue.products.keys().cloned().collect();
        for product in products {
            let Some(mut report) = Conformity::of(&self.catalogue, &product, on) else {
                continue;
            };
            for name in patients {
                let Ok(dossier) = Dossier::of_patient(self.facts, name);
                let patient = Patient::of(&dossier, self.question);
                if patient.id == *name {
                    report.add(&patient, &Signatures::of(&patient, &self.catalogue));
                }
            }
            for row in report.rows() {
                let evidence = ids(row.evidence.into_iter().map(|(_, id)| id));
                let exceptions: BTreeSet<String> = row
                    .exceptions
                    .into_iter()
                    .map(|one| {
                        let evidence = ids(one.evidence.into_iter().map(|(_, id)| id));
                        format!("{:?} {} {evidence:?}", one.of, one.reason)
                    })
                    .collect();
                let counted = (row.counts, row.exceptions_all);
                self.rows.push(format!(
                    "{product} {} {:?} {} {counted:?} {exceptions:?} {evidence:?}",
                    row.id, row.verdict, row.because
                ));
            }
        }
    }

    fn lots(&mut self, lots: &BTreeSet<LotId>) {
        for id in lots {
            let root = [Material::Lot(id.clone())];
            let Ok(reached) = walk(self.facts, self.question, root, Way::Descendants);
            let all = Position::default();
            let Ok(part) = forward::part(self.facts, self.question, &reached, all, usize::MAX);
            self.materials(part.materials);
            self.administrations(part.administrations);
            for mut one in part.samples {
                in_order(&mut one.why);
                self.tell((id, one));
            }
            let Ok(lot) = Lot::of(self.facts, self.question, id);
            let stock = lot.stock();
            for mut one in part
                .unadministered
                .into_iter()
                .chain(forward::stock_rows(&lot, &stock))
            {
                in_order(&mut one.why);
                self.tell((id, one));
            }
            self.tell((id, stock));
        }
        let lots: Vec<LotId> = lots.iter().cloned().collect();
        let Ok(kept) = retention(self.facts, self.question, &lots);
        for mut one in kept {
            for basis in &mut one.bases {
                in_order(&mut basis.why);
            }
            self.tell(one);
        }
    }

    fn materials(&mut self, rows: Vec<TracedMaterial>) {
        for mut row in rows {
            in_order(&mut row.why);
            self.tell(row);
        }
    }

    fn administrations(&mut self, rows: Vec<TracedAdministration>) {
        for mut row in rows {
            in_order(&mut row.why);
            self.tell(row);
        }
    }

    fn sample(&mut self, sample: &str) {
        let Ok(trace) = trace_sample(self.facts, self.question, sample);
        let Some(trace) = trace else { return };
        self.tell((sample, trace.patient));
        for mut tube in trace.samples {
            for happening in &mut tube.happenings {
                in_order(&mut happening.why);
            }
            self.tell((sample, tube));
        }
        self.administrations(trace.administrations);
        let Ok(materials) = of_patient::materials(self.facts, self.question, &trace.materials);
        self.materials(materials);
    }

    fn chain(&mut self, coi: &str) {
        let Ok(chain) = chain_of_identity(self.facts, self.question, coi);
        let Some(chain) = chain else { return };
        self.tell((coi, chain.patients, chain.lots));
        for mut link in chain.links {
            in_order(&mut link.why);
            self.tell((coi, link));
        }
    }

    fn recall(&mut self, recall_id: &str) {
        let Ok(found) = recall(self.facts, self.question, recall_id);
        let Some(found) = found else { return };
        let closed = found.closed.as_ref().map(|end| id(end).to_owned());
        self.tell((id(&found.opened), &found.roots, found.class, closed));
        for mut site in found.sites(&BTreeMap::new()) {
            in_order(&mut site.why);
            self.tell(site);
        }
        for root in &found.roots {
            let Ok(lot) = Lot::of(self.facts, self.question, root);
            for mut row in found.reconciliations(&lot) {
                in_order(&mut row.why);
                self.tell(row);
            }
        }
    }
}

fn id(fact: &Fact) -> &str {
    &fact.record.record_id
}

fn ids(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

fn reason(why: &Why) -> String {
    let by: &BTreeMap<Index, String> = &why.evidence;
    format!("{:?} {:?}", why.basis, ids(by.values().cloned()))
}

/// Evidence is told in the order of the log; here, of the record's ids. That a record was corrected is told as well:
/// it is no part of the answer.
fn in_order(why: &mut pb::Why) {
    why.evidence
        .retain(|evidence| !evidence.record_id.starts_with("C-"));
    for evidence in &mut why.evidence {
        evidence.index = 0;
    }
    why.evidence
        .sort_by(|one, other| one.record_id.cmp(&other.record_id));
}
