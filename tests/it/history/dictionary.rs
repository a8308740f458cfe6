//! What a history says in the dictionary's own words: every field of every record, by its name or by the short
//! name that anybody would give it. The events need few of them; what is malformed may be so in any of them.
//!
//! It knows the records from their descriptors, and of each field no more than its name and its type.

#![expect(
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "what the protos lack stops the tests, and of their types few are used"
)]

use std::sync::LazyLock;

use anyhow::{Result, bail};
use genetrail::pb;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    Value as Field,
};
use serde_json::{Map, Value, json};

use super::{
    convert::{CHECK_CHARACTERS, Converter, Happening, sha256_of_hex, token},
    fields::{NO_SUCH_WORD, Unsayable, known_word},
    parties::{PARTIES, Party, SPONSOR},
};
use genetrail::record::format::check_din;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    DescriptorPool::decode(descriptors.as_slice()).unwrap()
});

static RULE: LazyLock<ExtensionDescriptor> =
    LazyLock::new(|| POOL.get_extension_by_name("genetrail.v1.rule").unwrap());

/// What the protos say of a record.
pub(crate) fn record_descriptor() -> MessageDescriptor {
    POOL.get_message_by_name("genetrail.v1.Record").unwrap()
}

/// Names that do not resemble the field's: of which message, or of any, and the path to it.
const OTHER_NAMES: [(&str, &str, &str); 80] = [
    ("*", "lots", "items"),
    ("*", "lot", "items"),
    ("*", "oos", "out_of_specification"),
    ("*", "din_check", "din.check"),
    ("*", "max_temp_cel", "logger.max"),
    ("*", "min_temp_cel", "logger.min"),
    ("*", "temp_log_sha256", "logger.log"),
    ("*", "log", "logger.log"),
    ("*", "iec_date", "iec_approved_on"),
    ("*", "iec_approval", "iec_approved_on"),
    ("*", "ec_approval", "iec_approved_on"),
    ("*", "ec_approved", "iec_approved_on"),
    ("*", "ec_date", "iec_approved_on"),
    ("*", "ethics_approval", "iec_approved_on"),
    ("*", "ec_number", "iec_number"),
    ("*", "ec_no", "iec_number"),
    ("*", "reconsent_due_days", "reconsent_due.days"),
    (
        "*",
        "before_next_procedure",
        "reconsent_due.before_next_procedure",
    ),
    ("*", "trigger_signal", "trigger.signal_id"),
    ("*", "trigger_recall", "trigger.recall_id"),
    ("*", "trigger_communication", "trigger.communication"),
    ("*", "positive_control", "controls.positive"),
    ("*", "negative_control", "controls.negative"),
    ("*", "storage", "storage_range"),
    ("*", "copy", "copy_given"),
    ("*", "discussed_on", "discusser_signed_on"),
    ("*", "discusser_date", "discusser_signed_on"),
    ("*", "client_end", "claimed_end_on"),
    ("*", "approval_no", "approval_number"),
    ("Administration", "dose", "dose_actual"),
    ("Administration", "dose_value", "dose_actual.value"),
    ("Administration", "second_check", "second_checker"),
    ("AdverseEvent", "end", "ended_on"),
    ("AdverseEvent", "end_date", "ended_on"),
    ("AdverseEvent", "aesi", "special_interest"),
    ("AdverseEvent", "version", "term.meddra_version"),
    ("AdverseEvent", "verbatim", "term.verbatim"),
    ("AdverseEvent", "reported_date", "aware_at"),
    ("AssayResult", "positive", "controls.positive"),
    ("AssayResult", "finding", "findings"),
    ("AssayResult", "assay", "method.method_id"),
    ("CausalityAssessment", "value", "category"),
    ("CoiVerification", "quality", "label_id.quality"),
    ("CoiVerification", "as_read", "label_id.as_read"),
    ("CoiVerification", "scanned_patient", "person_id"),
    ("CoiVerification", "scanned_label", "label_id"),
    ("ConsentDocumentVersion", "sha256", "document"),
    ("ConsentSigned", "sha256", "document_sha256"),
    ("Correction", "replacement_seq", "replacement"),
    ("Correction", "target_seq", "target"),
    ("Authorisation", "from", "valid_from"),
    ("Authorisation", "to", "valid_to"),
    ("Clone", "pct", "abundance_percent"),
    ("ContactAttempt", "date", "attempted_on"),
    ("DonorTest", "date", "tested_on"),
    ("Link", "rel", "relation"),
    ("Link", "seq", "record_id"),
    ("Din", "din", "number"),
    ("DocHash", "hash", "sha256"),
    ("DocHash", "len", "length_bytes"),
    ("FollowUpEnrolment", "end_date", "claimed_end_on"),
    ("FollowUpPlanVersion", "schedule", "slots"),
    ("FollowUpPlanVersion", "params", "parameters"),
    ("IntegrationSite", "chr", "chromosome"),
    ("IntegrationSite", "pos", "position"),
    ("IntegrationSite", "gene", "nearest_gene"),
    ("IntegrationSite", "dbs", "databases"),
    ("Item", "sample", "sample_id"),
    ("LotRegistered", "manufacturer_gln", "manufacturer"),
    ("OffTarget", "on", "on_target_percent"),
    ("OffTarget", "off", "off_target_percent"),
    ("OutOfSpecification", "request", "physician_request"),
    ("OutOfSpecification", "notice", "regulator_notice"),
    ("PatientRegistered", "birth_date", "majority_on"),
    ("PatientStatus", "status", "state"),
    ("ProductRegistered", "mah", "authorisation_holder"),
    ("ProductRegistered", "vector_class", "product_classes"),
    ("ReconsentDue", "date", "on"),
    ("RiskSignal", "affected", "product_ids"),
    ("StoragePosition", "pos", "place"),
];

/// The envelope's names: what happens has its own word in most records for when it does.
const OF_THE_ENVELOPE: [(&str, &str); 22] = [
    ("actor", "actor_person"),
    ("actor_id", "actor_person"),
    ("precision", "event_precision"),
    ("printed_name", "printed_name_commitment"),
    ("meaning", "signature_meaning"),
    ("time_zone", "site_tz"),
    ("tz", "site_tz"),
    ("gln", "site"),
    ("collected_at", "event_time"),
    ("signed_at", "event_time"),
    ("started", "event_time"),
    ("started_at", "event_time"),
    ("ended", "event_time"),
    ("ended_at", "event_time"),
    ("left_at", "event_time"),
    ("arrived_at", "event_time"),
    ("onset", "event_time"),
    ("issued", "event_time"),
    ("issued_at", "event_time"),
    ("effective_at", "event_time"),
    ("withdrawn_at", "event_time"),
    ("death_date", "event_time"),
];

/// The one field of a message that is meant where a history has a value in its place.
const MAIN_FIELDS: [(&str, &str); 32] = [
    ("Aliquot", "sample_id"),
    ("AssayMethodKey", "method_id"),
    ("Authorisation", "number"),
    ("CausalityEvidence", "kind"),
    ("Clone", "abundance_percent"),
    ("Code", "display"),
    ("ConsentItem", "item"),
    ("ConsentVersionKey", "version"),
    ("ContactAttempt", "attempted_on"),
    ("CrossBorder", "country"),
    ("Database", "name"),
    ("Death", "cause"),
    ("Din", "number"),
    ("DocHash", "sha256"),
    ("DonorTest", "result"),
    ("EventTerm", "verbatim"),
    ("Exposure", "drug"),
    ("Grade", "value"),
    ("Identifier", "value"),
    ("IntegrationSite", "nearest_gene"),
    ("Item", "lot"),
    ("Link", "record_id"),
    ("Logger", "logger_id"),
    ("LotKey", "lot"),
    ("Measurement", "amount"),
    ("OutOfSpecification", "justification"),
    ("PlanVersionKey", "plan_id"),
    ("Quantity", "value"),
    ("ReconsentDue", "days"),
    ("RiskFactorState", "factor"),
    ("StoragePosition", "place"),
    ("Trigger", "signal_id"),
];

/// The names that a field called so in a record may have in a history, the likeliest first.
fn candidates(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned(), format!("{name}s")];
    let suffixes = [
        "id", "ids", "on", "at", "gln", "number", "percent", "months", "code", "document",
    ];
    names.extend(suffixes.map(|suffix| format!("{name}_{suffix}")));
    for (short, long) in [
        ("_date", "_on"),
        ("_date", "_at"),
        ("_pct", "_percent"),
        ("_no", "_number"),
        ("_sha256", ""),
        ("_hash", ""),
        ("_gln", ""),
        ("_id", ""),
        ("s", ""),
    ] {
        let stem = name.strip_suffix(short).filter(|stem| !stem.is_empty());
        names.extend(stem.map(|stem| format!("{stem}{long}")));
    }
    names
}

/// A field of a message itself.
fn own(message: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let direct = |name: &String| message.get_field_by_name(name);
    if let Some(field) = message.get_field_by_name(name) {
        return Some(vec![field]);
    }
    let other = OTHER_NAMES
        .iter()
        .filter(|(of, known, _)| *known == name && (*of == "*" || *of == message.name()));
    for (.., path) in other {
        let path: Option<Vec<_>> = walk(message, path);
        if path.is_some() {
            return path;
        }
    }
    candidates(&name.to_lowercase())
        .iter()
        .find_map(direct)
        .map(|field| vec![field])
}

/// The fields that a path goes through.
fn walk(message: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut message = message.clone();
    let mut fields = Vec::new();
    for name in path.split('.') {
        let field = message.get_field_by_name(name)?;
        if let Kind::Message(inner) = field.kind() {
            message = inner;
        }
        fields.push(field);
    }
    Some(fields)
}

/// A field of the one message inside a message that has it.
fn within(message: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let mut found = message.fields().filter_map(|outer| match outer.kind() {
        Kind::Message(inner) if !outer.is_list() => {
            let mut path = own(&inner, name)?;
            path.insert(0, outer);
            Some(path)
        }
        _ => None,
    });
    found.next().filter(|_| found.next().is_none())
}

/// A field of the envelope.
fn of_the_envelope(record: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let other = OF_THE_ENVELOPE.iter().find(|(known, _)| *known == name);
    let name = other.map_or(name, |(_, field)| field);
    let field = record.get_field_by_name(name)?;
    field.containing_oneof().is_none().then(|| vec![field])
}

/// The field of a record that says what kind it is.
fn kind_of(record: &DynamicMessage) -> Option<FieldDescriptor> {
    let mut fields = record.fields();
    fields
        .find(|(field, _)| field.containing_oneof().is_some())
        .map(|(field, _)| field)
}

/// A kind of record by its name in the dictionary.
pub(crate) fn kind_by_name(name: &str) -> Option<FieldDescriptor> {
    let name = match name {
        "AeFollowUp" => "AdverseEvent",
        "CustodyTransferred" => "CustodyTransfer",
        "Return" => "ProductReturned",
        "Destruction" => "ProductDestroyed",
        "StorageMove" => "StorageMoved",
        "RecallAck" => "RecallAcknowledged",
        "RecallClosure" => "RecallClosed",
        "SiteRegistered" => "OrganisationRegistered",
        other => other,
    };
    let mut fields = record_descriptor().fields().collect::<Vec<_>>().into_iter();
    fields.find(|field| {
        let is_kind = field.containing_oneof().is_some();
        is_kind && matches!(field.kind(), Kind::Message(kind) if kind.name() == name)
    })
}

fn unsayable(name: &str, value: &Value) -> anyhow::Error {
    Unsayable::Value {
        name: name.to_owned(),
        value: value.to_string(),
    }
    .into()
}

/// A decimal as it was written.
fn decimal(value: &Value) -> Option<String> {
    let whole = value.as_i64().map(|number| number.to_string());
    whole.or_else(|| value.as_f64().map(|number| number.to_string()))
}

fn is_unset(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    !message.has_field(field)
}

/// A part of the rule that stands beside a field.
fn rule(field: &FieldDescriptor, part: &str) -> Field {
    let options = field.options();
    let rule = options.get_extension(&RULE);
    let rule = rule.as_message().expect("a rule is a message");
    rule.get_field_by_name(part)
        .expect("a rule has the part")
        .into_owned()
}

fn format_of(field: &FieldDescriptor) -> String {
    let number = rule(field, "format").as_enum_number().unwrap_or_default();
    let formats = POOL.get_enum_by_name("genetrail.v1.Format").unwrap();
    let format = formats
        .get_value(number)
        .map(|value| value.name().to_owned());
    format.unwrap_or_default()
}

impl Converter<'_> {
    /// Puts a field that no event has into the records of one: into every record of the first kind that has
    /// it, or else into the envelopes. Nothing at all empties the field.
    pub(crate) fn put(&self, records: &mut [pb::Record], name: &str, value: &Value) -> Result<()> {
        type Find = fn(&MessageDescriptor, &str) -> Option<Vec<FieldDescriptor>>;
        let places: [(Find, bool); 3] = [(own, true), (within, true), (of_the_envelope, false)];
        for (find, is_of_kind) in places {
            let mut found = None;
            for record in &mut *records {
                let mut dynamic = read(record);
                let kind = kind_of(&dynamic);
                let of = match (&kind, is_of_kind) {
                    (Some(field), true) => match field.kind() {
                        Kind::Message(kind) => kind,
                        _ => continue,
                    },
                    (None, true) => continue,
                    (_, false) => record_descriptor(),
                };
                if found.as_ref().is_some_and(|found| *found != of.name()) {
                    continue;
                }
                let Some(mut path) = find(&of, name) else {
                    continue;
                };
                found = Some(of.name().to_owned());
                path.splice(0..0, kind.filter(|_| is_of_kind));
                let Some(value) = at_site(&dynamic, value) else {
                    continue;
                };
                self.set(&mut dynamic, &path, value)?;
                *record = pb::Record::decode(dynamic.encode_to_vec().as_slice())?;
            }
            if found.is_some() {
                return Ok(());
            }
        }
        bail!("unknown fields {:?}", [name])
    }

    /// A record of a kind that no event stands for: what is required of it, and not told, is supplied.
    pub(crate) fn blank(
        &self,
        at: &Happening<'_>,
        kind: &FieldDescriptor,
    ) -> Result<pb::record::Kind> {
        let mut record = DynamicMessage::new(record_descriptor());
        let Kind::Message(message) = kind.kind() else {
            bail!("{} is no message", kind.name());
        };
        let blank = self.blank_message(at, &message)?;
        record.set_field(kind, Field::Message(blank));
        let record = pb::Record::decode(record.encode_to_vec().as_slice())?;
        Ok(record.kind.expect("a kind was set"))
    }

    fn blank_message(
        &self,
        at: &Happening<'_>,
        message: &MessageDescriptor,
    ) -> Result<DynamicMessage> {
        let mut blank = DynamicMessage::new(message.clone());
        for field in message.fields() {
            let is_required = rule(&field, "required").as_bool() == Some(true);
            let is_counted = rule(&field, "min").as_u32() > Some(0);
            if !is_required && !is_counted {
                continue;
            }
            let text = match format_of(&field).as_str() {
                "FORMAT_GLN" if field.name().starts_with("from") => SPONSOR.gln,
                "FORMAT_GLN" => PARTIES[3].gln,
                // Who hands over and who receives are two.
                "FORMAT_ACTOR" if field.name().starts_with("received") => PARTIES[3].actor,
                "FORMAT_ACTOR" => SPONSOR.actor,
                "FORMAT_DAY_OR_INSTANT" | "FORMAT_INSTANT" | "FORMAT_EVENT_TIME" => at.time,
                "FORMAT_CIVIL_DATE" | "FORMAT_PARTIAL_DATE" => {
                    at.time.split('T').next().unwrap_or_default()
                }
                "FORMAT_COUNTRY" => "CN",
                "FORMAT_TIME_ZONE" => self.time_zone,
                "FORMAT_LANGUAGE" => "zh-CN",
                "FORMAT_DECIMAL" => "1",
                _ => "not-said",
            };
            let value = match field.kind() {
                Kind::Enum(_) | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 => json!(1),
                Kind::Bool => json!(false),
                Kind::Message(inner) => match inner.name() {
                    "LotKey" | "Item" => {
                        json!(self.lots.keys().next().copied().unwrap_or("not-said"))
                    }
                    "Quantity" => json!(1),
                    _ => {
                        let inner = Field::Message(self.blank_message(at, &inner)?);
                        let inner = if field.is_list() {
                            Field::List(vec![inner])
                        } else {
                            inner
                        };
                        blank.set_field(&field, inner);
                        continue;
                    }
                },
                _ if format_of(&field) == "FORMAT_UUID" => json!(at.seq),
                _ if format_of(&field) == "FORMAT_COI" => {
                    json!(
                        self.lots
                            .values()
                            .find_map(|lot| lot.coi)
                            .unwrap_or_default()
                    )
                }
                _ => json!(text),
            };
            blank.set_field(&field, self.value(&field, &value)?);
        }
        Ok(blank)
    }

    fn set(
        &self,
        message: &mut DynamicMessage,
        path: &[FieldDescriptor],
        value: &Value,
    ) -> Result<()> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(());
        };
        if value.is_null() && is_unset(message, first) {
            return Ok(());
        }
        if rest.is_empty() {
            match value {
                Value::Null => message.clear_field(first),
                value => message.set_field(first, self.value(first, value)?),
            }
            return Ok(());
        }
        match message.get_field_mut(first) {
            Field::Message(inner) => self.set(inner, rest, value)?,
            _ => bail!("{} has no fields", first.name()),
        }
        Ok(())
    }

    /// What a field becomes.
    fn value(&self, field: &FieldDescriptor, value: &Value) -> Result<Field> {
        if !field.is_list() {
            return self.one(field, value);
        }
        let values: Result<Vec<Field>> = match value {
            Value::Array(values) => values.iter().map(|value| self.one(field, value)).collect(),
            // Choices by the name of the option.
            Value::Object(choices)
                if field.name() == "options"
                    && !choices.is_empty()
                    && !choices.contains_key("option") =>
            {
                let choice = |(option, choice): (&String, &Value)| {
                    self.one(field, &json!({"option": option, "choice": choice}))
                };
                choices.iter().map(choice).collect()
            }
            value => Ok(vec![self.one(field, value)?]),
        };
        Ok(Field::List(values?))
    }

    fn one(&self, field: &FieldDescriptor, value: &Value) -> Result<Field> {
        let wrong = || unsayable(field.name(), value);
        let whole = || {
            value
                .as_i64()
                .or_else(|| whole_number(value))
                .ok_or_else(wrong)
        };
        let converted = match field.kind() {
            Kind::Bool => Field::Bool(value.as_bool().ok_or_else(wrong)?),
            Kind::Uint32 => Field::U32(whole()?.try_into().ok().ok_or_else(wrong)?),
            Kind::Uint64 => Field::U64(whole()?.try_into().ok().ok_or_else(wrong)?),
            Kind::Sint32 | Kind::Int32 => Field::I32(whole()?.try_into().ok().ok_or_else(wrong)?),
            Kind::Sint64 | Kind::Int64 => Field::I64(whole()?),
            Kind::Bytes => Field::Bytes(sha256_of_hex(value.as_str().ok_or_else(wrong)?).into()),
            Kind::String => Field::String(self.text(field, value).ok_or_else(wrong)?),
            Kind::Enum(choices) => match value {
                Value::Number(_) => Field::EnumNumber(whole()?.try_into().ok().ok_or_else(wrong)?),
                Value::String(word) => {
                    let unspecified = choices.default_value();
                    let prefix = unspecified.name().trim_end_matches("_UNSPECIFIED");
                    Field::EnumNumber(enum_number(&choices, prefix, word)?)
                }
                _ => return Err(wrong()),
            },
            Kind::Message(inner) => Field::Message(self.message(field, &inner, value)?),
            _ => return Err(wrong()),
        };
        Ok(converted)
    }

    fn text(&self, field: &FieldDescriptor, value: &Value) -> Option<String> {
        match (value, format_of(field).as_str()) {
            (Value::Number(_), "FORMAT_UUID") => Some(self.record_id(value.as_u64()?, 0)),
            (Value::Number(_), _) => decimal(value),
            (Value::String(code), "FORMAT_GLN") => {
                let party = Party::by_code(code);
                Some(party.map_or_else(|_| code.clone(), |party| party.gln.to_owned()))
            }
            (Value::String(words), "FORMAT_TOKEN") if field.name() == "method_id" => {
                Some(token(words))
            }
            (Value::String(text), _) => Some(text.clone()),
            _ => None,
        }
    }

    fn message(
        &self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
        value: &Value,
    ) -> Result<DynamicMessage> {
        let mut told = match value {
            Value::Object(told) => told.clone(),
            // What is there or not.
            Value::Bool(true) if message.fields().len() == 0 => Map::new(),
            // Two controls with one outcome.
            Value::String(_) if message.name() == "AssayControls" => Map::from_iter(
                ["positive", "negative"].map(|name| (name.to_owned(), value.clone())),
            ),
            Value::String(words) if message.name() == "Measurement" && words == "BELOW_LOD" => {
                Map::from_iter([("below_lod".to_owned(), json!(true))])
            }
            Value::String(words) if message.name() == "Quantity" && words.contains(' ') => {
                let (value, unit) = words.split_once(' ').expect("a space is there");
                Map::from_iter([
                    ("value".to_owned(), json!(value)),
                    ("unit".to_owned(), json!(unit)),
                ])
            }
            Value::String(din) if message.name() == "Item" && din.starts_with("APH-") => {
                Map::from_iter([("din".to_owned(), json!(din.trim_start_matches("APH-")))])
            }
            value => {
                let main = MAIN_FIELDS.iter().find(|(of, _)| *of == message.name());
                let Some((_, main)) = main else {
                    return Err(unsayable(field.name(), value));
                };
                Map::from_iter([((*main).to_owned(), value.clone())])
            }
        };
        // Of an amount that may be below the limit, the amount.
        if message.name() == "Measurement" && told.contains_key("value") {
            told = Map::from_iter([("amount".to_owned(), Value::Object(told))]);
        }
        let mut built = DynamicMessage::new(message.clone());
        for (name, value) in &told {
            let Some(path) = own(message, name).or_else(|| within(message, name)) else {
                bail!("unknown fields {:?} of {}", [name], field.name());
            };
            if !value.is_null() {
                self.set(&mut built, &path, value)?;
            }
        }
        for (name, value) in self.supplied(field, message, &told) {
            let told = own(message, name).into_iter().flatten().any(|field| {
                told.keys()
                    .any(|key| own(message, key).is_some_and(|path| path[0] == field))
            });
            if !told {
                let path = own(message, name).expect("what is supplied is a field");
                self.set(&mut built, &path, &value)?;
            }
        }
        Ok(built)
    }

    /// Supplied: what a value goes with, where the history has the value alone.
    fn supplied(
        &self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
        told: &Map<String, Value>,
    ) -> Vec<(&'static str, Value)> {
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
        match message.name() {
            "Quantity" => {
                let unit = rule(field, "unit");
                let unit = unit.as_str().filter(|unit| !unit.is_empty());
                vec![("unit", json!(unit.unwrap_or("{unit}")))]
            }
            "Code" => {
                let words = told.get("display").or(told.get("code"));
                let words = words.and_then(Value::as_str).unwrap_or_default();
                vec![
                    (
                        "system",
                        json!(format!("https://genetrail.example/{}", field.name())),
                    ),
                    ("code", json!(token(words.trim()).to_lowercase())),
                ]
            }
            "LotKey" => vec![("gtin", json!(self.lot_key(text("lot"), None).gtin))],
            "Din" => {
                let din = [text("number"), text("din")].concat();
                let known = self.dins.get(din.as_str()).copied();
                let fits = |one: &&str| check_din(&din, one).is_ok();
                let check = known.or_else(|| CHECK_CHARACTERS.split("").find(fits));
                vec![("check", json!(check.unwrap_or_default()))]
            }
            "Identifier" => {
                let system = match field.name() {
                    "label_id" => "COI",
                    "person_id" => "PSEUDONYM",
                    _ => "SAMPLE",
                };
                vec![("system", json!(system)), ("quality", json!("SCANNED"))]
            }
            "ConsentVersionKey" => {
                vec![("family", json!(self.family_of(text("version"))))]
            }
            "Clone" => vec![("rank", json!(1))],
            "ConsentItem" => vec![("page", json!(1))],
            "ContactAttempt" => vec![("mode", json!("PHONE"))],
            "Grade" => vec![("scale", json!("CTCAE")), ("version", json!("5.0"))],
            "IntegrationSite" => vec![("assembly", json!("GRCH38"))],
            "Link" => vec![("relation", json!("RELATED"))],
            _ => Vec::new(),
        }
    }
}

/// A number without a fraction, however it is written.
fn whole_number(value: &Value) -> Option<i64> {
    let text = decimal(value)?;
    text.parse().ok()
}

fn enum_number(choices: &prost_reflect::EnumDescriptor, prefix: &str, word: &str) -> Result<i32> {
    if word == NO_SUCH_WORD {
        return Ok(i32::MAX);
    }
    if word.is_empty() {
        return Ok(0);
    }
    // Items of a document are numbered, and the blocks of a visit lettered.
    let by_place = match prefix {
        "CONSENT_ITEM_KIND" => word
            .strip_prefix('I')
            .and_then(|number| number.parse().ok()),
        "VISIT_BLOCK_KIND" => "abcdef"
            .find(word)
            .and_then(|at| i32::try_from(at + 1).ok()),
        _ => None,
    };
    if let Some(number) = by_place {
        return Ok(number);
    }
    let name = format!("{prefix}_{}", known_word(prefix, word));
    let number = choices.get_value_by_name(&name).map(|value| value.number());
    Ok(number.ok_or_else(|| Unsayable::word(prefix, word))?)
}

fn read(record: &pb::Record) -> DynamicMessage {
    DynamicMessage::decode(record_descriptor(), record.encode_to_vec().as_slice())
        .expect("a record is one")
}

/// The value for the site of a record, where a history has one for each site.
fn at_site<'v>(record: &DynamicMessage, value: &'v Value) -> Option<&'v Value> {
    let by_site = value.as_object().filter(|sites| {
        let mut codes = sites.keys();
        !sites.is_empty() && codes.all(|code| Party::by_code(code).is_ok())
    });
    let Some(by_site) = by_site else {
        return Some(value);
    };
    let kind = kind_of(record)?;
    let kind = record.get_field(&kind);
    let site = kind.as_message()?.get_field_by_name("site")?;
    let site = site.as_str()?;
    let here = by_site
        .iter()
        .find(|(code, _)| Party::by_code(code).is_ok_and(|party| party.gln == site));
    here.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::history;

    #[test]
    fn every_field_of_every_kind_of_record_can_be_said_by_its_name() {
        let history = history("car-t.json");
        let converter = Converter::new(&history).unwrap();
        let fields: Vec<FieldDescriptor> = record_descriptor().fields().collect();
        let kinds = fields
            .iter()
            .filter(|field| field.containing_oneof().is_some());
        let mut said = 0;
        for kind in kinds {
            let kind_of = kind.kind();
            let message = kind_of.as_message().unwrap();
            assert_eq!(kind_by_name(message.name()).as_ref(), Some(kind));
            let mut empty = DynamicMessage::new(record_descriptor());
            empty.set_field(kind, Field::Message(DynamicMessage::new(message.clone())));
            let empty = pb::Record::decode(empty.encode_to_vec().as_slice()).unwrap();
            for field in message.fields() {
                let value = match field.kind() {
                    Kind::Bool => json!(true),
                    Kind::String => json!("words"),
                    Kind::Bytes => json!("00ff"),
                    Kind::Message(_) => json!({}),
                    _ => json!(1),
                };
                let mut records = [empty.clone()];
                converter.put(&mut records, field.name(), &value).unwrap();
                assert_ne!(records[0], empty, "{}.{}", kind.name(), field.name());
                converter
                    .put(&mut records, field.name(), &Value::Null)
                    .unwrap();
                assert_eq!(records[0], empty, "{}.{}", kind.name(), field.name());
                said += 1;
            }
            let mut records = [empty];
            let unknown = converter.put(&mut records, "weather", &json!("fine"));
            assert!(unknown.is_err(), "{}", kind.name());
        }
        assert!(300 < said, "{said}");
    }

    /// A name and a value of a history, and what becomes of them in a record of a kind.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn what_a_history_says_in_short_becomes_what_the_record_says_at_length() {
        let history = history("car-t.json");
        let converter = Converter::new(&history).unwrap();
        for (kind, name, value, path, becomes) in [
            (
                "lot_registered",
                "manufacturer_gln",
                json!("S01"),
                "manufacturer",
                "\"9521123001015\"",
            ),
            (
                "lot_registered",
                "storage",
                json!({"min": -60, "max": -80}),
                "storage_range.max.unit",
                "\"Cel\"",
            ),
            (
                "lot_registered",
                "quantity",
                json!("5 mL"),
                "quantity.unit",
                "\"mL\"",
            ),
            (
                "lot_disposition",
                "certificate",
                json!("00ff"),
                "certificate.sha256",
                "\"\\000\\377\"",
            ),
            (
                "assay_result",
                "controls",
                json!("FAIL"),
                "controls.negative",
                "2",
            ),
            (
                "assay_result",
                "value",
                json!("BELOW_LOD"),
                "value.below_lod",
                "{}",
            ),
            (
                "assay_result",
                "value",
                json!({"value": 0.5, "unit": "%"}),
                "value.amount.value",
                "\"0.5\"",
            ),
            (
                "adverse_event",
                "llt",
                json!("10000001"),
                "term.llt_code",
                "\"10000001\"",
            ),
            (
                "adverse_event",
                "end_date",
                json!("2020-01-01"),
                "ended_on",
                "\"2020-01-01\"",
            ),
            ("adverse_event", "grade", json!(7), "grade.value", "7"),
            (
                "consent_document_version",
                "reconsent_due",
                json!({"date": "2020-01-01"}),
                "reconsent_due.on",
                "\"2020-01-01\"",
            ),
            (
                "consent_signed",
                "options",
                json!({"IMAGE": "REFUSED"}),
                "options",
                "[{option:CONSENT_OPTION_IMAGE,choice:CONSENT_CHOICE_REFUSED}]",
            ),
            (
                "consent_document_version",
                "items",
                json!(["I1", "I9"]),
                "items",
                "[{item:CONSENT_ITEM_KIND_RISKS,page:1},{item:9,page:1}]",
            ),
        ] {
            let mut record = DynamicMessage::new(record_descriptor());
            let fields = walk(&record_descriptor(), &format!("{kind}.{path}")).unwrap();
            let Kind::Message(message) = fields[0].kind() else {
                panic!("{kind} is a message");
            };
            record.set_field(&fields[0], Field::Message(DynamicMessage::new(message)));
            let mut records = [pb::Record::decode(record.encode_to_vec().as_slice()).unwrap()];
            converter.put(&mut records, name, &value).unwrap();
            let mut found = Field::Message(read(&records[0]));
            for field in fields {
                found = found.as_message().unwrap().get_field(&field).into_owned();
            }
            assert_eq!(found.to_string(), becomes, "{kind}.{name}: {value}");
        }
    }
}
