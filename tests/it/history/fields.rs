//! The fields of one event of a history. Each is taken once; what nobody took is an error, so that no word of
//! a history is lost in silence.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use chrono::NaiveDate;
use genetrail::record::format::parse_civil_date;
use serde_json::{Map, Value};

/// What a history says and a record cannot. In an event it is a mistake; of what is malformed, see there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsayable {
    #[error("no {prefix} is called {word}")]
    Word { prefix: String, word: String },
    #[error("{name} is missing")]
    Missing { name: String },
    #[error("{name} cannot be {value}")]
    Value { name: String, value: String },
}

impl Unsayable {
    pub(crate) fn word(prefix: &str, word: &str) -> Self {
        Self::Word {
            prefix: prefix.to_owned(),
            word: word.to_owned(),
        }
    }
}

/// Stands for a word that no enum has, and becomes a number that no enum has.
pub(crate) const NO_SUCH_WORD: &str = "no such word";

/// The names that the dictionary has for what a history names otherwise.
const NAMES_OF_THE_DICTIONARY: [(&str, &[&str]); 25] = [
    ("assay", &["method", "method_id"]),
    ("at_gln", &["to_gln", "to"]),
    ("birth_date", &["birth", "born_on"]),
    ("class_", &["class", "recall_class"]),
    ("expected_max_pct", &["expected_max_percent"]),
    ("finding", &["findings"]),
    ("from_gln", &["from"]),
    ("issued", &["issued_at"]),
    ("lots", &["roots"]),
    ("ltfu_months", &["follow_up_months"]),
    ("manufacturer_gln", &["manufacturer"]),
    ("params", &["parameters"]),
    ("plan", &["plan_id"]),
    (
        "positive_fraction_pct",
        &["positive_fraction", "positive_fraction_percent"],
    ),
    ("purpose", &["purposes"]),
    ("recall", &["recall_id"]),
    ("replacement_seq", &["replacement"]),
    ("reported_date", &["aware_at", "reported_at"]),
    ("sample", &["sample_id"]),
    ("scope", &["withdraw_scope", "scopes"]),
    ("signal", &["signal_id"]),
    ("target_seq", &["target"]),
    ("term", &["verbatim"]),
    ("to_gln", &["to"]),
    ("vector_class", &["product_class", "product_classes"]),
];

/// What the history calls a field that has another name in the dictionary.
pub(crate) fn names_in_the_history(name: &str) -> impl Iterator<Item = &'static str> {
    let names = NAMES_OF_THE_DICTIONARY.iter();
    let names = names.filter(move |(_, others)| others.contains(&name));
    names.map(|(in_the_history, _)| *in_the_history)
}

/// The fields of an object that have not been taken yet.
pub(crate) struct Fields<'h> {
    object: &'h Map<String, Value>,
    left: BTreeSet<&'h str>,
}

impl<'h> Fields<'h> {
    pub(crate) fn of(value: &'h Value) -> Result<Self> {
        let object = value.as_object().context("not an object")?;
        Ok(Self {
            object,
            left: object.keys().map(String::as_str).collect(),
        })
    }

    /// What nobody took.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&'h str, &'h Value)> {
        self.left.iter().map(|name| (*name, &self.object[*name]))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(&self) -> Result<()> {
        ensure!(self.left.is_empty(), "unknown fields {:?}", self.left);
        Ok(())
    }

    pub(crate) fn value(&mut self, name: &str) -> Option<&'h Value> {
        let others = NAMES_OF_THE_DICTIONARY.iter();
        let others = others.filter(|(known, _)| *known == name && !self.object.contains_key(name));
        let others = others.flat_map(|(_, others)| others.iter().copied());
        // An object is more than a history says of it: the dictionary's own.
        let is_told = |other: &&str| self.left.contains(other) && !self.object[*other].is_object();
        let name = { others }.find(is_told).unwrap_or(name);
        self.left.remove(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn maybe<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'h Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match read(value) {
            // It says more than a history does: it is put in by its name in the dictionary.
            None if value.is_object() => {
                self.left.extend(
                    self.object
                        .keys()
                        .find(|key| *key == name)
                        .map(String::as_str),
                );
                Ok(None)
            }
            None => Err(Unsayable::Value {
                name: name.to_owned(),
                value: value.to_string(),
            }
            .into()),
            read => Ok(read),
        }
    }

    pub(crate) fn maybe_text(&mut self, name: &str) -> Result<Option<&'h str>> {
        self.maybe(name, Value::as_str)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<&'h str> {
        let missing = || Unsayable::Missing {
            name: name.to_owned(),
        };
        Ok(self.maybe_text(name)?.ok_or_else(missing)?)
    }

    pub(crate) fn maybe_string(&mut self, name: &str) -> Result<String> {
        Ok(self.maybe_text(name)?.unwrap_or_default().to_owned())
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn maybe_flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.maybe(name, Value::as_bool)
    }

    pub(crate) fn maybe_count(&mut self, name: &str) -> Result<Option<u32>> {
        self.maybe(name, |value| {
            value.as_u64().and_then(|count| count.try_into().ok())
        })
    }

    pub(crate) fn maybe_date(&mut self, name: &str) -> Result<Option<NaiveDate>> {
        self.maybe(name, |value| parse_civil_date(value.as_str()?).ok())
    }

    /// A number as the decimal it was written as, without an empty fraction.
    pub(crate) fn maybe_decimal(&mut self, name: &str) -> Result<Option<String>> {
        self.maybe(name, |value| {
            let whole = value.as_i64().map(|number| number.to_string());
            // `f64` is displayed in the fewest digits that read back the same, never with an exponent.
            let number = whole.or_else(|| value.as_f64().map(|number| number.to_string()));
            // What is no number is for the ledger to refuse.
            number.or_else(|| value.as_str().map(str::to_owned))
        })
    }

    /// A list of texts; a single text is a list of one.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<&'h str>> {
        let texts = self.maybe(name, |value| match value {
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            Value::String(text) => Some(vec![text.as_str()]),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        })?;
        Ok(texts.unwrap_or_default())
    }

    /// Whether a field is this word, in whatever case.
    pub(crate) fn is_text(&self, name: &str, word: &str) -> bool {
        let text = self.object.get(name).and_then(Value::as_str);
        text.is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    /// The fields of an object inside this one.
    pub(crate) fn maybe_fields(&mut self, name: &str) -> Result<Option<Fields<'h>>> {
        let is_object = self.object.get(name).is_some_and(Value::is_object);
        // What is told without its parts is put in by its name in the dictionary.
        if !is_object && self.object.get(name).is_some_and(|value| !value.is_null()) {
            return Ok(None);
        }
        self.value(name).map(Fields::of).transpose()
    }

    /// The names that are left, taken.
    pub(crate) fn names(&mut self) -> Vec<&'h str> {
        std::mem::take(&mut self.left).into_iter().collect()
    }
}

/// The value of an enum by the history's word for it: the prefix is the enum's own.
pub(crate) fn named<E: Into<i32>>(
    from_str_name: fn(&str) -> Option<E>,
    prefix: &str,
    word: &str,
) -> Result<i32> {
    match word {
        NO_SUCH_WORD => return Ok(i32::MAX),
        // No word at all is what is unspecified.
        "" => return Ok(0),
        _ => {}
    }
    let value = from_str_name(&format!("{prefix}_{}", known_word(prefix, word)));
    Ok(value.ok_or_else(|| Unsayable::word(prefix, word))?.into())
}

/// The dictionary's word for the history's, which are few; a visit to the site is the guideline's word.
pub(crate) fn known_word<'w>(prefix: &str, word: &'w str) -> &'w str {
    match (prefix, word) {
        (_, "LENTIVIRAL") => "LENTI",
        (_, "VECTOR_PERSISTENCE") => "PERSISTENCE",
        (_, "PROCEDURES") => "ALL_PROCEDURES",
        (_, "ENTERED_ON_WRONG_PATIENT") => "WRONG_PATIENT",
        ("VISIT_MODE", "VISIT") => "ON_SITE",
        ("PRODUCT_PHASE", "PHASE_1") => "PHASE1",
        ("PRODUCT_PHASE", "PHASE_2") => "PHASE2",
        ("PRODUCT_PHASE", "PHASE_3") => "PHASE3",
        ("ASSEMBLY", "hg19" | "HG19" | "GRCh37") => "GRCH37",
        ("ASSEMBLY", "hg38" | "HG38" | "GRCh38") => "GRCH38",
        ("ASSEMBLY", "T2T" | "CHM13" | "T2T-CHM13") => "T2T_CHM13",
        (_, other) => other,
    }
}
