//! Products, lots, materials, identity, custody, organisations, and the ledger's own house.

use super::*;

#[test]
fn an_organisation_is_refused() {
    refuse(
        "organisation_registered",
        &[
            row(
                [("gln", json!("9521123001010"))],
                "organisation_registered.gln GLN_CHECK_DIGIT",
            ),
            row(
                [("name", json!(" "))],
                "organisation_registered.name REQUIRED",
            ),
            row(
                [("name", json!("x".repeat(201)))],
                "organisation_registered.name TEXT_TOO_LONG",
            ),
            row(
                [("roles", json!([]))],
                "organisation_registered.roles REQUIRED",
            ),
            row(
                [("country", json!("XX"))],
                "organisation_registered.country COUNTRY_UNKNOWN",
            ),
            row(
                [("timeZone", json!("UTC+8"))],
                "organisation_registered.time_zone TIME_ZONE_UNKNOWN",
            ),
            row(
                [("identifiers/0/value", json!("O0001"))],
                "organisation_registered.identifiers[0].value FIN_GRAMMAR",
            ),
            row(
                [("partOf", json!("12"))],
                "organisation_registered.part_of GLN_LENGTH",
            ),
        ],
    );
}

#[test]
fn an_identifier_is_written_as_its_system_says_unless_it_was_unreadable() {
    let identifier = |system: &str, value: &str, quality: &str, as_read: &str| {
        let mut json = example("organisation_registered");
        json["organisationRegistered"]["identifiers"] = json!([{
            "system": format!("IDENTIFIER_SYSTEM_{system}"),
            "value": value,
            "quality": format!("IDENTIFIER_QUALITY_{quality}"),
            "asRead": as_read,
        }]);
        let found = violations(&json).join(", ");
        found.replace("organisation_registered.identifiers[0].", "")
    };
    for (system, value, expected) in [
        ("GTIN", "09521123450011", ""),
        ("GTIN", "09521123450012", "value GTIN_CHECK_DIGIT"),
        ("GLN", "9521123001015", ""),
        ("GLN", "9521123001016", "value GLN_CHECK_DIGIT"),
        ("SSCC", "095211230000006010", ""),
        ("SSCC", "095211230000006011", "value SSCC_CHECK_DIGIT"),
        ("GSRN", "952112300000000106", ""),
        ("GSRN", "952112300000000107", "value GSRN_CHECK_DIGIT"),
        ("LOT", "DP-001", ""),
        ("LOT", "DP 001", "value LOT_CHARACTER"),
        ("SERIAL", "1", ""),
        ("SERIAL", "ABCDEFGHIJKLMNOPQRSTU", "value SERIAL_TOO_LONG"),
        ("DIN", "Z000119000001X", ""),
        ("DIN", "Z000119000001A", "value DIN_CHECK_CHARACTER"),
        ("COI", "CHZ000119000001", ""),
        ("COI", "CXZ000119000001", "value COI_GRAMMAR"),
        ("SEC", "short", "value SEC_LENGTH"),
        ("PSEUDONYM", "P-1", ""),
        ("PSEUDONYM", "P 1", "value PSEUDONYM_CHARACTER"),
        ("SAMPLE", "SMP-001", ""),
        (
            "EU_TISSUE_ESTABLISHMENT",
            "DE12345",
            "value EU_TE_CODE_GRAMMAR",
        ),
        ("ISBT_FACILITY", "Z0001", ""),
        ("CN_SOCIAL_CREDIT", "1", "value USCC_LENGTH"),
        ("GTIN", "", "value REQUIRED"),
    ] {
        assert_eq!(
            identifier(system, value, "SCANNED", ""),
            expected,
            "{system} {value}"
        );
    }
    assert_eq!(identifier("GTIN", "", "UNREADABLE", "0952?"), "");
    assert_eq!(
        identifier("GTIN", "0952?", "UNREADABLE", "0952 and a smear"),
        ""
    );
    assert_eq!(
        identifier("GTIN", "", "UNREADABLE", " "),
        "as_read AS_READ_REQUIRED"
    );
    assert_eq!(
        identifier("GTIN", "", "UNREADABLE", "13812345678"),
        "as_read PERSONAL_DATA"
    );
}

#[test]
fn a_product_is_refused() {
    refuse(
        "product_registered",
        &[
            row(
                [("productId", json!(""))],
                "product_registered.product_id REQUIRED",
            ),
            row(
                [("version", json!(0))],
                "product_registered.version TOO_SMALL",
            ),
            row([("gtins", json!([]))], "product_registered.gtins REQUIRED"),
            row(
                [("gtins/0", json!("09521123450012"))],
                "product_registered.gtins[0] GTIN_CHECK_DIGIT",
            ),
            row([("name", json!(null))], "product_registered.name REQUIRED"),
            row(
                [("authorisations/0/validTo", json!("2025-12-31"))],
                "product_registered.authorisations[0].valid_to END_BEFORE_START",
            ),
            row(
                [("phase", json!(null))],
                "product_registered.phase REQUIRED",
            ),
            row(
                [("productClasses", json!([]))],
                "product_registered.product_classes REQUIRED",
            ),
            alone(
                [("integrating", json!(false))],
                "product_registered.integrating INTEGRATING_CLASS",
            ),
            row(
                [("replicationCompetent", json!(null))],
                "product_registered.replication_competent REQUIRED",
            ),
            row(
                [("autologous", json!(null))],
                "product_registered.autologous REQUIRED",
            ),
            row(
                [("singleDose", json!(null))],
                "product_registered.single_dose REQUIRED",
            ),
            row(
                [("riskProfile/9/factor", json!("RISK_FACTOR_SHEDDING"))],
                "product_registered.risk_profile RISK_PROFILE_INCOMPLETE",
            ),
            row(
                [("riskProfile", json!([{"factor": 1, "state": 1}]))],
                "product_registered.risk_profile RISK_PROFILE_INCOMPLETE",
            ),
            row(
                [("followUpDefaultMonths", json!(null))],
                "product_registered.follow_up_default_months REQUIRED",
            ),
        ],
    );
}

#[test]
fn only_integrating_classes_integrate_by_themselves() {
    for (class, integrates) in [
        ("LENTI", true),
        ("GAMMARETRO", true),
        ("TRANSPOSON", true),
        ("AAV", false),
        ("PLASMID", false),
        ("GENE_EDITED_EX_VIVO", false),
    ] {
        let mut json = example("product_registered");
        json["productRegistered"]["productClasses"] = json!([format!("PRODUCT_CLASS_{class}")]);
        json["productRegistered"]["integrating"] = json!(false);
        assert_eq!(violations(&json).is_empty(), !integrates, "{class}");
    }
}

#[test]
fn a_lot_is_refused() {
    refuse(
        "lot_registered",
        &[
            row(
                [("gtin", json!("09521123450012"))],
                "lot_registered.gtin GTIN_CHECK_DIGIT",
            ),
            row(
                [("lot", json!("ABCDEFGHIJKLMNOPQRSTU"))],
                "lot_registered.lot LOT_TOO_LONG",
            ),
            row(
                [("lot", json!("DP#001"))],
                "lot_registered.lot LOT_CHARACTER",
            ),
            row([("role", json!(0))], "lot_registered.role REQUIRED"),
            row(
                [("manufacturer", json!("9521123000019"))],
                "lot_registered.manufacturer GLN_CHECK_DIGIT",
            ),
            row(
                [("expiry", json!("2022-02-30"))],
                "lot_registered.expiry DATE_NOT_IN_CALENDAR",
            ),
            row(
                [("expiry", json!("260820"))],
                "lot_registered.expiry DATE_FORMAT",
            ),
            row(
                [("expiry", json!("2026-02-19"))],
                "lot_registered.expiry EXPIRY_BEFORE_MADE",
            ),
            alone(
                [
                    ("madeAt", json!("2026-11-23")),
                    ("expiry", json!("2027-01-01")),
                ],
                "lot_registered.made_at IN_FUTURE",
            ),
            row(
                [("quantity/value", json!("0"))],
                "lot_registered.quantity.value NOT_POSITIVE",
            ),
            row(
                [("quantity/value", json!("-2"))],
                "lot_registered.quantity.value NOT_POSITIVE",
            ),
            row(
                [("quantity/unit", json!("bags"))],
                "lot_registered.quantity.unit UCUM_UNKNOWN_UNIT",
            ),
            row(
                [("serials", json!(["1", "1"]))],
                "lot_registered.serials[1] DUPLICATE",
            ),
            row(
                [("nmpaTraceCodes", json!(["x"]))],
                "lot_registered.nmpa_trace_codes[0] NMPA_TRACE_CODE_GRAMMAR",
            ),
            row(
                [("coi", json!("CHO000119000001"))],
                "lot_registered.coi COI_GRAMMAR",
            ),
            row(
                [("coi", json!(null))],
                "lot_registered.coi AUTOLOGOUS_INCOMPLETE",
            ),
            row(
                [("dins/0/check", json!("A"))],
                "lot_registered.dins[0].number DIN_CHECK_CHARACTER",
            ),
            row([("sec", json!("DE"))], "lot_registered.sec SEC_LENGTH"),
            row(
                [("intendedPatient", json!(null))],
                "lot_registered.intended_patient AUTOLOGOUS_INCOMPLETE",
            ),
            row(
                [("storageRange/min/value", json!("-100"))],
                "lot_registered.storage_range.min MIN_ABOVE_MAX",
            ),
            row(
                [("storageRange/max/unit", json!("K"))],
                "lot_registered.storage_range.max.unit UNIT",
            ),
        ],
    );
}

#[test]
fn a_vector_lot_needs_no_patient() {
    let mut json = example("lot_registered");
    let lot = json["lotRegistered"].as_object_mut().unwrap();
    for name in ["coi", "intendedPatient", "donorRelation", "dins", "serials"] {
        lot.remove(name).unwrap();
    }
    lot.insert("role".into(), json!("LOT_ROLE_VECTOR"));
    assert_eq!(violations(&json), [""; 0]);
}

#[test]
fn a_lot_disposition_is_refused() {
    refuse(
        "lot_disposition",
        &[
            row(
                [("lot/gtin", json!("1"))],
                "lot_disposition.lot.gtin GTIN_LENGTH",
            ),
            row(
                [("lot/lot", json!(null))],
                "lot_disposition.lot.lot REQUIRED",
            ),
            row(
                [("/actorRole", json!("ACTOR_ROLE_SPONSOR_QA"))],
                "actor_role RELEASE_BY_QP",
            ),
            row(
                [("disposition", json!("DISPOSITION_RELEASED_OOS"))],
                "lot_disposition.out_of_specification OOS_JUSTIFICATION_REQUIRED",
            ),
            alone(
                [("outOfSpecification", json!({}))],
                "lot_disposition.out_of_specification.justification REQUIRED",
            ),
            row(
                [("certificate/sha256", json!("AA=="))],
                "lot_disposition.certificate.sha256 LENGTH",
            ),
        ],
    );
}

#[test]
fn anybody_may_quarantine_or_destroy_a_lot() {
    for disposition in [
        "REJECTED",
        "QUARANTINED",
        "RECALLED",
        "RETURNED",
        "DESTROYED",
        "EXPIRED",
    ] {
        let mut json = example("lot_disposition");
        json["lotDisposition"]["disposition"] = json!(format!("DISPOSITION_{disposition}"));
        json["actorRole"] = json!("ACTOR_ROLE_PHARMACIST");
        assert_eq!(violations(&json), [""; 0], "{disposition}");
    }
}

#[test]
fn a_collection_of_material_is_refused() {
    refuse(
        "material_collected",
        &[
            row(
                [("coi", json!("CXZ000119000001"))],
                "material_collected.coi COI_GRAMMAR",
            ),
            row(
                [("din/number", json!("G123498654321"))],
                "material_collected.din.number DIN_CHECK_CHARACTER",
            ),
            row(
                [("source", json!(null))],
                "material_collected.source REQUIRED",
            ),
            row(
                [("procedure/system", json!("snomed"))],
                "material_collected.procedure.system URI",
            ),
            row(
                [("volume/value", json!("-1"))],
                "material_collected.volume.value NEGATIVE",
            ),
            row(
                [("volume/unit", json!("L"))],
                "material_collected.volume.unit UNIT",
            ),
            row(
                [("cells/value", json!("-0.5"))],
                "material_collected.cells.value NEGATIVE",
            ),
            alone(
                [("/eventTime", json!("2027-01-01T09:00:00+08:00"))],
                "event_time IN_FUTURE",
            ),
            alone([("/patient", json!(null))], "patient REQUIRED"),
            alone(
                [("donor", json!("P-OTHER"))],
                "material_collected.donor AUTOLOGOUS_DONOR",
            ),
            row(
                [("consent", json!("7"))],
                "material_collected.consent UUID_FORMAT",
            ),
            row(
                [(
                    "donorTests",
                    json!([{"test": {"system": "http://loinc.org", "code": "1"}, "result": 1, "testedOn": "2027-01-01"}]),
                )],
                "material_collected.donor_tests[0].tested_on IN_FUTURE",
            ),
        ],
    );
}

#[test]
fn a_transformation_is_refused() {
    refuse(
        "transformation",
        &[
            row([("inputs", json!([]))], "transformation.inputs REQUIRED"),
            row(
                [("inputs/1", json!({}))],
                "transformation.inputs[1].what REQUIRED",
            ),
            row(
                [("inputs/0/quantity/value", json!("0"))],
                "transformation.inputs[0].quantity.value NOT_POSITIVE",
            ),
            row([("outputs", json!([]))], "transformation.outputs REQUIRED"),
            alone(
                [(
                    "outputs/0/lot",
                    json!({"gtin": "09521123450028", "lot": "LV-A"}),
                )],
                "transformation.outputs[0] CYCLE",
            ),
            row([("step", json!(null))], "transformation.step REQUIRED"),
            row(
                [("startedAt", json!("2026-02-21"))],
                "transformation.started_at END_BEFORE_START",
            ),
        ],
    );
}

#[test]
fn a_chain_of_identity_is_refused() {
    refuse(
        "coi_assigned",
        &[
            row([("coi", json!("CH"))], "coi_assigned.coi COI_LENGTH"),
            row([("/patient", json!(null))], "patient REQUIRED"),
        ],
    );
    refuse(
        "coi_verification",
        &[
            row(
                [("coi", json!("CHZ0001190000"))],
                "coi_verification.coi COI_LENGTH",
            ),
            row([("step", json!(null))], "coi_verification.step REQUIRED"),
            row(
                [("labelId/value", json!("CHZ0001"))],
                "coi_verification.label_id.value COI_LENGTH",
            ),
            row(
                [("personId", json!(null))],
                "coi_verification.person_id REQUIRED",
            ),
            row(
                [("verifiers", json!([]))],
                "coi_verification.verifiers REQUIRED",
            ),
            row(
                [("verifiers", json!(["a", "b", "c"]))],
                "coi_verification.verifiers TOO_MANY_ITEMS",
            ),
            row(
                [("result", json!(null))],
                "coi_verification.result REQUIRED",
            ),
        ],
    );
    let mut mismatch = example("coi_verification");
    mismatch["coiVerification"]["result"] = json!("COI_RESULT_MISMATCH");
    assert_eq!(
        violations(&mismatch),
        [""; 0],
        "a mismatch is a record, not an error"
    );
}

#[test]
fn a_shipment_and_its_receipt_are_refused() {
    refuse(
        "shipment",
        &[
            row(
                [("sscc", json!("095211230000006011"))],
                "shipment.sscc SSCC_CHECK_DIGIT",
            ),
            row([("items", json!([]))], "shipment.items REQUIRED"),
            row(
                [("fromGln", json!("9521123000019"))],
                "shipment.from_gln GLN_CHECK_DIGIT",
            ),
            alone(
                [("toGln", json!("9521123000018"))],
                "shipment.to_gln FROM_IS_TO",
            ),
            row([("handedBy", json!(null))], "shipment.handed_by REQUIRED"),
            row(
                [("logger/max/value", json!("-180"))],
                "shipment.logger.min MIN_ABOVE_MAX",
            ),
            row(
                [("crossBorder", json!({"country": "C"}))],
                "shipment.cross_border.country COUNTRY_UNKNOWN",
            ),
        ],
    );
    refuse(
        "shipment_received",
        &[
            row([("sscc", json!("1"))], "shipment_received.sscc SSCC_LENGTH"),
            row([("items", json!([]))], "shipment_received.items REQUIRED"),
            alone(
                [("toGln", json!("9521123000018"))],
                "shipment_received.to_gln FROM_IS_TO",
            ),
            row(
                [("receivedBy", json!(null))],
                "shipment_received.received_by REQUIRED",
            ),
            row(
                [("leftAt", json!("2026-03-07T08:30:01+08:00"))],
                "shipment_received.left_at END_BEFORE_START",
            ),
            row(
                [("condition", json!(null))],
                "shipment_received.condition REQUIRED",
            ),
            row(
                [("discrepancy", json!("ask a@b.example"))],
                "shipment_received.discrepancy PERSONAL_DATA",
            ),
        ],
    );
}

#[test]
fn a_damaged_label_is_recorded_as_it_was_read() {
    let mut json = example("shipment_received");
    json["shipmentReceived"]["items"][0]["lot"] =
        json!({"quality": "IDENTIFIER_QUALITY_UNREADABLE", "asRead": "DP-0 and a smear"});
    assert_eq!(violations(&json), [""; 0]);
    json["shipmentReceived"]["items"][0]["lot"]["asRead"] = json!("");
    assert_eq!(
        violations(&json),
        ["shipment_received.items[0].lot.as_read AS_READ_REQUIRED"]
    );
}

#[test]
fn custody_from_a_person_to_the_same_is_refused_between_organisations_as_well() {
    let own = ("receivedBy", json!("pha.03"));
    for to in ["9521123000018", "9521123001015"] {
        let mut record = example("custody_transfer");
        let spoils = [own.clone(), ("toGln", json!(to))];
        spoil(&mut record, "custody_transfer", &spoils);
        assert_eq!(
            violations(&record),
            ["custody_transfer.received_by FROM_IS_TO"],
            "{to}"
        );
    }
}

#[test]
fn custody_within_a_site_is_refused() {
    refuse(
        "custody_transfer",
        &[
            row([("items", json!([]))], "custody_transfer.items REQUIRED"),
            row(
                [("receivedBy", json!("pha.03"))],
                "custody_transfer.received_by FROM_IS_TO",
            ),
            row(
                [("condition", json!(null))],
                "custody_transfer.condition REQUIRED",
            ),
        ],
    );
    refuse(
        "storage_moved",
        &[
            row(
                [("toPosition/unit", json!(""))],
                "storage_moved.to_position.unit REQUIRED",
            ),
            row([("items", json!([]))], "storage_moved.items REQUIRED"),
        ],
    );
    refuse(
        "excursion",
        &[
            row(
                [("endedAt", json!("2026-03-08T11:05:59+08:00"))],
                "excursion.ended_at END_BEFORE_START",
            ),
            row(
                [("logger/min/value", json!("-100"))],
                "excursion.logger.min MIN_ABOVE_MAX",
            ),
        ],
    );
    refuse(
        "product_returned",
        &[
            row([("items", json!([]))], "product_returned.items REQUIRED"),
            row(
                [("toGln", json!("9521123001015"))],
                "product_returned.to_gln FROM_IS_TO",
            ),
        ],
    );
    refuse(
        "product_destroyed",
        &[
            alone(
                [("witness", json!(null))],
                "product_destroyed.witness REQUIRED",
            ),
            row(
                [("witness", json!("pha.03"))],
                "product_destroyed.witness WITNESS_IS_ACTOR",
            ),
            row(
                [("method", json!(null))],
                "product_destroyed.method REQUIRED",
            ),
            row([("/reason", json!(null))], "reason REASON_REQUIRED"),
        ],
    );
}

#[test]
fn the_ledgers_own_house_is_refused() {
    refuse(
        "log_custody_transferred",
        &[row(
            [("toGln", json!("9521123000018"))],
            "log_custody_transferred.to_gln FROM_IS_TO",
        )],
    );
    refuse(
        "algorithm_migrated",
        &[row(
            [("purpose", json!(null))],
            "algorithm_migrated.purpose REQUIRED",
        )],
    );
    refuse(
        "clock_event",
        &[row(
            [("reference", json!("the clock"))],
            "clock_event.reference TOKEN_CHARACTER",
        )],
    );
    refuse(
        "system_config_changed",
        &[row(
            [("new", json!("13812345678"))],
            "system_config_changed.new PERSONAL_DATA",
        )],
    );
    refuse(
        "document_registered",
        &[
            row(
                [("document/mediaType", json!("pdf"))],
                "document_registered.document.media_type MEDIA_TYPE",
            ),
            row(
                [("title", json!(null))],
                "document_registered.title REQUIRED",
            ),
        ],
    );
}
