//! Who submits: for now, whoever the metadata key `genetrail-actor` says. Does not know who may do what.

use tonic::metadata::MetadataMap;

use super::error::CallError;
use crate::record::format::check_actor;

/// The metadata key that names the actor.
const KEY: &str = "genetrail-actor";

/// The actor that a call names.
pub(super) fn of(metadata: &MetadataMap) -> Result<&str, CallError> {
    let mut values = metadata.get_all(KEY).iter();
    let (Some(actor), None) = (values.next(), values.next()) else {
        return Err(CallError::ActorMissing);
    };
    // What is not ASCII is no actor id; the empty text says so with its remedy.
    let actor = actor.to_str().unwrap_or_default();
    check_actor(actor).map_err(CallError::ActorMalformed)?;
    Ok(actor)
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;
    use crate::service::error::Reason;

    fn check(values: &[&[u8]], expected: Result<&str, Reason>) {
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append(KEY, MetadataValue::try_from(*value).unwrap());
        }
        let found = of(&metadata).map_err(CallError::reason);
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn an_actor_is_named_once_and_in_its_format() {
        check(&[b"nurse-7"], Ok("nurse-7"));
        check(&[], Err(Reason::ActorMissing));
        check(&[b"nurse-7", b"nurse-8"], Err(Reason::ActorMissing));
        check(&[b""], Err(Reason::ActorMalformed));
        check(&[b"nurse 7"], Err(Reason::ActorMalformed));
        check(&[b"nurse-\xe9"], Err(Reason::ActorMalformed));
        check(&[&[b'a'; 65]], Err(Reason::ActorMalformed));
    }
}
