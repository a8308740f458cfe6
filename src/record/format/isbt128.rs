//! ISBT 128 and the EU's Single European Code: donation numbers, chain of identity, facility numbers.
//! Knows the structures (ST-001, Directive 2006/86/EC Annex VII), and none of ICCBBA's tables.

use super::{FormatError, date, demand, is_all, is_capital, is_capital_or_digit, is_digit};

/// A facility identification number: five characters, the last two digits.
pub fn check_fin(text: &str) -> Result<(), FormatError> {
    demand(
        is_fin(text),
        "FIN_GRAMMAR",
        "a FIN is 5 characters: the first A-N, P-Z or 1-9, two of A-N, P-Z or 0-9, two digits",
    )
}

/// A donation identification number of 13 characters, and the check character printed beside it.
pub fn check_din(din: &str, check: &str) -> Result<(), FormatError> {
    demand(
        din.len() == 13,
        "DIN_LENGTH",
        "a DIN is 13 characters, without flag characters and without the check character",
    )?;
    let (fin, rest) = din.split_at_checked(5).unwrap_or_default();
    demand(
        is_fin(fin) && is_all(8, is_digit, rest),
        "DIN_GRAMMAR",
        "a DIN is the facility's 5 characters (no letter O), 2 digits of the year and 6 digits",
    )?;
    demand(
        check.len() == 1 && mod_37_2(din) == check.chars().next(),
        "DIN_CHECK_CHARACTER",
        "the check character does not fit the DIN: read or scan the label again",
    )
}

/// A donation identification number with its check character as the 14th.
pub fn check_din_with_check(text: &str) -> Result<(), FormatError> {
    let (din, check) = text
        .split_at_checked(13)
        .filter(|_| text.len() == 14)
        .ok_or(FormatError::new(
            "DIN_LENGTH",
            "write the 13 characters of the DIN and its check character",
        ))?;
    check_din(din, check)
}

/// A chain of identity identifier (data structure 040): the 15 characters after `&/`.
pub fn check_coi(text: &str) -> Result<(), FormatError> {
    demand(
        text.len() == 15,
        "COI_LENGTH",
        "a chain of identity identifier is 15 characters, without the leading &/",
    )?;
    let tail = text
        .strip_prefix("CH")
        .and_then(|tail| tail.split_at_checked(5));
    let (fin, rest) = tail.unwrap_or_default();
    let (year, sequence) = rest.split_at_checked(2).unwrap_or_default();
    demand(
        is_fin(fin) && is_all(2, is_digit, year) && is_all(6, is_capital_or_digit, sequence),
        "COI_GRAMMAR",
        "write CH, the facility's 5 characters (no letter O), 2 digits of the year and 6 capitals or digits",
    )
}

/// A Single European Code: donation and product identification sequences, 40 characters without the space.
pub fn check_sec(text: &str) -> Result<(), FormatError> {
    demand(
        text.len() == 40,
        "SEC_LENGTH",
        "a Single European Code is 40 characters, written without the space between its two sequences",
    )?;
    let (country, rest) = text.split_at_checked(2).unwrap_or_default();
    let (donation, rest) = rest.split_at_checked(19).unwrap_or_default();
    let (system, rest) = rest.split_at_checked(1).unwrap_or_default();
    let (product, expiry) = rest.split_at_checked(10).unwrap_or_default();
    demand(
        is_all(2, is_capital, country)
            && is_all(19, is_capital_or_digit, donation)
            && is_all(1, is_capital, system)
            && is_all(10, is_capital_or_digit, product)
            && is_all(8, is_digit, expiry),
        "SEC_GRAMMAR",
        "use capitals and digits in the order of Annex VII: country, establishment, donation number, \
         coding system, product, split, expiry as YYYYMMDD",
    )?;
    // Eight zeroes say that no expiry is defined (Directive (EU) 2015/565).
    demand(
        expiry == "00000000" || date::parse_compact(expiry).is_ok(),
        "SEC_EXPIRY",
        "the last 8 digits are no date of the calendar: read or scan the code again",
    )
}

fn is_fin(text: &str) -> bool {
    let (letters, digits) = text.split_at_checked(3).unwrap_or_default();
    is_all(3, |byte| is_capital_or_digit(byte) && byte != b'O', letters)
        && !letters.starts_with('0')
        && is_all(2, is_digit, digits)
}

/// The check character of ISO/IEC 7064 MOD 37-2.
fn mod_37_2(text: &str) -> Option<char> {
    // Each step stays below (37 + 36) * 2.
    let sum = text.chars().try_fold(0_u32, |sum, c| {
        let value = c.to_digit(36).filter(|_| !c.is_ascii_lowercase())?;
        Some(sum.wrapping_add(value).wrapping_mul(2) % 37)
    })?;
    match 38_u32.wrapping_sub(sum) % 37 {
        36 => Some('*'),
        value => char::from_digit(value, 36).map(|c| c.to_ascii_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors(of: &str) -> Vec<Value> {
        let vectors = include_str!("../../../tests/vectors/isbt128/isbt128-sec-vectors.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        vectors[of].as_array().unwrap().clone()
    }

    #[test]
    fn the_published_examples_agree() {
        for case in vectors("din") {
            let (din, check) = (
                case["din"].as_str().unwrap(),
                case["check"].as_str().unwrap(),
            );
            let valid = case["valid"].as_bool().unwrap();
            assert_eq!(check_din(din, check).is_ok(), valid, "{case}");
            assert_eq!(
                check_din_with_check(&format!("{din}{check}")).is_ok(),
                valid,
                "{case}"
            );
        }
        for (of, check) in [("coi", check_coi as fn(&str) -> _), ("sec", check_sec)] {
            for case in vectors(of) {
                let valid = case["valid"].as_bool().unwrap();
                assert_eq!(
                    check(case["value"].as_str().unwrap()).is_ok(),
                    valid,
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn donation_numbers_are_refused_by_the_rule_they_break() {
        for (din, check, rule) in [
            ("", "", "DIN_LENGTH"),
            ("G12341765432", "A", "DIN_LENGTH"),
            ("G123417654321A", "A", "DIN_LENGTH"),
            ("=G12341765432", "A", "DIN_GRAMMAR"),
            ("O123417654321", "A", "DIN_GRAMMAR"),
            ("0123417654321", "A", "DIN_GRAMMAR"),
            ("GO23417654321", "A", "DIN_GRAMMAR"),
            ("G12A417654321", "A", "DIN_GRAMMAR"),
            ("G1234A7654321", "A", "DIN_GRAMMAR"),
            ("G12341765432B", "A", "DIN_GRAMMAR"),
            ("g123417654321", "A", "DIN_GRAMMAR"),
            ("G123417654321", "", "DIN_CHECK_CHARACTER"),
            ("G123417654321", "a", "DIN_CHECK_CHARACTER"),
            ("G123417654321", "AA", "DIN_CHECK_CHARACTER"),
            ("G123417654321", "B", "DIN_CHECK_CHARACTER"),
            ("G12341765432é", "A", "DIN_LENGTH"),
            ("G1234176543é", "A", "DIN_GRAMMAR"),
        ] {
            assert_eq!(
                check_din(din, check).map_err(|error| error.rule),
                Err(rule),
                "{din:?} {check:?}"
            );
        }
    }

    #[test]
    fn facility_numbers_keep_to_the_grammar() {
        for fin in ["G1234", "Z5499", "9AZ00", "1II99", "AZZ01"] {
            assert_eq!(check_fin(fin), Ok(()), "{fin}");
        }
        for fin in [
            "", "G123", "G12345", "OA123", "0A123", "GO123", "GAO12", "GAA1B", "g1234", "Ｇ1234",
        ] {
            assert!(check_fin(fin).is_err(), "{fin}");
        }
    }

    #[test]
    fn the_expiry_of_a_european_code_is_a_day_of_the_calendar_or_not_defined() {
        for (expiry, valid) in [
            ("20280229", true),
            ("20270229", false),
            ("20280431", false),
            ("20281301", false),
            ("20280100", false),
            ("00000000", true),
            ("00000001", false),
            ("2028O101", false),
        ] {
            let sec = format!("PL001499Z549917123456A00T0416003{expiry}");
            assert_eq!(check_sec(&sec).is_ok(), valid, "{sec}");
        }
        for sec in [
            "PL001499Z549917123456 A00T041600320171231",
            "PL001499Z549917123456100T041600320171231",
            "PL001499z549917123456A00T041600320171231",
            "Pé001499Z549917123456A00T04160032017123",
        ] {
            assert!(check_sec(sec).is_err(), "{sec}");
        }
    }

    /// A number with the check character that fits it.
    fn with_check(din: &str) -> String {
        format!("{din}{}", mod_37_2(din).unwrap())
    }

    proptest! {
        #[test]
        fn of_37_check_characters_exactly_one_fits(din in "[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{10}") {
            let characters = ('0'..='9').chain('A'..='Z').chain(['*']);
            let fitting = characters.filter(|c| check_din(&din, &c.to_string()).is_ok()).count();
            prop_assert_eq!(fitting, 1);
        }

        #[test]
        fn one_changed_or_two_exchanged_characters_are_refused(
            din in "[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{10}",
            at in 0..14_usize,
            other in prop::sample::select(('0'..='9').chain('A'..='Z').collect::<Vec<_>>()),
        ) {
            let valid = with_check(&din);
            prop_assert_eq!(check_din_with_check(&valid), Ok(()));

            let mut changed: Vec<char> = valid.chars().collect();
            changed[at] = other;
            let changed: String = changed.into_iter().collect();
            prop_assert_eq!(check_din_with_check(&changed).is_ok(), changed == valid);

            let mut exchanged: Vec<char> = valid.chars().collect();
            exchanged.swap(at, (at + 1) % 14);
            let exchanged: String = exchanged.into_iter().collect();
            prop_assert_eq!(check_din_with_check(&exchanged).is_ok(), exchanged == valid);
        }
    }
}
