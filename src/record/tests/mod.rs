//! The examples in `examples/records/` are records, one of each kind; and each rule refuses an example that
//! is spoilt in one place. Everything wrong comes at once, and each mend takes away its own refusal alone.

#![expect(
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a table is as long as it is, and JSON and descriptors have more variants than a record"
)]

mod envelope;
mod follow_up;
mod patient;
mod product;
mod safety;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};

use chrono::{DateTime, Utc};
use prost::Message as _;
use prost_reflect::{Cardinality, DescriptorPool, DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Value, json};

use super::{DecodeError, VIOLATIONS_MAX, Violation, check, check_encoded, kind_name};
use crate::pb;

/// One way to spoil an example, and the one refusal that follows.
struct Row {
    spoils: Vec<(&'static str, Value)>,
    refusal: &'static str,
    alone: bool,
}

/// A row. Each spoil names a place and its new value; null takes it away. A place is a JSON pointer from the
/// kind down, `lot/gtin`, or from the envelope with a slash before it, `/reason`.
fn row<const N: usize>(spoils: [(&'static str, Value); N], refusal: &'static str) -> Row {
    Row {
        spoils: spoils.into(),
        refusal,
        alone: false,
    }
}

/// A row that cannot be tried together with the others: it takes away what they need.
fn alone<const N: usize>(spoils: [(&'static str, Value); N], refusal: &'static str) -> Row {
    Row {
        alone: true,
        ..row(spoils, refusal)
    }
}

/// Tries each row by itself; then all of them at once; then all but one, for each.
fn refuse(kind: &str, rows: &[Row]) {
    let good = example(kind);
    for row in rows {
        let mut record = good.clone();
        spoil(&mut record, kind, &row.spoils);
        assert_eq!(
            violations(&record),
            [row.refusal],
            "{kind}: {:?}",
            row.spoils
        );
    }

    let mut together: Vec<&Row> = Vec::new();
    for row in rows.iter().filter(|row| !row.alone) {
        if !together.iter().any(|other| overlap(row, other)) {
            together.push(row);
        }
    }
    for mended in [None].into_iter().chain((0..together.len()).map(Some)) {
        let mut record = good.clone();
        let mut expected = Vec::new();
        for (number, row) in together
            .iter()
            .enumerate()
            .filter(|(number, _)| Some(*number) != mended)
        {
            spoil(&mut record, kind, &row.spoils);
            expected.push((number, row.refusal));
        }
        let found = violations(&record);
        for (_, refusal) in &expected {
            assert!(
                found.iter().any(|one| one == refusal),
                "{kind}: {refusal} is not in {found:#?}"
            );
        }
        if let Some(mended) = mended.map(|number| together[number].refusal) {
            let elsewhere = expected.iter().any(|(_, refusal)| *refusal == mended);
            assert!(
                elsewhere || !found.iter().any(|one| one == mended),
                "{kind}: {mended} was mended"
            );
        }
    }
}

/// Whether one row would undo another.
fn overlap(one: &Row, other: &Row) -> bool {
    one.spoils.iter().any(|(one, _)| {
        other
            .spoils
            .iter()
            .any(|(other, _)| one.starts_with(other) || other.starts_with(one))
    })
}

/// An example with some of its places changed; see [`row`].
pub(crate) fn spoilt(kind: &str, spoils: &[(&'static str, Value)]) -> pb::Record {
    let mut record = example(kind);
    spoil(&mut record, kind, spoils);
    parse(&record)
}

fn spoil(record: &mut Value, kind: &str, spoils: &[(&'static str, Value)]) {
    for (place, value) in spoils {
        let pointer = match place.strip_prefix('/') {
            Some(envelope) => format!("/{envelope}"),
            None if place.is_empty() => format!("/{}", camel(kind)),
            None => format!("/{}/{place}", camel(kind)),
        };
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match record.pointer_mut(parent).unwrap() {
            Value::Object(fields) if value.is_null() => {
                assert!(fields.remove(name).is_some(), "{kind}: no {pointer}");
            }
            Value::Object(fields) => drop(fields.insert(name.to_owned(), value.clone())),
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
            other => panic!("{kind}: {pointer} is in {other}"),
        }
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// The example of a kind, as JSON.
fn example(kind: &str) -> Value {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("examples/records/{kind}.json"));
    serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()
}

fn record_descriptor() -> MessageDescriptor {
    static RECORD: LazyLock<MessageDescriptor> = LazyLock::new(|| {
        let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
        let pool = DescriptorPool::decode(bytes.as_slice()).unwrap();
        pool.get_message_by_name("genetrail.v1.Record").unwrap()
    });
    RECORD.clone()
}

fn parse(json: &Value) -> pb::Record {
    let message = DynamicMessage::deserialize(record_descriptor(), json).unwrap();
    pb::Record::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn violations(record: &Value) -> Vec<String> {
    let told = |Violation {
                    field,
                    rule,
                    remedy,
                }| {
        assert!(10 < remedy.len() && !remedy.ends_with('.'), "{remedy}");
        format!("{field} {rule}")
    };
    check(&parse(record), now()).into_iter().map(told).collect()
}

pub(crate) fn kinds() -> Vec<String> {
    let kind = record_descriptor().oneofs().next().unwrap();
    kind.fields().map(|field| field.name().to_owned()).collect()
}

/// The spelling of a field in JSON.
fn camel(kind: &str) -> String {
    let field = record_descriptor().get_field_by_name(kind).unwrap();
    field.json_name().to_owned()
}

#[test]
fn there_is_a_good_example_of_each_kind() {
    let mut wrong = BTreeMap::new();
    for kind in kinds() {
        let json = example(&kind);
        assert_eq!(kind_name(parse(&json).kind.as_ref().unwrap()), kind);
        let found = violations(&json);
        if !found.is_empty() {
            wrong.insert(kind, found);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn there_is_no_example_of_anything_else() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/records");
    let mut found: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    found.sort();
    let mut kinds = kinds();
    kinds.sort();
    assert_eq!(found, kinds);
}

/// Every required field of every message, taken away one at a time, is asked for.
#[test]
fn what_is_required_is_asked_for_by_name() {
    let rule = record_descriptor()
        .parent_pool()
        .get_extension_by_name("genetrail.v1.rule")
        .unwrap();
    for kind in kinds() {
        let message = record_descriptor().get_field_by_name(&kind).unwrap().kind();
        for field in message.as_message().unwrap().fields() {
            let options = field.options();
            let value = options.get_extension(&rule);
            if value
                .as_message()
                .unwrap()
                .get_field_by_name("required")
                .unwrap()
                .as_bool()
                != Some(true)
            {
                continue;
            }
            let mut json = example(&kind);
            json[camel(&kind)]
                .as_object_mut()
                .unwrap()
                .remove(field.json_name())
                .unwrap();
            let refusal = format!("{kind}.{} REQUIRED", field.name());
            assert!(violations(&json).contains(&refusal), "{refusal}");
        }
    }
}

/// Nothing can enter the log that no rule has looked at: no text or bytes without a format, no float, no
/// map, no message of others.
#[test]
fn every_field_has_a_format_or_a_type_of_its_own() {
    let descriptor = record_descriptor();
    let rule = descriptor
        .parent_pool()
        .get_extension_by_name("genetrail.v1.rule")
        .unwrap();
    let mut queue = vec![descriptor];
    let mut seen = Vec::new();
    while let Some(message) = queue.pop() {
        assert!(
            message.full_name().starts_with("genetrail.v1."),
            "{}",
            message.full_name()
        );
        if seen.contains(&message.full_name().to_owned()) {
            continue;
        }
        seen.push(message.full_name().to_owned());
        for field in message.fields() {
            let options = field.options();
            let value = options.get_extension(&rule);
            let format = value
                .as_message()
                .unwrap()
                .get_field_by_name("format")
                .unwrap();
            match field.kind() {
                Kind::String | Kind::Bytes => {
                    assert_ne!(format.as_enum_number(), Some(0), "{}", field.full_name());
                }
                Kind::Message(inner) => queue.push(inner),
                Kind::Enum(choices) => assert_eq!(choices.default_value().number(), 0),
                Kind::Bool | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => {
                    assert_ne!(
                        field.cardinality(),
                        Cardinality::Repeated,
                        "{}",
                        field.full_name()
                    );
                }
                other => panic!("{}: {other:?}", field.full_name()),
            }
        }
    }
    assert!(80 < seen.len(), "{}", seen.len());
}

#[test]
fn an_unknown_value_of_any_enum_is_refused() {
    for kind in kinds() {
        let message = record_descriptor().get_field_by_name(&kind).unwrap().kind();
        for field in message.as_message().unwrap().fields() {
            let Kind::Enum(_) = field.kind() else {
                continue;
            };
            let mut json = example(&kind);
            let list = field.is_list();
            json[camel(&kind)][field.json_name()] = if list { json!([99]) } else { json!(99) };
            let item = if list { "[0]" } else { "" };
            let refusal = format!("{kind}.{}{item} ENUM_UNKNOWN", field.name());
            assert!(violations(&json).contains(&refusal), "{refusal}");
        }
    }
}

#[test]
fn more_than_256_items_are_several_records() {
    let mut json = example("shipment");
    let item = json["shipment"]["items"][0].clone();
    json["shipment"]["items"] = Value::Array(vec![item.clone(); 256]);
    assert_eq!(violations(&json), [""; 0]);
    json["shipment"]["items"] = Value::Array(vec![item; 257]);
    assert_eq!(violations(&json), ["shipment.items TOO_MANY_ITEMS"]);
}

#[test]
fn no_more_violations_are_told_than_anybody_reads() {
    let mut json = example("shipment");
    json["shipment"]["items"] = Value::Array(vec![json!({"serials": ["Ä", "Ö"]}); 256]);
    assert_eq!(violations(&json).len(), VIOLATIONS_MAX);
}

#[test]
fn bytes_that_are_no_record_are_told_from_a_record_that_is_wrong() {
    let error = check_encoded(&[0xff; 8], now()).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed(_)));
    let good = parse(&example("administration")).encode_to_vec();
    assert_eq!(check_encoded(&good, now()).unwrap().1, []);
    for length in 1..good.len() {
        let outcome = check_encoded(&good[..length], now());
        assert!(
            outcome.is_err() || outcome.is_ok_and(|(_, wrong)| !wrong.is_empty()),
            "{length}"
        );
    }
}

#[test]
fn a_kind_of_a_later_version_is_refused_not_dropped() {
    let mut record = parse(&example("administration"));
    record.kind = None;
    let mut bytes = record.encode_to_vec();
    // Field 900, an empty message.
    bytes.extend([0xa2, 0x38, 0x00]);
    let (_, wrong) = check_encoded(&bytes, now()).unwrap();
    assert_eq!(
        wrong
            .iter()
            .map(|one| one.field.as_str())
            .collect::<Vec<_>>(),
        ["kind"]
    );
}
