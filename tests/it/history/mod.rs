//! Histories: what happened to a product and its patients over years, told tersely in JSON, with the answers
//! that are expected. Here they become records.

pub(crate) mod convert;
mod fields;
mod follow_up;
mod parties;
mod people;
mod safety;
mod supply;

use std::{env, fs, path::Path};

use genetrail::pb;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

use self::convert::convert;

/// A history of `tests/histories`.
fn history(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/histories")
        .join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A record as a line of proto3 JSON.
fn to_json(record: &pb::Record) -> String {
    let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    let pool = DescriptorPool::decode(descriptors.as_slice()).unwrap();
    let descriptor = pool.get_message_by_name("genetrail.v1.Record").unwrap();
    let message = DynamicMessage::decode(descriptor, record.encode_to_vec().as_slice()).unwrap();
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .unwrap();
    String::from_utf8(json).unwrap()
}

#[test]
fn the_car_t_example_is_the_history_converted() {
    let records = convert(&history("car-t.json")).unwrap();
    let converted: String = records
        .iter()
        .map(|record| to_json(record) + "\n")
        .collect();

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/car-t.ndjson");
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &converted).unwrap();
    }
    let example = fs::read_to_string(&path).unwrap();
    for (number, (line, converted)) in example.lines().zip(converted.lines()).enumerate() {
        assert_eq!(
            line,
            converted,
            "line {}; UPDATE_EXPECT=1 rewrites the example",
            number + 1
        );
    }
    assert_eq!(
        example.len(),
        converted.len(),
        "UPDATE_EXPECT=1 rewrites the example"
    );
}
