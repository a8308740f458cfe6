//! Who must be asked again, and for what: reconsent to a new version, one's own consent at majority, assent, or
//! what else a valid consent lacks; who is only told, who is to be recontacted, who declined (R-K2 to R-K8, R-M1,
//! R-M2, R-A2, R-A3).

use chrono::{Days, NaiveDate};

use super::signatures::{Fault, Set, Signatures, superseding};
use crate::{
    pb::{self, ChangeClass, NotificationOutcome, Signatory, WithdrawalScope, reconsent_due::Due},
    record::format::parse_civil_date,
    rules::{
        catalogue::{Activation, Catalogue, ConsentVersion},
        cohort::concerns,
        follow_up::{
            Why,
            period::{Amendment, AmendmentState, Period},
        },
        patient::Patient,
    },
};

/// Days to give one's own consent or assent where no plan says (R-M1, R-M2).
const REQUIREMENT_DAYS: u32 = 60;

/// Which list a requirement stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// To be signed.
    Needs,
    /// To be told only: the patient has withdrawn from procedures (R-K6).
    Notify,
    /// Follow-up was over before it could be signed: to be asked whether to return (R-A2, R-A3).
    Recontact,
    /// Declined (R-K8).
    Declined,
}

/// Why a signature is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A new version asks everybody in its scope again.
    NewVersion,
    /// A new version asks those whose lot descends from a named one (R-K5).
    Cohort,
    /// The patient has come of age (R-M1).
    AgeOfMajority,
    /// The patient has reached the age of assent (R-M2).
    Assent,
    /// What was signed is not valid, and nothing else is.
    InvalidSignature,
    /// What was signed is in a language that the version does not have, and nothing else is valid.
    LanguageChange,
    /// The version that was signed is no longer in force, and none took its place.
    ConsentExpired,
    /// The site that follows the patient now has none of the versions that were signed.
    SiteTransfer,
}

/// How a requirement stands on the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its deadline is not past.
    Due,
    /// Its deadline is past by so many days.
    Overdue(u64),
    /// It has no deadline: the version names none, and none is invented (R-K4).
    NoDeadline,
}

/// A patient's requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The list.
    pub list: List,
    /// Why it is asked.
    pub kind: Kind,
    /// The family and version that is asked for.
    pub version: pb::ConsentVersionKey,
    /// The newest version of the family that was validly signed; empty if none.
    pub last_valid: String,
    /// The last day to sign in time.
    pub deadline: Option<NaiveDate>,
    /// How it stands.
    pub state: State,
    /// Whether the patient is lost to follow-up (R-K7).
    pub is_unreachable: bool,
    /// The rules and the entries.
    pub why: Why,
}

/// What is asked of a patient on the question's day, in the order of family, kind and list.
pub fn requirements(
    patient: &Patient,
    catalogue: &Catalogue,
    signatures: &Signatures,
    period: &Period,
) -> Vec<Requirement> {
    let on = patient.as_of;
    let treated = patient
        .given()
        .next()
        .is_some_and(|(fact, _)| fact.on <= on);
    if !treated || !patient.is_alive(on) {
        return Vec::new();
    }
    let asking = Asking {
        patient,
        catalogue,
        signatures,
        period,
        site: patient.site(on),
        on,
    };
    let mut asked = Vec::new();
    for (family, versions) in &catalogue.families {
        if asking.is_of(family, versions) {
            asking.family(family, versions, &mut asked);
        }
    }
    asked.sort_by(|one, other| {
        let key = |one: &Requirement| (one.version.family.clone(), one.kind, one.list);
        key(one).cmp(&key(other))
    });
    asked
}

struct Asking<'a> {
    patient: &'a Patient,
    catalogue: &'a Catalogue,
    signatures: &'a Signatures,
    period: &'a Period,
    site: &'a str,
    on: NaiveDate,
}

impl Asking<'_> {
    /// Whether a family is one of the patient's: signed or declined by the patient, or else for a product that
    /// was given.
    fn is_of(&self, family: &str, versions: &[ConsentVersion]) -> bool {
        let signatures = self.signatures;
        let mut signed = signatures.all.iter().map(|one| &one.version);
        let mut declined = signatures.declines.iter().map(|one| &one.version);
        if signed.any(|key| key.family == family) || declined.any(|key| key.family == family) {
            return true;
        }
        let mut products = versions.iter().flat_map(|one| &one.document().product_ids);
        let given = |id: &String| self.patient.given_of(self.catalogue, id).next().is_some();
        let names_products = products.clone().next().is_some();
        if names_products {
            return products.any(given);
        }
        // Linked to a plan, it is for those whom that plan is for.
        let mut plans = self.catalogue.plans.values().flatten();
        let linked: Vec<_> = plans
            .by_ref()
            .filter(|one| {
                let linked = one.plan.linked_consent.as_ref();
                linked.is_some_and(|key| key.family == family)
            })
            .collect();
        let mut products = linked.iter().flat_map(|one| &one.plan.product_ids);
        products.clone().next().is_none() || products.any(given)
    }

    fn family(&self, family: &str, versions: &[ConsentVersion], asked: &mut Vec<Requirement>) {
        let before = asked.len();
        if let Some((version, activation)) = self.asking_version(versions) {
            asked.extend(self.new_version(version, activation));
        }
        asked.extend(self.majority(family, versions));
        asked.extend(self.assent(family, versions));
        let procedures = WithdrawalScope::AllProcedures;
        let withdrawn = self.patient.withdrawn(procedures, self.on).is_some();
        if asked.len() == before && !withdrawn {
            asked.extend(self.lacking(family, versions));
        }
    }

    /// The version that asks: the newest in force at the site that is for this patient and asks for a signature
    /// (R-K1, R-K2). What it takes the place of asks no more: it can no longer be signed.
    fn asking_version<'v>(
        &self,
        versions: &'v [ConsentVersion],
    ) -> Option<(&'v ConsentVersion, &'v Activation)> {
        let asking = versions.iter().rev().filter_map(|version| {
            let activation = version.activations.get(self.site)?;
            let asks = version.document().change_class() == ChangeClass::ReconsentRequired
                && activation.is_in_force(self.on);
            asks.then_some((version, activation))
        });
        let mut concerning = asking.filter(|(version, _)| {
            let scope = version.document().scope.as_ref();
            concerns(scope, self.patient, self.catalogue, self.on)
        });
        concerning.next()
    }

    fn new_version(
        &self,
        version: &ConsentVersion,
        activation: &Activation,
    ) -> Option<Requirement> {
        let key = key(version);
        if let Some(signed) = self.signatures.valid(&key, self.on) {
            return self.signed_and_not_returned(version, activation, signed);
        }
        let document = version.document();
        let lineage = document
            .scope
            .as_ref()
            .is_some_and(|scope| !scope.descendants_of.is_empty());
        let (kind, mut why) = if lineage {
            (Kind::Cohort, Why::by("R-K2").and("R-K1").and("R-K5"))
        } else {
            (Kind::NewVersion, Why::by("R-K2").and("R-K1"))
        };
        for (said, _) in &version.documents {
            why.add(said);
        }
        why.add(&activation.said);
        let deadline = deadline(document, activation.from);
        let row = |list, why| self.row(list, kind, &key, deadline, why);
        if let Some(decline) = self.signatures.declined(&key, self.on) {
            return Some(row(List::Declined, why.and("R-K8").on(&decline.said)));
        }
        let procedures = WithdrawalScope::AllProcedures;
        if let Some(withdrawn) = self.patient.withdrawn(procedures, self.on) {
            let why = why.and("R-K6").on(withdrawn);
            let notify = !self.is_told(document, activation.from)
                && self
                    .patient
                    .withdrawn(WithdrawalScope::Contact, self.on)
                    .is_none();
            return notify.then(|| row(List::Notify, why));
        }
        let (mut list, mut rule) = (List::Needs, "R-K4");
        if let Some(amendment) = self.amendment(&key) {
            match amendment.state {
                AmendmentState::Given(_) | AmendmentState::Awaited => rule = "R-A3",
                AmendmentState::Declined(_) => list = List::Declined,
                AmendmentState::Missed => {
                    // Whoever returned follows a plan again, and whoever refused to is not asked again.
                    (list, rule) = (List::Recontact, "R-A2");
                }
            }
        }
        Some(row(list, why.and(rule)))
    }

    /// A signature alone brings nobody back whose follow-up was over: only a new enrolment does (R-A3).
    fn signed_and_not_returned(
        &self,
        version: &ConsentVersion,
        activation: &Activation,
        signed: &Set,
    ) -> Option<Requirement> {
        let key = key(version);
        let missed = |one: &Amendment| one.state == AmendmentState::Missed;
        let procedures = WithdrawalScope::AllProcedures;
        let returns = self.amendment(&key).is_some_and(missed)
            && self.signatures.declined(&key, self.on).is_none()
            && self.patient.withdrawn(procedures, self.on).is_none();
        let why = Why::by("R-A2").and("R-A3").on(&activation.said);
        let why = signed.said.iter().fold(why, |why, said| why.on(said));
        let deadline = deadline(version.document(), activation.from);
        returns.then(|| self.row(List::Recontact, Kind::NewVersion, &key, deadline, why))
    }

    /// What the version means for how long the patient is followed, if it is a plan's (R-A1).
    fn amendment(&self, key: &pb::ConsentVersionKey) -> Option<&Amendment> {
        let mut amendments = self
            .period
            .courses
            .iter()
            .flat_map(|course| &course.amendments);
        amendments.find(|one| one.is_longer && one.consent.as_ref() == Some(key))
    }

    /// Whether the patient was told of what made the version necessary, since it took effect or by its own name.
    fn is_told(&self, document: &pb::ConsentDocumentVersion, effective: NaiveDate) -> bool {
        let cause = document
            .trigger
            .as_ref()
            .and_then(|trigger| trigger.cause.as_ref());
        let mut told = self.patient.of_kind(pick!(RiskNotification));
        told.any(|(fact, notification)| {
            let named = notification
                .trigger
                .as_ref()
                .and_then(|trigger| trigger.cause.as_ref());
            let same = match (cause, named) {
                (Some(cause), Some(named)) => cause == named,
                _ => effective <= fact.on,
            };
            same && fact.on <= self.on && notification.outcome() != NotificationOutcome::Bounced
        })
    }

    /// One's own consent from majority on (R-M1).
    fn majority(&self, family: &str, versions: &[ConsentVersion]) -> Option<Requirement> {
        let from = self.patient.majority_on().filter(|day| *day <= self.on)?;
        let (first, _) = self.patient.given().next()?;
        if from <= first.on {
            return None;
        }
        self.of_age(family, versions, Kind::AgeOfMajority, from)
    }

    /// One's own assent from its age on, of a child who was treated younger (R-M2).
    fn assent(&self, family: &str, versions: &[ConsentVersion]) -> Option<Requirement> {
        let from = self.patient.assent_on().filter(|day| *day <= self.on)?;
        let (first, _) = self.patient.given().next()?;
        let is_adult = self.patient.majority_on().is_some_and(|day| day <= self.on);
        if from <= first.on || is_adult {
            return None;
        }
        self.of_age(family, versions, Kind::Assent, from)
    }

    fn of_age(
        &self,
        family: &str,
        versions: &[ConsentVersion],
        kind: Kind,
        from: NaiveDate,
    ) -> Option<Requirement> {
        let (signatory, rule) = if kind == Kind::Assent {
            (Signatory::Assent, "R-M2")
        } else {
            (Signatory::Self_, "R-M1")
        };
        let procedures = WithdrawalScope::AllProcedures;
        if self.patient.withdrawn(procedures, self.on).is_some() {
            return None;
        }
        let (version, activation) = self.in_force(versions, from)?;
        let counts = |key: &pb::ConsentVersionKey| {
            let signed = self.catalogue.consent_version(key);
            key.family == family && signed.is_some_and(|one| version.ordinal <= one.ordinal)
        };
        let own = self.signatures.own(signatory, from, self.on, counts);
        if own.is_some() {
            return None;
        }
        let days = self.requirement_days();
        let deadline = from.checked_add_days(Days::new(u64::from(days)));
        let mut why = Why::by(rule).on(&activation.said);
        if let Some((registered, _)) = self.patient.registered() {
            why.add(registered);
        }
        let declined = self.signatures.declines.iter().find(|decline| {
            decline.signatory == signatory
                && from <= decline.on
                && decline.on <= self.on
                && counts(&decline.version)
        });
        let list = match declined {
            Some(decline) => {
                why = why.and("R-K8").on(&decline.said);
                List::Declined
            }
            None => List::Needs,
        };
        Some(self.row(list, kind, &key(version), deadline, why))
    }

    /// What a valid consent lacks where no new version asks.
    fn lacking(&self, family: &str, versions: &[ConsentVersion]) -> Option<Requirement> {
        let (version, activation) = self.in_force(versions, self.on).or_else(|| {
            let mut newest = versions.iter().rev();
            newest.find_map(|one| Some((one, one.activations.get(self.site)?)))
        })?;
        let mut why = Why::by("R-K3").on(&activation.said);
        let of_family: Vec<_> = self
            .signatures
            .all
            .iter()
            .filter(|one| one.version.family == family)
            .collect();
        let valid: Vec<_> = self
            .signatures
            .sets
            .iter()
            .filter(|set| set.version.family == family && set.on <= self.on)
            .collect();
        let kind = if valid.is_empty() {
            let last = of_family.last()?;
            why.add(&last.said);
            if last.faults.iter().eq([&Fault::WrongLanguage]) {
                Kind::LanguageChange
            } else {
                Kind::InvalidSignature
            }
        } else {
            let transferred = self
                .patient
                .statuses()
                .filter(|(fact, status)| {
                    status.state() == pb::PatientState::Transferred && fact.on <= self.on
                })
                .last();
            let at_site = |key: &pb::ConsentVersionKey| {
                let signed = self.catalogue.consent_version(key);
                signed.and_then(|one| one.activations.get(self.site))
            };
            let mut signed = valid.iter().filter_map(|set| at_site(&set.version));
            let begun = signed
                .clone()
                .any(|activation| activation.has_begun(self.on));
            let in_force = signed.any(|activation| activation.is_in_force(self.on));
            let satisfies = valid.iter().any(|set| set.meets(&key(version)));
            match transferred {
                Some((transfer, _)) if !begun && !satisfies && activation.is_in_force(self.on) => {
                    why.add(transfer);
                    Kind::SiteTransfer
                }
                _ if begun && !in_force && !activation.is_in_force(self.on) => Kind::ConsentExpired,
                _ => return None,
            }
        };
        Some(self.row(List::Needs, kind, &key(version), None, why))
    }

    /// The newest version for the patient that is in force at the site on a day.
    fn in_force<'v>(
        &self,
        versions: &'v [ConsentVersion],
        on: NaiveDate,
    ) -> Option<(&'v ConsentVersion, &'v Activation)> {
        let mut in_force = versions.iter().rev().filter_map(|version| {
            let activation = version.activations.get(self.site)?;
            activation.is_in_force(on).then_some((version, activation))
        });
        in_force.find(|(version, _)| {
            superseding(self.patient, self.catalogue, version, self.site, on).is_none()
                && concerns(
                    version.document().scope.as_ref(),
                    self.patient,
                    self.catalogue,
                    on,
                )
        })
    }

    fn requirement_days(&self) -> u32 {
        let plans = self
            .period
            .courses
            .iter()
            .filter_map(|course| course.plan.as_ref());
        let said = plans.flat_map(|plan| plan.versions.iter().rev());
        let mut days = said.filter_map(|version| {
            let parameters = version.plan.parameters.as_ref()?;
            parameters.requirement_days
        });
        days.next().unwrap_or(REQUIREMENT_DAYS)
    }

    fn row(
        &self,
        list: List,
        kind: Kind,
        version: &pb::ConsentVersionKey,
        deadline: Option<NaiveDate>,
        mut why: Why,
    ) -> Requirement {
        let unreachable = self.patient.lost(self.on);
        if let Some(lost_to_us) = unreachable {
            why = why.and("R-K7").on(lost_to_us);
        }
        for (given, _) in self.patient.given() {
            why.add(given);
        }
        let newest = self.signatures.newest(&version.family, self.on);
        if let Some(newest) = newest {
            newest.said.iter().for_each(|said| why.add(said));
        }
        Requirement {
            list,
            kind,
            version: version.clone(),
            last_valid: newest
                .map(|set| set.version.version.clone())
                .unwrap_or_default(),
            deadline,
            state: state(deadline, self.on),
            is_unreachable: unreachable.is_some(),
            why,
        }
    }
}

/// The day by which a version asks to be signed (R-K4).
pub fn deadline(document: &pb::ConsentDocumentVersion, effective: NaiveDate) -> Option<NaiveDate> {
    match document.reconsent_due.as_ref()?.due.as_ref()? {
        Due::Days(days) => effective.checked_add_days(Days::new(u64::from(*days))),
        Due::On(day) => parse_civil_date(day).ok(),
        Due::NextVisit(_) => None,
    }
}

/// The deadline's own day is in time (R-D2).
fn state(deadline: Option<NaiveDate>, on: NaiveDate) -> State {
    let Some(deadline) = deadline else {
        return State::NoDeadline;
    };
    let late = on.signed_duration_since(deadline).num_days();
    match u64::try_from(late) {
        Ok(days) if 0 < days => State::Overdue(days),
        _ => State::Due,
    }
}

fn key(version: &ConsentVersion) -> pb::ConsentVersionKey {
    pb::ConsentVersionKey {
        family: version.family.clone(),
        version: version.version.clone(),
    }
}
