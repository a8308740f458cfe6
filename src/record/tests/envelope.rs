//! The envelope, on the example of an administration.

use super::*;

#[test]
fn who_where_when_and_what_are_said() {
    refuse(
        "administration",
        &[
            row([("/recordId", json!(null))], "record_id REQUIRED"),
            row([("/recordId", json!("7"))], "record_id UUID_FORMAT"),
            row([("/schemaVersion", json!(2))], "schema_version TOO_LARGE"),
            alone([("/eventTime", json!(null))], "event_time REQUIRED"),
            alone(
                [("/eventTime", json!("2026-02-30"))],
                "event_time DATE_NOT_IN_CALENDAR",
            ),
            alone(
                [("/eventTime", json!("2026-03-10T09:00:00"))],
                "event_time INSTANT_OFFSET_MISSING",
            ),
            row(
                [("/eventPrecision", json!(9))],
                "event_precision ENUM_UNKNOWN",
            ),
            row(
                [("/clientTime", json!("2026-03-10"))],
                "client_time INSTANT_FORMAT",
            ),
            row([("/site", json!(null))], "site REQUIRED"),
            row([("/site", json!("9521123001016"))], "site GLN_CHECK_DIGIT"),
            row([("/siteTz", json!(null))], "site_tz REQUIRED"),
            row([("/siteTz", json!("Beijing"))], "site_tz TIME_ZONE_UNKNOWN"),
            row([("/actorPerson", json!(null))], "actor_person REQUIRED"),
            row(
                [("/actorPerson", json!("13812345678"))],
                "actor_person PERSONAL_DATA",
            ),
            row([("/actorRole", json!(null))], "actor_role REQUIRED"),
            row([("/actorRole", json!(99))], "actor_role ENUM_UNKNOWN"),
            row([("/onBehalfOf", json!("1"))], "on_behalf_of GLN_LENGTH"),
            row(
                [("/signatureMeaning", json!(null))],
                "signature_meaning REQUIRED",
            ),
            row([("/sourceKind", json!(null))], "source_kind REQUIRED"),
            row(
                [("/sourceDoc", json!({"sha256": "AAAA"}))],
                "source_doc.sha256 LENGTH",
            ),
            row([("/sourceDoc", json!({}))], "source_doc.sha256 REQUIRED"),
            row([("/patient", json!(null))], "patient REQUIRED"),
            row(
                [("/patient", json!("11010519491231002X"))],
                "patient PERSONAL_DATA",
            ),
            row(
                [("/reason", json!("call 13812345678"))],
                "reason PERSONAL_DATA",
            ),
            row(
                [("/reason", json!("x".repeat(2001)))],
                "reason TEXT_TOO_LONG",
            ),
            row(
                [("/lateReason", json!("a@b.example"))],
                "late_reason PERSONAL_DATA",
            ),
            row(
                [("/links", json!([{"relation": 1}]))],
                "links[0].record_id REQUIRED",
            ),
            row(
                [("/legalBasis", json!([99]))],
                "legal_basis[0] ENUM_UNKNOWN",
            ),
            row([("/legalBasis", json!([1, 1]))], "legal_basis[1] DUPLICATE"),
            alone([("", json!(null))], "kind REQUIRED"),
        ],
    );
}

#[test]
fn an_approval_shows_a_printed_name() {
    let row = row(
        [("/signatureMeaning", json!("SIGNATURE_MEANING_APPROVAL"))],
        "printed_name_commitment PRINTED_NAME_REQUIRED",
    );
    refuse("administration", &[row]);
}

#[test]
fn a_record_is_not_linked_to_itself() {
    let mut json = example("administration");
    let id = json["recordId"].as_str().unwrap().to_uppercase();
    json["links"] = json!([{"relation": "LINK_RELATION_RELATED", "recordId": id}]);
    assert_eq!(violations(&json), ["links[0] SELF_LINK"]);
}

#[test]
fn the_future_is_not_recorded() {
    let at = |time: &str| {
        let mut json = example("storage_moved");
        json["eventTime"] = json!(time);
        violations(&json)
    };
    assert_eq!(at("2026-11-22T12:05:00Z"), [""; 0]);
    assert_eq!(at("2026-11-22T12:05:01Z"), ["event_time IN_FUTURE"]);
    assert_eq!(at("2026-11-22"), [""; 0]);
    assert_eq!(at("2026-11-23"), ["event_time IN_FUTURE"]);
    assert_eq!(at("2026-11"), [""; 0]);
    assert_eq!(at("2026-12"), ["event_time IN_FUTURE"]);
    assert_eq!(at("2027"), ["event_time IN_FUTURE"]);
}

#[test]
fn a_time_is_not_more_precise_than_it_is_written() {
    for (time, precision, holds) in [
        ("2026", "YEAR", true),
        ("2026", "MONTH", false),
        ("2026-03", "MONTH", true),
        ("2026-03", "DAY", false),
        ("2026-03-10", "DAY", true),
        ("2026-03-10", "YEAR", true),
        ("2026-03-10", "MINUTE", false),
        ("2026-03-10T09:00:00+08:00", "SECOND", true),
        ("2026-03-10T09:00:00+08:00", "DAY", true),
    ] {
        let mut json = example("storage_moved");
        json["eventTime"] = json!(time);
        json["eventPrecision"] = json!(format!("EVENT_PRECISION_{precision}"));
        let expected: &[&str] = if holds {
            &[]
        } else {
            &["event_precision PRECISION_FINER_THAN_TIME"]
        };
        assert_eq!(violations(&json), expected, "{time} {precision}");
    }
}

#[test]
fn a_reason_of_spaces_is_none() {
    for reason in ["", " ", "\n\t"] {
        let mut json = example("correction");
        json["reason"] = json!(reason);
        assert_eq!(violations(&json), ["reason REASON_REQUIRED"]);
    }
}

#[test]
fn what_the_ledger_writes_for_itself_needs_no_envelope() {
    for kind in ["genesis", "key_registered", "key_rotated", "key_revoked"] {
        let json = example(kind);
        let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["eventTime", &camel(kind), "recordId"], "{kind}");
    }
}
