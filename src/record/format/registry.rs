//! Identifiers that national and European registries give: EU tissue establishment codes, China's unified
//! social credit codes, and NMPA trace codes. Knows their form, not who holds one.

use super::{FormatError, demand, is_all, is_capital, is_capital_or_digit, is_digit, is_digits};

/// An EU tissue establishment code: country and six characters.
pub fn check_eu_te_code(text: &str) -> Result<(), FormatError> {
    let (country, number) = text.split_at_checked(2).unwrap_or_default();
    demand(
        is_all(2, is_capital, country) && is_all(6, is_capital_or_digit, number),
        "EU_TE_CODE_GRAMMAR",
        "an EU tissue establishment code is two capitals for the country and six capitals or digits",
    )
}

/// A unified social credit code (统一社会信用代码, GB 32100-2015), with its check character.
pub fn check_uscc(text: &str) -> Result<(), FormatError> {
    demand(
        text.len() == 18,
        "USCC_LENGTH",
        "a unified social credit code is exactly 18 characters",
    )?;
    let values: Option<Vec<usize>> = text
        .bytes()
        .map(|byte| USCC_ALPHABET.iter().position(|c| *c == byte))
        .collect();
    let region = text.get(2..8).unwrap_or_default();
    demand(
        values.is_some() && is_all(6, is_digit, region),
        "USCC_GRAMMAR",
        "use digits and capitals without I, O, S, V and Z; characters 3 to 8 are digits",
    )?;
    let sum: usize = values
        .unwrap_or_default()
        .iter()
        .zip(USCC_WEIGHTS)
        .map(|(value, weight)| value.wrapping_mul(weight))
        .sum();
    demand(
        sum.is_multiple_of(31),
        "USCC_CHECK_CHARACTER",
        "the last character does not fit the others: copy the code again from the licence",
    )
}

/// A trace code of the National Medical Products Administration (药品追溯码): 20 digits.
pub fn check_nmpa_trace_code(text: &str) -> Result<(), FormatError> {
    demand(
        text.len() == 20 && is_digits(text),
        "NMPA_TRACE_CODE_GRAMMAR",
        "write the trace code as 20 digits, nothing between them",
    )
}

/// The 31 characters of GB 32100, in the order of their values.
const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Powers of 3 modulo 31; the check character itself weighs 1 and brings the sum to a multiple of 31.
const USCC_WEIGHTS: [usize; 18] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_social_credit_code_fits_its_check_character() {
        for code in ["91350100M000100Y43", "91330106673959654P"] {
            assert_eq!(check_uscc(code), Ok(()), "{code}");
        }
        for (code, rule) in [
            ("", "USCC_LENGTH"),
            ("91350100M000100Y4", "USCC_LENGTH"),
            ("91350100M000100Y433", "USCC_LENGTH"),
            ("91350100m000100Y43", "USCC_GRAMMAR"),
            ("91350100I000100Y43", "USCC_GRAMMAR"),
            ("91350A00M000100Y43", "USCC_GRAMMAR"),
            ("91350100M000100Y4é", "USCC_LENGTH"),
        ] {
            assert_eq!(
                check_uscc(code).map_err(|error| error.rule),
                Err(rule),
                "{code:?}"
            );
        }
    }

    #[test]
    fn every_change_of_one_character_of_a_social_credit_code_is_refused() {
        let valid = "91350100M000100Y43";
        for at in 0..valid.len() {
            for byte in USCC_ALPHABET {
                let mut changed = valid.as_bytes().to_vec();
                changed[at] = *byte;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(check_uscc(&changed).is_ok(), changed == valid, "{changed}");
            }
        }
    }

    #[test]
    fn registry_codes_keep_to_their_grammar() {
        for (text, valid) in [
            ("PL001499", true),
            ("DEA1B2C3", true),
            ("pl001499", false),
            ("P1001499", false),
            ("PL00149", false),
            ("PL0014999", false),
            ("PL00149é", false),
        ] {
            assert_eq!(check_eu_te_code(text).is_ok(), valid, "{text}");
        }
        for (text, valid) in [
            ("81234567890123456789", true),
            ("8123456789012345678", false),
            ("812345678901234567890", false),
            ("8123456789012345678X", false),
        ] {
            assert_eq!(check_nmpa_trace_code(text).is_ok(), valid, "{text}");
        }
    }
}
