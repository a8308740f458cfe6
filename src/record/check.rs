//! Checks a record against the rules of its fields and between them, and says everything that is wrong with
//! it at once. The walk over the fields is generated from the protos (`build/checks.rs`); here is what its
//! calls do. The rules between fields are in `across`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use prost::Message as _;

use super::{
    across::Across,
    format::{self, Decimal, FormatError},
    own,
    time::{self, Span},
};
use crate::pb;

/// Why a record is refused: which field, which rule, and what to do. It never repeats the value, which may
/// be personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field from the record down: `lot_registered.storage_range.min.value`.
    pub field: String,
    /// The rule that was broken, for machines: `GTIN_CHECK_DIGIT`.
    pub rule: &'static str,
    /// What to do, for people.
    pub remedy: String,
}

/// Bytes that are not a record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They do not decode.
    #[error("the bytes are not a genetrail.v1.Record")]
    Malformed(#[source] prost::DecodeError),
}

/// More violations of one record than these are not told: nobody reads them, and they have to travel.
pub const VIOLATIONS_MAX: usize = 100;

/// What one walk over a record finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Everything that is wrong with it, as far as the record itself shows it; nothing, and it may be
    /// recorded.
    pub violations: Vec<Violation>,
    /// The paths of the identifiers and lots whose labels could not be read with certainty.
    pub unverified: Vec<String>,
}

/// Walks over a record. `now` is the ledger's clock.
pub fn examine(record: &pb::Record, now: DateTime<Utc>) -> Findings {
    let mut checker = Checker::new(record, now);
    record.check(&mut checker);
    let Checker {
        violations,
        unverified,
        ..
    } = checker;
    Findings {
        violations,
        unverified,
    }
}

/// Everything that is wrong with a record, as [`examine`] finds it.
pub fn check(record: &pb::Record, now: DateTime<Utc>) -> Vec<Violation> {
    examine(record, now).violations
}

/// Decodes a record and checks it.
pub fn check_encoded(
    encoded: &[u8],
    now: DateTime<Utc>,
) -> Result<(pb::Record, Vec<Violation>), DecodeError> {
    let record = pb::Record::decode(encoded).map_err(DecodeError::Malformed)?;
    let violations = check(&record, now);
    Ok((record, violations))
}

/// A message that can say what is wrong with it.
trait Check {
    fn check(&self, c: &mut Checker<'_>);
}

/// An enum that can name its values.
trait Choices {
    const NAMES: &'static str;
}

/// What a decimal may be.
#[derive(Clone, Copy)]
enum Sign {
    Positive,
    NonNegative,
    Percent,
}

/// Where a value is: a field, and which item of it.
#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    item: Option<usize>,
}

/// Walks a record and gathers what is wrong.
pub(super) struct Checker<'a> {
    record: &'a pb::Record,
    now: DateTime<Utc>,
    zone: Option<Tz>,
    event: Option<Span>,
    path: Vec<Step>,
    violations: Vec<Violation>,
    unverified: Vec<String>,
}

/// What the rules between fields ask.
impl<'a> Checker<'a> {
    fn new(record: &'a pb::Record, now: DateTime<Utc>) -> Self {
        Self {
            record,
            now,
            zone: record.site_tz.parse().ok(),
            event: time::event_span(record),
            path: Vec::new(),
            violations: Vec::new(),
            unverified: Vec::new(),
        }
    }

    /// The whole record.
    pub(super) const fn record(&self) -> &'a pb::Record {
        self.record
    }

    /// Refuses unless a field of the message at hand is as it must be.
    pub(super) fn demand(
        &mut self,
        holds: bool,
        name: &'static str,
        rule: &'static str,
        remedy: &str,
    ) {
        if !holds {
            self.refuse(Step { name, item: None }, rule, remedy);
        }
    }

    /// Refuses unless an item of the message at hand is as it must be.
    pub(super) fn demand_item(
        &mut self,
        holds: bool,
        (name, item): (&'static str, usize),
        rule: &'static str,
        remedy: &str,
    ) {
        if !holds {
            self.refuse(
                Step {
                    name,
                    item: Some(item),
                },
                rule,
                remedy,
            );
        }
    }

    /// Refuses unless a field of the envelope is as the kind needs it.
    pub(super) fn demand_envelope(
        &mut self,
        holds: bool,
        name: &'static str,
        rule: &'static str,
        remedy: &str,
    ) {
        let path = std::mem::take(&mut self.path);
        self.demand(holds, name, rule, remedy);
        self.path = path;
    }

    /// Refuses a time that is surely before another.
    pub(super) fn not_before(
        &mut self,
        name: &'static str,
        later: &str,
        earlier: &str,
        rule: &'static str,
        remedy: &str,
    ) {
        self.demand(
            !time::is_before(later, earlier, self.zone),
            name,
            rule,
            remedy,
        );
    }

    /// Notes that the message at hand is a label that could not be read with certainty.
    pub(super) fn note_unverified(&mut self) {
        self.unverified.push(path(self.path.iter()));
    }

    /// Whether a time is surely before the record's event.
    pub(super) fn is_before_event(&self, text: &str) -> bool {
        self.spans(text)
            .is_some_and(|(time, event)| time.is_before(event))
    }

    /// Whether a time is surely after the record's event.
    pub(super) fn is_after_event(&self, text: &str) -> bool {
        self.spans(text)
            .is_some_and(|(time, event)| event.is_before(time))
    }

    fn spans(&self, text: &str) -> Option<(Span, Span)> {
        let time = format::EventTime::parse(text).ok()?;
        Some((Span::of(time, self.zone), self.event?))
    }

    /// Refuses a text that is not in a format.
    pub(super) fn format(&mut self, name: &'static str, outcome: Result<(), FormatError>) {
        self.format_at(Step { name, item: None }, outcome);
    }
}

/// What the generated walk asks.
impl Checker<'_> {
    fn required(&mut self, name: &'static str, present: bool) {
        self.demand(present, name, "REQUIRED", REQUIRED);
    }

    fn required_text(&mut self, name: &'static str, text: &str, format: Format) {
        let blank = text.trim().is_empty();
        self.required(name, !blank);
        if !blank {
            self.format(name, format(text));
        }
    }

    fn optional_text(&mut self, name: &'static str, text: &str, format: Format) {
        if !text.is_empty() {
            self.format(name, format(text));
        }
    }

    fn texts(&mut self, name: &'static str, texts: &[String], format: Format) {
        for (item, text) in texts.iter().enumerate() {
            let step = Step {
                name,
                item: Some(item),
            };
            if text.trim().is_empty() {
                self.refuse(step, "REQUIRED", "leave the item out, or give it a value");
            } else {
                self.format_at(step, format(text));
            }
        }
    }

    fn required_bytes(&mut self, name: &'static str, bytes: &[u8], length: usize) {
        self.required(name, !bytes.is_empty());
        self.optional_bytes(name, bytes, length);
    }

    fn optional_bytes(&mut self, name: &'static str, bytes: &[u8], length: usize) {
        if !bytes.is_empty() && bytes.len() != length {
            let remedy = format!("give {length} bytes; these are {}", bytes.len());
            self.refuse(Step { name, item: None }, "LENGTH", &remedy);
        }
    }

    fn required_enum<E: TryFrom<i32> + Choices>(&mut self, name: &'static str, wire: i32) {
        if wire == 0 {
            self.refuse(Step { name, item: None }, "REQUIRED", &one_of::<E>());
        }
        self.optional_enum::<E>(name, wire);
    }

    fn optional_enum<E: TryFrom<i32> + Choices>(&mut self, name: &'static str, wire: i32) {
        if E::try_from(wire).is_err() {
            self.refuse(Step { name, item: None }, "ENUM_UNKNOWN", &one_of::<E>());
        }
    }

    fn enums<E: TryFrom<i32> + Choices>(&mut self, name: &'static str, wires: &[i32]) {
        for (item, wire) in wires.iter().enumerate() {
            if *wire == 0 || E::try_from(*wire).is_err() {
                self.refuse(
                    Step {
                        name,
                        item: Some(item),
                    },
                    "ENUM_UNKNOWN",
                    &one_of::<E>(),
                );
            }
        }
    }

    fn message(&mut self, name: &'static str, message: &impl Check) {
        self.inside(Step { name, item: None }, message);
    }

    fn required_message(&mut self, name: &'static str, message: Option<&impl Check>) {
        self.required(name, message.is_some());
        self.optional_message(name, message);
    }

    fn optional_message(&mut self, name: &'static str, message: Option<&impl Check>) {
        if let Some(message) = message {
            self.message(name, message);
        }
    }

    fn messages(&mut self, name: &'static str, messages: &[impl Check]) {
        for (item, message) in messages.iter().enumerate() {
            self.inside(
                Step {
                    name,
                    item: Some(item),
                },
                message,
            );
        }
    }

    /// Whether there are not too many items to look at one by one.
    fn optional_items(&mut self, name: &'static str, count: usize, max: usize) -> bool {
        let within = count <= max;
        if !within {
            let remedy = format!("give at most {max} items; these are {count}");
            self.refuse(Step { name, item: None }, "TOO_MANY_ITEMS", &remedy);
        }
        within
    }

    fn required_items(&mut self, name: &'static str, count: usize, max: usize) -> bool {
        self.demand(count != 0, name, "REQUIRED", "give at least one item");
        self.optional_items(name, count, max)
    }

    fn unique<T: Ord>(&mut self, name: &'static str, items: &[T]) {
        let mut seen = BTreeSet::new();
        for (item, value) in items.iter().enumerate() {
            self.demand_item(
                seen.insert(value),
                (name, item),
                "DUPLICATE",
                "leave out the item that is there twice",
            );
        }
    }

    fn at_least(&mut self, name: &'static str, number: Option<u64>, min: u64) {
        if number.is_some_and(|number| number < min) {
            let remedy = format!("give a number that is {min} or more");
            self.refuse(Step { name, item: None }, "TOO_SMALL", &remedy);
        }
    }

    fn at_most(&mut self, name: &'static str, number: Option<u64>, max: u64) {
        if number.is_some_and(|number| max < number) {
            let remedy = format!("give a number that is {max} or less");
            self.refuse(Step { name, item: None }, "TOO_LARGE", &remedy);
        }
    }

    fn decimal_sign(&mut self, name: &'static str, text: &str, sign: Sign) {
        // A text that is not a decimal has been refused as one.
        let Ok(number) = Decimal::parse(text) else {
            return;
        };
        let (holds, rule, remedy) = match sign {
            Sign::Positive => (
                number.is_positive(),
                "NOT_POSITIVE",
                "give a number above zero",
            ),
            Sign::NonNegative => (
                !number.is_negative(),
                "NEGATIVE",
                "give zero or a number above it",
            ),
            Sign::Percent => (
                !number.is_negative()
                    && Decimal::parse("100").is_ok_and(|hundred| number <= hundred),
                "NOT_A_PERCENTAGE",
                "give a number from 0 to 100",
            ),
        };
        self.demand(holds, name, rule, remedy);
    }

    fn quantity_sign(&mut self, name: &'static str, quantity: Option<&pb::Quantity>, sign: Sign) {
        if let Some(quantity) = quantity {
            self.path.push(Step { name, item: None });
            self.decimal_sign("value", &quantity.value, sign);
            self.path.pop();
        }
    }

    fn unit(&mut self, name: &'static str, quantity: Option<&pb::Quantity>, unit: &'static str) {
        // A missing unit has been refused as missing.
        if quantity.is_some_and(|quantity| !quantity.unit.is_empty() && quantity.unit != unit) {
            self.path.push(Step { name, item: None });
            self.refuse(
                Step {
                    name: "unit",
                    item: None,
                },
                "UNIT",
                &format!("give it in {unit}"),
            );
            self.path.pop();
        }
    }

    fn past(&mut self, name: &'static str, text: &str) {
        let Ok(time) = format::EventTime::parse(text) else {
            return;
        };
        let future = Span::of(time, self.zone).is_future(self.now);
        self.demand(
            !future,
            name,
            "IN_FUTURE",
            "give the time when it happened; this one lies in the future of the ledger's clock",
        );
    }

    fn inside(&mut self, step: Step, message: &impl Check) {
        self.path.push(step);
        message.check(self);
        self.path.pop();
    }

    fn format_at(&mut self, step: Step, outcome: Result<(), FormatError>) {
        if let Err(FormatError { rule, remedy }) = outcome {
            self.refuse(step, rule, remedy);
        }
    }

    fn refuse(&mut self, step: Step, rule: &'static str, remedy: &str) {
        if VIOLATIONS_MAX <= self.violations.len() {
            return;
        }
        self.violations.push(Violation {
            field: path(self.path.iter().chain([&step])),
            rule,
            remedy: remedy.to_owned(),
        });
    }
}

/// Steps as people write them: `items[2].lot.gtin`.
fn path<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    let steps = steps.map(|Step { name, item }| match item {
        Some(item) => format!("{name}[{item}]"),
        None => (*name).to_owned(),
    });
    steps.collect::<Vec<_>>().join(".")
}

type Format = fn(&str) -> Result<(), FormatError>;

const REQUIRED: &str = "give a value: a record of this kind has one";

fn one_of<E: Choices>() -> String {
    format!("give one of {}", E::NAMES)
}

#[allow(
    clippy::too_many_lines,
    clippy::match_same_arms,
    reason = "generated from the protos"
)]
mod generated {
    use super::{Across, Check, Checker, Choices, Sign, format, own, pb};

    include!(concat!(env!("OUT_DIR"), "/checks.rs"));
}

pub use generated::{kind_name, kind_rule};
