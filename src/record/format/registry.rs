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
        sum % 31 == 0,
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
