//! Identifiers that somebody made up: record ids, pseudonyms of patients and actors, names of versions and
//! samples. Knows how they are written and what they must not be: a number that leads to a person.

use super::{FormatError, demand, gs1, personal};

/// A UUID of any version in its 36-character form. Capitals are accepted: they write the same number.
pub fn check_uuid(text: &str) -> Result<(), FormatError> {
    parse_uuid(text).map(drop)
}

/// The 16 bytes of a UUID.
pub fn parse_uuid(text: &str) -> Result<[u8; 16], FormatError> {
    let wrong = FormatError::new(
        "UUID_FORMAT",
        "write the UUID as 32 hexadecimal digits with hyphens: 8-4-4-4-12",
    );
    let groups = text.split('-').map(str::len);
    let is_hex = text
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if !is_hex || !groups.eq([8, 4, 4, 4, 12]) {
        return Err(wrong);
    }
    let number = u128::from_str_radix(&text.replace('-', ""), 16)
        .ok()
        .ok_or(wrong)?;
    demand(
        number != 0,
        "UUID_NIL",
        "generate a UUID; all zeroes identifies nothing",
    )?;
    Ok(number.to_be_bytes())
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
    personal::check_personal(text)?;
    demand(
        text.bytes().all(|byte| byte.is_ascii_graphic()),
        "TOKEN_CHARACTER",
        "use visible ASCII characters without spaces",
    )?;
    demand(
        text.len() <= max,
        "TOKEN_TOO_LONG",
        "shorten the value to what the field allows",
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
    let digits = text.replace('-', "");
    (parse_uuid(text).is_ok() || digits.len() == 32 && text.len() == 32)
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.bytes().any(|byte| byte.is_ascii_alphabetic())
}
