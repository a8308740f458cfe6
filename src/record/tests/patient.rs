//! Actors and keys, patients, and consent.

use super::*;

#[test]
fn a_key_is_refused() {
    refuse(
        "genesis",
        &[
            row(
                [("origin", json!("my log"))],
                "genesis.origin TOKEN_CHARACTER",
            ),
            row([("ledgerKey", json!(null))], "genesis.ledger_key REQUIRED"),
            row(
                [("administrator", json!(null))],
                "genesis.administrator REQUIRED",
            ),
            row(
                [("administratorKey", json!(null))],
                "genesis.administrator_key REQUIRED",
            ),
        ],
    );
    refuse(
        "key_registered",
        &[
            row(
                [("actorId", json!("a b"))],
                "key_registered.actor_id ACTOR_ID_CHARACTER",
            ),
            row(
                [("key/algorithm", json!(2))],
                "key_registered.key.algorithm ENUM_UNKNOWN",
            ),
            row(
                [("key/algorithm", json!(null))],
                "key_registered.key.algorithm REQUIRED",
            ),
            row(
                [("key/publicKey", json!("AAAA"))],
                "key_registered.key.public_key LENGTH",
            ),
            row(
                [("key/possession", json!(null))],
                "key_registered.key.possession REQUIRED",
            ),
            row(
                [("key/possession", json!("AAAA"))],
                "key_registered.key.possession LENGTH",
            ),
            row(
                [("key/validFrom", json!("2026-01-01"))],
                "key_registered.key.valid_from INSTANT_FORMAT",
            ),
            alone(
                [("key/validTo", json!("2026-01-01T00:00:00Z"))],
                "key_registered.key.valid_to END_BEFORE_START",
            ),
        ],
    );
    refuse(
        "key_rotated",
        &[
            row(
                [("oldKeyId", json!("AAAA"))],
                "key_rotated.old_key_id LENGTH",
            ),
            row([("key", json!(null))], "key_rotated.key REQUIRED"),
        ],
    );
    refuse(
        "key_revoked",
        &[
            row([("keyId", json!(null))], "key_revoked.key_id REQUIRED"),
            row(
                [("compromisedSince", json!("2026-03-10T01:00:01Z"))],
                "key_revoked.compromised_since COMPROMISED_AFTER_REVOKED",
            ),
        ],
    );
}

#[test]
fn an_actor_or_a_delegation_is_refused() {
    refuse(
        "actor_registered",
        &[
            row(
                [("actorId", json!("ana@hospital.example"))],
                "actor_registered.actor_id PERSONAL_DATA",
            ),
            row([("roles", json!([]))], "actor_registered.roles REQUIRED"),
            row(
                [("gsrn", json!("952112300000000107"))],
                "actor_registered.gsrn GSRN_CHECK_DIGIT",
            ),
        ],
    );
    refuse(
        "role_changed",
        &[row(
            [("roles", json!([1, 1]))],
            "role_changed.roles[1] DUPLICATE",
        )],
    );
    refuse(
        "delegation_granted",
        &[
            row(
                [("/actorRole", json!("ACTOR_ROLE_NURSE"))],
                "actor_role DELEGATION_BY_ROLE",
            ),
            row([("tasks", json!([]))], "delegation_granted.tasks REQUIRED"),
            row(
                [("validTo", json!("2026-01-31"))],
                "delegation_granted.valid_to END_BEFORE_START",
            ),
        ],
    );
}

#[test]
fn a_patient_is_refused() {
    refuse(
        "patient_registered",
        &[
            row([("/patient", json!("张伟"))], "patient PSEUDONYM_CHARACTER"),
            row(
                [("programme", json!(null))],
                "patient_registered.programme REQUIRED",
            ),
            row(
                [("identityCommitment", json!("AAAA"))],
                "patient_registered.identity_commitment LENGTH",
            ),
            row(
                [("assentOn", json!("2031-05-02"))],
                "patient_registered.assent_on ASSENT_AFTER_MAJORITY",
            ),
            row(
                [("majorityOn", json!("2031-02-29"))],
                "patient_registered.majority_on DATE_NOT_IN_CALENDAR",
            ),
        ],
    );
    refuse(
        "patient_status",
        &[
            row([("state", json!(null))], "patient_status.state REQUIRED"),
            row(
                [("lastContact", json!("2026-12"))],
                "patient_status.last_contact IN_FUTURE",
            ),
            row(
                [("attempts/0/attemptedOn", json!("2026-12-01"))],
                "patient_status.attempts[0].attempted_on IN_FUTURE",
            ),
            row(
                [("death", json!({}))],
                "patient_status.death DEATH_OF_LIVING",
            ),
            row(
                [("transferredTo", json!("9521123001022"))],
                "patient_status.transferred_to TRANSFER_WITHOUT_STATE",
            ),
        ],
    );
    let mut died = example("patient_status");
    died["patientStatus"] = json!({"state": "PATIENT_STATE_DECEASED", "death": {"related": false}});
    died["eventTime"] = json!("2026-12");
    assert_eq!(
        violations(&died),
        ["event_time IN_FUTURE"],
        "nobody died in the future"
    );
}

#[test]
fn a_patient_merged_or_split_is_refused() {
    refuse(
        "patient_merged",
        &[
            row(
                [("mergedPatient", json!("P-7Q4M2K9D"))],
                "patient_merged.merged_patient SAME_PATIENT",
            ),
            row([("/reason", json!(null))], "reason REASON_REQUIRED"),
        ],
    );
    refuse(
        "patient_split",
        &[
            row(
                [("splitPatient", json!("P-7Q4M2K9D"))],
                "patient_split.split_patient SAME_PATIENT",
            ),
            row(
                [("movedRecords", json!([]))],
                "patient_split.moved_records REQUIRED",
            ),
            row(
                [("movedRecords", json!(["1"]))],
                "patient_split.moved_records[0] UUID_FORMAT",
            ),
        ],
    );
}

#[test]
fn a_consent_version_is_refused() {
    refuse(
        "consent_document_version",
        &[
            row(
                [("family", json!(null))],
                "consent_document_version.family REQUIRED",
            ),
            row(
                [("version", json!("v".repeat(33)))],
                "consent_document_version.version TOKEN_TOO_LONG",
            ),
            row(
                [("ordinal", json!(0))],
                "consent_document_version.ordinal TOO_SMALL",
            ),
            row(
                [("language", json!("chinese"))],
                "consent_document_version.language LANGUAGE_TAG",
            ),
            row(
                [("document", json!(null))],
                "consent_document_version.document REQUIRED",
            ),
            row(
                [("items/0/item", json!(9))],
                "consent_document_version.items[0].item ENUM_UNKNOWN",
            ),
            row(
                [("items/7/item", json!("CONSENT_ITEM_KIND_SAMPLES"))],
                "consent_document_version.items[7] DUPLICATE",
            ),
            row(
                [("items/1/page", json!(0))],
                "consent_document_version.items[1].page TOO_SMALL",
            ),
            row(
                [("scope", json!(null))],
                "consent_document_version.scope SCOPE_REQUIRED",
            ),
            row(
                [("scope", json!({}))],
                "consent_document_version.scope.all_treated SCOPE_EMPTY",
            ),
            row(
                [("trigger", json!({}))],
                "consent_document_version.trigger.cause REQUIRED",
            ),
            row(
                [("reconsentDue", json!({}))],
                "consent_document_version.reconsent_due.due REQUIRED",
            ),
            row(
                [("reconsentDue", json!({"on": "2026"}))],
                "consent_document_version.reconsent_due.on DATE_FORMAT",
            ),
            alone(
                [("changeClass", json!("CHANGE_CLASS_INITIAL"))],
                "consent_document_version.supersedes INITIAL_SUPERSEDES",
            ),
        ],
    );
    refuse(
        "consent_version_activated",
        &[
            row(
                [("site", json!("1"))],
                "consent_version_activated.site GLN_LENGTH",
            ),
            row(
                [("iecNumber", json!(null))],
                "consent_version_activated.iec_number REQUIRED",
            ),
            alone(
                [("iecApprovedOn", json!(null))],
                "consent_version_activated.iec_approved_on REQUIRED",
            ),
            row(
                [("effectiveFrom", json!("2026-03-31"))],
                "consent_version_activated.effective_from EFFECTIVE_BEFORE_APPROVAL",
            ),
            alone(
                [("effectiveTo", json!("2026-04-09"))],
                "consent_version_activated.effective_to END_BEFORE_START",
            ),
        ],
    );
}

#[test]
fn a_signature_is_refused() {
    refuse(
        "consent_signed",
        &[
            row(
                [("version/version", json!(null))],
                "consent_signed.version.version REQUIRED",
            ),
            row(
                [("signatory", json!("SIGNATORY_LAR"))],
                "consent_signed.relation RELATION_REQUIRED",
            ),
            row([("method", json!(null))], "consent_signed.method REQUIRED"),
            row(
                [("copyGiven", json!(null))],
                "consent_signed.copy_given REQUIRED",
            ),
            alone(
                [("options/0/option", json!(99))],
                "consent_signed.options[0].option ENUM_UNKNOWN",
            ),
            row(
                [("options/1/option", json!("CONSENT_OPTION_SAMPLE_STORAGE"))],
                "consent_signed.options[1] DUPLICATE",
            ),
            row(
                [("documentSha256", json!("AAAA"))],
                "consent_signed.document_sha256 LENGTH",
            ),
            alone(
                [("/eventTime", json!("2026-11-23"))],
                "event_time IN_FUTURE",
            ),
        ],
    );
    refuse(
        "consent_declined",
        &[
            row(
                [("relation", json!(null))],
                "consent_declined.relation RELATION_REQUIRED",
            ),
            row(
                [("version", json!(null))],
                "consent_declined.version REQUIRED",
            ),
        ],
    );
    refuse(
        "consent_withdrawn",
        &[
            row([("scopes", json!([]))], "consent_withdrawn.scopes REQUIRED"),
            alone(
                [("sampleInstruction", json!(null))],
                "consent_withdrawn.sample_instruction SAMPLE_INSTRUCTION_REQUIRED",
            ),
            row(
                [("withdrawnBy", json!("SIGNATORY_LAR"))],
                "consent_withdrawn.relation RELATION_REQUIRED",
            ),
        ],
    );
    refuse(
        "risk_notification",
        &[
            row(
                [("trigger", json!(null))],
                "risk_notification.trigger REQUIRED",
            ),
            row(
                [("receivedAt", json!("2026-12-01"))],
                "risk_notification.received_at IN_FUTURE",
            ),
        ],
    );
}
