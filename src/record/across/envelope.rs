//! The envelope: what a record of its kind must say, and what it cannot say at once.

use super::Across;
use crate::{
    pb,
    record::{
        check::{Checker, kind_rule},
        format::{EventTime, parse_uuid},
        time,
    },
};

impl Across for pb::Record {
    fn across(&self, c: &mut Checker<'_>) {
        if let Some(kind) = &self.kind {
            let rule = kind_rule(kind);
            if !rule.housekeeping {
                attributable(self, c);
            }
            c.demand(
                !rule.patient || !self.patient.is_empty(),
                "patient",
                "REQUIRED",
                "name the patient by pseudonym: a record of this kind is about one",
            );
            c.demand(
                !rule.reason || has_reason(self),
                "reason",
                "REASON_REQUIRED",
                "say why: a record of this kind is void without a reason",
            );
        }
        precision_is_as_written(self, c);
        c.demand(
            self.signature_meaning() != pb::SignatureMeaning::Approval
                || !self.printed_name_commitment.is_empty(),
            "printed_name_commitment",
            "PRINTED_NAME_REQUIRED",
            "an approval shows a printed name: give its salted SHA-256",
        );
        for (item, link) in self.links.iter().enumerate() {
            c.demand_item(
                !is_same_id(&link.record_id, &self.record_id),
                ("links", item),
                "SELF_LINK",
                "a record cannot be linked to itself: name the other record",
            );
        }
    }
}

/// Whether the envelope says why.
pub(super) fn has_reason(record: &pb::Record) -> bool {
    !record.reason.trim().is_empty()
}

/// Whether two texts are one UUID; it may be written in capitals.
pub(super) fn is_same_id(one: &str, other: &str) -> bool {
    parse_uuid(one).is_ok_and(|one| parse_uuid(other) == Ok(one))
}

/// A fact or a decision says who, as what, where and from what.
fn attributable(record: &pb::Record, c: &mut Checker<'_>) {
    let fields = [
        (
            "site",
            !record.site.is_empty(),
            "name the site or organisation by its GLN",
        ),
        (
            "site_tz",
            !record.site_tz.is_empty(),
            "name the site's IANA time zone, such as Asia/Shanghai",
        ),
        (
            "actor_person",
            !record.actor_person.is_empty(),
            "name who did it, by actor id",
        ),
        (
            "actor_role",
            record.actor_role != 0,
            "say as what the actor did it",
        ),
        (
            "signature_meaning",
            record.signature_meaning != 0,
            "say what the signature means: AUTHORSHIP, REVIEW, APPROVAL, RESPONSIBILITY, WITNESS, RECEIPT or \
             TRANSCRIPTION",
        ),
        (
            "source_kind",
            record.source_kind != 0,
            "say how the record came to be: DIRECT, TRANSCRIBED, IMPORTED, DEVICE, PATIENT_REPORTED or \
             DERIVED",
        ),
    ];
    for (name, present, remedy) in fields {
        c.demand(present, name, "REQUIRED", remedy);
    }
}

fn precision_is_as_written(record: &pb::Record, c: &mut Checker<'_>) {
    let Ok(written) = EventTime::parse(&record.event_time) else {
        return;
    };
    let finer = time::stated_precision(record).is_some_and(|said| written.precision() < said);
    c.demand(
        !finer,
        "event_precision",
        "PRECISION_FINER_THAN_TIME",
        "event_time is not known that precisely as it is written: give the time in full, or a coarser precision",
    );
}
