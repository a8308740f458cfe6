//! What the kinds share: identifiers as captured, lots, donations, temperatures, cohorts.

use super::Across;
use crate::{
    pb,
    record::{
        check::Checker,
        format::{self, Decimal},
    },
};

impl Across for pb::Identifier {
    fn across(&self, c: &mut Checker<'_>) {
        if self.quality() == pb::IdentifierQuality::Unreadable {
            c.note_unverified();
            as_read(&self.as_read, c);
            if !self.value.is_empty() {
                // What could be made of it need not be right, but must not be a person's own number.
                c.format("value", format::check_token(&self.value, 64));
            }
            return;
        }
        if self.value.is_empty() {
            c.demand(
                false,
                "value",
                "REQUIRED",
                "give the identifier, or say that it was UNREADABLE",
            );
            return;
        }
        let text = self.value.as_str();
        let outcome = match self.system() {
            // Refused as missing; the value must still not be a person's own number.
            pb::IdentifierSystem::Unspecified | pb::IdentifierSystem::Sample => {
                format::check_token(text, 64)
            }
            pb::IdentifierSystem::Gtin => format::check_gtin(text),
            pb::IdentifierSystem::Gln => format::check_gln(text),
            pb::IdentifierSystem::Sscc => format::check_sscc(text),
            pb::IdentifierSystem::Gsrn => format::check_gsrn(text),
            pb::IdentifierSystem::Lot => format::check_lot(text),
            pb::IdentifierSystem::Serial => format::check_serial(text),
            pb::IdentifierSystem::Din => format::check_din_with_check(text),
            pb::IdentifierSystem::Coi => format::check_coi(text),
            pb::IdentifierSystem::Sec => format::check_sec(text),
            pb::IdentifierSystem::Pseudonym => format::check_pseudonym(text),
            pb::IdentifierSystem::EuTissueEstablishment => format::check_eu_te_code(text),
            pb::IdentifierSystem::IsbtFacility => format::check_fin(text),
            pb::IdentifierSystem::CnSocialCredit => format::check_uscc(text),
        };
        c.format("value", outcome);
    }
}

impl Across for pb::LotKey {
    fn across(&self, c: &mut Checker<'_>) {
        if self.quality() == pb::IdentifierQuality::Unreadable {
            c.note_unverified();
            as_read(&self.as_read, c);
            return;
        }
        let remedy = "give what the label says, or say that it was UNREADABLE";
        c.demand(!self.gtin.is_empty(), "gtin", "REQUIRED", remedy);
        c.demand(!self.lot.is_empty(), "lot", "REQUIRED", remedy);
    }
}

impl Across for pb::Din {
    fn across(&self, c: &mut Checker<'_>) {
        c.format("number", format::check_din(&self.number, &self.check));
    }
}

impl Across for pb::TemperatureRange {
    fn across(&self, c: &mut Checker<'_>) {
        min_not_above_max(self.min.as_ref(), self.max.as_ref(), c);
    }
}

impl Across for pb::CohortScope {
    fn across(&self, c: &mut Checker<'_>) {
        let says_something = self.all_treated
            || !self.product_ids.is_empty()
            || !self.product_classes.is_empty()
            || !self.descendants_of.is_empty()
            || !self.sites.is_empty()
            || !self.enrolled_before.is_empty()
            || !self.plan_versions.is_empty()
            || !self.patients.is_empty();
        c.demand(
            says_something,
            "all_treated",
            "SCOPE_EMPTY",
            "say whom it concerns: all who were treated, or a product, class, lot, site, day, plan or patients",
        );
    }
}

/// Refuses a range whose ends are the wrong way round. Both are in one unit, or have been refused.
pub(super) fn min_not_above_max(
    min: Option<&pb::Quantity>,
    max: Option<&pb::Quantity>,
    c: &mut Checker<'_>,
) {
    let number = |quantity: &pb::Quantity| Decimal::parse(&quantity.value).ok();
    let ends = min.and_then(number).zip(max.and_then(number));
    c.demand(
        ends.is_none_or(|(min, max)| min <= max),
        "min",
        "MIN_ABOVE_MAX",
        "the lowest is above the highest: exchange them, or look them up again",
    );
}

/// Refuses a period that ends before it begins.
pub(super) fn period(name_to: &'static str, from: &str, to: &str, c: &mut Checker<'_>) {
    c.not_before(
        name_to,
        to,
        from,
        "END_BEFORE_START",
        "it ends before it begins: look both days up again",
    );
}

fn as_read(text: &str, c: &mut Checker<'_>) {
    c.demand(
        !text.trim().is_empty(),
        "as_read",
        "AS_READ_REQUIRED",
        "say what could be read of it, at least that nothing could",
    );
}
