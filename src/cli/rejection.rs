//! What a server answered instead of a receipt, for a person to read: the reason, and every field that
//! is wrong with what to do about it.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, RpcStatusExt as _, StatusExt as _};

/// A gRPC error.
#[derive(Debug)]
pub(super) struct Rejection {
    code: Code,
    message: String,
    details: ErrorDetails,
}

/// What an error means for whoever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The answer is no, and will be no again.
    No,
    /// Nobody is there, or has room: the same call may succeed later.
    Later,
    /// Something is wrong that concerns every call.
    Broken,
}

impl Rejection {
    pub(super) fn meaning(&self) -> Meaning {
        match self.code {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange => Meaning::No,
            // A server that is killed leaves its callers with one of these.
            Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Aborted => Meaning::Later,
            Code::Ok
            | Code::DeadlineExceeded
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Meaning::Broken,
        }
    }
}

impl From<&Status> for Rejection {
    fn from(status: &Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            details: status.get_error_details(),
        }
    }
}

impl From<&tonic_types::Status> for Rejection {
    fn from(status: &tonic_types::Status) -> Self {
        Self {
            code: Code::from_i32(status.code),
            message: status.message.clone(),
            details: status.get_error_details(),
        }
    }
}

/// The reason and the message, or a line for each field that is wrong: the field, the rule, the remedy.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.details.error_info() {
            Some(info) => write!(f, "{}", info.reason)?,
            None => write!(f, "{:?}", self.code)?,
        }
        let Some(bad) = self
            .details
            .bad_request()
            .filter(|bad| !bad.field_violations.is_empty())
        else {
            return write!(f, ": {}", self.message);
        };
        for FieldViolation {
            field,
            description,
            reason,
            localized_message: _,
        } in &bad.field_violations
        {
            write!(f, "\n  {field}: {reason}: {description}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_shows_every_field_that_is_wrong_on_a_line() {
        let mut details = ErrorDetails::new();
        details.set_error_info("RECORD_INVALID", "genetrail", []);
        let mut lot =
            FieldViolation::new("administration.lot.lot", "write the lot as on the label");
        lot.reason = "LOT_CHARACTERS".to_owned();
        details.set_bad_request(vec![lot, FieldViolation::new("site", "is required")]);
        let status =
            Status::with_error_details(Code::InvalidArgument, "2 fields are wrong", details);
        let rejection = Rejection::from(&status);
        assert_eq!(rejection.meaning(), Meaning::No);
        assert_eq!(
            rejection.to_string(),
            "RECORD_INVALID\n  \
             administration.lot.lot: LOT_CHARACTERS: write the lot as on the label\n  \
             site: : is required"
        );
    }

    #[test]
    fn a_rejection_without_fields_shows_its_message() {
        let mut details = ErrorDetails::new();
        details.set_error_info("RECORD_ID_TAKEN", "genetrail", []);
        let status = Status::with_error_details(Code::AlreadyExists, "entry 7 has it", details);
        assert_eq!(
            Rejection::from(&status).to_string(),
            "RECORD_ID_TAKEN: entry 7 has it"
        );
        let bare = Rejection::from(&Status::unavailable("gone"));
        assert_eq!(bare.to_string(), "Unavailable: gone");
    }

    #[test]
    fn a_server_that_went_away_is_worth_another_try() {
        let status = Status::unavailable("connection refused");
        assert_eq!(Rejection::from(&status).meaning(), Meaning::Later);
        let status = Status::permission_denied("no");
        assert_eq!(Rejection::from(&status).meaning(), Meaning::Broken);
    }
}
