//! Flags that need more than one record: what happened and should not have, or not so, or not then. Each is
//! raised by one entry, is seen as the question sees the facts, and goes only when a further record comes.
//!
//! A receipt carries those of its own entry as known at that entry; the list of deviations carries those of
//! every entry as known now. Both are made here, from the same functions: what a patient's dossier shows,
//! what a lot's history shows, what the catalogue shows. What a record raises by itself is
//! [`flags`].

mod catalogue;
mod consent;
mod corrections;
mod custody;
mod dangling;
mod envelope;
mod follow_up;
mod identity;
mod lots;
mod people;
mod safety;
mod samples;
mod storage;

#[cfg(test)]
pub(super) mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;

pub use self::lots::LotHistory;
use super::{
    catalogue::Catalogue,
    consent::signatures::Signatures,
    dossier::Dossier,
    fact::{Fact, LotId, Place, Records, Subject, subjects},
    flags::{self, Flag, FlagRule, codes},
    patient::Patient,
    question::{Question, Seen, seen},
};
use crate::{
    pb::{self, record::Kind},
    record::examine,
};

/// A flag that somebody should look at, with what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    /// The rule: code, severity, text and the numbers behind it.
    pub rule: FlagRule,
    /// The entry that raises it.
    pub raised_by: Arc<Fact>,
    /// The field that raises it, as a path into the record.
    pub field: Cow<'static, str>,
    /// Whom and what it is about.
    pub about: About,
    /// The days and the numbers of it.
    pub details: Details,
    /// The entries that show it, beside the one that raises it.
    pub evidence: Vec<Arc<Fact>>,
}

/// Whom and what a deviation is about; empty where it does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The patient, by pseudonym. Empty: the one whom the entry that raises it names, if any.
    pub patient: String,
    /// The lot.
    pub lot: Option<LotId>,
    /// The chain of identity.
    pub coi: String,
    /// The sample.
    pub sample: String,
    /// The version of a consent document or of a plan.
    pub version: String,
    /// The GLN of the site whose it is, where another recorded what raised it.
    pub site: String,
}

/// The days and the numbers of a deviation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// When it was due.
    pub due: Option<NaiveDate>,
    /// When it was.
    pub actual: Option<NaiveDate>,
    /// By how many days it was too late, or too early.
    pub days: Option<i64>,
    /// The last day on which it would have been in time.
    pub deadline: Option<NaiveDate>,
    /// When it was signed.
    pub signed: Option<NaiveDate>,
    /// From when it was in force.
    pub effective: Option<NaiveDate>,
    /// When the product was given.
    pub administered: Option<NaiveDate>,
    /// When the patient consented.
    pub consented: Option<NaiveDate>,
    /// When it happened.
    pub event: Option<NaiveDate>,
    /// When it was recorded.
    pub recorded: Option<NaiveDate>,
    /// What was read from the person or the order.
    pub scanned: String,
}

impl Deviation {
    fn new(rule: FlagRule, by: &Seen, field: impl Into<Cow<'static, str>>) -> Self {
        Self {
            rule,
            raised_by: Arc::clone(&by.fact),
            field: field.into(),
            about: About::default(),
            details: Details::default(),
            evidence: Vec::new(),
        }
    }

    fn of_lot(mut self, lot: &LotId) -> Self {
        self.about.lot = Some(lot.clone());
        self
    }

    fn of_coi(mut self, coi: &str) -> Self {
        coi.clone_into(&mut self.about.coi);
        self
    }

    fn of_sample(mut self, sample: &str) -> Self {
        sample.clone_into(&mut self.about.sample);
        self
    }

    fn of_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.about.version);
        self
    }

    fn at_site(mut self, site: &str) -> Self {
        site.clone_into(&mut self.about.site);
        self
    }

    fn with(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    fn shown_by(mut self, fact: &Seen) -> Self {
        self.evidence.push(Arc::clone(&fact.fact));
        self
    }

    /// The GLN of the site that has to look at it: its own, or else that of the entry that raises it, as it is seen.
    pub fn site<'a>(&'a self, entry: &'a Fact) -> &'a str {
        match self.about.site.as_str() {
            "" => &entry.record.site,
            site => site,
        }
    }

    /// The flag of a receipt.
    pub fn into_flag(self) -> Flag {
        let Self { rule, field, .. } = self;
        Flag {
            code: rule.code,
            severity: rule.severity,
            field,
            text: rule.text,
        }
    }
}

/// What the entries of a log raise, as one question sees it. What several entries share is gathered once.
#[derive(Debug)]
pub struct Review<'a, F> {
    look: Look<'a, F>,
    groups: BTreeMap<Group, Vec<Deviation>>,
}

/// What is looked at, and as what it is seen.
#[derive(Debug)]
struct Look<'a, F> {
    facts: &'a F,
    catalogue: &'a Catalogue,
    question: Question,
}

/// What is looked at together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Catalogue,
    Patient(String),
    Lot(LotId),
    Sample(String),
    Coi(String),
    Identity(Vec<u8>),
    TraceCode(String),
    Place(Box<Place>),
}

/// Whose deviations are asked for: a receipt has only its own, and what its record cannot raise need not be worked out.
#[derive(Debug, Clone, Copy)]
enum By<'a> {
    Any,
    This(&'a Seen),
}

impl By<'_> {
    /// Whether somebody is asked for of whom this is true.
    fn may_be(self, is: impl FnOnce(&Seen) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::This(fact) => is(fact),
        }
    }

    /// Whether what this fact raises is asked for.
    fn is(self, fact: &Seen) -> bool {
        self.may_be(|own| own.index == fact.index)
    }
}

impl<'a, F: Records> Review<'a, F> {
    /// Looks at the facts as the question sees them; the catalogue is as it sees it, too.
    pub const fn new(facts: &'a F, catalogue: &'a Catalogue, question: Question) -> Self {
        let look = Look {
            facts,
            catalogue,
            question,
        };
        Self {
            look,
            groups: BTreeMap::new(),
        }
    }

    /// What an entry raises together with others, or for want of them; nothing, if the question does not see
    /// it. What it raises by itself is [`own`].
    pub fn of_record(&mut self, fact: &Fact) -> Result<Vec<Deviation>, F::Error> {
        let Self { look, groups } = self;
        look.of_record(fact, |group, _| {
            if !groups.contains_key(group) {
                groups.insert(group.clone(), look.look_at(group, By::Any)?);
            }
            let raised = groups.get(group).into_iter().flatten();
            let by_this = raised.filter(|one| one.raised_by.index == fact.index);
            Ok(by_this.cloned().collect())
        })
    }
}

impl<F: Records> Look<'_, F> {
    /// What an entry raises, with what `of_group` says that it raises in each group that it belongs to.
    fn of_record(
        &self,
        fact: &Fact,
        mut of_group: impl FnMut(&Group, &Seen) -> Result<Vec<Deviation>, F::Error>,
    ) -> Result<Vec<Deviation>, F::Error> {
        let around = self.around(fact)?;
        let own = around.iter().find(|one| one.index == fact.index).cloned();
        let Some(own) = own else {
            // Corrections are applied, not seen.
            return corrections::raised(self.facts, fact, self.catalogue, &self.question);
        };
        let mut raised = envelope::raised(&own, self.catalogue);
        raised.extend(if own.record.patient == fact.record.patient {
            people::unknown(&own, &around)
        } else {
            people::unknown(&own, &self.about_patient(&own.record.patient)?)
        });
        raised.extend(dangling::raised(self.facts, &own, &self.question)?);
        raised.extend(identity::verified(self.facts, &own, &self.question)?);
        for group in self.groups_of(&own)? {
            raised.extend(of_group(&group, &own)?);
        }
        Ok(each_once(raised))
    }

    /// The facts about the patient whom a fact names, or else about something that it is about: what the question sees
    /// of them. The fact is among them, unless the question does not see it.
    fn around(&self, fact: &Fact) -> Result<Vec<Seen>, F::Error> {
        if !fact.record.patient.is_empty() {
            return self.about_patient(&fact.record.patient);
        }
        let about = match subjects(&fact.record).into_iter().next() {
            Some(subject) => self.facts.about(&subject)?,
            // What keeps house for the ledger is about nothing, and is not corrected.
            None => vec![Arc::new(fact.clone())],
        };
        Ok(seen(&about, &self.question))
    }

    fn about_patient(&self, patient: &str) -> Result<Vec<Seen>, F::Error> {
        let about = self.facts.about(&Subject::Patient(patient.to_owned()))?;
        Ok(seen(&about, &self.question))
    }

    fn groups_of(&self, fact: &Seen) -> Result<Vec<Group>, F::Error> {
        let owners = self.owners(fact)?;
        let mut groups: Vec<Group> = owners.into_iter().map(Group::Patient).collect();
        for subject in subjects(&fact.record) {
            match subject {
                Subject::Catalogue => groups.push(Group::Catalogue),
                Subject::Lot(lot) | Subject::Stock(lot) => groups.push(Group::Lot(lot)),
                Subject::Coi(coi) => groups.push(Group::Coi(coi)),
                Subject::Sample(sample) => groups.push(Group::Sample(sample)),
                Subject::Identity(commitment) => groups.push(Group::Identity(commitment)),
                Subject::TraceCode(code) => groups.push(Group::TraceCode(code)),
                Subject::Place(place) => groups.push(Group::Place(place)),
                Subject::Patient(_)
                | Subject::MadeOf(_)
                | Subject::Donation(_)
                | Subject::Case(_)
                | Subject::Consignment(_) => {}
            }
        }
        groups.sort();
        groups.dedup();
        Ok(groups)
    }

    /// The patient whom a record concerns; where only its sample says so, those whom the sample's records name.
    fn owners(&self, fact: &Seen) -> Result<BTreeSet<String>, F::Error> {
        let sample = match fact.kind() {
            _ if !fact.record.patient.is_empty() => return Ok(BTreeSet::from([self.owner(fact)?])),
            Some(Kind::SampleEvent(event)) => &event.sample_id,
            Some(Kind::AssayResult(result)) => &result.sample_id,
            _ => return Ok(BTreeSet::new()),
        };
        let named = samples::named_of(self.facts, sample, &self.question)?;
        named.iter().map(|fact| self.owner(fact)).collect()
    }

    /// The patient of a record that names one: another, if the record was moved when pseudonyms were split.
    fn owner(&self, fact: &Seen) -> Result<String, F::Error> {
        Dossier::owner(self.facts, fact, &self.question)
    }

    /// What the facts of a group raise: all that is raised by who is asked for, and maybe more.
    fn look_at(&self, group: &Group, by: By<'_>) -> Result<Vec<Deviation>, F::Error> {
        let (catalogue, question) = (self.catalogue, &self.question);
        let about = |subject: &Subject| Ok(seen(&self.facts.about(subject)?, question));
        Ok(match group {
            Group::Catalogue => of_catalogue(catalogue, question),
            Group::Patient(patient) => {
                let dossier = Dossier::of_patient(self.facts, patient)?;
                of_patient(&dossier, catalogue, question, by)
            }
            Group::Lot(_) if !by.may_be(lots::is_of_lot) => Vec::new(),
            Group::Lot(lot) => {
                let history = LotHistory::of(self.facts, lot, catalogue, question)?;
                of_lot(&history, catalogue, question)
            }
            Group::Sample(sample) => {
                samples::unknown(sample, &about(&Subject::Sample(sample.clone()))?)
            }
            Group::Coi(coi) => identity::of_two_patients(coi, &about(&Subject::Coi(coi.clone()))?),
            Group::Identity(commitment) => {
                let registered = about(&Subject::Identity(commitment.clone()))?;
                let mut of_both = Vec::new();
                for fact in &registered {
                    of_both.extend(about(&Subject::Patient(fact.record.patient.clone()))?);
                }
                people::registered_twice(&registered, &of_both)
            }
            Group::TraceCode(code) => {
                lots::of_two_lots(code, &about(&Subject::TraceCode(code.clone()))?)
            }
            Group::Place(place) => storage::taken(self.facts, place, question)?,
        })
    }
}

/// Without those that are there already, in their order. There seldom are any.
fn each_once(mut raised: Vec<Deviation>) -> Vec<Deviation> {
    for at in (1..raised.len()).rev() {
        let (before, rest) = raised.split_at(at);
        if rest.first().is_some_and(|one| before.contains(one)) {
            raised.remove(at);
        }
    }
    raised
}

/// What one entry raises together with others, or for want of them.
pub fn of_record<F: Records>(
    facts: &F,
    fact: &Fact,
    catalogue: &Catalogue,
    question: &Question,
) -> Result<Vec<Deviation>, F::Error> {
    let look = Look {
        facts,
        catalogue,
        question: *question,
    };
    look.of_record(fact, |group, own| {
        let mut raised = look.look_at(group, By::This(own))?;
        raised.retain(|one| one.raised_by.index == fact.index);
        Ok(raised)
    })
}

/// What the facts of a patient raise.
fn of_patient(
    dossier: &Dossier,
    catalogue: &Catalogue,
    question: &Question,
    by: By<'_>,
) -> Vec<Deviation> {
    let patient = Patient::of(dossier, question);
    let mut raised = Vec::new();
    if by.may_be(|fact| lots::administered(fact).is_some()) {
        let facts: Vec<Arc<Fact>> = dossier.facts().cloned().collect();
        let around = seen(&facts, question);
        raised.extend(lots::given(&patient, &around, catalogue, by));
        raised.extend(identity::given(dossier, &patient, &around, catalogue, by));
    }
    raised.extend(people::of(&patient, catalogue));
    raised.extend(samples::of(&patient, catalogue, by));
    raised.extend(safety::of(&patient, catalogue, by));
    let signatures = Signatures::of(&patient, catalogue);
    raised.extend(consent::of(
        dossier,
        &patient,
        catalogue,
        question,
        &signatures,
        by,
    ));
    raised.extend(follow_up::of(&patient, catalogue, &signatures, by));
    raised
}

/// What the facts of a lot raise.
pub fn of_lot(history: &LotHistory, catalogue: &Catalogue, question: &Question) -> Vec<Deviation> {
    let mut raised = lots::of(history, catalogue, question);
    raised.extend(custody::of(history, catalogue, question));
    let facts = history.seen(question);
    raised.extend(people::told_twice(
        facts.iter().filter(|fact| fact.record.patient.is_empty()),
    ));
    raised
}

/// What the catalogue raises.
pub fn of_catalogue(catalogue: &Catalogue, question: &Question) -> Vec<Deviation> {
    catalogue::of(catalogue, question)
}

/// What an entry raises by itself, with what it is about.
pub fn own(fact: &Arc<Fact>) -> Vec<Deviation> {
    let unverified = examine(&fact.record, fact.recorded_at).unverified;
    let raised = flags::flags(&fact.record, unverified, fact.recorded_at);
    let own = Seen {
        fact: Arc::clone(fact),
        corrections: Vec::new(),
    };
    let deviation = |flag: Flag| {
        let rule = codes::ALONE.iter().find(|rule| rule.code == flag.code)?;
        let mut deviation = Deviation::new(*rule, &own, flag.field);
        deviation.about = about(&fact.record);
        if let Some(Kind::CoiVerification(verification)) = fact.kind() {
            let person = verification.person_id.as_ref();
            deviation.details.scanned = person.map(|id| id.value.clone()).unwrap_or_default();
        }
        Some(deviation)
    };
    raised.into_iter().filter_map(deviation).collect()
}

/// Whom and what a record is about, as far as it is one of each. The patient that it names is left out.
fn about(record: &pb::Record) -> About {
    let mut about = About::default();
    for subject in subjects(record) {
        match subject {
            Subject::Lot(lot) | Subject::Stock(lot) => {
                about.lot.get_or_insert(lot);
            }
            Subject::Coi(coi) => about.coi = coi,
            Subject::Sample(sample) if about.sample.is_empty() => about.sample = sample,
            Subject::Patient(patient) if record.patient.is_empty() && about.patient.is_empty() => {
                about.patient = patient;
            }
            Subject::Patient(_)
            | Subject::Sample(_)
            | Subject::Catalogue
            | Subject::MadeOf(_)
            | Subject::Donation(_)
            | Subject::Case(_)
            | Subject::Consignment(_)
            | Subject::Identity(_)
            | Subject::TraceCode(_)
            | Subject::Place(_) => {}
        }
    }
    match &record.kind {
        Some(Kind::ConsentDocumentVersion(version)) => about.version.clone_from(&version.version),
        Some(Kind::ConsentSigned(signed)) => {
            about.version = signed
                .version
                .as_ref()
                .map(|key| key.version.clone())
                .unwrap_or_default();
        }
        Some(Kind::FollowUpPlanVersion(plan)) => about.version.clone_from(&plan.version),
        // Not a part of it, nor the name that it gets.
        Some(Kind::SampleEvent(event)) => about.sample.clone_from(&event.sample_id),
        _ => {}
    }
    about
}

/// Whether a fact had happened when another did. Two that are known to the day may have: the day is not held
/// against anybody.
fn had_happened(earlier: &Fact, later: &Fact) -> bool {
    use crate::record::event_span;
    match (event_span(&earlier.record), event_span(&later.record)) {
        (Some(earlier), Some(later)) => earlier.first <= later.last,
        _ => earlier.on <= later.on,
    }
}
