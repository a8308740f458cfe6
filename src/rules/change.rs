//! A field of a record by its path, set as text: what a correction says was wrong, and what it should have
//! been. Paths are those of refusals: `administration.lot.lot`, `links[0].record_id`.
//!
//! Texts are what a person would write: numbers in decimal, booleans as `true` and `false`, bytes in
//! hexadecimal, enum values by their name with or without the enum's own before it; the empty text is "not said".

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _,
    Value,
};

use crate::pb;

/// Why a field cannot be set.
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
            // Every enum's zero is named for it: `SIGNATORY_UNSPECIFIED`.
            let zero = names.default_value();
            let own = zero.name().strip_suffix("UNSPECIFIED");
            let is_named = |name: &str| {
                name == text || own.is_some_and(|own| name.strip_prefix(own) == Some(text))
            };
            let value = names.values().find(|value| is_named(value.name()));
            value.map(|value| Value::EnumNumber(value.number()))
        }
        Kind::Message(_) => return Err(ChangeRefused::Group),
        // No record holds a floating-point number.
        Kind::Double | Kind::Float => None,
    };
    value.ok_or(ChangeRefused::Value)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    // `from_str_radix` takes a sign as well.
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
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

#[cfg(test)]
mod tests {
    use pb::record::Kind;

    use super::*;

    fn signed(signed: pb::ConsentSigned) -> pb::Record {
        pb::Record {
            kind: Some(Kind::ConsentSigned(signed)),
            ..Default::default()
        }
    }

    fn visited(visit: pb::FollowUpVisit) -> pb::Record {
        pb::Record {
            kind: Some(Kind::FollowUpVisit(visit)),
            ..Default::default()
        }
    }

    #[track_caller]
    fn check(from: &pb::Record, path: &str, text: &str, to: Result<&pb::Record, ChangeRefused>) {
        let changed = set(from, path, text);
        assert_eq!(changed.as_ref().map_err(|why| *why), to, "{path}: {text:?}");
    }

    #[test]
    fn a_value_is_set_as_a_person_writes_it() {
        let lar = signed(pb::ConsentSigned {
            signatory: pb::Signatory::Lar.into(),
            ..Default::default()
        });
        let none = signed(pb::ConsentSigned::default());
        for text in ["LAR", "SIGNATORY_LAR"] {
            check(&none, "consent_signed.signatory", text, Ok(&lar));
        }
        for text in ["AR", "lar", "SIGNATORY", "NOBODY"] {
            let refused = Err(ChangeRefused::Value);
            check(&none, "consent_signed.signatory", text, refused);
        }
        let second = signed(pb::ConsentSigned {
            signatory: pb::Signatory::SecondParent.into(),
            ..Default::default()
        });
        for text in ["SECOND_PARENT", "SIGNATORY_SECOND_PARENT"] {
            check(&none, "consent_signed.signatory", text, Ok(&second));
        }
        for text in [
            "PARENT",
            "_PARENT",
            "_SECOND_PARENT",
            "SIGNATORY_",
            "UNSPECIFIED_LAR",
        ] {
            let refused = Err(ChangeRefused::Value);
            check(&none, "consent_signed.signatory", text, refused);
        }
        let reached = |reached, attempts| {
            visited(pb::FollowUpVisit {
                reached,
                attempts,
                ..Default::default()
            })
        };
        let none = reached(None, 0);
        let path = "follow_up_visit.reached";
        check(&none, path, "true", Ok(&reached(Some(true), 0)));
        check(&none, path, "false", Ok(&reached(Some(false), 0)));
        check(&none, path, "yes", Err(ChangeRefused::Value));
        let path = "follow_up_visit.attempts";
        check(&none, path, "12", Ok(&reached(None, 12)));
        check(&none, path, "-1", Err(ChangeRefused::Value));
        check(&none, path, "4294967296", Err(ChangeRefused::Value));
    }

    #[test]
    fn bytes_are_whole_pairs_of_hexadecimal_digits() {
        let path = "consent_signed.document_sha256";
        let bytes = |bytes: &[u8]| {
            signed(pb::ConsentSigned {
                document_sha256: bytes.to_vec(),
                ..Default::default()
            })
        };
        let none = bytes(&[]);
        check(&none, path, "00ff7A", Ok(&bytes(&[0x00, 0xff, 0x7a])));
        for text in ["0", "00f", "0g", "+f", "0x00", "é"] {
            check(&none, path, text, Err(ChangeRefused::Value));
        }
    }

    #[test]
    fn the_empty_text_says_nothing() {
        let reached = visited(pb::FollowUpVisit {
            reached: Some(false),
            ..Default::default()
        });
        let none = visited(pb::FollowUpVisit::default());
        check(&reached, "follow_up_visit.reached", "", Ok(&none));
    }

    #[test]
    fn a_path_leads_through_groups_and_items_to_one_field() {
        let version = |family: &str| {
            signed(pb::ConsentSigned {
                version: Some(pb::ConsentVersionKey {
                    family: family.to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })
        };
        let none = signed(pb::ConsentSigned::default());
        let path = "consent_signed.version.family";
        check(&none, path, "ICF", Ok(&version("ICF")));
        check(&version("A"), path, "B", Ok(&version("B")));
        for (path, refused) in [
            ("consent_signed.version", ChangeRefused::Group),
            ("consent_signed", ChangeRefused::Group),
            ("consent_signed.nothing", ChangeRefused::Path),
            ("consent_signed.language.nothing", ChangeRefused::Path),
            ("consent_signed.language[0]", ChangeRefused::Path),
            ("", ChangeRefused::Path),
        ] {
            check(&none, path, "x", Err(refused));
        }

        let listed = |ids: [&str; 2]| pb::Record {
            links: ids
                .map(|id| pb::Link {
                    record_id: id.to_owned(),
                    ..Default::default()
                })
                .to_vec(),
            ..Default::default()
        };
        let (before, after) = (listed(["A", "B"]), listed(["A", "C"]));
        check(&before, "links[1].record_id", "C", Ok(&after));
        for (path, refused) in [
            ("links[2].record_id", ChangeRefused::Path),
            ("links[-1].record_id", ChangeRefused::Path),
            ("links[1.record_id", ChangeRefused::Path),
            ("links.record_id", ChangeRefused::Group),
            ("links[1]", ChangeRefused::Group),
        ] {
            check(&before, path, "C", Err(refused));
        }

        let classes = |classes: [pb::ProductClass; 2]| pb::Record {
            kind: Some(Kind::ProductRegistered(pb::ProductRegistered {
                product_classes: classes.map(i32::from).to_vec(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let before = classes([pb::ProductClass::Aav, pb::ProductClass::Aav]);
        let after = classes([pb::ProductClass::Herpes, pb::ProductClass::Aav]);
        let path = "product_registered.product_classes[0]";
        check(&before, path, "HERPES", Ok(&after));
        check(&before, path, "", Err(ChangeRefused::Value));
    }
}
