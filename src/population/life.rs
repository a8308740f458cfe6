//! One patient's life in the programme, as events in the order in which they are recorded: what happens when,
//! and how late it is written down. What the records say of it is not known here.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    midnight,
    programme::{
        END, Product, Programme, RECONSENT, RECONSENT_DAYS, VERSIONS, consent_from,
        consent_in_force, earlier, later, months_later,
    },
    random::Random,
};
use crate::{
    pb::{Finding, SamplePurpose, Signatory},
    record::format::add_months,
};

/// A patient, and all that happens to one.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Who it is.
    pub(super) patient: Patient,
    /// What happens, in the order in which it is recorded.
    pub(super) events: Vec<Event>,
}

/// Who a patient is in the programme.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patient {
    /// The patient's number, from 1.
    pub(super) number: u64,
    /// What the patient receives.
    pub(super) product: Product,
    /// A minor's days of assent and of majority.
    pub(super) minor: Option<(NaiveDate, NaiveDate)>,
    /// Where the patient is followed first.
    site: u64,
    /// To where and when the patient is transferred.
    transferred: Option<(NaiveDate, u64)>,
}

/// Something that happens to a patient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// When it is recorded.
    pub(super) recorded: DateTime<Utc>,
    /// The day on which it happens.
    pub(super) on: NaiveDate,
    /// Its number in the life, from which its record id follows.
    pub(super) number: u64,
    /// What it is.
    pub(super) what: What,
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Registered,
    Signed(usize, Signatory),
    Declined(usize),
    Collected,
    Made,
    LotRegistered,
    LotReleased,
    Shipped,
    Received,
    /// The bedside verification.
    Verified,
    /// The number of the verification.
    Given(u64),
    /// The number of the signature that it stands on.
    Enrolled(u64),
    /// The number of the sample, and what it is for.
    Sampled(u64, SamplePurpose),
    Rejected(u64),
    Result(u64, SamplePurpose, Finding),
    /// Whether a block was not done.
    Visited(bool),
    /// Whether the patient was reached.
    Contacted(bool),
    Withdrawn,
    Lost,
    Found,
    Transferred(u64),
    Died,
    /// The number of the case, whether it is serious, and whether replication-competent virus is suspected.
    Adverse(u64, bool, bool),
    Assessed(u64),
    /// The number of the event whose day was wrong, and that day.
    Corrected(u64, NaiveDate),
}

/// For which part of a life chance is drawn.
const OF_LIFE: u64 = 0;

/// A patient stays in the programme at most so many years after treatment.
const YEARS_MAX: u32 = 15;

impl Life {
    /// The life of a patient.
    pub(super) fn of(programme: &Programme, number: u64) -> Self {
        let mut random = programme.chance(number, OF_LIFE);
        let registered = programme.registered_on(number);
        let product = if random.happens(700) {
            Product::CarT
        } else {
            Product::Aav
        };
        let site = random.between(0, programme.sites() - 1);
        let minor = random.happens(150).then(|| {
            let born = earlier(registered, random.between(2 * 366, 17 * 365));
            let at = |months| add_months(born, months).unwrap_or(NaiveDate::MAX);
            (at(96), at(216))
        });
        Teller {
            programme,
            random,
            patient: Patient {
                number,
                product,
                minor,
                site,
                transferred: None,
            },
            events: Vec::new(),
            number: 0,
            followed: None,
            withdrawn: NaiveDate::MAX,
            away: None,
        }
        .tell(registered)
    }
}

impl Patient {
    /// The site that follows the patient on a day.
    pub(super) fn site(&self, on: NaiveDate) -> u64 {
        match self.transferred {
            Some((from, to)) if from <= on => to,
            Some(_) | None => self.site,
        }
    }
}

struct Teller<'a> {
    programme: &'a Programme,
    random: Random,
    patient: Patient,
    events: Vec<Event>,
    number: u64,
    /// The first day of follow-up, and the day after its last.
    followed: Option<(NaiveDate, NaiveDate)>,
    /// From when the patient takes part in no procedure.
    withdrawn: NaiveDate,
    /// From when to when the patient is lost.
    away: Option<(NaiveDate, NaiveDate)>,
}

impl Teller<'_> {
    fn tell(mut self, registered: NaiveDate) -> Life {
        self.happens(registered, What::Registered);
        let signed_on = later(registered, self.random.between(1, 14));
        let consent = self.sign(signed_on);
        // Some are found unfit.
        if !self.random.happens(30) {
            let treated = self.treat(signed_on, consent);
            self.fate(treated);
            self.follow(treated);
            self.sign_again();
            self.come_of_age(registered);
            self.adverse_events(treated);
        }
        self.events
            .retain(|event| event.recorded.date_naive() <= END);
        self.events
            .sort_by_key(|event| (event.recorded, event.number));
        Life {
            patient: self.patient,
            events: self.events,
        }
    }

    /// Adds an event that is recorded on its day.
    fn happens(&mut self, on: NaiveDate, what: What) -> u64 {
        self.recorded(on, 0, what)
    }

    /// Adds an event that is recorded so many days after it. One day's are recorded in their order, by noon in
    /// UTC.
    fn recorded(&mut self, on: NaiveDate, days: u64, what: What) -> u64 {
        self.number += 1;
        let seconds = 7_200 + self.number * 30 + self.patient.number % 30;
        let seconds = i64::try_from(seconds).unwrap_or(7_200);
        self.events.push(Event {
            recorded: midnight(later(on, days)) + TimeDelta::seconds(seconds),
            on,
            number: self.number,
            what,
        });
        self.number
    }

    /// Everybody who must signs the version in force at the site: a minor's representative, and the minor from
    /// the age of assent on. The number of the first signature.
    fn sign(&mut self, on: NaiveDate) -> u64 {
        let version = consent_in_force(self.patient.site(on), on);
        self.sign_version(on, version)
    }

    fn sign_version(&mut self, on: NaiveDate, version: usize) -> u64 {
        match self.patient.minor {
            Some((assent, majority)) if on < majority => {
                let first = self.happens(on, What::Signed(version, Signatory::Lar));
                if assent <= on {
                    self.happens(on, What::Signed(version, Signatory::Assent));
                }
                first
            }
            Some(_) | None => self.happens(on, What::Signed(version, Signatory::Self_)),
        }
    }

    /// From the signature to the administration. The day of it.
    fn treat(&mut self, signed: NaiveDate, consent: u64) -> NaiveDate {
        let treated = later(signed, self.random.between(35, 60));
        if self.patient.product == Product::CarT {
            self.happens(later(signed, 5), What::Collected);
            self.happens(earlier(treated, 14), What::Made);
            self.happens(earlier(treated, 14), What::LotRegistered);
            self.happens(earlier(treated, 6), What::LotReleased);
            self.happens(earlier(treated, 4), What::Shipped);
            self.happens(earlier(treated, 3), What::Received);
        }
        let verified = match self.patient.product {
            Product::CarT => self.happens(treated, What::Verified),
            Product::Aav => 0,
        };
        self.happens(treated, What::Given(verified));
        // Most are enrolled at once, some late, a few never.
        if !self.random.happens(10) {
            let late = if self.random.happens(20) { 45 } else { 0 };
            self.happens(later(treated, late), What::Enrolled(consent));
        }
        treated
    }

    /// How it goes on: death, loss, withdrawal, another site.
    fn fate(&mut self, treated: NaiveDate) {
        let months = self.patient.product.follow_up_months();
        let end = months_later(treated, months).min(END);
        let mut until = end;
        if let Some(died) = self.some_day(treated, 20) {
            until = until.min(died);
            if died <= end {
                let late = self.random.between(0, 12);
                self.recorded(died, late, What::Died);
            }
        }
        if let Some(on) = self.some_day(treated, 10)
            && on < until
        {
            self.withdrawn = on;
            self.happens(on, What::Withdrawn);
        }
        if let Some(on) = self.some_day(treated, 14)
            && on < until
        {
            self.happens(on, What::Lost);
            let found = later(on, self.random.between(90, 500));
            let is_found = self.random.happens(300) && found < until;
            if is_found {
                self.happens(found, What::Found);
            }
            self.away = Some((on, if is_found { found } else { NaiveDate::MAX }));
        }
        if let Some(on) = self.some_day(treated, 10)
            && on < until
            && !self.is_away(on)
        {
            let to = self.random.between(0, self.programme.sites() - 1);
            if to != self.patient.site {
                self.happens(on, What::Transferred(to));
                self.patient.transferred = Some((on, to));
            }
        }
        self.followed = Some((treated, until));
    }

    /// The day of something that happens to so many of a thousand each year, if it does.
    fn some_day(&mut self, from: NaiveDate, per_mille_a_year: u64) -> Option<NaiveDate> {
        let year = (0..YEARS_MAX).find(|_| self.random.happens(per_mille_a_year))?;
        let day = self.random.between(20, 364);
        Some(later(from, u64::from(year) * 365 + day))
    }

    fn is_away(&self, on: NaiveDate) -> bool {
        self.away.is_some_and(|(from, to)| from <= on && on < to)
    }

    fn is_followed(&self, on: NaiveDate) -> bool {
        let within = self
            .followed
            .is_some_and(|(from, until)| from <= on && on < until);
        within && !self.is_away(on)
    }

    /// Samples, visits and contacts.
    fn follow(&mut self, treated: NaiveDate) {
        match self.patient.product {
            Product::CarT => self.samples_by_interval(treated),
            Product::Aav => {
                for months in [6, 12, 24, 36, 48, 60] {
                    let on = later(months_later(treated, months), self.random.between(0, 14));
                    self.sample(on, SamplePurpose::Persistence);
                }
            }
        }
        for year in 1..=YEARS_MAX {
            let due = months_later(treated, year * 12);
            let late = if self.random.happens(40) { 40 } else { 0 };
            let on = later(earlier(due, 20), self.random.between(0, 40) + late);
            if !self.is_followed(on) {
                continue;
            }
            if year <= 5 && on < self.withdrawn {
                let incomplete = self.random.happens(30);
                let days = if self.random.happens(20) { 21 } else { 0 };
                let number = self.recorded(on, days, What::Visited(incomplete));
                if self.random.happens(10) {
                    let wrong = later(on, days + self.random.between(5, 30));
                    self.happens(wrong, What::Corrected(number, earlier(on, 1)));
                }
            } else {
                let reached = !self.random.happens(30);
                self.happens(on, What::Contacted(reached));
            }
        }
    }

    /// Every six months in the first five years, then every year; some late, some left out.
    fn samples_by_interval(&mut self, treated: NaiveDate) {
        let mut last = treated;
        let first_years = months_later(treated, 60);
        while last < END {
            let due = months_later(last, if last < first_years { 6 } else { 12 });
            let on = if self.random.happens(60) {
                later(due, self.random.between(1, 60))
            } else {
                earlier(due, self.random.between(0, 25))
            };
            last = on;
            if !self.random.happens(15) {
                self.sample(on, SamplePurpose::Persistence);
            }
        }
    }

    /// A sample and what comes of it. A dominant clone is looked at again within three months.
    fn sample(&mut self, on: NaiveDate, purpose: SamplePurpose) {
        if !self.is_followed(on) || self.withdrawn <= on {
            return;
        }
        let late = if self.random.happens(15) {
            self.random.between(16, 40)
        } else {
            0
        };
        let number = self.recorded(on, late, What::Sampled(self.number + 1, purpose));
        if self.random.happens(20) {
            let rejected = later(on, late + 3);
            self.happens(rejected, What::Rejected(number));
            self.sample(later(rejected, 14), purpose);
            return;
        }
        let issued = later(on, late + self.random.between(8, 24));
        let finding = if purpose == SamplePurpose::Rcl {
            Finding::RclNegative
        } else if self.patient.product == Product::CarT && self.random.happens(3) {
            Finding::DominantClone
        } else if self.random.happens(40) {
            Finding::VectorNotDetected
        } else {
            Finding::WithinExpected
        };
        self.happens(issued, What::Result(number, purpose, finding));
        if finding == Finding::DominantClone {
            let again = later(issued, self.random.between(30, 80));
            self.sample(again, SamplePurpose::Persistence);
        }
    }

    /// The version that must be signed anew, once it is in force where the patient is.
    fn sign_again(&mut self) {
        let Some((from, _)) = self.followed else {
            return;
        };
        let effective = consent_from(self.patient.site, RECONSENT);
        let asked = from < effective && effective < self.withdrawn && self.is_followed(effective);
        if !asked {
            return;
        }
        let choice = self.random.between(0, 99);
        let (on, signs) = match choice {
            0..=85 => (
                later(effective, self.random.between(2, RECONSENT_DAYS)),
                true,
            ),
            86..=93 => (
                later(effective, self.random.between(RECONSENT_DAYS + 1, 150)),
                true,
            ),
            94..=97 => (
                later(effective, self.random.between(5, RECONSENT_DAYS)),
                false,
            ),
            _ => return,
        };
        if !self.is_followed(on) || self.withdrawn <= on {
            return;
        }
        if signs {
            let version = VERSIONS.len() - 1;
            self.sign_version(on, version);
        } else {
            self.happens(on, What::Declined(RECONSENT));
        }
    }

    /// A minor's own signatures, when their day comes during follow-up.
    fn come_of_age(&mut self, registered: NaiveDate) {
        let Some((assent, majority)) = self.patient.minor else {
            return;
        };
        for (day, signatory) in [(assent, Signatory::Assent), (majority, Signatory::Self_)] {
            let on = later(day, self.random.between(0, 75));
            let comes = registered < day && self.is_followed(day) && self.is_followed(on);
            // Some do not come for it.
            if comes && on < self.withdrawn && !self.random.happens(60) {
                let version = consent_in_force(self.patient.site(on), on);
                self.happens(on, What::Signed(version, signatory));
            }
        }
    }

    fn adverse_events(&mut self, treated: NaiveDate) {
        for year in 0..YEARS_MAX {
            if !self.random.happens(180) {
                continue;
            }
            let on = later(treated, u64::from(year) * 365 + self.random.between(3, 364));
            if !self.is_followed(on) {
                continue;
            }
            let serious = self.random.happens(150);
            let suspected = self.patient.product == Product::CarT && self.random.happens(5);
            let days = self.random.between(0, 6);
            let case = self.number + 1;
            self.recorded(on, days, What::Adverse(case, serious, suspected));
            if serious {
                let assessed = later(on, days + self.random.between(1, 10));
                self.happens(assessed, What::Assessed(case));
            }
            if suspected {
                self.sample(later(on, days + 10), SamplePurpose::Rcl);
            }
        }
    }
}
