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
    let weighted = text.chars().rev().zip([1, 3].into_iter().cycle());
    let sum = weighted.map(|(c, weight)| Some(c.to_digit(10)?.wrapping_mul(weight)));
    !text.is_empty()
        && sum
            .sum::<Option<u32>>()
            .is_some_and(|sum| sum.is_multiple_of(10))
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

/// GS1 AI encodable character set 82.
fn is_set_82(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{check_country, check_instant, date::parse_compact};
    use super::*;

    type Check = fn(&str) -> Result<(), FormatError>;

    const NUMBERS: [(&str, Check); 4] = [
        ("09506000134352", check_gtin),
        ("9506000134369", check_gln),
        ("106141412345678908", check_sscc),
        ("950600012345678907", check_gsrn),
    ];

    #[test]
    fn gs1_s_own_linters_agree() {
        let vectors: Value = serde_json::from_str(include_str!(
            "../../../tests/vectors/gs1/gs1-linter-vectors.json"
        ))
        .unwrap();
        let linters = vectors["linters"].as_object().unwrap();
        for (linter, cases) in linters {
            let accepts: fn(&str) -> bool = match linter.as_str() {
                "csum" => accepts_check_digit,
                "cset82" => |text| text.is_empty() || check_lot(text).is_ok() && check_serial(text).is_ok(),
                "iso3166alpha2" => |text| check_country(text).is_ok(),
                "yyyymmdd" => |text| parse_compact(text).is_ok(),
                "hhmi" => |text| {
                    text.split_at_checked(2).is_some_and(|(hour, minute)| {
                        check_instant(&format!("2026-11-22T{hour}:{minute}:00Z")).is_ok()
                    })
                },
                // Dates are kept with four digits of the year: nothing has YYMMDD.
                "yymmdd" | "yymmd0"
                // Countries are kept by their letters.
                | "iso3166" | "iso3166999"
                // Identifiers that no record has: CPID, GMN, GCN, ITIP, and company prefixes, which
                // only GS1's registry knows.
                | "cset39" | "csumalpha" | "gcppos1" | "gcppos2" | "pieceoftotal" | "posinseqslash"
                | "nonzero"
                // The kind of barcode carrier, and a person's sex, are not recorded.
                | "mediatype" | "iso5218" => continue,
                other => panic!("a linter that nobody has looked at: {other}"),
            };
            for case in cases.as_array().unwrap() {
                let input = case["input"].as_str().unwrap();
                assert_eq!(
                    accepts(input),
                    case["valid"].as_bool().unwrap(),
                    "{linter} {input:?}"
                );
            }
        }
    }

    /// `csum` is asked of numbers of several lengths; each goes to the check for its length.
    fn accepts_check_digit(text: &str) -> bool {
        let padded = format!("{text:0>14}");
        let as_number = match text.len() {
            8 | 12 | 13 | 14 => check_gtin(&padded).is_ok(),
            18 => check_sscc(text).is_ok() && check_gsrn(text).is_ok(),
            _ => has_check_digit(text),
        };
        assert_eq!(as_number, has_check_digit(text), "{text:?}");
        as_number
    }

    #[test]
    fn numbers_are_refused_by_the_rule_they_break() {
        for (text, check, rule) in [
            ("9506000134352", check_gtin as Check, "GTIN_LENGTH"),
            ("95060001343", check_gtin, "GTIN_LENGTH"),
            ("009506000134352", check_gtin, "GTIN_LENGTH"),
            ("0950600013435X", check_gtin, "GTIN_NOT_DIGITS"),
            ("0950600013435２", check_gtin, "GTIN_NOT_DIGITS"),
            ("09506000134353", check_gtin, "GTIN_CHECK_DIGIT"),
            ("00000000000000", check_gtin, "GTIN_ALL_ZERO"),
            ("950600013436", check_gln, "GLN_LENGTH"),
            ("9506000134368", check_gln, "GLN_CHECK_DIGIT"),
            ("0000000000000", check_gln, "GLN_ALL_ZERO"),
            ("00106141412345678908", check_sscc, "SSCC_LENGTH"),
            ("(00)06141412345678", check_sscc, "SSCC_NOT_DIGITS"),
            ("106141412345678907", check_sscc, "SSCC_CHECK_DIGIT"),
            ("000000000000000000", check_sscc, "SSCC_ALL_ZERO"),
            ("950600012345678908", check_gsrn, "GSRN_CHECK_DIGIT"),
            ("", check_gsrn, "GSRN_LENGTH"),
        ] {
            assert_eq!(
                check(text).map_err(|error| error.rule),
                Err(rule),
                "{text:?}"
            );
        }
    }

    #[test]
    fn shorter_gtins_are_sent_back_with_the_way_to_write_them() {
        for (short, padded) in [
            ("96385074", "00000096385074"),
            ("614141000036", "00614141000036"),
            ("4006381333931", "04006381333931"),
        ] {
            assert!(
                check_gtin(short)
                    .unwrap_err()
                    .remedy
                    .contains("leading zeroes"),
                "{short}"
            );
            assert_eq!(check_gtin(padded), Ok(()), "{padded}");
        }
    }

    #[test]
    fn a_lot_has_one_to_twenty_characters_of_set_82() {
        for lot in [
            "A",
            "LVV-2028-01",
            "26/117*B",
            "%&'()!\"+,:;<=>?_.",
            "abcdefghijklmnopqrst",
        ] {
            assert_eq!(check_lot(lot), Ok(()), "{lot}");
            assert_eq!(check_serial(lot), Ok(()), "{lot}");
        }
        for (lot, rule) in [
            ("", "LOT_EMPTY"),
            ("abcdefghijklmnopqrstu", "LOT_TOO_LONG"),
            ("LOT 1", "LOT_CHARACTER"),
            ("LOT#1", "LOT_CHARACTER"),
            ("批号1", "LOT_CHARACTER"),
            ("LÖT", "LOT_CHARACTER"),
            ("LOT\u{1d}1", "LOT_CHARACTER"),
        ] {
            assert_eq!(
                check_lot(lot).map_err(|error| error.rule),
                Err(rule),
                "{lot:?}"
            );
        }
    }

    #[test]
    fn every_change_of_one_digit_is_refused() {
        for (valid, check) in NUMBERS {
            assert_eq!(check(valid), Ok(()));
            for at in 0..valid.len() {
                for digit in '0'..='9' {
                    let mut changed: Vec<char> = valid.chars().collect();
                    changed[at] = digit;
                    let changed: String = changed.into_iter().collect();
                    assert_eq!(check(&changed).is_ok(), changed == valid, "{changed}");
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        for (valid, check) in NUMBERS {
            for end in 0..valid.len() {
                assert!(check(&valid[..end]).is_err(), "{}", &valid[..end]);
            }
        }
    }

    proptest! {
        #[test]
        fn of_ten_last_digits_exactly_one_fits(body in "[0-9]{13}|[0-9]{12}|[0-9]{17}") {
            let check = match body.len() {
                12 => check_gln,
                13 => check_gtin,
                _ => check_sscc,
            };
            prop_assume!(body.bytes().any(|byte| byte != b'0'));
            let fitting = (0..10).filter(|digit| check(&format!("{body}{digit}")).is_ok()).count();
            prop_assert_eq!(fitting, 1);
        }

        #[test]
        fn any_change_of_one_digit_is_refused(body in "[1-9][0-9]{12}", at in 0..14_usize, by in 1..10_u8) {
            let valid = (0..10).map(|digit| format!("{body}{digit}")).find(|text| check_gtin(text).is_ok());
            let mut bytes = valid.unwrap().into_bytes();
            bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(check_gtin(&changed).is_err());
        }
    }
}
