//! The programme that the patients are in: two products, their sites, and what is said once for all of them -
//! organisations, plans, consent versions, lots that many share, a signal, a recall.

use chrono::{Datelike as _, Days, NaiveDate};

use super::{Recorded, midnight, random::Random, say};
use crate::{
    pb::{self, record::Kind},
    record::format::{add_months, check_gln, check_gtin},
};

/// Who is in it, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Programme {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many patients are registered.
    pub patients: u64,
}

/// Its first day.
pub(super) const START: NaiveDate = day(2010, 1, 4);
/// Its last day: fifteen years of records.
pub(super) const END: NaiveDate = day(2025, 1, 3);

const fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(day) => day,
        None => NaiveDate::MIN,
    }
}

/// The first patients are registered some weeks after the start, the last some weeks before the end.
const FIRST_PATIENT_AFTER_DAYS: u64 = 90;
const LAST_PATIENT_BEFORE_DAYS: u64 = 180;

/// Vector lots are made once a quarter.
const QUARTER_DAYS: u64 = 91;

/// What is said once is not a patient's; it has a stream of chance of its own.
const COMMON: u64 = u64::MAX;

/// The products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Product {
    /// T cells of the patient, modified with a lentivirus.
    CarT,
    /// An adeno-associated virus, from the shelf.
    Aav,
}

impl Product {
    const ALL: [Self; 2] = [Self::CarT, Self::Aav];

    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::CarT => "POP-CAR19",
            Self::Aav => "POP-AAV9",
        }
    }

    pub(super) const fn plan(self) -> &'static str {
        match self {
            Self::CarT => "FU-POP-CAR19",
            Self::Aav => "FU-POP-AAV9",
        }
    }

    pub(super) const fn family(self) -> &'static str {
        match self {
            Self::CarT => "ICF-POP-CAR19",
            Self::Aav => "ICF-POP-AAV9",
        }
    }

    /// The GTIN of what is given.
    pub(super) fn gtin(self) -> String {
        numbered("0952112300", self, 1)
    }

    /// The GTIN of the vector or plasmid that it is made with.
    pub(super) fn vector_gtin(self) -> String {
        numbered("0952112300", self, 2)
    }

    const fn digit(self) -> u64 {
        match self {
            Self::CarT => 1,
            Self::Aav => 2,
        }
    }

    /// How long patients are followed in the first version of the plan.
    pub(super) const fn follow_up_months(self) -> u32 {
        match self {
            Self::CarT => 180,
            Self::Aav => 60,
        }
    }
}

fn numbered(prefix: &str, product: Product, what: u64) -> String {
    checked(&format!("{prefix}{:02}{what}", product.digit()), |text| {
        check_gtin(text).is_ok()
    })
}

/// The number with the check digit that it passes with.
fn checked(number: &str, passes: impl Fn(&str) -> bool) -> String {
    let mut with_digit = (0..=9).map(|digit| format!("{number}{digit}"));
    with_digit.find(|number| passes(number)).unwrap_or_default()
}

/// The version of a consent document or of a plan, counted from 1.
pub(super) const VERSIONS: [&str; 3] = ["1.0", "1.1", "2.0"];

/// The versions that patients must sign anew.
pub(super) const RECONSENT: usize = 2;

/// How long they have for it.
pub(super) const RECONSENT_DAYS: u64 = 60;

pub(super) fn later(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_add_days(Days::new(days))
        .unwrap_or(NaiveDate::MAX)
}

pub(super) fn earlier(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days))
        .unwrap_or(NaiveDate::MIN)
}

pub(super) fn months_later(day: NaiveDate, months: u32) -> NaiveDate {
    add_months(day, months).unwrap_or(NaiveDate::MAX)
}

fn days_between(from: NaiveDate, to: NaiveDate) -> u64 {
    u64::try_from(to.signed_duration_since(from).num_days()).unwrap_or(0)
}

impl Programme {
    /// The stream of chance of a patient, for one purpose.
    pub(super) const fn chance(&self, patient: u64, purpose: u64) -> Random {
        Random::of(self.seed, patient, purpose)
    }

    /// The day on which a patient is registered: evenly over the programme, in the order of their numbers.
    pub(super) fn registered_on(&self, number: u64) -> NaiveDate {
        let whole = days_between(START, END) - FIRST_PATIENT_AFTER_DAYS - LAST_PATIENT_BEFORE_DAYS;
        let share = u128::from(whole) * u128::from(number) / u128::from(self.patients.max(1));
        later(
            START,
            FIRST_PATIENT_AFTER_DAYS + u64::try_from(share).unwrap_or(whole),
        )
    }

    /// How many sites there are: one for about three hundred patients.
    pub(super) fn sites(&self) -> u64 {
        (self.patients / 300).clamp(4, 60)
    }
}

/// The GLN of a site, counted from 0.
pub(super) fn site_gln(site: u64) -> String {
    checked(&format!("952112310{:03}", site % 1_000), |text| {
        check_gln(text).is_ok()
    })
}

/// The first day of a consent version at a site: sites follow one after the other.
pub(super) fn consent_from(site: u64, version: usize) -> NaiveDate {
    let years = [0, 36, 96].get(version).copied().unwrap_or(0);
    let after = if version == 0 {
        20
    } else {
        20 + 7 * (site % 9)
    };
    later(months_later(START, years), after)
}

/// The consent version that is signed at a site on a day.
pub(super) fn consent_in_force(site: u64, on: NaiveDate) -> usize {
    let mut versions = (0..VERSIONS.len()).rev();
    versions
        .find(|version| consent_from(site, *version) <= on)
        .unwrap_or(0)
}

/// The maker and sponsor, the vector's maker, and the laboratory, by GLN.
pub(super) fn maker() -> String {
    checked("952112300001", |text| check_gln(text).is_ok())
}

pub(super) fn vector_maker() -> String {
    checked("952112300002", |text| check_gln(text).is_ok())
}

pub(super) fn laboratory() -> String {
    checked("952112300003", |text| check_gln(text).is_ok())
}

/// The lot of vector, or of the product from the shelf, that is used on a day.
pub(super) fn quarter(on: NaiveDate) -> u64 {
    days_between(START, on) / QUARTER_DAYS
}

/// The number of the vector lot of a quarter.
pub(super) fn vector_lot(product: Product, quarter: u64) -> String {
    match product {
        Product::CarT => format!("LV-{quarter:03}"),
        Product::Aav => format!("PL-{quarter:03}"),
    }
}

/// The number of the lot from the shelf of a quarter.
pub(super) fn shelf_lot(quarter: u64) -> String {
    format!("AV-{quarter:03}")
}

/// The quarter whose lentiviral lot is called back two years after.
const RECALLED_QUARTER: u64 = 40;

/// Everything that is said once, in the order of its times.
pub(super) fn said_once(programme: &Programme) -> Vec<Recorded> {
    let mut said = Said {
        programme,
        records: Vec::new(),
    };
    said.parties();
    for product in Product::ALL {
        said.product(product);
        said.consent(product);
        said.plan(product);
        said.lots(product);
    }
    said.signal();
    said.recall();
    said.records.sort_by_key(|recorded| recorded.at);
    said.records
}

/// Gathers what is said once.
struct Said<'a> {
    programme: &'a Programme,
    records: Vec<Recorded>,
}

impl Said<'_> {
    /// Adds a record of a day; those of one day keep their order.
    fn say(&mut self, on: NaiveDate, role: pb::ActorRole, site: &str, kind: Kind) -> String {
        let number = u64::try_from(self.records.len()).unwrap_or(u64::MAX);
        let record_id = self.programme.chance(COMMON, number).uuid();
        let mut record = say::envelope(&record_id, on, site, role);
        record.kind = Some(kind);
        let second = i64::try_from(3_600 + number % 3_600).unwrap_or(3_600);
        self.records.push(Recorded {
            at: midnight(on) + chrono::TimeDelta::seconds(second),
            record,
        });
        record_id
    }

    fn parties(&mut self) {
        use pb::{ActorRole as Role, OrganisationRole};
        let sponsor = [
            OrganisationRole::Mah,
            OrganisationRole::Sponsor,
            OrganisationRole::Cmo,
        ];
        self.party(
            &maker(),
            "Maker and sponsor",
            &sponsor,
            &[Role::Qp, Role::SponsorMed, Role::SponsorQa],
        );
        let vectors = [OrganisationRole::VectorMfg];
        self.party(&vector_maker(), "Vector maker", &vectors, &[Role::Qp]);
        self.party(
            &laboratory(),
            "Laboratory",
            &[OrganisationRole::Lab],
            &[Role::Lab],
        );
        for site in 0..self.programme.sites() {
            let gln = site_gln(site);
            let name = format!("Hospital {}", site + 1);
            self.party(
                &gln,
                &name,
                &[OrganisationRole::Hospital],
                &[Role::Investigator, Role::Nurse, Role::Pharmacist],
            );
        }
    }

    fn party(
        &mut self,
        gln: &str,
        name: &str,
        roles: &[pb::OrganisationRole],
        acts_as: &[pb::ActorRole],
    ) {
        let organisation = pb::OrganisationRegistered {
            gln: gln.to_owned(),
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).into()).collect(),
            country: "CN".to_owned(),
            time_zone: say::ZONE.to_owned(),
            ..pb::OrganisationRegistered::default()
        };
        let by = pb::ActorRole::Administrator;
        self.say(
            START,
            by,
            &maker(),
            Kind::OrganisationRegistered(organisation),
        );
        for role in acts_as {
            let actor = pb::ActorRegistered {
                actor_id: say::actor(gln, *role),
                roles: vec![(*role).into()],
                organisation: gln.to_owned(),
                qualification: Some(say::document(self.programme, gln)),
                ..pb::ActorRegistered::default()
            };
            self.say(START, by, &maker(), Kind::ActorRegistered(actor));
        }
    }

    fn product(&mut self, product: Product) {
        let registered = say::product(self.programme, product);
        let by = pb::ActorRole::SponsorMed;
        self.say(START, by, &maker(), Kind::ProductRegistered(registered));
        let method = say::method(self.programme, product);
        let by = pb::ActorRole::Lab;
        self.say(START, by, &laboratory(), Kind::AssayMethodVersion(method));
    }

    fn consent(&mut self, product: Product) {
        for (at, version) in VERSIONS.iter().enumerate() {
            let made = earlier(consent_from(0, at), 15);
            let document = say::consent_version(self.programme, product, at);
            let by = pb::ActorRole::SponsorMed;
            self.say(made, by, &maker(), Kind::ConsentDocumentVersion(document));
            for site in 0..self.programme.sites() {
                let from = consent_from(site, at);
                let activated = pb::ConsentVersionActivated {
                    version: Some(say::consent_key(product, at)),
                    site: site_gln(site),
                    iec_number: format!("IEC-{}-{}-{version}", site + 1, product.family()),
                    iec_approved_on: earlier(from, 10).to_string(),
                    effective_from: from.to_string(),
                    training_done: Some(true),
                    ..pb::ConsentVersionActivated::default()
                };
                let kind = Kind::ConsentVersionActivated(activated);
                self.say(earlier(from, 5), by, &maker(), kind);
            }
        }
    }

    /// The plan, and the amendment that comes with the consent version which must be signed anew.
    fn plan(&mut self, product: Product) {
        for (ordinal, consent) in [(1, 0), (2, RECONSENT)] {
            let first = earlier(consent_from(0, consent), 14);
            let communication = pb::RegulatorCommunication {
                authority: "NMPA".to_owned(),
                direction: pb::Direction::Sent.into(),
                subject: "design of the long-term follow-up".to_owned(),
                document: Some(say::document(self.programme, product.plan())),
                product_id: product.id().to_owned(),
                ..pb::RegulatorCommunication::default()
            };
            let by = pb::ActorRole::SponsorMed;
            let kind = Kind::RegulatorCommunication(communication);
            let communication = self.say(first, by, &maker(), kind);
            let plan = say::plan(self.programme, product, (ordinal, consent), communication);
            self.say(first, by, &maker(), Kind::FollowUpPlanVersion(plan));
            for site in 0..self.programme.sites() {
                let from = consent_from(site, consent);
                let activated = pb::PlanActivated {
                    plan: Some(pb::PlanVersionKey {
                        plan_id: product.plan().to_owned(),
                        version: ordinal.to_string(),
                    }),
                    site: site_gln(site),
                    effective_from: from.to_string(),
                    iec_number: format!("IEC-{}-{}-{ordinal}", site + 1, product.plan()),
                    iec_approved_on: earlier(from, 10).to_string(),
                    ..pb::PlanActivated::default()
                };
                self.say(
                    earlier(from, 5),
                    by,
                    &maker(),
                    Kind::PlanActivated(activated),
                );
            }
        }
    }

    /// The lots that many patients share: of the vector or the plasmid, and from the shelf.
    fn lots(&mut self, product: Product) {
        let by = pb::ActorRole::Qp;
        for quarter in 0..=quarter(END) {
            let made = later(START, quarter * QUARTER_DAYS);
            let vector = (product.vector_gtin(), vector_lot(product, quarter));
            let role = match product {
                Product::CarT => pb::LotRole::Vector,
                Product::Aav => pb::LotRole::Plasmid,
            };
            let lot = say::shared_lot(product, &vector, role, made);
            self.say(made, by, &vector_maker(), Kind::LotRegistered(lot));
            let released = say::released(self.programme, &vector);
            self.say(made, by, &vector_maker(), Kind::LotDisposition(released));
            if product == Product::Aav {
                let from_shelf = (product.gtin(), shelf_lot(quarter));
                let step = say::step(
                    self.programme,
                    vec![say::lot_item(&vector)],
                    &from_shelf,
                    made,
                );
                let qa = pb::ActorRole::SponsorQa;
                self.say(made, qa, &maker(), Kind::Transformation(step));
                let lot = say::shared_lot(product, &from_shelf, pb::LotRole::DrugProduct, made);
                self.say(made, by, &maker(), Kind::LotRegistered(lot));
                let released = say::released(self.programme, &from_shelf);
                self.say(made, by, &maker(), Kind::LotDisposition(released));
            }
        }
    }

    /// The signal for which patients must sign anew.
    fn signal(&mut self) {
        let on = earlier(consent_from(0, RECONSENT), 30);
        let signal = pb::RiskSignal {
            signal_id: say::SIGNAL.to_owned(),
            source: pb::SignalSource::RegulatorClassAction.into(),
            summary: "second malignancies after products of the class".to_owned(),
            product_ids: Product::ALL.map(|product| product.id().to_owned()).to_vec(),
            changes_risk: Some(true),
            required_actions: vec![
                pb::SignalAction::Consent.into(),
                pb::SignalAction::Plan.into(),
            ],
            ..pb::RiskSignal::default()
        };
        let by = pb::ActorRole::SponsorMed;
        self.say(on, by, &maker(), Kind::RiskSignal(signal));
    }

    fn recall(&mut self) {
        let on = later(START, (RECALLED_QUARTER + 8) * QUARTER_DAYS);
        let lot = (
            Product::CarT.vector_gtin(),
            vector_lot(Product::CarT, RECALLED_QUARTER),
        );
        let recall = pb::RecallOpened {
            recall_id: format!("RCL-{}-01", on.year()),
            roots: vec![say::lot_key(&lot)],
            recall_class: pb::RecallClass::I.into(),
            authority: "NMPA".to_owned(),
            ..pb::RecallOpened::default()
        };
        let by = pb::ActorRole::SponsorQa;
        self.say(on, by, &maker(), Kind::RecallOpened(recall));
        if let Some(said) = self.records.last_mut() {
            "a retained sample is out of specification".clone_into(&mut said.record.reason);
        }
    }
}
