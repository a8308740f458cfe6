//! What the product, its plans, its reports and its communications show, apart from any patient.

use crate::{
    pb::{
        self, MonitoringDecisionKind as Decision, ProductClass, ReportType, RiskFactor, RiskState,
        SlotKind, record::Kind,
    },
    record::format::parse_civil_date,
    rules::{
        catalogue::PlanVersion,
        fact::Fact,
        flags::{self, codes},
        follow_up::period::is_of_product,
        question::Seen,
        template,
    },
};

use super::{Conformity, Of, tally::shown};

impl<'a> Conformity<'a> {
    pub(super) fn see_product(&mut self) {
        self.classes();
        self.looseness();
        self.communications();
        self.risk_profile();
        self.risk_changes();
        self.onset();
        self.named_period();
        self.changed_periods();
        self.plan_blocks();
        self.one_plan();
        self.tissues();
        self.reports();
    }

    ///
    fn classes(&mut self) {
        let product = self.product;
        for class in product.product.product_classes() {
            if class != ProductClass::Unspecified {
                self.tally(1).look_at(&product.said);
            }
        }
    }

    ///
    fn looseness(&mut self) {
        let of_flag = [
            codes::LOOSER_THAN_GUIDELINE.code,
            codes::FOLLOW_UP_BELOW_GUIDELINE.code,
        ];
        let product = self.product;
        let plans = self.plans();
        let versions = plans.iter().copied().flatten().map(|one| &one.said);
        for said in versions.chain([&product.said]) {
            let is_plan = matches!(said.kind(), Some(Kind::FollowUpPlanVersion(_)));
            if is_plan {
                self.tally(2).look_at(said);
            }
            let raised = flags::flags(&said.record, Vec::new(), said.recorded_at);
            for flag in raised.iter().filter(|flag| of_flag.contains(&flag.code)) {
                let reason = format!("{}: {}", flag.field, flag.text);
                self.tally(2).except(named(said), reason, shown(said));
            }
        }
    }

    /// A-03, and the part of A-52 that is about it.
    fn communications(&mut self) {
        let catalogue = self.catalogue;
        let mut found = false;
        for fact in &catalogue.others {
            if let Some(Kind::RegulatorCommunication(communication)) = fact.kind()
                && self.concerns(communication)
            {
                found = true;
                self.tally(3).look_at(fact);
            }
        }
        let product = self.product;
        if !found {
            let reason = "no communication with a regulator is on record";
            let evidence = shown(&product.said);
            self.tally(3)
                .except(Of::Product, reason.to_owned(), evidence.clone());
            let near_market = matches!(
                product.product.phase(),
                pb::ProductPhase::Nda | pb::ProductPhase::PostMarketing
            );
            if near_market {
                self.tally(52)
                    .except(Of::Product, reason.to_owned(), evidence);
            }
        }
    }

    /// Whether a communication is about the product or a plan of it; one that names neither is about all.
    fn concerns(&self, communication: &pb::RegulatorCommunication) -> bool {
        let own = communication.product_id == self.product.product.product_id;
        let plans = self.plans();
        let of_plan = communication.plan.as_ref().is_some_and(|key| {
            let mut versions = plans.iter().copied().flatten();
            versions.any(|one| one.plan.plan_id == key.plan_id)
        });
        let of_all = communication.product_id.is_empty() && communication.plan.is_none();
        own || of_plan || of_all
    }

    /// A-05, and what cannot be told of A-07.
    fn risk_profile(&mut self) {
        let product = self.product;
        for said in &product.product.risk_profile {
            self.tally(5).look_at(&product.said);
            let factor = factor_name(said.factor());
            let reason = match said.state() {
                RiskState::Unspecified | RiskState::Unknown => "nobody knows whether it is present",
                RiskState::Present | RiskState::Absent if said.evidence.is_none() => {
                    "no document shows it"
                }
                RiskState::Present | RiskState::Absent => continue,
            };
            let reason = format!("{factor}: {reason}");
            self.tally(5)
                .except(Of::Product, reason, shown(&product.said));
        }
    }

    ///
    fn risk_changes(&mut self) {
        let catalogue = self.catalogue;
        let product_id = &self.product.product.product_id;
        let versions = catalogue.products.get(product_id);
        let versions = versions.map(Vec::as_slice).unwrap_or_default();
        for (before, after) in versions.iter().zip(versions.iter().skip(1)) {
            let states = |of: &pb::ProductRegistered| {
                let mut states: Vec<(i32, i32)> = Vec::new();
                states.extend(of.risk_profile.iter().map(|risk| (risk.factor, risk.state)));
                states.sort_unstable();
                states
            };
            if states(&before.product) == states(&after.product) {
                continue;
            }
            self.tally(6).look_at(&after.said);
            let since = after.said.on;
            let plans = self.plans();
            let replanned = plans
                .iter()
                .copied()
                .flatten()
                .any(|one| since <= one.said.on);
            let decided = catalogue.others.iter().any(|fact| {
                let decides = match fact.kind() {
                    Some(Kind::MonitoringDecision(decision)) => decision.product_id == *product_id,
                    Some(Kind::SignalDecision(decision)) => {
                        let mut of = catalogue.signals(&decision.signal_id);
                        of.any(|signal| self.is_affected(signal))
                    }
                    _ => false,
                };
                decides && since <= fact.on
            });
            if !replanned && !decided {
                let reason = format!(
                    "version {} of the product has another risk profile, and nothing on record reviews the \
                     follow-up",
                    after.product.version
                );
                self.tally(6)
                    .except(Of::Product, reason, shown(&after.said));
            }
        }
    }

    ///
    fn onset(&mut self) {
        let product = self.product;
        let Some(onset) = product.product.expected_onset_max_months else {
            let needed = "register the product with its latest expected onset";
            self.tally(11).cannot_tell(needed);
            return;
        };
        for (name, months, said) in self.periods() {
            self.tally(11).look_at(said);
            if months < onset {
                let reason = format!(
                    "{months} months, and a delayed reaction may come up to {onset} months after"
                );
                self.tally(11).except(name, reason, shown(said));
            }
        }
    }

    /// The periods that hold for the product's patients: of each plan as its versions leave it, or else the
    /// product's own, or else the guideline's.
    fn periods(&self) -> Vec<(Of, u32, &'a Seen)> {
        let mut periods = Vec::new();
        for versions in self.plans() {
            let said = versions.iter().rev().find_map(|one| {
                let months = one.plan.parameters.as_ref()?.follow_up_months?;
                Some((named(&one.said), months, &one.said))
            });
            periods.extend(said);
        }
        if periods.is_empty() {
            let product = &self.product.product;
            let classes: Vec<ProductClass> = product.product_classes().collect();
            let guideline = template::follow_up(&classes).map(|asked| asked.months);
            let own = product.follow_up_default_months;
            if let Some(months) = own.max(guideline) {
                periods.push((Of::Product, months, &self.product.said));
            }
        }
        periods
    }

    ///
    fn named_period(&mut self) {
        let product = self.product;
        let mut says = Vec::new();
        for one in self.plans().into_iter().flatten() {
            let parameters = one.plan.parameters.as_ref();
            if parameters.is_some_and(|said| said.follow_up_months.is_some()) {
                says.push(&one.said);
            }
        }
        if product
            .product
            .follow_up_default_months
            .is_some_and(|months| 0 < months)
        {
            says.push(&product.said);
        }
        for said in &says {
            self.tally(16).look_at(said);
        }
        if says.is_empty() {
            let reason = "neither a plan nor the product says how long patients are followed";
            self.tally(16)
                .except(Of::Product, reason.to_owned(), shown(&product.said));
        }
    }

    /// A-17, for what holds for more than one patient.
    fn changed_periods(&mut self) {
        let catalogue = self.catalogue;
        let product_id = self.product.product.product_id.clone();
        for fact in &catalogue.others {
            if let Some(Kind::MonitoringDecision(decision)) = fact.kind()
                && is_of_product(decision, &product_id)
            {
                self.changed_by(fact, decision, Of::Product);
            }
        }
        for versions in self.plans() {
            let mut before = None;
            for one in versions {
                let months = one
                    .plan
                    .parameters
                    .as_ref()
                    .and_then(|said| said.follow_up_months);
                let Some(months) = months else { continue };
                let was = before.replace(months);
                if was.is_none_or(|was| was == months) {
                    continue;
                }
                self.tally(17).look_at(&one.said);
                let missing = missing_reasons(&one.plan.justification, &one.plan.communication);
                if let Some(missing) = missing {
                    let reason =
                        format!("the period becomes {months} months, and there is no {missing}");
                    self.tally(17)
                        .except(named(&one.said), reason, shown(&one.said));
                }
            }
        }
    }

    /// A decision that may change the period of a patient or of many.
    pub(super) fn changed_by(&mut self, fact: &Fact, decision: &pb::MonitoringDecision, of: Of) {
        match decision.decision() {
            Decision::Extend | Decision::Shorten | Decision::Waive | Decision::Stop => {}
            Decision::Unspecified | Decision::Intensify | Decision::Resume => return,
        }
        self.tally(17).look_at(fact);
        let missing = missing_reasons(&decision.justification, &decision.communication);
        if let Some(missing) = missing {
            let kind = decision.decision().as_str_name();
            let kind = kind.trim_start_matches("MONITORING_DECISION_KIND_");
            let reason = format!("a decision to {kind} has no {missing}");
            self.tally(17).except(of, reason, shown(fact));
        }
    }

    /// what the versions of a plan say together.
    fn plan_blocks(&mut self) {
        for versions in self.plans() {
            let Some(newest) = versions.last() else {
                continue;
            };
            let evidence = shown(&newest.said);
            for (number, said) in [(25, &BLOCKS[..]), (26, &GUIDE[..]), (52, &HEADER[..])] {
                self.tally(number).look_at(&newest.said);
                for (what, is_said) in said {
                    if !versions.iter().any(|one| is_said(&one.plan)) {
                        let reason = format!("the plan does not state {what}");
                        let of = named(&newest.said);
                        self.tally(number).except(of, reason, evidence.clone());
                    }
                }
            }
        }
    }

    ///
    fn one_plan(&mut self) {
        let plans = self.plans();
        for versions in &plans {
            let Some(newest) = versions.last() else {
                continue;
            };
            self.tally(34).look_at(&newest.said);
            if versions.iter().all(|one| one.plan.protocol_ids.is_empty()) {
                let reason = "the plan names no protocol".to_owned();
                self.tally(34)
                    .except(named(&newest.said), reason, shown(&newest.said));
            }
        }
        if 1 < plans.len() {
            let reason = format!("{} plans are for the product", plans.len());
            self.tally(34).except(Of::Product, reason, Vec::new());
        }
    }

    ///
    fn tissues(&mut self) {
        let target: Vec<_> = self.product.product.target_tissues.clone();
        for versions in self.plans() {
            let Some(newest) = versions.last() else {
                continue;
            };
            self.tally(47).look_at(&newest.said);
            let mut tissues = versions.iter().flat_map(|one| &one.plan.tissues);
            let beyond = tissues.any(|tissue| {
                let mut target = target.iter();
                !target.any(|own| own.system == tissue.system && own.code == tissue.code)
            });
            if !beyond {
                let reason = "the plan names no tissue beyond the target".to_owned();
                self.tally(47)
                    .except(named(&newest.said), reason, shown(&newest.said));
            }
        }
    }

    /// reports on cases are told at the end, when the cases are known.
    fn reports(&mut self) {
        let catalogue = self.catalogue;
        for fact in &catalogue.others {
            let Some(Kind::RegulatoryReport(report)) = fact.kind() else {
                continue;
            };
            let product_id = &self.product.product.product_id;
            if !report.product_id.is_empty() && report.product_id != *product_id {
                continue;
            }
            match report.report_type() {
                ReportType::Dsur | ReportType::Psur => self.report(36, fact, report),
                ReportType::Rmp => self.tally(53).look_at(fact),
                ReportType::Unspecified | ReportType::Susar | ReportType::Recall => {}
            }
        }
        if self.tally(53).checked() == 0 {
            let reason = "no risk-management plan is on record".to_owned();
            let evidence = shown(&self.product.said);
            self.tally(53).except(Of::Product, reason, evidence);
        }
    }

    /// A report that has a day to be submitted by.
    fn report(&mut self, number: usize, fact: &Fact, report: &pb::RegulatoryReport) {
        let on = self.on;
        let day = |text: &str| parse_civil_date(text).ok();
        let submitted = day(&report.submitted_on);
        let tally = self.tally(number);
        tally.look_at(fact);
        let Some(due) = day(&report.due_on) else {
            if submitted.is_none() {
                tally.cannot_tell("a report has neither a day it is due nor one it was submitted");
            }
            return;
        };
        let reason = match submitted {
            Some(submitted) if due < submitted => {
                format!("due {due}, submitted {submitted}")
            }
            None if due < on => format!("due {due}, and not submitted"),
            Some(_) | None => return,
        };
        let name = report.report_type().as_str_name();
        let name = name.trim_start_matches("REPORT_TYPE_").to_owned();
        tally.except(Of::Document(name), reason, shown(fact));
    }

    /// What is known only when every patient was seen.
    pub(super) fn conclude(&mut self) {
        let [safety, persistence, efficacy] = self.purposes;
        if 0 < self.patients {
            for (what, count) in [
                ("of safety", safety),
                ("of persistence", persistence),
                ("of efficacy", efficacy),
            ] {
                for _ in 0..count {
                    self.tally(4).look();
                }
                self.tally(4).count(what, count);
                if count == 0 {
                    let reason = format!("there is no record {what}");
                    self.tally(4).except(Of::Product, reason, Vec::new());
                }
            }
        }
        self.case_reports();
        self.plans_in_force();
    }

    ///
    fn case_reports(&mut self) {
        let catalogue = self.catalogue;
        let cases = std::mem::take(&mut self.cases);
        for fact in &catalogue.others {
            if let Some(Kind::RegulatoryReport(report)) = fact.kind()
                && cases.contains(&report.case_id)
            {
                self.report(37, fact, report);
            }
        }
        let serious = u64::try_from(cases.len()).unwrap_or(u64::MAX);
        self.tally(37).count("serious cases", serious);
        if 0 < serious && self.tally(37).checked() == 0 {
            let needed = "serious cases are on record and no report on them: record the reports with the day \
                          they are due and submitted, or that none is due";
            self.tally(37).cannot_tell(needed);
        }
    }

    /// A-35, for the plan versions themselves and the sites that follow patients.
    fn plans_in_force(&mut self) {
        let followed_at = std::mem::take(&mut self.followed_at);
        let on = self.on;
        for versions in self.plans() {
            for one in versions {
                if one.plan.linked_consent.is_none() {
                    let reason = "no consent version explains the plan version".to_owned();
                    self.tally(35)
                        .except(named(&one.said), reason, shown(&one.said));
                }
            }
            let Some(newest) = versions.last() else {
                continue;
            };
            for (site, plan) in &followed_at {
                if *plan != newest.plan.plan_id {
                    continue;
                }
                let begun = |one: &PlanVersion| {
                    let at_site = one.activations.get(site);
                    at_site.is_some_and(|activation| activation.has_begun(on))
                };
                let elsewhere = newest.activations.values().any(|one| one.has_begun(on));
                if elsewhere && !begun(newest) {
                    let reason = format!(
                        "it is in force at other sites and not at {site}, which follows patients"
                    );
                    self.tally(35)
                        .except(named(&newest.said), reason, shown(&newest.said));
                }
            }
        }
    }
}

/// Something that a plan is asked to say, and whether a version says it.
type Said = (&'static str, fn(&pb::FollowUpPlanVersion) -> bool);

/// The four blocks of a plan.
const BLOCKS: [Said; 4] = [
    ("its visits", |plan| {
        let interval = plan.parameters.as_ref();
        has_slot(plan, SlotKind::Visit)
            || interval.is_some_and(|said| said.visit_interval_months.is_some())
    }),
    ("its samples", |plan| {
        let interval = plan.parameters.as_ref();
        has_slot(plan, SlotKind::Sample)
            || interval.is_some_and(|said| said.sample_interval_months_first_years.is_some())
    }),
    ("its methods", |plan| !plan.methods.is_empty()),
    ("its target events", |plan| !plan.target_events.is_empty()),
];

/// The guide for those who record.
const GUIDE: [Said; 1] = [("a guide for those who record", |plan| {
    plan.recording_guide.is_some()
})];

/// The four of the header.
const HEADER: [Said; 4] = [
    ("its purpose", |plan| !plan.purpose.is_empty()),
    ("its population", |plan| !plan.population.is_empty()),
    ("its content", |plan| !plan.content.is_empty()),
    ("its duration", |plan| {
        let parameters = plan.parameters.as_ref();
        parameters.is_some_and(|said| said.follow_up_months.is_some())
    }),
];

fn has_slot(plan: &pb::FollowUpPlanVersion, kind: SlotKind) -> bool {
    plan.slots.iter().any(|slot| slot.kind() == kind)
}

/// What of justification and communication is missing.
pub(super) fn missing_reasons(justification: &str, communication: &str) -> Option<&'static str> {
    match (justification.trim().is_empty(), communication.is_empty()) {
        (false, false) => None,
        (true, false) => Some("justification"),
        (false, true) => Some("communication with the regulator"),
        (true, true) => Some("justification and no communication with the regulator"),
    }
}

/// The name of what a fact registers.
pub(super) fn named(said: &Seen) -> Of {
    match said.kind() {
        Some(Kind::FollowUpPlanVersion(plan)) => {
            Of::Document(format!("plan {} version {}", plan.plan_id, plan.version))
        }
        Some(Kind::ConsentDocumentVersion(document)) => Of::Document(format!(
            "consent {} version {}",
            document.family, document.version
        )),
        _ => Of::Product,
    }
}

/// A risk factor, in words.
fn factor_name(factor: RiskFactor) -> String {
    let name = factor.as_str_name();
    let name = name.trim_start_matches("RISK_FACTOR_");
    name.to_lowercase().replace('_', " ")
}
