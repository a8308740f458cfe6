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
