//! GS1 identifiers: GTIN, GLN, SSCC and GSRN with their check digits, lot and serial in character set 82.
//! Knows the formats of the GS1 General Specifications, not who owns a company prefix.

use super::{FormatError, demand, is_digits};

/// A Global Trade Item Number, in the 14-digit form.
pub fn check_gtin(text: &str) -> Result<(), FormatError> {
    demand(
        is_digits(text),
        "GTIN_NOT_DIGITS",
        "write the GTIN as 14 digits, nothing between them",
    )?;
    demand(
        !matches!(text.len(), 8 | 12 | 13),
        "GTIN_LENGTH",
        "write a GTIN-8, GTIN-12 or GTIN-13 with leading zeroes, 14 digits in all",
    )?;
    demand(
        text.len() == 14,
        "GTIN_LENGTH",
        "write the GTIN as exactly 14 digits",
    )?;
    demand(
        !is_zero(text),
        "GTIN_ALL_ZERO",
        "give the product's own GTIN; all zeroes is none",
    )?;
    demand(
        has_check_digit(text),
        "GTIN_CHECK_DIGIT",
        "the last digit does not fit the others: read or scan the GTIN again",
    )
}

/// A Global Location Number.
pub fn check_gln(text: &str) -> Result<(), FormatError> {
    demand(
        is_digits(text),
        "GLN_NOT_DIGITS",
        "write the GLN as 13 digits, nothing between them",
    )?;
    demand(
        text.len() == 13,
        "GLN_LENGTH",
        "write the GLN as exactly 13 digits",
    )?;
    demand(
        !is_zero(text),
        "GLN_ALL_ZERO",
        "give the location's own GLN; all zeroes is none",
    )?;
    demand(
        has_check_digit(text),
        "GLN_CHECK_DIGIT",
        "the last digit does not fit the others: read or scan the GLN again",
    )
}

/// A Serial Shipping Container Code.
pub fn check_sscc(text: &str) -> Result<(), FormatError> {
    demand(
        is_digits(text),
        "SSCC_NOT_DIGITS",
        "write the SSCC as 18 digits, without (00) and nothing between them",
    )?;
    demand(
        text.len() == 18,
        "SSCC_LENGTH",
        "write the SSCC as exactly 18 digits, without (00)",
    )?;
    demand(
        !is_zero(text),
        "SSCC_ALL_ZERO",
        "give the shipment's own SSCC; all zeroes is none",
    )?;
    demand(
        has_check_digit(text),
        "SSCC_CHECK_DIGIT",
        "the last digit does not fit the others: read or scan the SSCC again",
    )
}

/// A Global Service Relation Number.
pub fn check_gsrn(text: &str) -> Result<(), FormatError> {
    demand(
        is_digits(text),
        "GSRN_NOT_DIGITS",
        "write the GSRN as 18 digits, nothing between them",
    )?;
    demand(
        text.len() == 18,
        "GSRN_LENGTH",
        "write the GSRN as exactly 18 digits",
    )?;
    demand(
        !is_zero(text),
        "GSRN_ALL_ZERO",
        "give a GSRN that was assigned; all zeroes is none",
    )?;
    demand(
        has_check_digit(text),
        "GSRN_CHECK_DIGIT",
        "the last digit does not fit the others: read or scan the GSRN again",
    )
}

/// A lot number, as in GS1 application identifier (10).
pub fn check_lot(text: &str) -> Result<(), FormatError> {
    demand(
        !text.is_empty(),
        "LOT_EMPTY",
        "give the lot number as printed on the label",
    )?;
    demand(
        is_set_82(text),
        "LOT_CHARACTER",
        "use only the characters of GS1 set 82: letters, digits and !\"%&'()*+,-./:;<=>?_ without spaces",
    )?;
    demand(
        text.len() <= 20,
        "LOT_TOO_LONG",
        "a lot number has at most 20 characters",
    )
}

/// A serial number, as in GS1 application identifier (21).
pub fn check_serial(text: &str) -> Result<(), FormatError> {
    demand(
        !text.is_empty(),
        "SERIAL_EMPTY",
        "give the serial number as printed on the label",
    )?;
    demand(
        is_set_82(text),
        "SERIAL_CHARACTER",
        "use only the characters of GS1 set 82: letters, digits and !\"%&'()*+,-./:;<=>?_ without spaces",
    )?;
    demand(
        text.len() <= 20,
        "SERIAL_TOO_LONG",
        "a serial number has at most 20 characters",
    )
}

/// Whether the last digit is the GS1 check digit of those before: from the right, weights 1, 3, 1, 3, ...
/// add up to a multiple of ten. Exchanging neighbours that differ by five goes unseen; that is the
/// standard's own limit.
pub(super) fn has_check_digit(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text.chars().rev().map(|c| c.to_digit(10)).collect();
    digits.is_some_and(|digits| {
        let weighted = digits.iter().zip([1, 3].iter().cycle());
        !digits.is_empty()
            && weighted
                .map(|(digit, weight)| digit.wrapping_mul(*weight))
                .sum::<u32>()
                % 10
                == 0
    })
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

/// GS1 AI encodable character set 82.
fn is_set_82(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte))
}
