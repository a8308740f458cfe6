//! How much of a lot is where, and what became of the rest (R-L3). Computed from the records, in exact decimals,
//! in the unit in which the lot was registered.
//!
//! A lot begins at its maker. What leaves the maker was shipped; what is used or received where none was known to
//! be was shipped as well, though nobody said so. What changes hands without a shipment stays where it is.
//! An amount in another unit than the lot's cannot be counted, and is said to be so, unless the lot is one
//! unit: that is given whole.

use std::collections::BTreeMap;

use super::lot::Lot;
use crate::{
    pb::{self, AdministrationStatus, Disposition, record::Kind},
    record::format::Decimal,
    rules::{
        fact::{LotId, Material, material},
        question::{Seen, put_in_order},
    },
};

/// Where a lot is, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// The unit of all amounts; empty if the lot is not registered.
    pub unit: String,
    /// How much is at each place, by GLN; more than nothing.
    pub held: BTreeMap<String, Decimal>,
    /// How much was given back to each place, and is there still.
    pub returned_to: BTreeMap<String, Decimal>,
    /// Where in its store it is, by GLN of the site.
    pub positions: BTreeMap<String, pb::StoragePosition>,
    /// The place of which was heard last.
    pub last_place: String,
    /// What became of what was shipped, all places together.
    pub account: Account,
    /// The same for each place but the maker's.
    pub accounts: BTreeMap<String, Account>,
    /// How many records have an amount that cannot be counted in the lot's unit.
    pub uncounted: u32,
    /// Whether more was used, shipped or destroyed than there was.
    pub is_overdrawn: bool,
    /// Destroyed, whoever held it.
    destroyed: Decimal,
    maker: String,
    on_the_way: Vec<Consignment>,
}

/// What was shipped and what became of it: shipped = used + returned + destroyed + held + unaccounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Shipped; of a place, received there.
    pub shipped: Decimal,
    /// Given to patients, or made into something else.
    pub used: Decimal,
    /// Given back.
    pub returned: Decimal,
    /// Destroyed.
    pub destroyed: Decimal,
    /// Still there.
    pub held: Decimal,
}

impl Account {
    /// What is missing: nothing, if more is accounted for than was shipped. None if the numbers are too large.
    pub fn unaccounted(&self) -> Option<Decimal> {
        let Self {
            shipped,
            used,
            returned,
            destroyed,
            held,
        } = *self;
        let missing = [used, returned, destroyed, held]
            .into_iter()
            .try_fold(shipped, Decimal::checked_sub)?;
        Some(missing.max(Decimal::ZERO))
    }
}

impl Stock {
    /// What was shipped and has arrived nowhere.
    pub fn not_received(&self) -> Decimal {
        let open = self.on_the_way.iter().filter(|one| !one.is_return);
        open.fold(Decimal::ZERO, |sum, one| plus(sum, one.amount))
    }

    /// What became of all of it, if one thing did: destroyed, or given back.
    pub fn end(&self) -> Option<Disposition> {
        let Account { used, returned, .. } = self.account;
        let some_is_left = !self.held.is_empty() || self.not_received().is_positive();
        if some_is_left || used.is_positive() || self.uncounted != 0 {
            None
        } else if self.destroyed.is_positive() && self.returned_to.is_empty() {
            Some(Disposition::Destroyed)
        } else if returned.is_positive() {
            Some(Disposition::Returned)
        } else {
            None
        }
    }

    /// Each place with what is there; of a lot of which nothing is left, the last place. Goods that were given
    /// back are where they were sent.
    pub fn places(&self) -> BTreeMap<&str, Decimal> {
        let mut places = BTreeMap::new();
        for (place, amount) in self.held.iter().chain(&self.returned_to) {
            let there: &mut Decimal = places.entry(place.as_str()).or_default();
            *there = plus(*there, *amount);
        }
        if places.is_empty() && !self.last_place.is_empty() {
            places.insert(&self.last_place, Decimal::ZERO);
        }
        places
    }

    /// Whether what is at a place was given back to it.
    pub fn is_only_returned(&self, place: &str) -> bool {
        self.returned_to.contains_key(place) && !self.held.contains_key(place)
    }
}

/// Goods that left and have not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Consignment {
    sscc: String,
    to: String,
    amount: Decimal,
    is_return: bool,
}

/// How much a record moves.
#[derive(Debug, Clone, Copy)]
enum Amount {
    All,
    Exactly(Decimal),
    Uncounted,
}

/// Follows a lot from its maker.
pub(super) fn stock(lot: &Lot) -> Stock {
    let mut stock = Stock::default();
    let mut one = None;
    if let Some((_, registered)) = lot.registered() {
        stock.maker.clone_from(&registered.manufacturer);
        stock.last_place.clone_from(&registered.manufacturer);
        if let Some(made) = &registered.quantity {
            stock.unit.clone_from(&made.unit);
            let made = Decimal::parse(&made.value).unwrap_or_default();
            stock.held.insert(registered.manufacturer.clone(), made);
            one = Decimal::parse("1").ok().filter(|one| *one == made);
        }
    }
    let counting = Counting {
        lot: &lot.id,
        serials: lot.registered().map_or(0, |(_, lot)| lot.serials.len()),
        is_one: one.is_some(),
    };
    let mut moves: Vec<&Seen> = lot.moves.iter().chain(&lot.steps).collect();
    put_in_order(&mut moves);
    for fact in moves {
        stock.follow(fact, &counting);
    }
    // A decision that it is destroyed or given back means whatever no record has moved since.
    match lot.decided() {
        Some((_, Disposition::Destroyed)) => {
            // What went back is destroyed where it went.
            for (place, amount) in stock.returned_to.clone() {
                stock.destroyed_at(&place, amount);
            }
            stock.end_all(Stock::destroyed_at);
        }
        Some((_, Disposition::Returned)) => stock.end_all(Stock::returned_at),
        _ => {}
    }
    stock.close();
    stock
}

/// How amounts of a lot are counted.
struct Counting<'a> {
    lot: &'a LotId,
    /// How many units bear serial numbers.
    serials: usize,
    /// Whether the lot is one unit.
    is_one: bool,
}

impl Counting<'_> {
    /// The amounts of the lot among the items.
    fn of<'i>(&'i self, items: &'i [pb::Item], stock: &Stock) -> Vec<Amount> {
        let is_this = |item: &&pb::Item| matches!(material(item), Some(Material::Lot(lot)) if lot == *self.lot);
        let amount = |item: &pb::Item| self.amount(item.quantity.as_ref(), &item.serials, stock);
        items.iter().filter(is_this).map(amount).collect()
    }

    fn amount(&self, said: Option<&pb::Quantity>, serials: &[String], stock: &Stock) -> Amount {
        let exact = said.filter(|said| said.unit == stock.unit);
        if let Some(value) = exact.and_then(|said| Decimal::parse(&said.value).ok()) {
            return Amount::Exactly(value);
        }
        if self.is_one {
            return Amount::All;
        }
        match (serials.len(), said) {
            (0, None) => Amount::All,
            (count, _) if count != 0 && self.serials != 0 => {
                Decimal::parse(&count.to_string()).map_or(Amount::Uncounted, Amount::Exactly)
            }
            _ => Amount::Uncounted,
        }
    }
}

impl Stock {
    fn follow(&mut self, fact: &Seen, counting: &Counting<'_>) {
        let site = &fact.record.site;
        match fact.kind() {
            Some(Kind::Shipment(shipment)) => {
                let amounts = counting.of(&shipment.items, self);
                self.sent(
                    &shipment.from_gln,
                    &shipment.to_gln,
                    &shipment.sscc,
                    amounts,
                );
            }
            Some(Kind::ShipmentReceived(received)) => {
                let amounts = counting.of(&received.items, self);
                self.received(&received.to_gln, &received.sscc, amounts);
            }
            Some(Kind::ProductReturned(returned)) => {
                for amount in counting.of(&returned.items, self) {
                    let amount = self.counted(amount, &returned.from_gln);
                    self.returned_from(
                        &returned.from_gln,
                        &returned.to_gln,
                        &returned.sscc,
                        amount,
                    );
                }
            }
            Some(Kind::ProductDestroyed(destroyed)) => {
                for amount in counting.of(&destroyed.items, self) {
                    let amount = self.counted(amount, site);
                    self.destroyed_at(site, amount);
                }
            }
            Some(Kind::Administration(given))
                if given.status() != AdministrationStatus::NotDone =>
            {
                let amount = counting.amount(given.dose_actual.as_ref(), &given.serials, self);
                let amount = self.counted(amount, site);
                self.used_at(site, amount);
            }
            Some(Kind::Transformation(step)) => {
                for amount in counting.of(&step.inputs, self) {
                    let amount = self.counted(amount, site);
                    self.used_at(site, amount);
                }
            }
            Some(Kind::StorageMoved(moved)) => {
                if let Some(position) = &moved.to_position {
                    self.positions.insert(site.clone(), position.clone());
                }
            }
            _ => {}
        }
    }

    fn sent(&mut self, from: &str, to: &str, sscc: &str, amounts: Vec<Amount>) {
        for amount in amounts {
            let amount = self.counted(amount, from);
            self.take(from, amount);
            if from == self.maker {
                self.account.shipped = plus(self.account.shipped, amount);
            } else {
                let account = self.accounts.entry(from.to_owned()).or_default();
                // What a place sends on is no more than passed through it.
                account.shipped = minus(account.shipped, amount);
            }
            self.on_the_way.push(Consignment {
                sscc: sscc.to_owned(),
                to: to.to_owned(),
                amount,
                is_return: false,
            });
        }
        to.clone_into(&mut self.last_place);
    }

    /// What arrives is what was sent there under the same number; the rest of a receipt was sent too.
    fn received(&mut self, at: &str, sscc: &str, amounts: Vec<Amount>) {
        for amount in amounts {
            let is_this =
                |one: &&mut Consignment| one.to == at && (sscc.is_empty() || one.sscc == sscc);
            let expected: Vec<&mut Consignment> =
                self.on_the_way.iter_mut().filter(is_this).collect();
            if expected.iter().any(|one| one.is_return) {
                // It was counted where it left.
                for one in expected.into_iter().filter(|one| one.is_return) {
                    one.amount = Decimal::ZERO;
                }
                continue;
            }
            let was_expected = !expected.is_empty();
            let mut arrived = Decimal::ZERO;
            for one in expected {
                let now = match amount {
                    Amount::All | Amount::Uncounted => one.amount,
                    Amount::Exactly(amount) => one.amount.min(minus(amount, arrived)),
                };
                one.amount = minus(one.amount, now);
                arrived = plus(arrived, now);
            }
            self.arrive(at, arrived);
            let more = match amount {
                Amount::Exactly(amount) => minus(amount, arrived),
                Amount::All if !was_expected => self.at_maker(),
                Amount::All | Amount::Uncounted => Decimal::ZERO,
            };
            self.ship_unsaid(at, more);
        }
        at.clone_into(&mut self.last_place);
    }

    /// Everything that is at a place, or else that the maker still has.
    fn counted(&mut self, amount: Amount, place: &str) -> Decimal {
        match amount {
            Amount::Exactly(amount) => amount,
            Amount::Uncounted => {
                self.uncounted = self.uncounted.saturating_add(1);
                Decimal::ZERO
            }
            Amount::All => {
                let there = [self.held.get(place), self.returned_to.get(place)];
                let there = there
                    .into_iter()
                    .flatten()
                    .fold(Decimal::ZERO, |sum, at| plus(sum, *at));
                if there.is_positive() {
                    there
                } else {
                    self.at_maker()
                }
            }
        }
    }

    fn at_maker(&self) -> Decimal {
        self.held
            .get(&self.maker)
            .copied()
            .unwrap_or_default()
            .max(Decimal::ZERO)
    }

    /// Takes an amount from a place; what is not known to be there came from the maker, without a word.
    fn take(&mut self, place: &str, amount: Decimal) {
        let there = self.held.get(place).copied().unwrap_or_default();
        self.ship_unsaid(place, minus(amount, there));
        let there = self.held.entry(place.to_owned()).or_default();
        *there = minus(*there, amount);
    }

    fn arrive(&mut self, place: &str, amount: Decimal) {
        let there = self.held.entry(place.to_owned()).or_default();
        *there = plus(*there, amount);
        if place != self.maker {
            let account = self.accounts.entry(place.to_owned()).or_default();
            account.shipped = plus(account.shipped, amount);
        }
    }

    /// What turns up at a place of which no shipment told.
    fn ship_unsaid(&mut self, place: &str, amount: Decimal) {
        if place == self.maker || !amount.is_positive() {
            return;
        }
        let maker = self.maker.clone();
        let there = self.held.entry(maker).or_default();
        *there = minus(*there, amount);
        self.account.shipped = plus(self.account.shipped, amount);
        self.arrive(place, amount);
    }

    fn used_at(&mut self, place: &str, amount: Decimal) {
        self.take(place, amount);
        self.enter(place, amount, |account| &mut account.used);
        place.clone_into(&mut self.last_place);
    }

    fn destroyed_at(&mut self, place: &str, amount: Decimal) {
        self.destroyed = plus(self.destroyed, amount);
        // What was given back and is destroyed there was accounted for when it went back.
        let given_back = self.returned_to.remove(place).unwrap_or_default();
        let of_those = given_back.min(amount);
        let left = minus(given_back, of_those);
        if left.is_positive() {
            self.returned_to.insert(place.to_owned(), left);
        }
        let amount = minus(amount, of_those);
        self.take(place, amount);
        self.enter(place, amount, |account| &mut account.destroyed);
        place.clone_into(&mut self.last_place);
    }

    fn returned_from(&mut self, from: &str, to: &str, sscc: &str, amount: Decimal) {
        self.take(from, amount);
        self.enter(from, amount, |account| &mut account.returned);
        let there = self.returned_to.entry(to.to_owned()).or_default();
        *there = plus(*there, amount);
        self.on_the_way.push(Consignment {
            sscc: sscc.to_owned(),
            to: to.to_owned(),
            amount,
            is_return: true,
        });
        to.clone_into(&mut self.last_place);
    }

    fn returned_at(&mut self, from: &str, amount: Decimal) {
        let maker = self.maker.clone();
        if from != maker {
            self.returned_from(from, &maker, "", amount);
        }
    }

    /// Enters what became of an amount: in the account of the place and of all. What the maker never shipped
    /// is in no account.
    fn enter(&mut self, place: &str, amount: Decimal, line: impl Fn(&mut Account) -> &mut Decimal) {
        if place == self.maker {
            return;
        }
        let account = self.accounts.entry(place.to_owned()).or_default();
        for account in [&mut self.account, account] {
            let line = line(account);
            *line = plus(*line, amount);
        }
    }

    fn end_all(&mut self, end: fn(&mut Self, &str, Decimal)) {
        for (place, amount) in self.held.clone() {
            if amount.is_positive() {
                end(self, &place, amount);
            }
        }
    }

    /// Drops what is empty, and says what is held.
    fn close(&mut self) {
        self.is_overdrawn = self.held.values().any(|amount| amount.is_negative());
        self.held.retain(|_, amount| amount.is_positive());
        self.on_the_way.retain(|one| one.amount.is_positive());
        for (place, amount) in &self.held {
            if *place != self.maker {
                let account = self.accounts.entry(place.clone()).or_default();
                account.held = *amount;
                self.account.held = plus(self.account.held, *amount);
            }
        }
    }
}

/// The sum; amounts beyond 38 digits before the point are no amounts, and stay what they were.
fn plus(left: Decimal, right: Decimal) -> Decimal {
    left.checked_add(right).unwrap_or(left)
}

fn minus(left: Decimal, right: Decimal) -> Decimal {
    left.checked_sub(right).unwrap_or(left)
}
