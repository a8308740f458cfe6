//! Where a lot goes: what was sent and did not arrive, arrived and was not sent, is not what was sent, or
//! was not kept as it must be; and who should have signed for it.

use super::{
    Details, Deviation,
    envelope::least,
    had_happened,
    lots::{LotHistory, Lots},
};
use crate::{
    pb::{self, LotRole, record::Kind},
    record::format::Decimal,
    rules::{
        catalogue::Catalogue,
        fact::{LotId, Material, material},
        flags::codes,
        question::{Question, Seen},
    },
};

/// What the journeys of a lot raise.
pub(super) fn of(
    history: &LotHistory,
    catalogue: &Catalogue,
    question: &Question,
) -> Vec<Deviation> {
    let facts = history.seen(question);
    let journey = Journey {
        lot: &history.lot,
        lots: Lots::of(&facts),
        facts: &facts,
        catalogue,
        question,
    };
    facts.iter().flat_map(|fact| journey.of(fact)).collect()
}

struct Journey<'a> {
    lot: &'a LotId,
    lots: Lots<'a>,
    facts: &'a [Seen],
    catalogue: &'a Catalogue,
    question: &'a Question,
}

impl Journey<'_> {
    fn of(&self, fact: &Seen) -> Vec<Deviation> {
        let mut raised = Vec::new();
        match fact.kind() {
            Some(Kind::Shipment(shipment)) if self.carries(&shipment.items) => {
                raised.extend(self.unknown(fact, "shipment.items"));
                raised.extend(self.sent_unreleased(fact));
                raised.extend(self.not_received(fact, shipment));
                raised.extend(self.logged(fact, shipment.logger.as_ref(), "shipment.logger"));
            }
            Some(Kind::ShipmentReceived(received)) if self.carries(&received.items) => {
                raised.extend(self.unknown(fact, "shipment_received.items"));
                raised.extend(self.not_sent(fact, received));
                let field = "shipment_received.logger";
                raised.extend(self.logged(fact, received.logger.as_ref(), field));
                if received.logger.is_none() && self.is_frozen() {
                    raised.push(self.raise(codes::LOGGER_MISSING, fact, field));
                }
            }
            Some(Kind::CustodyTransfer(transfer)) if self.carries(&transfer.items) => {
                raised.extend(self.unknown(fact, "custody_transfer.items"));
                raised.extend(self.one_sided(fact));
            }
            Some(Kind::StorageMoved(moved)) if self.carries(&moved.items) => {
                raised.extend(self.unknown(fact, "storage_moved.items"));
            }
            Some(Kind::Excursion(excursion)) if self.carries(&excursion.items) => {
                raised.extend(self.unknown(fact, "excursion.items"));
            }
            Some(Kind::ProductReturned(returned)) if self.carries(&returned.items) => {
                raised.extend(self.unknown(fact, "product_returned.items"));
            }
            Some(Kind::ProductDestroyed(destroyed)) if self.carries(&destroyed.items) => {
                raised.extend(self.unknown(fact, "product_destroyed.items"));
            }
            _ => {}
        }
        raised
    }

    fn raise(
        &self,
        rule: crate::rules::flags::FlagRule,
        fact: &Seen,
        field: &'static str,
    ) -> Deviation {
        Deviation::new(rule, fact, field).of_lot(self.lot)
    }

    fn carries(&self, items: &[pb::Item]) -> bool {
        self.item(items).is_some()
    }

    fn item<'i>(&self, items: &'i [pb::Item]) -> Option<&'i pb::Item> {
        let this = Material::Lot(self.lot.clone());
        items
            .iter()
            .find(|item| material(item).as_ref() == Some(&this))
    }

    fn unknown(&self, fact: &Seen, field: &'static str) -> Option<Deviation> {
        let unknown = self.lots.registered(self.lot).is_none();
        unknown.then(|| self.raise(codes::UNKNOWN_LOT, fact, field))
    }

    /// A product that leaves before anybody has released it.
    fn sent_unreleased(&self, fact: &Seen) -> Option<Deviation> {
        let (_, lot) = self.lots.registered(self.lot)?;
        let unreleased =
            lot.role() == LotRole::DrugProduct && !self.lots.is_released(self.lot, fact);
        unreleased.then(|| self.raise(codes::LOT_NOT_RELEASED, fact, "shipment.items"))
    }

    /// Goods are on their way for as long as nobody says that they arrived; on the day itself that is no
    /// news.
    fn not_received(&self, fact: &Seen, shipment: &pb::Shipment) -> Option<Deviation> {
        let arrived = self.facts.iter().any(|one| match one.kind() {
            Some(Kind::ShipmentReceived(received)) => {
                self.is_receipt_of(one, received, fact, shipment)
            }
            _ => false,
        });
        let open = fact.on < self.question.as_of && !arrived;
        open.then(|| self.raise(codes::SHIPMENT_WITHOUT_RECEIPT, fact, "shipment.items"))
    }

    /// Goods that nobody has sent, or that differ from what was sent.
    fn not_sent(&self, fact: &Seen, received: &pb::ShipmentReceived) -> Vec<Deviation> {
        let field = "shipment_received.items";
        let mut sent = self.facts.iter().filter_map(|one| match one.kind() {
            Some(Kind::Shipment(shipment)) if self.is_receipt_of(fact, received, one, shipment) => {
                Some((one, shipment))
            }
            _ => None,
        });
        // Of a consignment that several records tell of, the one that this lot was sent by.
        let last = sent.clone().next_back();
        let of_lot = sent.rfind(|(_, shipment)| self.carries(&shipment.items));
        let Some((by, shipment)) = of_lot.or(last) else {
            return vec![self.raise(codes::RECEIPT_WITHOUT_SHIPMENT, fact, field)];
        };
        let differ = match (self.item(&shipment.items), self.item(&received.items)) {
            (Some(sent), Some(arrived)) => {
                sent.serials.len() != arrived.serials.len() && !arrived.serials.is_empty()
                    || amounts_differ(sent.quantity.as_ref(), arrived.quantity.as_ref())
            }
            _ => true,
        };
        let mismatch = differ.then(|| {
            self.raise(codes::QUANTITY_MISMATCH, fact, field)
                .shown_by(by)
        });
        mismatch.into_iter().collect()
    }

    /// Whether a receipt is that of a shipment: of the same consignment or, where one of them has no number,
    /// of the same lot at the same place, not before it left.
    fn is_receipt_of(
        &self,
        arrived: &Seen,
        received: &pb::ShipmentReceived,
        left: &Seen,
        shipment: &pb::Shipment,
    ) -> bool {
        if !had_happened(left, arrived) {
            return false;
        }
        if !received.sscc.is_empty() && !shipment.sscc.is_empty() {
            return received.sscc == shipment.sscc;
        }
        received.to_gln == shipment.to_gln
            && self.carries(&shipment.items)
            && self.carries(&received.items)
    }

    /// What the logger says that it does not call out of range by itself.
    fn logged(
        &self,
        fact: &Seen,
        logger: Option<&pb::Logger>,
        field: &'static str,
    ) -> Option<Deviation> {
        let logger = logger?;
        let (by, lot) = self.lots.registered(self.lot)?;
        let range = lot.storage_range.as_ref()?;
        let cold = is_below(logger.min.as_ref(), range.min.as_ref());
        let warm = is_below(range.max.as_ref(), logger.max.as_ref());
        (cold || warm).then(|| {
            self.raise(codes::TEMPERATURE_OUT_OF_RANGE, fact, field)
                .shown_by(by)
        })
    }

    fn is_frozen(&self) -> bool {
        let Some((_, lot)) = self.lots.registered(self.lot) else {
            return false;
        };
        let warmest = lot
            .storage_range
            .as_ref()
            .and_then(|range| range.max.as_ref());
        warmest
            .and_then(|warmest| Decimal::parse(&warmest.value).ok())
            .is_some_and(Decimal::is_negative)
    }

    /// A hand-over that the other side has not signed, though the hours that a plan gives it are over; until it does,
    /// however late.
    fn one_sided(&self, fact: &Seen) -> Option<Deviation> {
        let hours = least(self.catalogue, fact, |plan| plan.countersignature_hours)?;
        let signed = self.facts.iter().any(|one| match one.kind() {
            Some(Kind::Countersigned(signed)) => {
                let is_other = one.record.actor_person != fact.record.actor_person;
                signed.target == fact.record.record_id && is_other
            }
            _ => false,
        });
        let deadline = super::envelope::day_after_hours(fact, hours)?;
        let late = !signed && deadline < self.question.as_of;
        let details = Details {
            deadline: Some(deadline),
            ..Details::default()
        };
        late.then(|| {
            self.raise(codes::COUNTERSIGNATURE_MISSING, fact, "custody_transfer")
                .with(details)
        })
    }
}

/// Whether two amounts of one unit are not the same; where one is not said, nothing is known.
fn amounts_differ(one: Option<&pb::Quantity>, other: Option<&pb::Quantity>) -> bool {
    one.zip(other).is_some_and(|(one, other)| {
        let number = |quantity: &pb::Quantity| Decimal::parse(&quantity.value).ok();
        one.unit == other.unit && number(one) != number(other)
    })
}

fn is_below(one: Option<&pb::Quantity>, other: Option<&pb::Quantity>) -> bool {
    let number = |quantity: Option<&pb::Quantity>| Decimal::parse(&quantity?.value).ok();
    number(one)
        .zip(number(other))
        .is_some_and(|(one, other)| one < other)
}
