//! A field of a record by its path, read and set as text: what a correction says was wrong, and what it
//! should have been. Paths are those of refusals: `administration.lot.lot`, `links[0].record_id`.
//!
//! Texts are what a person would write: numbers in decimal, booleans as `true` and `false`, bytes in
//! hexadecimal, enum values by their name with or without the enum's own; the empty text is "not said".

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _,
    Value,
};

use crate::pb;

/// Why a field cannot be read or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// The path names no field of the record.
    #[error("the path names no field of the record")]
    Path,
    /// The path names a message or a list, which has no text.
    #[error("the path names a group of fields; name each field")]
    Group,
    /// The text is no value of the field.
    #[error("the text is no value of the field")]
    Value,
}

/// The text of a field; empty where the record does not say it.
pub fn get(record: &pb::Record, path: &str) -> Result<String, ChangeRefused> {
    let mut value = Value::Message(dynamic(record)?);
    let mut field = None;
    for step in path.split('.') {
        let Step { name, position } = Step::parse(step)?;
        let message = value.as_message().ok_or(ChangeRefused::Path)?;
        let found = named(&message.descriptor(), name)?;
        let here = message.get_field(&found).into_owned();
        value = match (position, here) {
            (None, here) => here,
            (Some(position), Value::List(items)) => {
                items.get(position).cloned().ok_or(ChangeRefused::Path)?
            }
            (Some(_), _) => return Err(ChangeRefused::Path),
        };
        field = Some(found);
    }
    let field = field.ok_or(ChangeRefused::Path)?;
    text_of(&field.kind(), &value)
}

/// The record with the field set to what the text says.
pub fn set(record: &pb::Record, path: &str, text: &str) -> Result<pb::Record, ChangeRefused> {
    let steps: Result<Vec<Step<'_>>, _> = path.split('.').map(Step::parse).collect();
    let mut message = dynamic(record)?;
    set_in(&mut message, &steps?, text)?;
    pb::Record::decode(message.encode_to_vec().as_slice())
        .ok()
        .ok_or(ChangeRefused::Value)
}

/// One part of a path: a field, and which of its items.
struct Step<'a> {
    name: &'a str,
    position: Option<usize>,
}

impl<'a> Step<'a> {
    fn parse(text: &'a str) -> Result<Self, ChangeRefused> {
        let Some((name, rest)) = text.split_once('[') else {
            return Ok(Self {
                name: text,
                position: None,
            });
        };
        let position = rest.strip_suffix(']').and_then(|text| text.parse().ok());
        Ok(Self {
            name,
            position: Some(position.ok_or(ChangeRefused::Path)?),
        })
    }
}

fn set_in(
    message: &mut DynamicMessage,
    steps: &[Step<'_>],
    text: &str,
) -> Result<(), ChangeRefused> {
    let (step, rest) = steps.split_first().ok_or(ChangeRefused::Path)?;
    let field = named(&message.descriptor(), step.name)?;
    let Some(position) = step.position else {
        if field.is_list() {
            return Err(ChangeRefused::Group);
        }
        if rest.is_empty() {
            return set_value(message, &field, text);
        }
        let mut value = message.get_field(&field).into_owned();
        let inner = value.as_message_mut().ok_or(ChangeRefused::Path)?;
        set_in(inner, rest, text)?;
        message.set_field(&field, value);
        return Ok(());
    };
    let mut list = message.get_field(&field).into_owned();
    let items = list.as_list_mut().ok_or(ChangeRefused::Path)?;
    let item = items.get_mut(position).ok_or(ChangeRefused::Path)?;
    if rest.is_empty() {
        *item = value_of(&field.kind(), text)?;
    } else {
        let inner = item.as_message_mut().ok_or(ChangeRefused::Path)?;
        set_in(inner, rest, text)?;
    }
    message.set_field(&field, list);
    Ok(())
}

/// The empty text says nothing: the field is then as if it had never been set.
fn set_value(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    text: &str,
) -> Result<(), ChangeRefused> {
    if matches!(field.kind(), Kind::Message(_)) {
        return Err(ChangeRefused::Group);
    }
    if text.is_empty() {
        message.clear_field(field);
    } else {
        message.set_field(field, value_of(&field.kind(), text)?);
    }
    Ok(())
}

fn value_of(kind: &Kind, text: &str) -> Result<Value, ChangeRefused> {
    let value = match kind {
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => text.parse().ok().map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text.parse().ok().map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => text.parse().ok().map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => text.parse().ok().map(Value::U64),
        Kind::String => Some(Value::String(text.to_owned())),
        Kind::Bytes => bytes_of(text).map(|bytes| Value::Bytes(bytes.into())),
        Kind::Enum(names) => {
            let mut values = names.values();
            let matching = |name: &str| name == text || name.ends_with(&format!("_{text}"));
            let exact = names.get_value_by_name(text);
            let value = exact.or_else(|| values.find(|value| matching(value.name())));
            value.map(|value| Value::EnumNumber(value.number()))
        }
        Kind::Message(_) => return Err(ChangeRefused::Group),
        // No record holds a floating-point number.
        Kind::Double | Kind::Float => None,
    };
    value.ok_or(ChangeRefused::Value)
}

fn text_of(kind: &Kind, value: &Value) -> Result<String, ChangeRefused> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => hex_of(bytes),
        Value::EnumNumber(number) => {
            let names = kind.as_enum();
            let name = names.and_then(|names| names.get_value(*number));
            name.map(|name| name.name().to_owned()).unwrap_or_default()
        }
        Value::F32(_) | Value::F64(_) | Value::Message(_) | Value::List(_) | Value::Map(_) => {
            return Err(ChangeRefused::Group);
        }
    })
}

fn hex_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _written = write!(hex, "{byte:02x}");
        hex
    })
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| {
        let text = str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    digits.chunks(2).map(pair).collect()
}

fn named(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, ChangeRefused> {
    message.get_field_by_name(name).ok_or(ChangeRefused::Path)
}

fn dynamic(record: &pb::Record) -> Result<DynamicMessage, ChangeRefused> {
    static RECORD: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
        let pool = DescriptorPool::decode(pb::DESCRIPTORS).ok()?;
        pool.get_message_by_name("genetrail.v1.Record")
    });
    let descriptor = RECORD.clone().ok_or(ChangeRefused::Path)?;
    DynamicMessage::decode(descriptor, record.encode_to_vec().as_slice())
        .ok()
        .ok_or(ChangeRefused::Path)
}
