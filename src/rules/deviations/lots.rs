//! Lots: whether one that was given could be given, whether what went into another could go in, and what
//! was decided of a lot too late. Where a lot goes is [`custody`](super::custody).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{By, Details, Deviation, envelope::least, had_happened};
use crate::{
    pb::{self, AdministrationStatus, Disposition, DonorRelation, LotRole, record::Kind},
    record::{
        Span,
        format::{Decimal, EventTime},
    },
    rules::{
        catalogue::{Catalogue, Product},
        fact::{Fact, Facts, LotId, Material, Subject, material},
        flags::{FlagRule, codes},
        patient::Patient,
        question::{Question, Seen, seen},
        trace::descends_from_any,
    },
};

/// Every fact about a lot, where it went, and what went into it; where something was recalled that it descends from, also
/// what that was made of, up to every starting material.
#[derive(Debug, Clone)]
pub struct LotHistory {
    /// The lot.
    pub lot: LotId,
    facts: Vec<Arc<Fact>>,
}

impl LotHistory {
    /// Gathers the facts.
    pub fn of<F: Facts>(
        facts: &F,
        lot: &LotId,
        catalogue: &Catalogue,
        question: &Question,
    ) -> Result<Self, F::Error> {
        let roots = recalls(catalogue).flat_map(|(_, recall)| &recall.roots);
        let roots = roots.map(|root| Material::Lot(root.into())).collect();
        let far = descends_from_any(facts, question, &Material::Lot(lot.clone()), &roots)?;
        let mut asked = BTreeSet::new();
        let mut gathered: BTreeMap<_, Arc<Fact>> = BTreeMap::new();
        let of_lot = [Subject::Lot(lot.clone()), Subject::Stock(lot.clone())];
        let mut open = BTreeSet::from(of_lot);
        while let Some(subject) = open.pop_first() {
            let is_of_lot =
                matches!(&subject, Subject::Lot(one) | Subject::Stock(one) if one == lot);
            for fact in facts.about(&subject)? {
                if far || is_of_lot {
                    let next = leads_to(&subject, &fact).into_iter();
                    open.extend(next.filter(|next| *next != subject && !asked.contains(next)));
                }
                gathered.insert(fact.index, fact);
            }
            asked.insert(subject);
        }
        Ok(Self {
            lot: lot.clone(),
            facts: gathered.into_values().collect(),
        })
    }

    /// What a question sees of them.
    pub fn seen(&self, question: &Question) -> Vec<Seen> {
        seen(&self.facts, question)
    }
}

/// The recalls that were opened.
fn recalls(catalogue: &Catalogue) -> impl DoubleEndedIterator<Item = (&Seen, &pb::RecallOpened)> {
    let others = catalogue.others.iter();
    others.filter_map(|fact| match fact.kind() {
        Some(Kind::RecallOpened(recall)) => Some((fact, recall)),
        _ => None,
    })
}

/// What a lot was made of, and the consignments that it travelled in.
fn leads_to(subject: &Subject, fact: &Fact) -> Vec<Subject> {
    let consignment = |sscc: &String| match sscc.as_str() {
        "" => Vec::new(),
        sscc => vec![Subject::Consignment(sscc.to_owned())],
    };
    match (subject, fact.kind()) {
        (Subject::Lot(_), Some(Kind::Transformation(step))) => {
            let inputs = step.inputs.iter().filter_map(material);
            inputs.map(subject_of).collect()
        }
        (Subject::Stock(_), Some(Kind::Shipment(shipment))) => consignment(&shipment.sscc),
        (Subject::Stock(_), Some(Kind::ShipmentReceived(received))) => consignment(&received.sscc),
        _ => Vec::new(),
    }
}

fn subject_of(material: Material) -> Subject {
    match material {
        Material::Lot(lot) => Subject::Lot(lot),
        Material::Donation(din) => Subject::Donation(din),
    }
}

/// Lots as a question sees them.
#[derive(Debug, Default)]
pub(super) struct Lots<'a> {
    registered: BTreeMap<LotId, (&'a Seen, &'a pb::LotRegistered)>,
    dispositions: BTreeMap<LotId, Vec<(&'a Seen, &'a pb::LotDisposition)>>,
    collected: BTreeMap<&'a str, (&'a Seen, &'a pb::MaterialCollected)>,
    inputs: BTreeMap<LotId, BTreeSet<LotId>>,
}

impl<'a> Lots<'a> {
    pub(super) fn of(facts: &'a [Seen]) -> Self {
        let mut lots = Self::default();
        for fact in facts {
            match fact.kind() {
                Some(Kind::LotRegistered(lot)) => {
                    lots.registered.entry(lot.into()).or_insert((fact, lot));
                }
                Some(Kind::LotDisposition(disposition)) => {
                    if let Some(lot) = lot_id(disposition.lot.as_ref()) {
                        let of_lot = lots.dispositions.entry(lot).or_default();
                        of_lot.push((fact, disposition));
                    }
                }
                Some(Kind::MaterialCollected(collected)) => {
                    if let Some(din) = &collected.din {
                        lots.collected.insert(&din.number, (fact, collected));
                    }
                }
                Some(Kind::Transformation(step)) => lots.made(step),
                _ => {}
            }
        }
        lots
    }

    fn made(&mut self, step: &pb::Transformation) {
        let lots = |items: &[pb::Item]| -> Vec<LotId> {
            let materials = items.iter().filter_map(material);
            let lot = |material| match material {
                Material::Lot(lot) => Some(lot),
                Material::Donation(_) => None,
            };
            materials.filter_map(lot).collect()
        };
        let inputs = lots(&step.inputs);
        for output in lots(&step.outputs) {
            let of_output = self.inputs.entry(output).or_default();
            of_output.extend(inputs.iter().cloned());
        }
    }

    pub(super) fn registered(&self, lot: &LotId) -> Option<(&'a Seen, &'a pb::LotRegistered)> {
        self.registered.get(lot).copied()
    }

    pub(super) fn collected(&self, din: &str) -> Option<(&'a Seen, &'a pb::MaterialCollected)> {
        self.collected.get(din).copied()
    }

    /// Whether a lot is another, or descends from it.
    pub(super) fn descends(&self, lot: &LotId, from: &LotId) -> bool {
        let mut open = vec![lot];
        let mut been = BTreeSet::new();
        while let Some(lot) = open.pop() {
            if lot == from {
                return true;
            }
            if been.insert(lot) {
                open.extend(self.inputs.get(lot).into_iter().flatten());
            }
        }
        false
    }

    /// What was last decided of a lot, or of units of it, when something happened.
    fn state(&self, lot: &LotId, units: &[String], then: &Seen) -> Option<(&'a Seen, Disposition)> {
        let decided = self.dispositions.get(lot).into_iter().flatten();
        let concerns = |disposition: &pb::LotDisposition| {
            let named = &disposition.serials;
            // Where it is not known which unit was used, a doubt about one of them is a doubt about it.
            let doubt = units.is_empty() && !lets_go(disposition.disposition());
            named.is_empty() || doubt || units.iter().any(|unit| named.contains(unit))
        };
        let mut by_then =
            decided.filter(|(fact, disposition)| concerns(disposition) && had_happened(fact, then));
        by_then
            .next_back()
            .map(|(fact, disposition)| (*fact, disposition.disposition()))
    }

    /// Whether a lot had been let go by then, whatever became of it later.
    pub(super) fn is_released(&self, lot: &LotId, then: &Seen) -> bool {
        let decided = self.dispositions.get(lot).into_iter().flatten();
        decided.into_iter().any(|(fact, disposition)| {
            lets_go(disposition.disposition()) && had_happened(fact, then)
        })
    }

    /// All that makes a lot unfit for use at a moment: one cause does not hide another.
    fn unfit(
        &self,
        lot: &LotId,
        units: &[String],
        then: &Seen,
        catalogue: &'a Catalogue,
    ) -> Vec<Unfit<'a>> {
        let state = self.state(lot, units, then);
        let decided = state.and_then(|(by, state)| match state {
            Disposition::Quarantined => Some(Unfit::Quarantined(by)),
            Disposition::Recalled => Some(Unfit::Recalled(by)),
            Disposition::Expired => Some(Unfit::Expired(by)),
            Disposition::Rejected | Disposition::Returned | Disposition::Destroyed => {
                Some(Unfit::Rejected(by))
            }
            Disposition::Released | Disposition::ReleasedOos | Disposition::Unspecified => None,
        });
        let registered = self.registered(lot);
        let expired = registered.filter(|(_, registration)| has_expired(registration, then));
        let released = state.filter(|(_, state)| lets_go(*state));
        let recalled = self.recalled(lot, then, released.map(|(by, _)| by), catalogue);
        let told = [
            expired.map(|(by, _)| Unfit::Expired(by)),
            recalled.map(Unfit::Recalled),
        ];
        let mut unfit: Vec<Unfit<'a>> = told.into_iter().flatten().collect();
        let is_told = |one: &Unfit<'_>, unfit: &[Unfit<'_>]| {
            unfit
                .iter()
                .any(|other| other.when_given().code == one.when_given().code)
        };
        unfit.extend(decided.filter(|one| !is_told(one, &unfit)));
        unfit
    }

    /// The recall of the lot, or of one that it was made from, that had been opened by then; none if the lot
    /// was released after it.
    fn recalled(
        &self,
        lot: &LotId,
        then: &Seen,
        released: Option<&Seen>,
        catalogue: &'a Catalogue,
    ) -> Option<&'a Seen> {
        let mut opened = recalls(catalogue).filter(|(fact, recall)| {
            let mut roots = recall.roots.iter().map(LotId::from);
            had_happened(fact, then) && roots.any(|root| self.descends(lot, &root))
        });
        let (recall, _) = opened.next_back()?;
        let cleared = released.is_some_and(|released| recall.on < released.on);
        (!cleared).then_some(recall)
    }
}

/// Why a lot could not be used, and what says so.
enum Unfit<'a> {
    Expired(&'a Seen),
    Quarantined(&'a Seen),
    Recalled(&'a Seen),
    Rejected(&'a Seen),
}

impl<'a> Unfit<'a> {
    const fn when_given(&self) -> FlagRule {
        match self {
            Self::Expired(_) => codes::EXPIRED_LOT,
            Self::Quarantined(_) => codes::QUARANTINED_LOT,
            Self::Recalled(_) => codes::RECALLED_LOT,
            Self::Rejected(_) => codes::REJECTED_LOT,
        }
    }

    const fn said(&self) -> &'a Seen {
        match self {
            Self::Expired(by) | Self::Quarantined(by) | Self::Recalled(by) | Self::Rejected(by) => {
                by
            }
        }
    }
}

const fn lets_go(disposition: Disposition) -> bool {
    matches!(
        disposition,
        Disposition::Released | Disposition::ReleasedOos
    )
}

/// Whether the last good day or moment of a lot was over when something happened.
fn has_expired(lot: &pb::LotRegistered, then: &Seen) -> bool {
    match EventTime::parse(&lot.expiry) {
        Ok(EventTime::Date(date)) => date.last_day() < then.on,
        Ok(instant) => {
            let expiry = Span::of(instant, None);
            let happened = crate::record::event_span(&then.record);
            happened.is_some_and(|happened| expiry.is_before(happened))
        }
        Err(_) => false,
    }
}

/// The lot of a key that could be read.
pub(super) fn lot_id(key: Option<&pb::LotKey>) -> Option<LotId> {
    let key = key?;
    (!key.gtin.is_empty() && !key.lot.is_empty()).then(|| LotId::from(key))
}

/// What the administrations to a patient raise, given everything around them.
pub(super) fn given(
    patient: &Patient,
    around: &[Seen],
    catalogue: &Catalogue,
    by: By<'_>,
) -> Vec<Deviation> {
    let lots = Lots::of(around);
    let mut raised = Vec::new();
    let mut before: BTreeMap<&str, &Seen> = BTreeMap::new();
    for (fact, administration) in patient.given() {
        if by.is(fact) {
            raised.extend(lot_given(fact, administration, &lots, catalogue));
            raised.extend(beyond_the_plan(fact, administration, catalogue));
            let named = &administration.product_id;
            if !named.is_empty() && catalogue.product(named).is_none() {
                let field = "administration.product_id";
                raised.push(Deviation::new(codes::UNKNOWN_PRODUCT, fact, field));
            }
        }
        let Some(product) = catalogue.product_given(administration) else {
            continue;
        };
        let product = &product.product;
        if let Some(first) = before.get(product.product_id.as_str()) {
            if product.single_dose == Some(true) {
                let field = "administration.dose_number";
                let second = Deviation::new(codes::SECOND_DOSE, fact, field);
                raised.push(second.shown_by(first));
            }
        } else {
            before.insert(&product.product_id, fact);
        }
    }
    raised
}

fn lot_given(
    fact: &Seen,
    administration: &pb::Administration,
    lots: &Lots<'_>,
    catalogue: &Catalogue,
) -> Vec<Deviation> {
    let Some(lot) = lot_id(administration.lot.as_ref()) else {
        return Vec::new();
    };
    let raise = |rule| Deviation::new(rule, fact, "administration.lot").of_lot(&lot);
    let Some((by, registered)) = lots.registered(&lot) else {
        return vec![raise(codes::UNKNOWN_LOT)];
    };
    let units = &administration.serials;
    let unfit = lots.unfit(&lot, units, fact, catalogue).into_iter();
    let mut raised: Vec<Deviation> = unfit
        .map(|one| raise(one.when_given()).shown_by(one.said()))
        .collect();
    // Where a chain and a verification are named, those tell whose it is.
    let traced = !administration.coi.is_empty() && !administration.coi_verification.is_empty();
    if let Some(product) = product_then(fact, administration, catalogue)
        && !traced
        && unbound(registered, product).is_some()
    {
        let unbound = raise(codes::AUTOLOGOUS_LOT_UNBOUND);
        raised.push(unbound.shown_by(by).shown_by(&product.said));
    }
    if !lots.is_released(&lot, fact) {
        raised.push(raise(codes::LOT_NOT_RELEASED));
    }
    // A registration that lists its units lists all of them.
    for (item, unit) in units.iter().enumerate() {
        if !registered.serials.is_empty() && !registered.serials.contains(unit) {
            let field = format!("administration.serials[{item}]");
            let unknown = Deviation::new(codes::UNKNOWN_UNIT, fact, field);
            raised.push(unknown.of_lot(&lot).shown_by(by));
        }
    }
    if let Some((by, Disposition::ReleasedOos)) = lots.state(&lot, units, fact)
        && administration.out_of_specification.is_none()
    {
        raised.push(raise(codes::LOT_OOS_UNJUSTIFIED).shown_by(by));
    }
    raised
}

/// What differs from what was planned by more than a plan allows.
fn beyond_the_plan(
    fact: &Seen,
    administration: &pb::Administration,
    catalogue: &Catalogue,
) -> Vec<Deviation> {
    let mut raised = Vec::new();
    let percent = least(catalogue, fact, |plan| {
        let percent = plan.dose_difference_max_percent.clone();
        Some((Decimal::parse(&percent).ok()?, percent))
    });
    if percent.and_then(|(_, percent)| differs(administration, &percent)) == Some(true) {
        let field = "administration.dose_actual";
        raised.push(Deviation::new(codes::DOSE_DIFFERS, fact, field));
    }
    let most = least(catalogue, fact, |plan| plan.minutes_out_max);
    let out = administration.minutes_out;
    if most.zip(out).is_some_and(|(most, out)| most < out) {
        let field = "administration.minutes_out";
        raised.push(Deviation::new(codes::OUT_OF_STORAGE_TOO_LONG, fact, field));
    }
    raised
}

/// Whether the dose differs from the planned one by more than so many per cent of it; nothing, if that
/// cannot be told.
fn differs(administration: &pb::Administration, most_percent: &str) -> Option<bool> {
    let planned = administration.dose_planned.as_ref()?;
    let actual = administration.dose_actual.as_ref()?;
    if planned.unit != actual.unit {
        return None;
    }
    is_off_by_more(&planned.value, &actual.value, most_percent)
}

/// Whether a number differs from another by more than so many per cent of it, exactly; nothing, if the
/// numbers have too many digits for that.
pub(super) fn is_off_by_more(from: &str, number: &str, percent: &str) -> Option<bool> {
    let (from, from_places) = digits(from)?;
    let (number, number_places) = digits(number)?;
    let (percent, percent_places) = digits(percent)?;
    let places = from_places.max(number_places);
    let from = shifted(from, places.checked_sub(from_places)?)?;
    let number = shifted(number, places.checked_sub(number_places)?)?;
    let difference = number.checked_sub(from)?.checked_abs()?;
    let hundredfold = shifted(difference.checked_mul(100)?, percent_places)?;
    Some(from.checked_mul(percent)? < hundredfold)
}

/// The digits of a decimal number without its point, and how many of them are behind it.
fn digits(text: &str) -> Option<(i128, u32)> {
    Decimal::parse(text).ok()?;
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{behind}").parse().ok()?;
    Some((digits, u32::try_from(behind.len()).ok()?))
}

fn shifted(number: i128, places: u32) -> Option<i128> {
    number.checked_mul(10_i128.checked_pow(places)?)
}

/// What the records about a lot itself raise.
pub(super) fn of(
    history: &LotHistory,
    catalogue: &Catalogue,
    question: &Question,
) -> Vec<Deviation> {
    let facts = history.seen(question);
    let lots = Lots::of(&facts);
    let lot = &history.lot;
    let mut raised = Vec::new();
    for fact in &facts {
        match fact.kind() {
            Some(Kind::LotRegistered(registered)) if is(registered, lot) => {
                raised.extend(registration(fact, registered, catalogue));
            }
            Some(Kind::LotDisposition(disposition))
                if lot_id(disposition.lot.as_ref()).as_ref() == Some(lot) =>
            {
                raised.extend(disposed(fact, lot, &facts, &lots));
            }
            Some(Kind::Transformation(step)) if makes(step, lot) => {
                raised.extend(made(fact, step, lot, &lots, catalogue));
            }
            _ => {}
        }
    }
    raised.extend(units_given_twice(lot, &facts));
    raised
}

fn is(registered: &pb::LotRegistered, lot: &LotId) -> bool {
    registered.gtin == lot.gtin && registered.lot == lot.lot
}

fn makes(step: &pb::Transformation, lot: &LotId) -> bool {
    let mut outputs = step.outputs.iter().filter_map(material);
    outputs.any(|output| output == Material::Lot(lot.clone()))
}

fn registration(fact: &Seen, lot: &pb::LotRegistered, catalogue: &Catalogue) -> Vec<Deviation> {
    let id = LotId::from(lot);
    let named = catalogue.product(&lot.product_id);
    let Some(product) = named.or_else(|| catalogue.product_of_gtin(&lot.gtin)) else {
        let unknown = Deviation::new(codes::UNKNOWN_PRODUCT, fact, "lot_registered.gtin");
        return vec![unknown.of_lot(&id)];
    };
    let product = as_of(product, fact, catalogue);
    let mut raised = Vec::new();
    if let Some(field) = unbound(lot, product) {
        let unbound = Deviation::new(codes::AUTOLOGOUS_LOT_UNBOUND, fact, field);
        raised.push(unbound.of_lot(&id).shown_by(&product.said));
    }
    let marketed = product.product.phase() == pb::ProductPhase::PostMarketing;
    let mut authorities = product.product.authorisations.iter();
    let in_china = authorities.any(|authorisation| authorisation.authority == "NMPA");
    let for_patients = lot.role() == LotRole::DrugProduct;
    if marketed && in_china && for_patients && lot.nmpa_trace_codes.is_empty() {
        let field = "lot_registered.nmpa_trace_codes";
        let missing = Deviation::new(codes::TRACE_CODES_MISSING, fact, field);
        raised.push(missing.of_lot(&id).shown_by(&product.said));
    }
    raised
}

/// Where a lot of an autologous product lacks what says whose it is. One that says so by its own donor is refused; but
/// the product may be registered later, or otherwise.
fn unbound(lot: &pb::LotRegistered, product: &Product) -> Option<&'static str> {
    if lot.role() != LotRole::DrugProduct || product.product.autologous != Some(true) {
        return None;
    }
    let fields = [
        (&lot.coi, "lot_registered.coi"),
        (&lot.intended_patient, "lot_registered.intended_patient"),
    ];
    let missing = fields.into_iter().find(|(field, _)| field.is_empty());
    missing.map(|(_, field)| field)
}

/// Trace codes name one unit: the registrations that give one to another lot than the first did. The first word of that
/// is refused where it is recorded; a correction may come to it still.
pub(super) fn of_two_lots(code: &str, facts: &[Seen]) -> Vec<Deviation> {
    let of_code = |fact: &Seen| {
        let Some(Kind::LotRegistered(lot)) = fact.kind() else {
            return None;
        };
        let item = lot.nmpa_trace_codes.iter().position(|one| one == code)?;
        Some((LotId::from(lot), item))
    };
    let mut of_code = facts.iter().filter_map(|fact| Some((fact, of_code(fact)?)));
    let Some((first, (lot, _))) = of_code.next() else {
        return Vec::new();
    };
    let others = of_code.filter(|(_, (other, _))| *other != lot);
    others
        .map(|(fact, (other, item))| {
            let field = format!("lot_registered.nmpa_trace_codes[{item}]");
            let twice = Deviation::new(codes::TRACE_CODE_TWICE, fact, field);
            twice.of_lot(&other).shown_by(first)
        })
        .collect()
}

/// A product as it was when something happened: a lot for a trial does not become one for the market.
fn as_of<'a>(product: &'a Product, then: &Seen, catalogue: &'a Catalogue) -> &'a Product {
    let versions = catalogue.products.get(&product.product.product_id);
    let versions = versions.map_or(&[][..], Vec::as_slice);
    let by_then = versions.iter().rfind(|one| one.said.on <= then.on);
    by_then.or(versions.first()).unwrap_or(product)
}

/// The product of an administration as it was then.
pub(super) fn product_then<'a>(
    fact: &Seen,
    administration: &pb::Administration,
    catalogue: &'a Catalogue,
) -> Option<&'a Product> {
    let product = catalogue.product_given(administration)?;
    Some(as_of(product, fact, catalogue))
}

/// What was decided of a lot that is not known, or that had been given by then.
fn disposed(fact: &Seen, lot: &LotId, facts: &[Seen], lots: &Lots<'_>) -> Vec<Deviation> {
    let mut raised = Vec::new();
    if lots.registered(lot).is_none() {
        let unknown = Deviation::new(codes::UNKNOWN_LOT, fact, "lot_disposition.lot");
        raised.push(unknown.of_lot(lot));
    }
    let given = facts.iter().find(|one| {
        let is_of_lot =
            administered(one).is_some_and(|given| lot_id(given.lot.as_ref()).as_ref() == Some(lot));
        is_of_lot && one.on < fact.on
    });
    if let Some(given) = given {
        let field = "lot_disposition.disposition";
        let late = Deviation::new(codes::DISPOSITION_AFTER_ADMINISTRATION, fact, field);
        let details = Details {
            administered: Some(given.on),
            event: Some(fact.on),
            ..Details::default()
        };
        raised.push(late.of_lot(lot).with(details).shown_by(given));
    }
    raised
}

/// Whether a fact may raise something of its lot: an administration to a patient does by its units alone.
pub(super) fn is_of_lot(fact: &Seen) -> bool {
    match fact.kind() {
        Some(Kind::Administration(administration)) => {
            !administration.serials.is_empty() || fact.record.patient.is_empty()
        }
        _ => true,
    }
}

/// The administration that a fact tells of, if the patient received something.
pub(super) fn administered(fact: &Seen) -> Option<&pb::Administration> {
    match fact.kind() {
        Some(Kind::Administration(administration))
            if administration.status() != AdministrationStatus::NotDone =>
        {
            Some(administration)
        }
        _ => None,
    }
}

/// What a step of manufacture raises that made a lot.
fn made(
    fact: &Seen,
    step: &pb::Transformation,
    lot: &LotId,
    lots: &Lots<'_>,
    catalogue: &Catalogue,
) -> Vec<Deviation> {
    let registered = lots.registered(lot).map(|(_, lot)| lot.coi.as_str());
    let of_output = [step.coi.as_str(), registered.unwrap_or_default()]
        .into_iter()
        .find(|coi| !coi.is_empty());
    let mut raised = Vec::new();
    for (item, input) in step.inputs.iter().enumerate() {
        let Some(input) = material(input) else {
            continue;
        };
        let raise = |rule| {
            let field = format!("transformation.inputs[{item}]");
            let deviation = Deviation::new(rule, fact, field);
            match &input {
                Material::Lot(lot) => deviation.of_lot(lot),
                Material::Donation(_) => deviation,
            }
        };
        let known = match &input {
            Material::Lot(lot) => lots.registered(lot).map(|(by, lot)| (by, &lot.coi)),
            Material::Donation(din) => lots.collected(din).map(|(by, from)| (by, &from.coi)),
        };
        let Some((by, coi)) = known else {
            raised.push(raise(codes::UNKNOWN_INPUT));
            continue;
        };
        if !coi.is_empty() && of_output.is_some_and(|output| output != coi) {
            let differs = raise(codes::COI_OF_INPUT_DIFFERS).of_coi(coi);
            raised.push(differs.shown_by(by));
        }
        if let Material::Lot(input) = &input
            && let Some(unfit) = lots.unfit(input, &[], fact, catalogue).first()
        {
            raised.push(raise(codes::INPUT_NOT_USABLE).shown_by(unfit.said()));
        }
    }
    raised
}

/// Units of a lot that were given more than once. Of a lot that is one patient's and is not divided into
/// units, the patient's other administrations tell.
fn units_given_twice(lot: &LotId, facts: &[Seen]) -> Vec<Deviation> {
    let mut first: BTreeMap<&str, &Seen> = BTreeMap::new();
    let mut raised = Vec::new();
    for fact in facts {
        let Some(administration) = administered(fact) else {
            continue;
        };
        if lot_id(administration.lot.as_ref()).as_ref() != Some(lot) {
            continue;
        }
        for (item, unit) in administration.serials.iter().enumerate() {
            if let Some(before) = first.get(unit.as_str()) {
                let field = format!("administration.serials[{item}]");
                let twice = Deviation::new(codes::UNIT_GIVEN_TWICE, fact, field);
                raised.push(twice.of_lot(lot).shown_by(before));
            } else {
                first.insert(unit, fact);
            }
        }
    }
    raised
}

/// Whether a lot is made for one patient alone.
pub(super) fn is_one_patients(lot: &pb::LotRegistered) -> bool {
    lot.donor_relation() == DonorRelation::Autologous || !lot.intended_patient.is_empty()
}
