//! What one patient's follow-up shows: enrolment, period, visits, contacts, what is due, adverse events.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::{
    pb::{
        self, BlockStatus, EventSource, MonitoringDecisionKind as Decision, MonitoringPart as Part,
        SamplePurpose, SubjectKind, VisitBlockKind, WithdrawalScope, record::Kind,
    },
    record::format::add_months,
    rules::{
        catalogue::ConsentVersion,
        cohort::concerns,
        consent::{
            requirements::{Kind as Asked, List, State as Standing, requirements},
            signatures::Signatures,
        },
        follow_up::{
            obligations::{Obligation, State, What},
            period::{Course, Status, bears_on, is_of_product},
            plan::Source,
            schedule::Schedule,
            slots::SlotState,
            specimens::Specimens,
        },
        patient::Patient,
        question::Seen,
    },
};

use super::{
    Conformity, Of,
    product::missing_reasons,
    tally::{reasons, shown},
};

impl Conformity<'_> {
    pub(super) fn see_patient(&mut self, patient: &Patient, signatures: &Signatures) {
        let schedule = Schedule::of(patient, self.catalogue, signatures, self.on);
        let product_id = &self.product.product.product_id;
        let mut courses = schedule.period.courses.iter();
        let Some(course) = courses.find(|course| course.product_id == *product_id) else {
            return;
        };
        self.enrolment(patient, course, signatures);
        self.asked_again(patient, signatures, &schedule);
        self.period(patient, course);
        self.persistence_at_the_end(patient, course);
        self.latest_plan(patient, course, &schedule);
        self.visits(patient, course, &schedule);
        self.contacts(patient, course, &schedule);
        self.samples_due(patient, &schedule);
        self.tasks(patient, &schedule);
        self.adverse_events(patient, course);
        self.asked_for_events(patient, course);
        for (fact, decision) in patient.of_kind(pick!(MonitoringDecision)) {
            if !fact.record.patient.is_empty() {
                self.changed_by(fact, decision, of(patient));
            }
        }
    }

    ///
    fn enrolment(&mut self, patient: &Patient, course: &Course, signatures: &Signatures) {
        let waived = matches!(course.status, Status::Waived | Status::NotRequired);
        if course.status != Status::Dead && !waived {
            self.tally(9).look_because(&course.why);
        }
        if course.status == Status::NotEnrolled {
            let reason = format!("treated on {} and not enrolled", course.anchor);
            self.tally(9)
                .except(of(patient), reason, reasons(&course.why));
        }
        for (fact, enrolment) in patient.enrolments() {
            let consented = signatures.sets.iter().any(|set| set.on <= fact.on);
            if !consented {
                let reason = format!("enrolled on {} without a valid consent", fact.on);
                self.tally(9).except(of(patient), reason, shown(fact));
            }
            self.tally(10).look_at(fact);
            if enrolment.covariates.is_empty() {
                let reason = "the enrolment names no covariate".to_owned();
                self.tally(10).except(of(patient), reason, shown(fact));
            }
        }
    }

    /// A-23, for the patient: who has not signed what a change of the risk asks for, or has not been told of it.
    fn asked_again(&mut self, patient: &Patient, signatures: &Signatures, schedule: &Schedule) {
        let product_id = self.product.product.product_id.clone();
        let asked = requirements(patient, self.catalogue, signatures, &schedule.period);
        for one in asked {
            let document = self.catalogue.consent_version(&one.version);
            let document = document.map(ConsentVersion::document);
            let is_own = document.is_none_or(|document| {
                document.product_ids.is_empty() || document.product_ids.contains(&product_id)
            });
            let is_change = matches!(one.kind, Asked::NewVersion | Asked::Cohort);
            if !is_own || !is_change {
                continue;
            }
            let version = &one.version.version;
            let reason = match (one.list, one.state) {
                (List::Needs, Standing::Overdue(days)) => {
                    let unreachable = if one.is_unreachable {
                        ", and cannot be reached"
                    } else {
                        ""
                    };
                    format!("version {version} is overdue by {days} days{unreachable}")
                }
                (List::Notify, _) => format!("has not been told of version {version}"),
                (List::Needs, Standing::Due | Standing::NoDeadline)
                | (List::Recontact | List::Declined, _) => continue,
            };
            self.tally(23)
                .except(of(patient), reason, reasons(&one.why));
        }
    }

    ///
    fn period(&mut self, patient: &Patient, course: &Course) {
        for (number, least) in [(12, 180), (13, 180), (14, 180), (15, 60)] {
            self.tally(number).look_because(&course.why);
            if let Some(reason) = self.too_short(patient, course, least) {
                self.tally(number)
                    .except(of(patient), reason, reasons(&course.why));
            }
        }
        let product_id = self.product.product.product_id.as_str();
        let given: Vec<_> = patient.given_of(self.catalogue, product_id).collect();
        if let ([(first, _), .., (last, _)], on) = (given.as_slice(), self.on) {
            self.tally(18).look_at(last);
            let anchor = course
                .plan
                .as_ref()
                .map(|plan| plan.parameters.anchor.value);
            let wanted = match anchor {
                Some(pb::Anchor::FirstAdministration) => first.on,
                Some(pb::Anchor::Unspecified | pb::Anchor::LastAdministration) | None => {
                    last.on.min(on)
                }
            };
            if course.anchor != wanted {
                let reason = format!("reckoned from {}, not from {wanted}", course.anchor);
                self.tally(18).except(of(patient), reason, shown(last));
            }
        }
        if self.traits.marketed && course.status.is_open() {
            self.tally(49).look_because(&course.why);
        }
        if let Some((fact, _)) = self.halting(patient, course) {
            let reason = "follow-up was ended by a decision without a communication".to_owned();
            self.tally(49).except(of(patient), reason, shown(&fact));
        }
    }

    /// The decision that ended or waived the patient's follow-up and names no communication.
    fn halting(&self, patient: &Patient, course: &Course) -> Option<(Seen, Decision)> {
        if !matches!(course.status, Status::Stopped | Status::Waived) {
            return None;
        }
        let product_id = &self.product.product.product_id;
        let others = self.catalogue.others.iter();
        let mut decisions = others.chain(&patient.facts).filter_map(|fact| {
            let Some(Kind::MonitoringDecision(decision)) = fact.kind() else {
                return None;
            };
            is_of_product(decision, product_id).then_some((fact, decision))
        });
        let halts = |decision: &pb::MonitoringDecision| {
            matches!(decision.decision(), Decision::Stop | Decision::Waive)
                && decision.communication.is_empty()
        };
        let (fact, decision) = decisions.find(|(_, decision)| halts(decision))?;
        Some((fact.clone(), decision.decision()))
    }

    /// Why a period is shorter than so many months without reasons that count.
    fn too_short(&self, patient: &Patient, course: &Course, least: u32) -> Option<String> {
        if let Some((_, decision)) = self.halting(patient, course) {
            let what = if decision == Decision::Stop {
                "ended"
            } else {
                "waived"
            };
            return Some(format!("{what} by a decision without a communication"));
        }
        let Some(months) = &course.months else {
            return Some("nothing says how long the patient is followed".to_owned());
        };
        if least <= months.value {
            return None;
        }
        let missing = match &months.source {
            Source::Guideline(_) => None,
            Source::Product(_) => Some("justification and no communication with the regulator"),
            Source::Plan(key) => match self.catalogue.plan_version(key) {
                Some(version) => {
                    missing_reasons(&version.plan.justification, &version.plan.communication)
                }
                None => Some("plan version on record"),
            },
            Source::Decision(index) => {
                let others = self.catalogue.others.iter();
                let mut facts = others.chain(&patient.facts);
                let by = facts.find(|fact| fact.index == *index);
                match by.and_then(|fact| fact.kind()) {
                    Some(Kind::MonitoringDecision(decision)) => {
                        missing_reasons(&decision.justification, &decision.communication)
                    }
                    _ => Some("decision on record"),
                }
            }
        };
        let value = months.value;
        missing.map(|missing| format!("followed for {value} months, and there is no {missing}"))
    }

    ///
    fn persistence_at_the_end(&mut self, patient: &Patient, course: &Course) {
        let Some(end) = course.end.filter(|end| *end < self.on) else {
            return;
        };
        if course.status == Status::Dead {
            return;
        }
        self.tally(33).look_because(&course.why);
        let persists = Specimens::of(patient).persists(end);
        if let Some((true, fact)) = persists
            && course.status == Status::Completed
            && !course.until_decision
            && !decided_on_end(patient, &course.product_id)
        {
            let reason = format!("completed on {end}, and the last result found the vector");
            self.tally(33).except(of(patient), reason, shown(fact));
        }
    }

    /// A-35, for the patient.
    fn latest_plan(&mut self, patient: &Patient, course: &Course, schedule: &Schedule) {
        if !course.status.is_open() {
            return;
        }
        self.tally(35).look_because(&course.why);
        let on = self.on;
        let Some(plan) = &course.plan else {
            let reason = "no plan is in force for the patient".to_owned();
            self.tally(35)
                .except(of(patient), reason, reasons(&course.why));
            return;
        };
        let site = patient.site(on).to_owned();
        self.followed_at
            .insert((site, plan.version.plan_id.clone()));
        let versions = self.catalogue.plans.get(&plan.version.plan_id);
        let newest = versions.into_iter().flatten().rev().find(|one| {
            one.activations
                .values()
                .any(|at_site| at_site.has_begun(on))
                && concerns(one.plan.scope.as_ref(), patient, self.catalogue, on)
        });
        if let Some(newest) = newest
            && plan.ordinal < newest.plan.ordinal
        {
            let reason = format!(
                "follows version {}, and version {} is in force",
                plan.version.version, newest.plan.version
            );
            self.tally(35)
                .except(of(patient), reason, shown(&newest.said));
        }
        let blocked = schedule.open.iter();
        for row in blocked.filter(|row| row.state == State::BlockedConsent) {
            let consent = row.blocked_by.as_ref().map_or("", |key| &key.version);
            let reason = format!(
                "{} is blocked: consent version {consent} is not signed",
                words(&row.what)
            );
            self.tally(35)
                .except(of(patient), reason, reasons(&row.why));
        }
    }

    ///
    fn visits(&mut self, patient: &Patient, course: &Course, schedule: &Schedule) {
        let mut was_visited = false;
        for (fact, visit) in patient.of_kind(pick!(FollowUpVisit)) {
            if visit.reached == Some(false) {
                continue;
            }
            was_visited = true;
            self.purposes[0] += 1;
            self.tally(8).look_at(fact);
            let is_asked = visit.blocks.iter().any(|block| {
                block.block() == VisitBlockKind::Pregnancy && block.status() != BlockStatus::NotDone
            });
            if !is_asked {
                let reason = format!("the visit of {} has no block on pregnancy", fact.on);
                self.tally(8).except(of(patient), reason, shown(fact));
            }
            self.tally(28).look_at(fact);
        }
        for incomplete in &schedule.incomplete {
            let missing = incomplete.missing.iter().map(|block| block_name(*block));
            let missing: Vec<_> = missing.collect();
            let visit = &incomplete.visit;
            let reason = format!("the visit of {} lacks {}", visit.on, missing.join(", "));
            let evidence = vec![(visit.index.value(), visit.record_id.clone())];
            self.tally(28).except(of(patient), reason, evidence);
        }
        let product_id = &self.product.product.product_id;
        let missed: Vec<String> = schedule
            .planned
            .iter()
            .filter(|one| one.product_id == *product_id && one.what == What::Visit)
            .filter(|one| one.state == SlotState::Missed)
            .map(|one| format!("the visit due {} was not held", one.due))
            .collect();
        for reason in missed {
            self.tally(28)
                .except(of(patient), reason, reasons(&course.why));
        }
        self.overdue(28, patient, schedule, |row| row.what == What::Visit);
        let intensive = course.plan.as_ref().map_or(INTENSIVE_MONTHS, |plan| {
            plan.parameters.intensive_months.value
        });
        let passed = add_months(course.anchor, intensive).is_some_and(|end| {
            let takes_part = patient
                .withdrawn(WithdrawalScope::AllProcedures, end)
                .is_none();
            end < self.on && patient.is_alive(end) && takes_part
        });
        if !was_visited && passed {
            let reason = "past the intensive period without a single visit".to_owned();
            self.tally(28)
                .except(of(patient), reason, reasons(&course.why));
        }
    }

    /// A-32, and the contacts of A-51.
    fn contacts(&mut self, patient: &Patient, course: &Course, schedule: &Schedule) {
        for (_, contact) in patient.of_kind(pick!(FollowUpContact)) {
            let what = if contact.reached == Some(true) {
                self.purposes[0] += 1;
                "contacts made"
            } else {
                "contacts that reached nobody"
            };
            self.tally(51).count(what, 1);
        }
        let intensive = course.plan.as_ref().map_or(INTENSIVE_MONTHS, |plan| {
            plan.parameters.intensive_months.value
        });
        let begins = add_months(course.anchor, intensive);
        if course.status.is_open() && begins.is_some_and(|begins| begins < self.on) {
            self.tally(32).look_because(&course.why);
            self.overdue(32, patient, schedule, |row| row.what == What::Contact);
        }
    }

    /// what was taken late, and what is overdue.
    fn samples_due(&mut self, patient: &Patient, schedule: &Schedule) {
        for taken in &schedule.taken {
            let by = |rule| taken.why.basis.contains(rule);
            let number = match () {
                () if by("R-C1") => 42,
                () if by("R-C2") => 44,
                () => 39,
            };
            if number == 39 {
                self.tally(39).look_because(&taken.why);
            }
            if 0 < taken.days_late {
                let reason = format!(
                    "sample {} was taken {} days after {}",
                    taken.sample_id, taken.days_late, taken.due
                );
                self.tally(number)
                    .except(of(patient), reason, reasons(&taken.why));
            }
        }
        let persistence = What::Sample(SamplePurpose::Persistence);
        let basis = |row: &Obligation, rule| row.why.basis.contains(rule);
        let is_of = |row: &Obligation, rule| row.what == persistence && basis(row, rule);
        self.overdue(42, patient, schedule, |row| is_of(row, "R-C1"));
        self.overdue(44, patient, schedule, |row| is_of(row, "R-C2"));
        self.overdue(39, patient, schedule, |row| {
            row.what == persistence && !basis(row, "R-C1") && !basis(row, "R-C2")
        });
        for intensified in &schedule.intensified {
            self.tally(44).look_because(&intensified.why);
            self.tally(44)
                .count("open", u64::from(intensified.to.is_none()));
        }
        let intensify =
            |decision: &pb::MonitoringDecision| decision.decision() == Decision::Intensify;
        let mut decisions = patient.of_kind(pick!(MonitoringDecision));
        let decided = decisions.find(|(_, decision)| intensify(decision));
        match (decided, schedule.intensified.first()) {
            (Some((fact, _)), _) => self.tally(31).look_at(fact),
            (None, Some(intensified)) => self.tally(31).look_because(&intensified.why),
            (None, None) => return,
        }
        self.overdue(31, patient, schedule, |row| is_of(row, "R-C2"));
    }

    /// the tasks that findings and events open.
    fn tasks(&mut self, patient: &Patient, schedule: &Schedule) {
        let on = self.on;
        let product_id = self.product.product.product_id.clone();
        for task in &schedule.tasks {
            if task.product_id != product_id {
                continue;
            }
            let number = match &task.what {
                What::Clonality => 41,
                What::CloneConfirmation | What::IntegrationSites => 42,
                What::RclTest => 45,
                What::OffTarget => 46,
                What::Visit
                | What::Contact
                | What::Sample(_)
                | What::Added(..)
                | What::MalignancyWatch => continue,
            };
            if task.what != What::IntegrationSites {
                self.tally(number).look_because(&task.why);
            }
            let reason = match (task.state, task.due) {
                (State::Overdue, Some(due)) => {
                    format!("{} was due {due} and is open", words(&task.what))
                }
                // The guideline has no days for these: as soon as possible.
                (State::Due | State::Overdue, None) => {
                    format!("{} is open on {on}", words(&task.what))
                }
                (State::Due | State::BlockedConsent | State::Waived | State::Met, _) => continue,
            };
            self.tally(number)
                .except(of(patient), reason, reasons(&task.why));
        }
        self.overdue(46, patient, schedule, |row| {
            matches!(&row.what, What::Sample(SamplePurpose::OffTarget))
        });
    }

    /// Rows that are open and past their day.
    fn overdue(
        &mut self,
        number: usize,
        patient: &Patient,
        schedule: &Schedule,
        is_of: impl Fn(&Obligation) -> bool,
    ) {
        let product_id = self.product.product.product_id.clone();
        let rows = schedule.open.iter();
        for row in rows.filter(|row| row.state == State::Overdue && is_of(row)) {
            if row.product_id != product_id {
                continue;
            }
            let due = row
                .due
                .map(|due| format!(", due {due}"))
                .unwrap_or_default();
            let reason = format!(
                "{} is overdue by {} days{due}",
                words(&row.what),
                row.days_overdue
            );
            self.tally(number)
                .except(of(patient), reason, reasons(&row.why));
        }
    }

    ///
    fn adverse_events(&mut self, patient: &Patient, course: &Course) {
        let mut assessed: BTreeMap<&str, NaiveDate> = BTreeMap::new();
        for (fact, assessment) in patient.of_kind(pick!(CausalityAssessment)) {
            let first = assessed.entry(&assessment.case_id).or_insert(fact.on);
            *first = (*first).min(fact.on);
            self.tally(30).look_at(fact);
            if assessment.evidence.is_empty() {
                let reason = format!("the assessment of case {} names none", assessment.case_id);
                self.tally(30).except(of(patient), reason, shown(fact));
            }
        }
        let days = course.plan.as_ref().and_then(|plan| {
            let mut versions = plan.versions.iter().rev();
            versions.find_map(|one| one.plan.parameters.as_ref()?.assessment_days)
        });
        let mut told = BTreeSet::new();
        for (fact, event) in patient.of_kind(pick!(AdverseEvent)) {
            self.purposes[0] += 1;
            self.tally(24).look_at(fact);
            if event.subject_kind() == SubjectKind::Contact {
                self.tally(7).look_at(fact);
            }
            if event.source() == EventSource::PatientSelf {
                self.tally(51).count("events that patients reported", 1);
            }
            if event.serious.is_empty() || !told.insert(event.case_id.clone()) {
                continue;
            }
            self.cases.insert(event.case_id.clone());
            self.tally(24).count("serious cases", 1);
            let aware = crate::rules::fact::civil_day(&event.aware_at, None).unwrap_or(fact.on);
            let by = days.and_then(|days| aware.checked_add_days(chrono::Days::new(days.into())));
            let reason = match (assessed.get(event.case_id.as_str()), by) {
                (None, _) => format!(
                    "serious case {} has no assessment of its cause",
                    event.case_id
                ),
                (Some(on), Some(by)) if by < *on => {
                    format!(
                        "serious case {} was assessed on {on}, due {by}",
                        event.case_id
                    )
                }
                (Some(_), _) => continue,
            };
            self.tally(24).except(of(patient), reason, shown(fact));
        }
    }

    ///
    fn asked_for_events(&mut self, patient: &Patient, course: &Course) {
        let followed_a_year = add_months(course.anchor, 12).is_some_and(|year| year <= self.on);
        if !course.status.is_open() || !followed_a_year {
            return;
        }
        self.tally(51).look_because(&course.why);
        let asked = patient.facts.iter().any(|fact| match fact.kind() {
            Some(Kind::FollowUpVisit(visit)) => visit
                .blocks
                .iter()
                .any(|block| block.block() == VisitBlockKind::AdverseEvents),
            Some(Kind::FollowUpContact(contact)) => contact.reached == Some(true),
            Some(Kind::AdverseEvent(event)) => event.source() == EventSource::ActiveSolicited,
            _ => false,
        });
        if !asked {
            let reason = "followed for a year or longer and never asked".to_owned();
            self.tally(51)
                .except(of(patient), reason, reasons(&course.why));
        }
    }
}

/// The guideline's first five years, where no plan is in force.
const INTENSIVE_MONTHS: u32 = 60;

fn of(patient: &Patient) -> Of {
    Of::Patient(patient.id.clone())
}

/// Whether a decision about the patient ended the monitoring of the persistence of a product.
fn decided_on_end(patient: &Patient, product_id: &str) -> bool {
    let mut decisions = patient.of_kind(pick!(MonitoringDecision));
    decisions.any(|(_, decision)| {
        let is_less = matches!(decision.decision(), Decision::Stop | Decision::Shorten);
        is_less && is_of_product(decision, product_id) && bears_on(decision, Part::Persistence)
    })
}

/// What is owed, in words.
pub(super) fn words(what: &What) -> String {
    let purpose = |purpose: &SamplePurpose| {
        let name = purpose.as_str_name();
        let name = name.trim_start_matches("SAMPLE_PURPOSE_");
        format!("a sample ({})", name.to_lowercase().replace('_', " "))
    };
    match what {
        What::Visit => "a visit".to_owned(),
        What::Contact => "a contact".to_owned(),
        What::Sample(of) | What::Added(of, _) => purpose(of),
        What::CloneConfirmation => "the confirmation of a clone".to_owned(),
        What::IntegrationSites => "the analysis of integration sites".to_owned(),
        What::Clonality => "the assessment of clonality".to_owned(),
        What::MalignancyWatch => "the watch for malignancy".to_owned(),
        What::RclTest => "the test for replication-competent virus".to_owned(),
        What::OffTarget => "the assessment of off-target activity".to_owned(),
    }
}

fn block_name(block: VisitBlockKind) -> String {
    let name = block.as_str_name();
    let name = name.trim_start_matches("VISIT_BLOCK_KIND_");
    name.to_lowercase().replace('_', " ")
}
