//! Records as proto3 JSON, both ways, and answers one way. Whether a record is a faithful one is for the ledger to say.

use std::sync::OnceLock;

use anyhow::Context as _;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};

use super::random;
use crate::pb;

const RECORD_ID: &str = "record_id";

/// The bytes of a record that is written in proto3 JSON, always the same for the same text.
#[derive(Debug)]
pub(super) struct EncodedRecord {
    /// Its id, as written; empty where there is none.
    pub(super) record_id: String,
    /// The bytes of the `genetrail.v1.Record`.
    pub(super) bytes: Vec<u8>,
}

/// Reads one record. A field that does not exist is refused, not dropped.
pub(super) fn parse(json: &str) -> anyhow::Result<EncodedRecord> {
    Ok(encode(&read(json)?))
}

/// Reads one record, and gives it a new id if it has none.
pub(super) fn parse_or_name(json: &str) -> anyhow::Result<(EncodedRecord, bool)> {
    let mut record = read(json)?;
    let nameless = encode(&record).record_id.is_empty();
    if nameless {
        record.set_field_by_name(RECORD_ID, Value::String(new_record_id()?));
    }
    Ok((encode(&record), nameless))
}

/// A record in proto3 JSON, on several lines.
pub(super) fn to_json(record: &[u8]) -> anyhow::Result<String> {
    message_to_json("genetrail.v1.Record", record)
}

/// A message of this name in proto3 JSON, on several lines.
pub(super) fn message_to_json(name: &str, message: &[u8]) -> anyhow::Result<String> {
    let message = DynamicMessage::decode(descriptor(name)?, message)
        .with_context(|| format!("it is not a {name}"))?;
    serde_json::to_string_pretty(&message).context("it cannot be written as JSON")
}

/// A message in proto3 JSON, on one line.
pub(super) fn to_json_line(name: &str, message: &[u8]) -> anyhow::Result<String> {
    let message = DynamicMessage::decode(descriptor(name)?, message)
        .with_context(|| format!("it is not a {name}"))?;
    serde_json::to_string(&message).context("it cannot be written as JSON")
}

/// A random UUID (RFC 9562, version 4).
pub(super) fn new_record_id() -> anyhow::Result<String> {
    let id = u128::from_be_bytes(random()?);
    let id = id & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{id:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or(""));
    Ok(parts.join("-"))
}

fn read(json: &str) -> anyhow::Result<DynamicMessage> {
    let mut json = serde_json::Deserializer::from_str(json);
    let record = DynamicMessage::deserialize(descriptor("genetrail.v1.Record")?, &mut json);
    let record = record.context("not a Record in proto3 JSON")?;
    json.end().context("something follows the record")?;
    Ok(record)
}

fn encode(record: &DynamicMessage) -> EncodedRecord {
    let record_id = record.get_field_by_name(RECORD_ID);
    let record_id = record_id
        .and_then(|id| id.as_str().map(str::to_owned))
        .unwrap_or_default();
    EncodedRecord {
        record_id,
        bytes: record.encode_to_vec(),
    }
}

fn descriptor(name: &str) -> anyhow::Result<MessageDescriptor> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| DescriptorPool::decode(pb::DESCRIPTORS).ok());
    let message = pool
        .as_ref()
        .and_then(|pool| pool.get_message_by_name(name));
    message.with_context(|| format!("this program was built without the fields of {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVOKED: &str = r#"{
        "recordId": "11111111-1111-4111-8111-111111111111",
        "keyRevoked": {"actorId": "A-1", "keyId": "AAEC"}
    }"#;

    #[test]
    fn a_record_in_json_has_the_bytes_of_the_message() {
        let parsed = parse(REVOKED).unwrap();
        let revoked = pb::KeyRevoked {
            actor_id: "A-1".to_owned(),
            key_id: vec![0, 1, 2],
            ..pb::KeyRevoked::default()
        };
        let record = pb::Record {
            record_id: "11111111-1111-4111-8111-111111111111".to_owned(),
            kind: Some(pb::record::Kind::KeyRevoked(revoked)),
            ..pb::Record::default()
        };
        assert_eq!(parsed.bytes, record.encode_to_vec());
        assert_eq!(parsed.record_id, record.record_id);
        assert_eq!(
            parse(&to_json(&parsed.bytes).unwrap()).unwrap().bytes,
            parsed.bytes
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for json in [
            "",
            "[]",
            "{\"recordId\": 1}",
            "{\"recordID\": \"x\"}",
            "{\"noSuchKind\": {}}",
            "{\"keyRevoked\": {}, \"keyRotated\": {}}",
            "{} {}",
            "{",
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn only_a_record_without_an_id_is_given_one() {
        let (named, nameless) = parse_or_name(REVOKED).unwrap();
        assert_eq!(
            (named.bytes, nameless),
            (parse(REVOKED).unwrap().bytes, false)
        );
        let (one, nameless) = parse_or_name("{}").unwrap();
        assert!(nameless);
        assert_ne!(one.record_id, parse_or_name("{}").unwrap().0.record_id);
    }

    #[test]
    fn a_new_id_is_a_uuid_of_version_4() {
        let id = new_record_id().unwrap();
        assert_eq!(id.len(), 36);
        let digits = id.as_bytes();
        assert_eq!(digits[14], b'4');
        assert!(b"89ab".contains(&digits[19]), "{id}");
    }
}
