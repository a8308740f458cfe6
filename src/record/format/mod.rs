//! The formats of single values: identifiers with check characters, dates, quantities, codes, free text.
//! A check here sees one text and nothing else: not the field it came from, not the record around it, not
//! the clock. Whether a lot is known or a date lies in the future is for others to say.
//!
//! Refusals never repeat the value they refuse: it may be personal data.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::string_slice,
        reason = "a test that panics has failed, as it should"
    )
)]

mod code;
mod date;
mod decimal;
mod gs1;
mod identifier;
mod isbt128;
mod personal;
mod registry;
mod ucum;

pub use code::{check_country, check_language, check_media_type, check_time_zone, check_uri};
pub use date::{
    EventTime, Instant, PartialDate, Precision, add_months, check_civil_date, check_event_time,
    check_instant, check_partial_date, parse_civil_date,
};
pub use decimal::{Decimal, check_decimal};
pub use gs1::{check_gln, check_gsrn, check_gtin, check_lot, check_serial, check_sscc};
pub use identifier::{check_actor, check_pseudonym, check_token, check_uuid, parse_uuid};
pub use isbt128::{check_coi, check_din, check_din_with_check, check_fin, check_sec};
pub use personal::check_free_text;
pub use registry::{check_eu_te_code, check_nmpa_trace_code, check_uscc};
pub use ucum::check_ucum;

/// A text that is not in the format of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{remedy}")]
pub struct FormatError {
    /// The rule that was broken, for machines: `GTIN_CHECK_DIGIT`.
    pub rule: &'static str,
    /// What to do, for people. Never the value.
    pub remedy: &'static str,
}

impl FormatError {
    const fn new(rule: &'static str, remedy: &'static str) -> Self {
        Self { rule, remedy }
    }
}

/// `Ok` if the condition holds, else the refusal.
fn demand(holds: bool, rule: &'static str, remedy: &'static str) -> Result<(), FormatError> {
    if holds {
        Ok(())
    } else {
        Err(FormatError::new(rule, remedy))
    }
}

/// Whether a text is ASCII digits only; true of the empty text.
fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is exactly so many bytes, each of one class.
fn is_all(length: usize, class: fn(u8) -> bool, text: &str) -> bool {
    text.len() == length && text.bytes().all(class)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_capital(byte: u8) -> bool {
    byte.is_ascii_uppercase()
}

fn is_capital_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Check = fn(&str) -> Result<(), FormatError>;

    /// Every check there is, so that a property can be asked of all.
    const CHECKS: &[(&str, Check)] = &[
        ("actor", check_actor),
        ("civil date", check_civil_date),
        ("coi", check_coi),
        ("country", check_country),
        ("decimal", check_decimal),
        ("din with check", check_din_with_check),
        ("EU tissue establishment", check_eu_te_code),
        ("event time", check_event_time),
        ("fin", check_fin),
        ("free text", |text| check_free_text(text, 2000)),
        ("gln", check_gln),
        ("gsrn", check_gsrn),
        ("gtin", check_gtin),
        ("instant", check_instant),
        ("language", check_language),
        ("lot", check_lot),
        ("media type", check_media_type),
        ("nmpa trace code", check_nmpa_trace_code),
        ("partial date", check_partial_date),
        ("pseudonym", check_pseudonym),
        ("sec", check_sec),
        ("serial", check_serial),
        ("sscc", check_sscc),
        ("time zone", check_time_zone),
        ("token", |text| check_token(text, 64)),
        ("ucum", check_ucum),
        ("uri", check_uri),
        ("uscc", check_uscc),
        ("uuid", check_uuid),
    ];

    #[test]
    fn the_empty_text_is_in_no_format_but_free_text() {
        for (name, check) in CHECKS {
            assert_eq!(check("").is_ok(), *name == "free text", "{name}");
        }
    }

    #[test]
    fn a_refusal_names_its_rule_in_capitals_and_a_remedy_in_a_sentence_of_its_own() {
        for (name, check) in CHECKS {
            for text in [
                "",
                "\u{0}",
                "0",
                "x y",
                "é",
                "2026-02-30",
                &"9".repeat(3000),
            ] {
                if let Err(FormatError { rule, remedy }) = check(text) {
                    let capital =
                        |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
                    assert!(
                        rule.chars().all(capital) && rule.len() <= 63,
                        "{name}: {rule}"
                    );
                    assert!(
                        remedy.len() > 10 && !remedy.ends_with('.'),
                        "{name}: {remedy}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_check_panic(text in any::<String>(), ascii in "[ -~]{0,60}") {
            for (_, check) in CHECKS {
                let _outcome = (check(&text), check(&ascii));
            }
        }

        #[test]
        fn a_line_end_or_a_space_around_a_value_is_never_accepted(
            edge in prop::sample::select(vec![" ", "\n", "\t", "\u{a0}", "\u{feff}"])
        ) {
            let valid: &[(&str, Check)] = &[
                ("09506000134352", check_gtin),
                ("2026-11-22", check_civil_date),
                ("2026-11-22T10:00:00Z", check_instant),
                ("CHZ000119000001", check_coi),
                ("10*6/kg", check_ucum),
                ("1.5", check_decimal),
                ("SCR-07", check_pseudonym),
                ("zh-Hans-CN", check_language),
                ("Asia/Shanghai", check_time_zone),
            ];
            for (text, check) in valid {
                prop_assert_eq!(check(text), Ok(()));
                let after = check(&format!("{text}{edge}"));
                let before = check(&format!("{edge}{text}"));
                prop_assert!(after.is_err() && before.is_err(), "{}", text);
            }
        }
    }
}
