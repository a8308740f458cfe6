//! Identifiers that somebody made up: record ids, pseudonyms of patients and actors, names of versions and
//! samples. Knows how they are written and what they must not be: a number that leads to a person.

use super::{FormatError, demand, gs1, personal};

/// A UUID of any version in its 36-character form. Capitals are accepted: they write the same number.
pub fn check_uuid(text: &str) -> Result<(), FormatError> {
    parse_uuid(text).map(drop)
}

/// The 16 bytes of a UUID.
pub fn parse_uuid(text: &str) -> Result<[u8; 16], FormatError> {
    let number = uuid_number(text).ok_or(FormatError::new(
        "UUID_FORMAT",
        "write the UUID as 32 hexadecimal digits with hyphens: 8-4-4-4-12",
    ))?;
    demand(
        number != 0,
        "UUID_NIL",
        "generate a UUID; all zeroes identifies nothing",
    )?;
    Ok(number.to_be_bytes())
}

/// 32 digits of 4 bits, in their groups. Every id of a record is read here, several times over.
fn uuid_number(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut digits = text.bytes().enumerate();
    digits.try_fold(0, |number, (position, byte)| match position {
        8 | 13 | 18 | 23 => (byte == b'-').then_some(number),
        _ => Some(number << 4 | u128::from(char::from(byte).to_digit(16)?)),
    })
}

/// A patient's pseudonym: random, and nothing that leads to the person without the programme's key.
pub fn check_pseudonym(text: &str) -> Result<(), FormatError> {
    demand(
        (1..=64).contains(&text.len()),
        "PSEUDONYM_LENGTH",
        "give the patient's pseudonym, 1 to 64 characters",
    )?;
    check_not_personal(text)?;
    demand(
        text.bytes().all(is_pseudonym_byte),
        "PSEUDONYM_CHARACTER",
        "use a random pseudonym of letters, digits, dots, hyphens and underscores",
    )
}

/// An actor's id: a pseudonym for a person, a name for a system.
pub fn check_actor(text: &str) -> Result<(), FormatError> {
    demand(
        (1..=64).contains(&text.len()),
        "ACTOR_ID_LENGTH",
        "give the actor's id, 1 to 64 characters",
    )?;
    check_not_personal(text)?;
    demand(
        text.bytes().all(is_pseudonym_byte),
        "ACTOR_ID_CHARACTER",
        "use an id of letters, digits, dots, hyphens and underscores",
    )
}

/// A name given by machines or for them - a version, a family, a sample - of visible ASCII characters.
pub fn check_token(text: &str, max: usize) -> Result<(), FormatError> {
    demand(
        !text.is_empty(),
        "TOKEN_EMPTY",
        "give a value; it may not be empty",
    )?;
    demand(
        text.len() <= max,
        "TOKEN_TOO_LONG",
        "shorten the value to what the field allows",
    )?;
    personal::check_personal(text)?;
    demand(
        text.bytes().all(|byte| byte.is_ascii_graphic()),
        "TOKEN_CHARACTER",
        "use visible ASCII characters without spaces",
    )
}

fn is_pseudonym_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// Refuses what reads like a number of a person. Ten digits on end are a telephone, a card or a patient
/// number in some country; a GSRN and 128 random bits in hexadecimal are what a pseudonym should be.
fn check_not_personal(text: &str) -> Result<(), FormatError> {
    if is_random_hex(text) {
        return Ok(());
    }
    personal::check_personal(text)?;
    let longest = text
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max()
        .unwrap_or_default();
    demand(
        longest < 10 || (text.len() == 18 && gs1::has_check_digit(text)),
        "PERSONAL_DATA",
        "this looks like a number that others know the person by: use a random pseudonym",
    )
}

/// 128 bits in hexadecimal, hyphens or not, that are not all decimal digits.
fn is_random_hex(text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (parse_uuid(text).is_ok() || text.len() == 32 && is_hex(text))
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_read_in_either_case() {
        let lower = parse_uuid("3f2504e0-4f89-11d3-9a0c-0305e82c3301");
        assert_eq!(lower, parse_uuid("3F2504E0-4F89-11D3-9A0C-0305E82C3301"));
        let bytes = [
            0x3f, 0x25, 0x04, 0xe0, 0x4f, 0x89, 0x11, 0xd3, 0x9a, 0x0c, 0x03, 0x05, 0xe8, 0x2c,
            0x33, 1,
        ];
        assert_eq!(lower, Ok(bytes));
        for text in [
            "",
            "3f2504e04f8911d39a0c0305e82c3301",
            "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
            "urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "3f2504e0-4f89-11d3-9a0c-0305e82c330",
            "3f2504e0-4f89-11d3-9a0c-0305e82c33011",
            "3f2504e0-4f89-11d3-9a0c-0305e82c330g",
            "3f2504e0-4f89-11d39-a0c-0305e82c3301",
            "3f2504e04-f89-11d3-9a0c-0305e82c3301",
            "+f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "3f2504e0–4f89–11d3–9a0c–0305e82c3301",
        ] {
            assert_eq!(
                check_uuid(text).map_err(|error| error.rule),
                Err("UUID_FORMAT"),
                "{text:?}"
            );
        }
        let nil = "00000000-0000-0000-0000-000000000000";
        assert_eq!(check_uuid(nil).map_err(|error| error.rule), Err("UUID_NIL"));
    }

    #[test]
    fn a_pseudonym_leads_to_nobody() {
        for text in [
            "P1",
            "SCR-07",
            "site_H1.nurse-02",
            "7b0c5e21f9d84a6fae31c2d45b6f7081",
            "3f2504e0-4f89-11d3-9a0c-030512345678",
            "1234567890abcdef1234567890abcdef",
            "KZ8F3Q0T9X",
            "123456789",
            "950600012345678907",
        ] {
            assert_eq!(check_pseudonym(text), Ok(()), "{text}");
            assert_eq!(check_actor(text), Ok(()), "{text}");
        }
        for (text, rule) in [
            ("", "PSEUDONYM_LENGTH"),
            ("P 1", "PSEUDONYM_CHARACTER"),
            ("患者1", "PSEUDONYM_CHARACTER"),
            ("P/1", "PSEUDONYM_CHARACTER"),
            ("P\n1", "PSEUDONYM_CHARACTER"),
            ("11010519491231002X", "PERSONAL_DATA"),
            ("440524188001010014", "PERSONAL_DATA"),
            ("110105491231002", "PERSONAL_DATA"),
            ("13800138000", "PERSONAL_DATA"),
            ("138-0013-8000", "PERSONAL_DATA"),
            ("somebody@example.org", "PERSONAL_DATA"),
            ("E12345678", "PERSONAL_DATA"),
            ("1234567890", "PERSONAL_DATA"),
            ("P-0012345678", "PERSONAL_DATA"),
            ("MRN-0012345", "PERSONAL_DATA"),
            ("12345678901234567890123456789012", "PERSONAL_DATA"),
        ] {
            assert_eq!(
                check_pseudonym(text).map_err(|error| error.rule),
                Err(rule),
                "{text:?}"
            );
            assert!(check_actor(text).is_err(), "{text:?}");
        }
        assert_eq!(check_pseudonym(&"a".repeat(64)), Ok(()));
        assert!(check_pseudonym(&"a".repeat(65)).is_err());
    }

    #[test]
    fn a_token_is_visible_ascii_within_its_length() {
        for text in [
            "1",
            "2.0",
            "FU-01",
            "S/2028#17",
            "GRCh38.p14",
            "09506000134352",
        ] {
            assert_eq!(check_token(text, 64), Ok(()), "{text}");
        }
        for (text, rule) in [
            ("", "TOKEN_EMPTY"),
            ("a b", "TOKEN_CHARACTER"),
            ("é", "TOKEN_CHARACTER"),
            ("a\u{7f}", "TOKEN_CHARACTER"),
            ("abcdefghijkl", "TOKEN_TOO_LONG"),
            ("13800138000", "PERSONAL_DATA"),
        ] {
            assert_eq!(
                check_token(text, 11).map_err(|error| error.rule),
                Err(rule),
                "{text:?}"
            );
        }
    }
}
