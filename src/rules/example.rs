//! The worked CAR-T history as facts, for tests: each record at the time at which it was recorded.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{
    book::Book,
    fact::{Fact, event_day},
};
use crate::{pb, tlog::Index};

/// The facts of `examples/car-t.ndjson`.
pub(crate) fn car_t() -> Book {
    let pool = DescriptorPool::decode(pb::DESCRIPTORS).unwrap();
    let descriptor = pool.get_message_by_name("genetrail.v1.Record").unwrap();
    let mut book = Book::default();
    for (index, line) in (0..).zip(include_str!("../../examples/car-t.ndjson").lines()) {
        let mut json = serde_json::Deserializer::from_str(line);
        let message = DynamicMessage::deserialize(descriptor.clone(), &mut json).unwrap();
        let record = pb::Record::decode(message.encode_to_vec().as_slice()).unwrap();
        book.insert(Fact {
            index: Index::new(index),
            recorded_at: record.client_time.parse().unwrap(),
            actor: record.actor_person.clone(),
            on: event_day(&record).unwrap(),
            record,
            replacement: None,
        });
    }
    book
}
