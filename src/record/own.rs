//! The formats that the records have beyond those of single values: two that join others, two small ones,
//! and the one that leaves the check to the message.

use super::format::{FormatError, check_civil_date, check_instant};

/// A day of the calendar, or an instant.
pub(super) fn check_day_or_instant(text: &str) -> Result<(), FormatError> {
    if text.contains('T') {
        check_instant(text)
    } else {
        check_civil_date(text)
    }
}

/// A human chromosome: 1 to 22, X, Y or MT.
pub(super) fn check_chromosome(text: &str) -> Result<(), FormatError> {
    let number = text
        .parse()
        .is_ok_and(|number: u8| (1..=22).contains(&number));
    let plain = !text.starts_with(['0', '+']);
    if (number && plain) || matches!(text, "X" | "Y" | "MT") {
        return Ok(());
    }
    Err(FormatError {
        rule: "CHROMOSOME_UNKNOWN",
        remedy: "write the chromosome as 1 to 22, X, Y or MT, without chr",
    })
}

/// The path of a field in a record: `shipment.items[2].lot.gtin`.
pub(super) fn check_field_path(text: &str) -> Result<(), FormatError> {
    if text.len() <= FIELD_PATH_MAX && text.split('.').all(is_step) {
        return Ok(());
    }
    Err(FormatError {
        rule: "FIELD_PATH",
        remedy: "write the names of the fields from the record down, with dots: shipment.items[2].lot.gtin",
    })
}

/// The message's own rules check it; here, anything will do.
#[expect(
    clippy::unnecessary_wraps,
    reason = "stands where every text's format stands"
)]
pub(super) fn check_across(_text: &str) -> Result<(), FormatError> {
    Ok(())
}

/// No path in these messages comes near.
const FIELD_PATH_MAX: usize = 200;

/// One step of a path: a name in snake case, and perhaps the index of an item.
fn is_step(step: &str) -> bool {
    let (name, index) = match step.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((name, index)) => (name, Some(index)),
        None => (step, None),
    };
    let named = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let indexed = index.is_none_or(|index| {
        (1..=5).contains(&index.len()) && index.bytes().all(|b| b.is_ascii_digit())
    });
    named && indexed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_or_an_instant_is_either_and_nothing_coarser() {
        for (text, ok) in [
            ("2026-01-31", true),
            ("2026-01-31T09:00:00+08:00", true),
            ("2026-01", false),
            ("2026-02-30", false),
            ("2026-01-31T09:00:00", false),
            ("", false),
        ] {
            assert_eq!(check_day_or_instant(text).is_ok(), ok, "{text:?}");
        }
    }

    #[test]
    fn a_chromosome_is_written_one_way() {
        for (text, ok) in [
            ("1", true),
            ("22", true),
            ("X", true),
            ("Y", true),
            ("MT", true),
            ("0", false),
            ("23", false),
            ("01", false),
            ("+1", false),
            ("chr1", false),
            ("x", false),
            ("M", false),
            ("", false),
        ] {
            assert_eq!(check_chromosome(text).is_ok(), ok, "{text:?}");
        }
    }

    #[test]
    fn a_field_path_is_names_and_indexes() {
        for (text, ok) in [
            ("patient", true),
            ("administration.lot.gtin", true),
            ("shipment.items[2].serials[0]", true),
            ("", false),
            (".", false),
            ("a..b", false),
            ("a[", false),
            ("a[]", false),
            ("a[x]", false),
            ("a]", false),
            ("[1]", false),
            ("A", false),
            ("1a", false),
            ("a b", false),
            ("a[1][2]", false),
        ] {
            assert_eq!(check_field_path(text).is_ok(), ok, "{text:?}");
        }
        assert!(check_field_path(&"a".repeat(201)).is_err());
    }
}
