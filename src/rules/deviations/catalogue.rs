//! The catalogue: products, plans, consent versions, signals and recalls that do not fit each other, or that
//! came too late.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;

use super::{Details, Deviation, envelope::days_after};
use crate::{
    pb::{self, Delivery, ProductClass, RecallClass, SignalAction, record::Kind, trigger::Cause},
    record::format::parse_civil_date,
    rules::{
        catalogue::{Catalogue, ConsentVersion, PlanVersion, Product},
        flags::{codes, guideline_months},
        follow_up::signals::days_to_act,
        question::{Question, Seen},
    },
};

/// What the catalogue raises.
pub(super) fn of(catalogue: &Catalogue, question: &Question) -> Vec<Deviation> {
    let mut raised = gtins(catalogue);
    raised.extend(glns(catalogue));
    raised.extend(documents(catalogue));
    for versions in catalogue.families.values() {
        raised.extend(
            versions
                .iter()
                .flat_map(|one| consent_version(one, versions, catalogue)),
        );
    }
    for versions in catalogue.plans.values() {
        for (at, version) in versions.iter().enumerate() {
            let (before, _) = versions.split_at(at);
            raised.extend(plan_version(version, before, catalogue));
        }
    }
    for versions in catalogue.products.values() {
        raised.extend(risks_changed(versions, catalogue));
    }
    for fact in &catalogue.others {
        raised.extend(other(fact, catalogue, question));
    }
    raised.extend(unanswered(catalogue, question));
    raised.extend(delegations(catalogue));
    raised
}

/// The notices of recalls that their sites have not answered; on the day itself that is no news.
fn unanswered(catalogue: &Catalogue, question: &Question) -> Vec<Deviation> {
    let answers = catalogue
        .others
        .iter()
        .filter_map(|fact| match fact.kind() {
            Some(Kind::RecallAcknowledged(answer)) => {
                Some((answer.recall_id.as_str(), fact.record.site.as_str()))
            }
            _ => None,
        });
    let answered: BTreeSet<(&str, &str)> = answers.collect();
    let is_open = |fact: &&Seen| match fact.kind() {
        Some(Kind::RecallNotice(notice)) => {
            let of = (notice.recall_id.as_str(), notice.site.as_str());
            fact.on < question.as_of && !answered.contains(&of)
        }
        _ => false,
    };
    let open = catalogue.others.iter().filter(is_open);
    open.map(|fact| {
        let field = "recall_notice.site";
        at_its_site(Deviation::new(codes::RECALL_UNACKNOWLEDGED, fact, field))
    })
    .collect()
}

/// What a notice raises is the business of the site that was told, not of whoever told it.
fn at_its_site(raised: Deviation) -> Deviation {
    let notice = Arc::clone(&raised.raised_by);
    match notice.kind() {
        Some(Kind::RecallNotice(notice)) => raised.at_site(&notice.site),
        _ => raised,
    }
}

/// Delegations that follow others of the same task, to the same person, at the same site, not at once.
fn delegations(catalogue: &Catalogue) -> Vec<Deviation> {
    let mut granted: Vec<(NaiveDate, Option<NaiveDate>, &Seen, &pb::DelegationGranted)> =
        Vec::new();
    for fact in &catalogue.others {
        if let Some(Kind::DelegationGranted(delegation)) = fact.kind()
            && let Ok(from) = parse_civil_date(&delegation.valid_from)
        {
            let to = parse_civil_date(&delegation.valid_to).ok();
            granted.push((from, to, fact, delegation));
        }
    }
    granted.sort_by_key(|(from, ..)| *from);
    let mut last: BTreeMap<(&str, &str, i32), (Option<NaiveDate>, &Seen)> = BTreeMap::new();
    let mut raised = Vec::new();
    for (from, to, fact, delegation) in granted {
        let mut gap = None;
        for task in &delegation.tasks {
            let key = (
                fact.record.site.as_str(),
                delegation.delegate.as_str(),
                *task,
            );
            let before = last.get(&key).copied();
            if let Some((Some(ended), by)) = before
                && ended.succ_opt().is_some_and(|next| next < from)
            {
                gap = gap.or(Some((ended, by)));
            }
            // One without an end outlasts those with one.
            let outlasts = before
                .is_none_or(|(ended, _)| ended.is_some_and(|ended| to.is_none_or(|to| ended < to)));
            if outlasts {
                last.insert(key, (to, fact));
            }
        }
        raised.extend(gap.map(|(ended, by)| {
            let field = "delegation_granted.valid_from";
            let details = Details {
                deadline: Some(ended),
                effective: Some(from),
                ..Details::default()
            };
            let gap = Deviation::new(codes::DELEGATION_GAP, fact, field);
            gap.with(details).shown_by(by)
        }));
    }
    raised
}

/// GTINs that the newest versions of two products have, raised by the later one.
fn gtins(catalogue: &Catalogue) -> Vec<Deviation> {
    let mut newest: Vec<&Product> = catalogue
        .products
        .values()
        .filter_map(|one| one.last())
        .collect();
    newest.sort_by_key(|product| product.said.index);
    let mut first: BTreeMap<&str, &Product> = BTreeMap::new();
    let mut raised = Vec::new();
    for product in newest {
        for (item, gtin) in product.product.gtins.iter().enumerate() {
            if let Some(other) = first.get(gtin.as_str()) {
                let field = format!("product_registered.gtins[{item}]");
                let twice = Deviation::new(codes::GTIN_ON_TWO_PRODUCTS, &product.said, field);
                raised.push(twice.shown_by(&other.said));
            } else {
                first.insert(gtin, product);
            }
        }
    }
    raised
}

/// Organisations that are registered again, and otherwise.
fn glns(catalogue: &Catalogue) -> Vec<Deviation> {
    let mut before: BTreeMap<&str, (&Seen, &pb::OrganisationRegistered)> = BTreeMap::new();
    let mut raised = Vec::new();
    for fact in in_order(&catalogue.others) {
        let Some(Kind::OrganisationRegistered(organisation)) = fact.kind() else {
            continue;
        };
        let earlier = before.insert(&organisation.gln, (fact, organisation));
        if let Some((by, _)) = earlier.filter(|(_, earlier)| *earlier != organisation) {
            let field = "organisation_registered.gln";
            raised.push(Deviation::new(codes::DUPLICATE_GLN, fact, field).shown_by(by));
        }
    }
    raised
}

fn in_order(facts: &[Seen]) -> Vec<&Seen> {
    let mut facts: Vec<&Seen> = facts.iter().collect();
    facts.sort_by_key(|fact| fact.index);
    facts
}

/// Documents that were given as two versions' document, raised by the later one.
fn documents(catalogue: &Catalogue) -> Vec<Deviation> {
    let versions = catalogue.families.values().flatten();
    let mut documents: Vec<&(Seen, pb::ConsentDocumentVersion)> =
        versions.flat_map(|version| &version.documents).collect();
    documents.sort_by_key(|(said, _)| said.index);
    let mut first: BTreeMap<&[u8], &(Seen, pb::ConsentDocumentVersion)> = BTreeMap::new();
    let mut raised = Vec::new();
    for pair in documents {
        let (said, document) = pair;
        let Some(hash) = &document.document else {
            continue;
        };
        match first.get(hash.sha256.as_slice()) {
            Some((other, earlier)) => {
                let same = earlier.family == document.family && earlier.version == document.version;
                if !same {
                    let field = "consent_document_version.document";
                    let seen = Deviation::new(codes::DOCUMENT_SEEN_BEFORE, said, field);
                    raised.push(seen.of_version(&document.version).shown_by(other));
                }
            }
            None => {
                first.insert(&hash.sha256, pair);
            }
        }
    }
    raised
}

fn consent_version(
    version: &ConsentVersion,
    versions: &[ConsentVersion],
    catalogue: &Catalogue,
) -> Vec<Deviation> {
    let mut raised = Vec::new();
    let follows = |before: u32| {
        versions
            .iter()
            .any(|one| one.ordinal.checked_add(1) == Some(before))
    };
    for (said, document) in &version.documents {
        let raise = |rule, field| Deviation::new(rule, said, field).of_version(&document.version);
        if 1 < document.ordinal && !follows(document.ordinal) {
            raised.push(raise(
                codes::ORDINAL_GAP,
                "consent_document_version.ordinal",
            ));
        }
        let source = &document.translation_of;
        let of_source = versions.iter().filter(|one| one.version == *source);
        let mut sources = of_source.flat_map(|one| &one.documents);
        let translated = sources.any(|(_, one)| one.language != document.language);
        if !source.is_empty() && !translated {
            let field = "consent_document_version.translation_of";
            raised.push(raise(codes::TRANSLATION_WITHOUT_SOURCE, field));
        }
        let cause = document
            .trigger
            .as_ref()
            .and_then(|trigger| trigger.cause.as_ref());
        if is_unknown_signal(cause, catalogue) {
            let field = "consent_document_version.trigger.signal_id";
            raised.push(raise(codes::UNKNOWN_SIGNAL, field));
        }
    }
    raised
}

fn plan_version(
    version: &PlanVersion,
    before: &[PlanVersion],
    catalogue: &Catalogue,
) -> Vec<Deviation> {
    let (said, plan) = (&version.said, &version.plan);
    let mut raised = Vec::new();
    let mut raise = |rule, field: &'static str| {
        raised.push(Deviation::new(rule, said, field).of_version(&plan.version));
    };
    let follows = before
        .iter()
        .any(|one| one.plan.ordinal.checked_add(1) == Some(plan.ordinal));
    if 1 < plan.ordinal && !follows {
        raise(codes::ORDINAL_GAP, "follow_up_plan_version.ordinal");
    }
    let linked = plan.linked_consent.as_ref();
    if linked.is_some_and(|key| catalogue.consent_version(key).is_none()) {
        let field = "follow_up_plan_version.linked_consent";
        raise(codes::CONSENT_VERSION_UNKNOWN, field);
    }
    let cause = plan
        .trigger
        .as_ref()
        .and_then(|trigger| trigger.cause.as_ref());
    if is_unknown_signal(cause, catalogue) {
        let field = "follow_up_plan_version.trigger.signal_id";
        raise(codes::UNKNOWN_SIGNAL, field);
    }
    let products = products_of(plan, catalogue);
    if let Some(months) = months(plan) {
        let field = "follow_up_plan_version.parameters.follow_up_months";
        let communicated = is_communicated(version, catalogue);
        let classes = products
            .iter()
            .flat_map(|one| one.product.product_classes());
        let asked = classes.map(guideline_months).max().unwrap_or_default();
        if months < asked && !communicated {
            raise(codes::LOOSER_THAN_GUIDELINE, field);
        }
        let onset = products
            .iter()
            .filter_map(|one| one.product.expected_onset_max_months)
            .max();
        if onset.is_some_and(|onset| months < onset) {
            raise(codes::PLAN_BELOW_ONSET, field);
        }
        match months_before(before, &products) {
            Some(before) if before < months && !communicated => {
                raise(codes::COMMUNICATION_MISSING, field);
            }
            Some(before) if months < before && !communicated => {
                raise(codes::LESS_MONITORING_UNCOMMUNICATED, field);
            }
            _ => {}
        }
    }
    if products
        .iter()
        .any(|product| looks_at_one_tissue(plan, product))
    {
        raise(codes::ONE_TISSUE_PLAN, "follow_up_plan_version.tissues");
    }
    raised.extend(before_its_consent(version, catalogue));
    raised
}

fn months(plan: &pb::FollowUpPlanVersion) -> Option<u32> {
    plan.parameters.as_ref()?.follow_up_months
}

/// How long the follow-up was before a version: by the last version that says so, or else by the products.
fn months_before(before: &[PlanVersion], products: &[&Product]) -> Option<u32> {
    let said = before
        .iter()
        .rev()
        .find_map(|version| months(&version.plan));
    // A first version changes nothing.
    before.first()?;
    let default = || {
        let defaults = products
            .iter()
            .filter_map(|one| one.product.follow_up_default_months);
        defaults.max()
    };
    said.or_else(default)
}

/// The products of a plan; one that names none is for all.
fn products_of<'a>(plan: &pb::FollowUpPlanVersion, catalogue: &'a Catalogue) -> Vec<&'a Product> {
    let newest = catalogue
        .products
        .values()
        .filter_map(|versions| versions.last());
    let named = &plan.product_ids;
    newest
        .filter(|product| named.is_empty() || named.contains(&product.product.product_id))
        .collect()
}

/// Whether a plan version is justified and a communication with the regulator about it is on record (R-A4).
fn is_communicated(version: &PlanVersion, catalogue: &Catalogue) -> bool {
    let plan = &version.plan;
    let about_it = catalogue
        .others
        .iter()
        .filter_map(|fact| match fact.kind() {
            Some(Kind::RegulatorCommunication(communication)) => {
                let key = communication.plan.as_ref();
                let is_about = key
                    .is_some_and(|key| key.plan_id == plan.plan_id && key.version == plan.version);
                (is_about || fact.record.record_id == plan.communication).then_some(communication)
            }
            _ => None,
        });
    let about_it: Vec<&pb::RegulatorCommunication> = about_it.collect();
    let justified = !plan.justification.trim().is_empty()
        || about_it
            .iter()
            .any(|one| !one.justification.trim().is_empty());
    justified && (!plan.communication.is_empty() || !about_it.is_empty())
}

/// Whether genes are edited throughout the body, and the plan names no tissue but the target (R-V5).
fn looks_at_one_tissue(plan: &pb::FollowUpPlanVersion, product: &Product) -> bool {
    let product = &product.product;
    let edited = product.product_classes().any(|class| {
        matches!(
            class,
            ProductClass::GeneEditedInVivo | ProductClass::GeneEditedExVivo
        )
    });
    let code = |tissue: &pb::Code| (tissue.system.clone(), tissue.code.clone());
    let target: BTreeSet<_> = product.target_tissues.iter().map(code).collect();
    let looked_at: BTreeSet<_> = plan.tissues.iter().map(code).collect();
    edited
        && product.delivery() == Delivery::Systemic
        && !looked_at.is_empty()
        && looked_at.is_subset(&target)
}

/// The sites where a plan version takes effect before the consent version that explains it.
fn before_its_consent(version: &PlanVersion, catalogue: &Catalogue) -> Vec<Deviation> {
    let Some(key) = &version.plan.linked_consent else {
        return Vec::new();
    };
    let consent = catalogue.consent_version(key);
    let mut raised = Vec::new();
    for (site, activation) in version.activations.iter() {
        let explained = consent.and_then(|consent| consent.activations.get(site));
        if explained.is_some_and(|explained| explained.from <= activation.from) {
            continue;
        }
        let field = "plan_activated.effective_from";
        let early = Deviation::new(codes::PLAN_BEFORE_CONSENT, &activation.said, field);
        let early = early.of_version(&version.plan.version).with(Details {
            effective: explained.map(|explained| explained.from),
            ..Details::default()
        });
        raised.push(match explained {
            Some(explained) => early.shown_by(&explained.said),
            None => early,
        });
    }
    raised
}

/// A version of a product that judges its risks otherwise, after which nobody has looked at the plan.
fn risks_changed(versions: &[Product], catalogue: &Catalogue) -> Vec<Deviation> {
    let mut raised = Vec::new();
    for pair in versions.windows(2) {
        let [before, after] = pair else { continue };
        let changed = after.product.risk_profile.iter().any(|risk| {
            let earlier = before.product.risk_profile.iter();
            let mut earlier = earlier.filter(|one| one.factor == risk.factor);
            earlier.any(|one| one.state != risk.state)
        });
        let since = after.said.on;
        let concerns = |products: &[String]| {
            products.is_empty() || products.contains(&after.product.product_id)
        };
        let mut plans = catalogue.plans.values().flatten();
        let planned = plans.any(|plan| since <= plan.said.on && concerns(&plan.plan.product_ids));
        let decided = catalogue.others.iter().any(|fact| match fact.kind() {
            Some(Kind::SignalDecision(decision)) => {
                let of = catalogue.signals(&decision.signal_id).next();
                since <= fact.on
                    && decision.not_needed().any(|one| one == SignalAction::Plan)
                    && of.is_none_or(|signal| concerns(&signal.product_ids))
            }
            _ => false,
        });
        if changed && !planned && !decided {
            let field = "product_registered.risk_profile";
            let changed = Deviation::new(codes::RISK_CHANGED_WITHOUT_PLAN, &after.said, field);
            raised.push(changed.shown_by(&before.said));
        }
    }
    raised
}

fn other(fact: &Seen, catalogue: &Catalogue, question: &Question) -> Option<Deviation> {
    match fact.kind() {
        Some(Kind::RiskSignal(signal)) => without_action(fact, signal, catalogue, question),
        Some(Kind::SignalDecision(decision)) => {
            let unknown = catalogue.signals(&decision.signal_id).next().is_none();
            let field = "signal_decision.signal_id";
            unknown.then(|| Deviation::new(codes::UNKNOWN_SIGNAL, fact, field))
        }
        Some(Kind::ConsentVersionActivated(activated)) => {
            let key = activated.version.as_ref()?;
            let unknown = catalogue.consent_version(key).is_none();
            let field = "consent_version_activated.version";
            let raised = Deviation::new(codes::CONSENT_VERSION_UNKNOWN, fact, field);
            unknown.then(|| raised.of_version(&key.version))
        }
        Some(Kind::PlanActivated(activated)) => {
            let key = activated.plan.as_ref()?;
            let unknown = catalogue.plan_version(key).is_none();
            let raised = Deviation::new(codes::UNKNOWN_PLAN, fact, "plan_activated.plan");
            unknown.then(|| raised.of_version(&key.version))
        }
        Some(Kind::RecallNotice(notice)) => notified(fact, notice, catalogue),
        Some(Kind::RecallAcknowledged(acknowledged)) => {
            let field = "recall_acknowledged.recall_id";
            unknown_recall(fact, &acknowledged.recall_id, field, catalogue)
        }
        Some(Kind::RecallClosed(closed)) => unknown_recall(
            fact,
            &closed.recall_id,
            "recall_closed.recall_id",
            catalogue,
        ),
        _ => None,
    }
}

pub(super) fn is_unknown_signal(cause: Option<&Cause>, catalogue: &Catalogue) -> bool {
    match cause {
        Some(Cause::SignalId(id)) => catalogue.signals(id).next().is_none(),
        Some(Cause::RecallId(_) | Cause::Plan(_) | Cause::Communication(_)) | None => false,
    }
}

/// A signal that changes the risk and that neither a version nor a decision has answered in time (R-AE2).
/// Where neither the signal nor a plan says until when, nothing is invented.
fn without_action(
    fact: &Seen,
    signal: &pb::RiskSignal,
    catalogue: &Catalogue,
    question: &Question,
) -> Option<Deviation> {
    let plans = catalogue.plans.values();
    let days = plans.filter_map(|versions| days_to_act(versions.iter(), fact.on));
    let deadline = parse_civil_date(&signal.deadline)
        .ok()
        .or_else(|| days_after(fact.on, days.min()?))?;
    if signal.changes_risk != Some(true) || question.as_of <= deadline {
        return None;
    }
    let answered = |action| {
        // Where the signal says what must be done, the rest need not be.
        let needed = signal.required_actions.is_empty()
            || signal.required_actions().any(|one| one == action);
        !needed || is_answered(&signal.signal_id, action, deadline, catalogue)
    };
    let open = !answered(SignalAction::Consent) || !answered(SignalAction::Plan);
    let details = Details {
        deadline: Some(deadline),
        ..Details::default()
    };
    open.then(|| Deviation::new(codes::SIGNAL_WITHOUT_ACTION, fact, "risk_signal").with(details))
}

fn is_answered(
    signal_id: &str,
    action: SignalAction,
    by: NaiveDate,
    catalogue: &Catalogue,
) -> bool {
    let follows_from = |trigger: Option<&pb::Trigger>| {
        let cause = trigger.and_then(|trigger| trigger.cause.as_ref());
        matches!(cause, Some(Cause::SignalId(id)) if id == signal_id)
    };
    let mut decisions = catalogue.others.iter().filter(|fact| fact.on <= by);
    let decided = decisions.any(|fact| match fact.kind() {
        Some(Kind::SignalDecision(decision)) if decision.signal_id == signal_id => {
            decision.closed == Some(true) || decision.not_needed().any(|one| one == action)
        }
        _ => false,
    });
    let made = match action {
        SignalAction::Consent => {
            let mut documents = catalogue
                .families
                .values()
                .flatten()
                .flat_map(|one| &one.documents);
            documents.any(|(said, one)| said.on <= by && follows_from(one.trigger.as_ref()))
        }
        SignalAction::Plan => {
            let mut plans = catalogue.plans.values().flatten();
            plans.any(|one| one.said.on <= by && follows_from(one.plan.trigger.as_ref()))
        }
        SignalAction::Label
        | SignalAction::Recall
        | SignalAction::Notify
        | SignalAction::Unspecified => false,
    };
    decided || made
}

fn unknown_recall(
    fact: &Seen,
    recall_id: &str,
    field: &'static str,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    let unknown = recall(recall_id, catalogue).is_none();
    unknown.then(|| Deviation::new(codes::UNKNOWN_RECALL, fact, field))
}

fn recall<'a>(
    recall_id: &str,
    catalogue: &'a Catalogue,
) -> Option<(&'a Seen, &'a pb::RecallOpened)> {
    catalogue.others.iter().find_map(|fact| match fact.kind() {
        Some(Kind::RecallOpened(recall)) if recall.recall_id == recall_id => Some((fact, recall)),
        _ => None,
    })
}

/// A notice of a recall that is not known, or that went out after the days that NMPA gives its class.
fn notified(fact: &Seen, notice: &pb::RecallNotice, catalogue: &Catalogue) -> Option<Deviation> {
    let field = "recall_notice.recall_id";
    let Some((opened, recall)) = recall(&notice.recall_id, catalogue) else {
        return Some(Deviation::new(codes::UNKNOWN_RECALL, fact, field));
    };
    let days = match recall.recall_class() {
        _ if recall.authority != "NMPA" => return None,
        RecallClass::I => 1,
        RecallClass::Ii => 3,
        RecallClass::Iii => 7,
        RecallClass::Unspecified => return None,
    };
    let deadline = days_after(opened.on, days)?;
    let details = Details {
        deadline: Some(deadline),
        actual: Some(fact.on),
        days: Some(fact.on.signed_duration_since(deadline).num_days()),
        ..Details::default()
    };
    let late = Deviation::new(codes::NOTICE_LATE, fact, "event_time");
    (deadline < fact.on).then(|| at_its_site(late).with(details).shown_by(opened))
}
