//! What is wrong with the fields of a request: gathered field by field, and told all at once. Does not know what is
//! asked.

use super::error::CallError;
use crate::{
    pb,
    record::{
        Violation,
        format::{FormatError, check_gtin, check_lot},
    },
    rules::fact::LotId,
};

/// A format that a text must have.
pub(super) type Format = fn(&str) -> Result<(), FormatError>;

/// What is wrong with a request so far.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    /// A field is wrong.
    pub(super) fn add(&mut self, field: impl Into<String>, rule: &'static str, remedy: &str) {
        self.0.push(Violation {
            field: field.into(),
            rule,
            remedy: remedy.to_owned(),
        });
    }

    /// A text must be there.
    pub(super) fn demand(&mut self, field: &str, text: &str) {
        if text.is_empty() {
            self.add(field, "REQUIRED", "say which one is asked about");
        }
    }

    /// A text has its format, where it is set.
    pub(super) fn check(&mut self, field: impl Into<String>, text: &str, format: Format) {
        if text.is_empty() {
            return;
        }
        if let Err(error) = format(text) {
            self.add(field, error.rule, error.remedy);
        }
    }

    /// A lot is named in full.
    pub(super) fn lot(&mut self, field: &str, key: &pb::LotKey) -> LotId {
        let (gtin, lot) = (format!("{field}.gtin"), format!("{field}.lot"));
        self.demand(&gtin, &key.gtin);
        self.check(gtin, &key.gtin, check_gtin);
        self.demand(&lot, &key.lot);
        self.check(lot, &key.lot, check_lot);
        key.into()
    }

    /// Values of an enum that are asked for are ones that it has: others would let nothing through, which reads as
    /// "there is none".
    pub(super) fn values<E: TryFrom<i32>>(&mut self, field: &str, wires: &[i32]) {
        for (item, wire) in wires.iter().enumerate() {
            if *wire == 0 || E::try_from(*wire).is_err() {
                let remedy = "give a value that the enum names, not UNSPECIFIED; for any, leave the field out";
                self.add(format!("{field}[{item}]"), "ENUM_UNKNOWN", remedy);
            }
        }
    }

    /// A value of an enum that may be left out is one that it has.
    pub(super) fn value<E: TryFrom<i32>>(&mut self, field: impl Into<String>, wire: i32) {
        if E::try_from(wire).is_err() {
            let remedy = "give a value that the enum names, or leave the field out";
            self.add(field, "ENUM_UNKNOWN", remedy);
        }
    }

    /// That nothing is wrong.
    pub(super) fn none(self) -> Result<(), CallError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(CallError::Fields(self.0))
    }
}
