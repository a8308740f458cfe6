//! Who must be asked again, and for what: reconsent to a new version, one's own consent at majority, assent, or
//! what else a valid consent lacks; who is only told, who is to be recontacted, who declined (R-K2 to R-K8, R-M1,
//! R-M2, R-A2, R-A3).

use chrono::{Days, NaiveDate};

use super::signatures::{Fault, Set, Signatures, superseding};
use crate::{
    pb::{self, ChangeClass, NotificationOutcome, Signatory, WithdrawalScope, trigger::Cause},
    rules::{
        catalogue::{Activation, Catalogue, ConsentVersion},
        cohort::concerns,
        follow_up::{
            Why,
            period::{Amendment, AmendmentState, Course, Period, deadline},
        },
        patient::Patient,
        question::Seen,
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
    /// Another represents the patient now than the one who signed.
    LarChange,
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

/// What is asked of a patient on the question's day, in the order of family and kind, and of one kind the older
/// version first.
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
    asked.sort_by_key(|one| (one.version.family.clone(), one.kind));
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
        for (version, activation) in self.asking_versions(versions) {
            asked.extend(self.new_version(version, activation));
        }
        asked.extend(self.majority(family, versions));
        let covered = before < asked.len();
        let assent = self.assent(family, versions);
        let is_assent_asked = assent.is_some();
        asked.extend(assent);
        if covered || self.withdrawn(family).is_some() {
            return;
        }
        let lacking = self.lacking(family, versions);
        // A child's assent takes the place of no signature of the representative.
        asked.extend(lacking.filter(|row| !is_assent_asked || is_beside_assent(row.kind)));
    }

    /// What says that the patient has withdrawn from procedures, as far as a family is concerned.
    fn withdrawn(&self, family: &str) -> Option<&Seen> {
        let procedures = WithdrawalScope::AllProcedures;
        self.signatures
            .withdrawn(self.patient, procedures, family, self.on)
    }

    /// The versions that ask, the oldest first: those in force at the site that are for this patient and ask for a
    /// signature (R-K1, R-K2). One whose place another took can no longer be signed, and asks on until the later
    /// one is, if that satisfies it (R-K3): a new version does not hide that somebody is late.
    fn asking_versions<'v>(
        &self,
        versions: &'v [ConsentVersion],
    ) -> Vec<(&'v ConsentVersion, &'v Activation)> {
        let asking = versions.iter().filter_map(|version| {
            let activation = version.activations.get(self.site)?;
            let scope = version.document().scope.as_ref();
            let asks = version.document().change_class() == ChangeClass::ReconsentRequired
                && (activation.is_in_force(self.on)
                    || activation.has_begun(self.on) && self.is_carried_on(version, versions))
                && concerns(scope, self.patient, self.catalogue, self.on);
            asks.then_some((version, activation))
        });
        let mut asking: Vec<_> = asking.collect();
        let newest = asking.last().map(|(version, _)| version.ordinal);
        asking.retain(|(version, _)| {
            Some(version.ordinal) == newest || self.is_carried_on(version, versions)
        });
        asking
    }

    /// Whether a later version that satisfies this one is in force at the site: who has not signed is still asked.
    fn is_carried_on(&self, version: &ConsentVersion, versions: &[ConsentVersion]) -> bool {
        let mut later = versions
            .iter()
            .filter(|later| version.ordinal < later.ordinal);
        later.any(|later| {
            let at_site = later.activations.get(self.site);
            later.document().satisfies.contains(&version.version)
                && at_site.is_some_and(|activation| activation.is_in_force(self.on))
        })
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
        let deadline = deadline(document, activation.from, self.patient);
        let row = |list, why| {
            let mut row = self.row(list, kind, &key, deadline, why);
            if deadline.is_none() && names_a_deadline(document) {
                row.state = State::Due;
            }
            row
        };
        let withdrawn = self.withdrawn(&version.family);
        if let Some(withdrawn) = withdrawn
            && self.is_to_be_told(version, activation.from)
        {
            return Some(row(List::Notify, why.and("R-K6").on(withdrawn)));
        }
        if let Some(decline) = self.signatures.declined(&key, self.on) {
            return Some(row(List::Declined, why.and("R-K8").on(&decline.said)));
        }
        if withdrawn.is_some() {
            return None;
        }
        let why = why.and("R-K4");
        Some(match self.amendment(&key) {
            Some((course, one)) if one.state == AmendmentState::Missed => {
                row(List::Recontact, why.and(missed_by(course, one)))
            }
            Some(_) => row(List::Needs, why.and("R-A3")),
            None => row(List::Needs, why),
        })
    }

    /// A signature alone brings nobody back whose follow-up was over: only a new enrolment does (R-A3).
    fn signed_and_not_returned(
        &self,
        version: &ConsentVersion,
        activation: &Activation,
        signed: &Set,
    ) -> Option<Requirement> {
        let key = key(version);
        let (course, amendment) = self.amendment(&key)?;
        let is_over = amendment.state != AmendmentState::Missed
            || self.signatures.declined(&key, self.on).is_some()
            || self.withdrawn(&version.family).is_some();
        if is_over {
            return None;
        }
        let why = Why::by("R-A3").and(missed_by(course, amendment));
        let why = why.on(&activation.said);
        let why = signed.said.iter().fold(why, |why, said| why.on(said));
        let deadline = deadline(version.document(), activation.from, self.patient);
        Some(self.row(List::Recontact, Kind::NewVersion, &key, deadline, why))
    }

    /// What the version means for how long the patient is followed, if it is a plan's (R-A1).
    fn amendment(&self, key: &pb::ConsentVersionKey) -> Option<(&Course, &Amendment)> {
        let amendments = self.period.courses.iter().flat_map(|course| {
            let amendments = course.amendments.iter();
            amendments.map(move |amendment| (course, amendment))
        });
        let mut longer = amendments.filter(|(_, one)| one.is_longer);
        longer.find(|(_, one)| one.consent.as_ref() == Some(key))
    }

    /// Whether somebody who withdrew from procedures is still to be told of what made the version necessary: who
    /// did not refuse contact, and was not told of it by its name or, where the names cannot be compared, since
    /// the version took effect (R-K6).
    fn is_to_be_told(&self, version: &ConsentVersion, effective: NaiveDate) -> bool {
        let contact = WithdrawalScope::Contact;
        let family = &version.family;
        let signatures = self.signatures;
        if signatures
            .withdrawn(self.patient, contact, family, self.on)
            .is_some()
        {
            return false;
        }
        let cause = cause(version.document().trigger.as_ref());
        let mut told = self.patient.of_kind(pick!(RiskNotification));
        !told.any(|(fact, notification)| {
            let is_of_it = match (cause, self::cause(notification.trigger.as_ref())) {
                (Some(cause), Some(named))
                    if std::mem::discriminant(cause) == std::mem::discriminant(named) =>
                {
                    cause == named
                }
                // A recall and the signal behind it are one cause by two names.
                _ => effective <= fact.on,
            };
            is_of_it && fact.on <= self.on && notification.outcome() != NotificationOutcome::Bounced
        })
    }

    /// One's own consent from majority on (R-M1), of a patient who was treated, or consented for, before it, or whom
    /// only a representative has consented for since.
    fn majority(&self, family: &str, versions: &[ConsentVersion]) -> Option<Requirement> {
        let from = self.patient.majority_on().filter(|day| *day <= self.on)?;
        self.of_age(family, versions, Kind::AgeOfMajority, from)
    }

    /// One's own assent from its age on, of a child who was treated, or consented for, younger (R-M2).
    fn assent(&self, family: &str, versions: &[ConsentVersion]) -> Option<Requirement> {
        let from = self.patient.assent_on().filter(|day| *day <= self.on)?;
        let is_adult = self.patient.majority_on().is_some_and(|day| day <= self.on);
        if is_adult {
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
        let is_concerned = self.was_younger(family, from)
            || (kind == Kind::AgeOfMajority && self.is_only_represented(family));
        if !is_concerned || self.withdrawn(family).is_some() {
            return None;
        }
        let (version, activation) = self
            .in_force(versions, self.patient.site(from), from)
            .or_else(|| self.in_force(versions, self.site, self.on))?;
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
        // Of this version only: who declines a later one has not declined this (R-K8).
        let declined = self.signatures.declines.iter().find(|decline| {
            decline.signatory == signatory
                && from <= decline.on
                && decline.on <= self.on
                && decline.version == key(version)
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

    /// Whether the patient was treated before a day, or a representative consented before it.
    fn was_younger(&self, family: &str, day: NaiveDate) -> bool {
        let mut sets = self.signatures.sets.iter();
        self.patient.given().any(|(given, _)| given.on < day)
            || sets
                .any(|set| set.version.family == family && set.by == Signatory::Lar && set.on < day)
    }

    /// Whether a representative signed for the patient and the patient never did: of age by then or not, it is the
    /// patient's own consent that is missing (R-M1).
    fn is_only_represented(&self, family: &str) -> bool {
        let signed = self.signatures.all.iter();
        let mut by = signed
            .filter(|one| one.version.family == family && one.on <= self.on)
            .map(|one| one.signatory);
        by.clone().any(|signatory| signatory == Signatory::Lar)
            && by.all(|signatory| signatory != Signatory::Self_)
    }

    /// What a valid consent lacks where no new version asks.
    fn lacking(&self, family: &str, versions: &[ConsentVersion]) -> Option<Requirement> {
        let in_force = self.in_force(versions, self.site, self.on);
        if in_force.is_none()
            && let Some(row) = self.moved_to_no_version(family)
        {
            return Some(row);
        }
        let newest = versions.iter().rev();
        let mut at_site = newest.filter_map(|one| Some((one, one.activations.get(self.site)?)));
        // Where none is in force, the one that was last: one whose days are to come counts for nothing yet (R-K1).
        let (version, activation) = in_force
            .or_else(|| at_site.clone().find(|(_, one)| one.has_begun(self.on)))
            .or_else(|| at_site.next())?;
        let why = Why::by("R-K3").on(&activation.said);
        let (kind, why) = match self.signatures.newest(family, self.on) {
            None => self.never_valid(family, why)?,
            Some(newest) => self
                .lapsed(newest, activation, version, why.clone())
                .or_else(|| self.represented_by_another(newest, why))?,
        };
        let key = key(version);
        Some(match self.signatures.declined(&key, self.on) {
            Some(decline) => {
                let why = why.and("R-K8").on(&decline.said);
                self.row(List::Declined, kind, &key, None, why)
            }
            None => self.row(List::Needs, kind, &key, None, why),
        })
    }

    /// What a patient lacks who consented, and is followed now where no version is in force and none that was signed
    /// ever was: which one is to be signed is not known yet.
    fn moved_to_no_version(&self, family: &str) -> Option<Requirement> {
        self.signatures.newest(family, self.on)?;
        let transfer = self.transfer().filter(|_| !self.site.is_empty())?;
        if self
            .signed_at_site(family)
            .any(|one| one.has_begun(self.on))
        {
            return None;
        }
        let none = pb::ConsentVersionKey {
            family: family.to_owned(),
            version: String::new(),
        };
        let why = Why::by("R-K1").on(transfer);
        Some(self.row(List::Needs, Kind::SiteTransfer, &none, None, why))
    }

    /// Where the versions that were validly signed are in force at the patient's site now, and from when to when.
    fn signed_at_site(&self, family: &str) -> impl Iterator<Item = &Activation> {
        let sets = self.signatures.sets.iter();
        let valid = sets.filter(move |set| set.version.family == family && set.on <= self.on);
        valid.filter_map(|set| {
            let signed = self.catalogue.consent_version(&set.version)?;
            signed.activations.get(self.site)
        })
    }

    /// The last transfer to another site.
    fn transfer(&self) -> Option<&Seen> {
        let transfers = self.patient.statuses().filter(|(fact, status)| {
            status.state() == pb::PatientState::Transferred && fact.on <= self.on
        });
        Some(transfers.last()?.0)
    }

    /// What was signed of a family and never was valid.
    fn never_valid(&self, family: &str, why: Why) -> Option<(Kind, Why)> {
        let mut of_family = self.signatures.all.iter().rev();
        let last = of_family.find(|one| one.version.family == family)?;
        let kind = if last.faults.iter().eq([&Fault::WrongLanguage]) {
            Kind::LanguageChange
        } else {
            Kind::InvalidSignature
        };
        Some((kind, why.on(&last.said)))
    }

    /// Whether what was signed no longer counts where the patient is followed now.
    fn lapsed(
        &self,
        newest: &Set,
        activation: &Activation,
        version: &ConsentVersion,
        why: Why,
    ) -> Option<(Kind, Why)> {
        let family = &newest.version.family;
        let at_site: Vec<&Activation> = self.signed_at_site(family).collect();
        let begun = at_site.iter().any(|one| one.has_begun(self.on));
        let in_force = at_site.iter().any(|one| one.is_in_force(self.on));
        let mut sets = self.signatures.sets.iter();
        let satisfies = sets.any(|set| set.on <= self.on && set.meets(&key(version)));
        if begun {
            let expired = !in_force && !activation.is_in_force(self.on);
            return expired.then_some((Kind::ConsentExpired, why));
        }
        let transfer = self.transfer()?;
        let elsewhere = !satisfies && activation.is_in_force(self.on);
        elsewhere.then(|| (Kind::SiteTransfer, why.on(transfer)))
    }

    /// Whether a representative signed who has given way to another: one who has signed since, for another family
    /// or in vain, by another authority.
    fn represented_by_another(&self, newest: &Set, why: Why) -> Option<(Kind, Why)> {
        let signed = newest.said.iter().find_map(authority)?;
        let mut since = self.signatures.all.iter().rev();
        let other = since.find(|one| {
            newest.on < one.on
                && one.on <= self.on
                && authority(&one.said).is_some_and(|other| other != signed)
        })?;
        Some((Kind::LarChange, why.on(&other.said)))
    }

    /// The newest version for the patient that is in force at a site on a day.
    fn in_force<'v>(
        &self,
        versions: &'v [ConsentVersion],
        site: &str,
        on: NaiveDate,
    ) -> Option<(&'v ConsentVersion, &'v Activation)> {
        let mut in_force = versions.iter().rev().filter_map(|version| {
            let activation = version.activations.get(site)?;
            activation.is_in_force(on).then_some((version, activation))
        });
        in_force.find(|(version, _)| {
            let scope = version.document().scope.as_ref();
            superseding(self.patient, self.catalogue, version, site, on).is_none()
                && concerns(scope, self.patient, self.catalogue, on)
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

/// Whether what is lacking is asked of somebody else than a child's assent: a consent was given, and must be given
/// again.
const fn is_beside_assent(kind: Kind) -> bool {
    match kind {
        Kind::LarChange | Kind::ConsentExpired | Kind::SiteTransfer => true,
        Kind::NewVersion
        | Kind::Cohort
        | Kind::AgeOfMajority
        | Kind::Assent
        | Kind::InvalidSignature
        | Kind::LanguageChange => false,
    }
}

/// By which rule a follow-up was over before a longer one was signed: before it took effect, or while it was
/// waited for.
fn missed_by(course: &Course, amendment: &Amendment) -> &'static str {
    match course.end {
        Some(end) if end < amendment.effective => "R-A2",
        _ => "R-A3",
    }
}

/// Whether a version names a deadline, be it that the day is not known yet.
fn names_a_deadline(document: &pb::ConsentDocumentVersion) -> bool {
    let due = document.reconsent_due.as_ref();
    due.is_some_and(|due| due.due.is_some())
}

fn cause(trigger: Option<&pb::Trigger>) -> Option<&Cause> {
    trigger?.cause.as_ref()
}

/// By what a representative who signed may sign.
fn authority(said: &Seen) -> Option<&[u8]> {
    let Some(pb::record::Kind::ConsentSigned(signed)) = said.kind() else {
        return None;
    };
    let document = signed.authority_document.as_ref()?;
    (signed.signatory() == Signatory::Lar).then_some(document.sha256.as_slice())
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
