//! What cannot or should not be so: submitted on top of a finished history, it is refused with its field
//! named and nothing recorded, or recorded and flagged.

use std::cmp::Reverse;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Days, NaiveDate, Utc};
use genetrail::{clock::Clock as _, pb, record::format::parse_civil_date};
use prost::Message as _;
use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    compare::Differences,
    convert::{Converter, in_order, in_the_history},
    fields::{NO_SUCH_WORD, Unsayable, names_in_the_history},
    parties::{PARTIES, Party},
    play::{Played, submit},
};
use crate::support::{TestServer, as_actor};

/// How often something is replaced that no record can have.
const REPLACEMENTS_MAX: usize = 32;

/// What a malformed item says of itself beside the event.
const OF_THE_ITEM: [&str; 4] = ["why", "expect", "flag", "field"];

/// What every event has. To leave it out is to leave it to the runner.
const OF_EVERY_EVENT: [&str; 6] = [
    "seq",
    "kind",
    "event_date",
    "event_time",
    "recorded_at",
    "site",
];

/// The words for what is still to come.
const TO_COME: [&str; 8] = [
    "future",
    "ahead",
    "tomorrow",
    "not yet happened",
    "still to come",
    "before it happen",
    "event_time",
    "event_date",
];

/// What is later after the end of a history than this is still to come, whatever it says.
const YEARS_AFTER: Days = Days::new(3 * 365);

/// What a runner supplies, and an item may be wrong in leaving out.
const OFTEN_LEFT_OUT: [&str; 7] = [
    "coi",
    "communication",
    "justification",
    "mode",
    "reason",
    "scope",
    "signatory",
];

/// A number that is well formed, and that no site of any history has.
const GLN_OF_NOBODY: &str = "9521123009998";

/// What the first event of a kind names and another of the kind must not: what comes to be is new.
const NEW: [(&str, &str); 8] = [
    ("ConsentVersion", "version"),
    ("Lot", "lot"),
    ("PatientRegistered", "patient"),
    ("PlanVersion", "version"),
    ("Product", "product_id"),
    ("Recall", "recall"),
    ("RiskSignal", "signal"),
    ("SampleCollected", "sample"),
];

/// Each malformed item of a history: its place among them, and what was expected of it.
pub(crate) fn items(history: &Value) -> impl Iterator<Item = (u64, &Value)> {
    let items = history["malformed"].as_array().into_iter().flatten();
    (1..).zip(items)
}

/// A malformed item as it is said.
pub(crate) struct Said {
    /// The records of it, in their order.
    pub(crate) records: Vec<pb::Record>,
    /// The event that it is, once all that it does not tell is supplied.
    event: Value,
    /// The words that no enum has, said as a number that no enum has.
    words: Vec<String>,
}

/// A malformed item on its way to records: what an event cannot say is mended there, and said in the records.
struct Mended {
    event: Value,
    /// What is put into the records last, by its name in the dictionary.
    last: Vec<(String, Value)>,
    words: Vec<String>,
    /// The number of a party that nobody registered, and of the one that stands in for it.
    nobody: Option<(&'static str, String)>,
    has_kind: bool,
}

impl Mended {
    fn of(mut event: Value, now: DateTime<Utc>) -> Self {
        let mut last = Vec::new();
        // A day that does not exist is for the ledger to refuse.
        let day = event["event_date"].as_str().unwrap_or_default().to_owned();
        if parse_civil_date(&day).is_err() {
            event["event_date"] = json!(now.date_naive().to_string());
            last.push(("event_time".to_owned(), json!(day)));
        }
        Self {
            event,
            last,
            words: Vec::new(),
            nobody: None,
            has_kind: true,
        }
    }

    /// Puts aside what the event cannot say; `false` if nothing can be done.
    fn mend(&mut self, what: &Unsayable) -> bool {
        match what {
            Unsayable::Word { prefix, .. } if prefix == "kind of event" => {
                // A record of a kind that nobody knows is one without a kind.
                self.has_kind = false;
                self.event = json!({
                    "seq": self.event["seq"], "kind": "Found", "patient": "not-said",
                    "event_date": self.event["event_date"], "recorded_at": self.event["recorded_at"],
                });
            }
            Unsayable::Word { prefix, word } if prefix == "party" => {
                let told = self.event.to_string();
                let is_told =
                    |party: &&Party| told.contains(party.code) || told.contains(party.gln);
                let Some(stand_in) = PARTIES.iter().rev().find(|party| !is_told(party)) else {
                    return false;
                };
                let is_gln = word.len() == GLN_OF_NOBODY.len();
                let gln = if is_gln { word } else { GLN_OF_NOBODY };
                self.nobody = Some((stand_in.gln, gln.to_owned()));
                replace(&mut self.event, word, stand_in.code);
            }
            // No enum has the word: the ledger has to refuse a number that it has no word for.
            Unsayable::Word { word, .. } => {
                self.words.push(word.clone());
                replace(&mut self.event, word, NO_SUCH_WORD);
            }
            Unsayable::Missing { name } => {
                if self.event.get(name).is_some_and(Value::is_object) {
                    let value = self.event[name.as_str()].take();
                    self.last.push((name.clone(), value));
                }
                self.event[name.as_str()] = json!("");
            }
            // What the history's word for a field cannot say, the record may.
            Unsayable::Value { name, .. } => {
                let value = self.event.get_mut(name).map(Value::take);
                let Some(value) = value.filter(|value| !value.is_null()) else {
                    return false;
                };
                self.last.push((name.clone(), value));
            }
        }
        true
    }
}

/// A malformed item as an event, at a time when the history is over.
///
/// What the item does not tell is as in the first event of its kind that is most like it - of its patient's, if
/// there is one, then of its sample or lot; what names a thing that comes to be is new, unless the item names it. What follows from an event - that
/// a version is activated, that a lot is released - is told only if the item tells of it.
fn event(history: &Value, number: u64, item: &Value, now: DateTime<Utc>) -> Result<Value> {
    let item = item.as_object().context("an item is an object")?;
    let events = history["events"]
        .as_array()
        .context("a history has events")?;
    let kind = in_the_history(item["kind"].as_str().context("an item has a kind")?);
    let likeness = |event: &&Value| {
        let is_alike = |name: &&&str| event.get(**name) == item.get(**name);
        let is_of_patient = is_alike(&&"patient");
        let alike = ["sample", "lot", "lots", "recall", "plan_id", "family"];
        Reverse((is_of_patient, alike.iter().filter(is_alike).count()))
    };
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    let mut event = match of_kind.min_by_key(likeness) {
        Some(event) => event.as_object().context("an event is an object")?.clone(),
        None => [("event_date".to_owned(), events[0]["event_date"].clone())]
            .into_iter()
            .collect(),
    };
    event.retain(|_, value| !value.is_null());
    event.remove("event_time");
    event.remove("note");
    event.insert("seq".to_owned(), json!(1_000_000 + number));
    event.insert("recorded_at".to_owned(), json!(now.to_rfc3339()));
    for (of, name) in NEW {
        if of == kind {
            event.insert(name.to_owned(), json!(format!("MALFORMED-{number}")));
        }
    }
    let tells = |parts: &[&str]| {
        item.keys()
            .any(|key| parts.iter().any(|part| key.contains(part)))
    };
    if !tells(&[
        "site_effective",
        "iec",
        "ec_",
        "ethics",
        "effective_",
        "training",
    ]) {
        event.remove("site_effective");
    }
    if !tells(&["released", "certificate", "disposition", "witness", "oos"]) {
        event.remove("released");
    }
    if kind == "ConsentVersion" {
        event.remove("sha256");
        // After the first version, another is no first.
        event.insert("change_class".to_owned(), json!("ADMINISTRATIVE"));
    }
    for name in item.keys().flat_map(|name| names_in_the_history(name)) {
        event.remove(name);
    }
    event.append(&mut item.clone());
    for name in left_out(kind, item, &event) {
        event.insert(name, Value::Null);
    }
    event.retain(|name, _| !OF_THE_ITEM.contains(&name.as_str()));
    by_site(&mut event);
    // Supplied: an ethics committee approved a version no earlier than there was one.
    let names_both = ["event_date", "site_effective"]
        .iter()
        .all(|name| item.contains_key(*name));
    if names_both && !tells(&["iec", "ec_", "ethics"]) {
        event.insert("iec_approved".to_owned(), event["event_date"].clone());
    }
    Ok(Value::Object(event))
}

/// What an item neither tells nor takes from another event: what it says is missing, and the justification of
/// a decision that is to be refused.
fn left_out(kind: &str, item: &Map<String, Value>, event: &Map<String, Value>) -> Vec<String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let others: Vec<&str> = item
        .keys()
        .flat_map(|name| names_in_the_history(name))
        .collect();
    let is_told = |name: &str| item.contains_key(name) || others.contains(&name);
    let field = text("field");
    let is_unjustified = kind == "MonitoringDecision"
        && text("expect") == "REFUSE"
        && (field.is_empty() || field.contains("justification"));
    let why = words(text("why"));
    let names = event.keys().map(String::as_str).chain(OFTEN_LEFT_OUT);
    let names = names.filter(|name| !OF_EVERY_EVENT.contains(name) && !is_told(name));
    names
        .filter(|name| is_missing(&why, name) || is_unjustified && *name == "justification")
        .map(str::to_owned)
        .collect()
}

/// The words of a reason; what stands between its parts is a comma.
fn words(text: &str) -> Vec<String> {
    let text = text
        .to_lowercase()
        .replace([',', ';', ':', '.', '(', ')'], " , ");
    let words = text.split(|c: char| c != ',' && !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Whether a reason says that something is missing: "no expiry", "without a reason or scope", "mode missing".
fn is_missing(why: &[String], name: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    // A date or a number of something is that thing, in short.
    let in_short = match parts.split_last() {
        Some((&("gln" | "id" | "date" | "days" | "pct" | "sha256"), rest)) if !rest.is_empty() => {
            rest
        }
        _ => &parts,
    };
    [parts.as_slice(), in_short].iter().any(|parts| {
        let is_same = |(word, part): (&String, &&str)| {
            word.trim_end_matches('s') == part.trim_end_matches('s')
        };
        let mut places = why.windows(parts.len()).enumerate();
        places.any(|(at, words)| {
            words.iter().zip(*parts).all(is_same)
                && (is_after_without(&why[..at]) && is_end(&why[at + parts.len()..])
                    || is_before_missing(&why[at + parts.len()..]))
        })
    })
}

fn is_after_without(before: &[String]) -> bool {
    let is_any = |word: &str, words: &[&str]| words.contains(&word);
    let mut before = before.iter().rev().map(String::as_str);
    let articles = ["a", "an", "the", "any", "its", "his", "her"];
    let marks = [
        "without", "no", "missing", "lacks", "lacking", "omits", "empty",
    ];
    match before.by_ref().find(|word| !is_any(word, &articles)) {
        // Another thing is missing as well, of at most three words.
        Some("or" | "nor" | "and") => before.take(4).any(|word| is_any(word, &marks)),
        word => word.is_some_and(|word| is_any(word, &marks)),
    }
}

/// Whether nothing follows that would make another thing of it, as a number does of a lot.
fn is_end(after: &[String]) -> bool {
    let follow = [
        ",", "and", "or", "nor", "on", "in", "at", "for", "of", "from", "to", "is", "was", "given",
        "told", "named", "said", "date", "day", "when", "while", "by", "with",
    ];
    after
        .first()
        .is_none_or(|word| follow.contains(&word.as_str()))
}

fn is_before_missing(after: &[String]) -> bool {
    let mut after = after.iter().map(String::as_str);
    let word = after.find(|word| !["is", "was", "are", "were"].contains(word));
    match word {
        Some("missing" | "absent" | "omitted" | "lacking" | "empty") => true,
        Some("left") => after.next() == Some("out"),
        Some("not") => ["given", "told", "said", "named"].contains(&after.next().unwrap_or("")),
        _ => false,
    }
}

/// What the dictionary lists for each site, as a history tells it: field by field.
fn by_site(event: &mut Map<String, Value>) {
    let Some(Value::Array(activations)) = event.remove("site_activation") else {
        return;
    };
    for activation in &activations {
        let site = activation["site"].as_str().unwrap_or_default();
        for (name, value) in activation.as_object().into_iter().flatten() {
            let name = match name.as_str() {
                "site" => continue,
                "effective_from" => "site_effective",
                "to" => "effective_to",
                other => other,
            };
            let sites = event.entry(name).or_insert_with(|| json!({}));
            sites[site] = value.clone();
        }
    }
}

/// The records of a malformed item, at a time when the history and what was kept of the items before are over.
pub(crate) fn said(
    history: &Value,
    kept: &[Value],
    number: u64,
    item: &Value,
    now: DateTime<Utc>,
) -> Result<Said> {
    let event = event(history, number, item, now)?;
    let nothing = event.as_object().into_iter().flatten();
    let nothing = nothing.filter(|(_, value)| value.is_null());
    let nothing: Vec<String> = nothing.map(|(name, _)| name.clone()).collect();
    let mut mended = Mended::of(event, now);
    let mut records = converted(history, kept, &mended.event);
    for _ in 0..REPLACEMENTS_MAX {
        let wrong = records.as_ref().err();
        match wrong.and_then(|error| error.downcast_ref()) {
            Some(what) if mended.mend(what) => {}
            Some(_) | None => break,
        }
        records = converted(history, kept, &mended.event);
    }
    let mut records = records?;

    let converter = Converter::new(history)?;
    for (name, value) in &mended.last {
        converter.put(&mut records, name, value)?;
    }
    // What the item says is not there is not supplied either.
    for name in nothing {
        if !OF_EVERY_EVENT.contains(&name.as_str()) {
            // Of what only a history has, there is nothing in the records to empty.
            drop(converter.put(&mut records, &name, &Value::Null));
        }
    }
    for record in &mut records {
        if let Some((stand_in, nobody)) = &mended.nobody {
            *record = at_another_site(record, stand_in, nobody)?;
        }
        if !mended.has_kind {
            record.kind = None;
        }
    }
    Ok(Said {
        records,
        event: mended.event,
        words: mended.words,
    })
}

/// The records of an event that is told after a history, and after what was kept.
fn converted(history: &Value, kept: &[Value], event: &Value) -> Result<Vec<pb::Record>> {
    let mut converter = Converter::new(history)?;
    for event in in_order(history)? {
        converter.event(event)?;
    }
    for event in kept {
        drop(converter.look_ahead(event));
        converter.event(event)?;
    }
    // What is wrong in an item is wrong in what can be seen of it beforehand, too.
    drop(converter.look_ahead(event));
    converter.event(event)
}

/// A record with one site's number in the place of another's.
fn at_another_site(record: &pb::Record, old: &str, new: &str) -> Result<pb::Record> {
    ensure!(old.len() == new.len(), "a GLN has 13 digits");
    let mut encoded = record.encode_to_vec();
    for at in 0..=encoded.len().saturating_sub(old.len()) {
        if encoded[at..].starts_with(old.as_bytes()) {
            encoded[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
    }
    Ok(pb::Record::decode(encoded.as_slice())?)
}

/// Puts one word in the place of another, wherever that is.
fn replace(within: &mut Value, old: &str, new: &str) {
    match within {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, old, new)),
        Value::Object(fields) => {
            if let Some(value) = fields.remove(old) {
                fields.insert(new.to_owned(), value);
            }
            fields
                .values_mut()
                .for_each(|value| replace(value, old, new));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What became of the records of one item.
struct Outcome {
    /// The flags of those that were recorded.
    flags: Vec<String>,
    is_recorded: bool,
    /// The refusal of the first that was not.
    refused: Option<Status>,
}

impl Outcome {
    /// Tells what of it was not expected of the item, and prints where it was refused.
    #[expect(clippy::print_stdout, reason = "it is read beside the answers")]
    fn compare(&self, place: &str, item: &Value, found: &mut Differences) {
        match (item["expect"].as_str(), &self.refused) {
            (Some("REFUSE"), Some(status)) => {
                let fields = refused_fields(status);
                println!("{place}: refused at {fields:?}");
                let wanted = item["field"].as_str();
                if wanted.is_some_and(|wanted| !fields.iter().any(|field| field.contains(wanted))) {
                    found.tell(format!("{place}: refused at {fields:?}"));
                }
            }
            (Some("REFUSE"), None) => found.tell(format!("{place}: recorded")),
            (Some("RECORD_AND_FLAG"), None) => {
                let wanted = item["flag"].as_str().unwrap_or("a flag");
                if !self.flags.iter().any(|code| code == wanted) {
                    found.tell(format!("{place}: {wanted} is not among {:?}", self.flags));
                }
            }
            (Some("RECORD_AND_FLAG"), Some(status)) => {
                found.tell(format!("{place}: refused: {}", status.message()));
            }
            (other, _) => found.tell(format!("{place}: nothing can be expected to {other:?}")),
        }
    }
}

impl Played<'_> {
    /// Submits every malformed item, and tells what was not answered as expected. Where each was refused, and
    /// what could not be said, is printed: whether that is for the right reason is for people to see.
    #[expect(clippy::print_stdout, reason = "it is read beside the answers")]
    pub(crate) async fn try_malformed(&self, found: &mut Differences) -> Result<()> {
        let mut kept = Vec::new();
        let mut inexpressible = Vec::new();
        let mut nameless = Vec::new();
        for (number, item) in items(self.history) {
            let place = format!("malformed {number}, {}", item["why"]);
            if let Some(recorded_at) = item["recorded_at"].as_str() {
                match recorded_at.parse() {
                    Ok(now) => self.server.clock.set(self.server.clock.now().max(now)),
                    Err(_) => found.tell(format!("{place}: {recorded_at} is no instant")),
                }
            }
            if let Some(happened) = self.happened(item) {
                self.server.clock.set(self.server.clock.now().max(happened));
            }
            let now = self.server.clock.now();
            let said = match said(self.history, &kept, number, item, now) {
                Ok(said) => said,
                // No message can say it, and so it is never submitted.
                Err(error) if item["expect"] == "REFUSE" && error.is::<Unsayable>() => {
                    inexpressible.push(format!("{place}: {error:#}"));
                    continue;
                }
                Err(error) => {
                    found.tell(format!("{place}: {error:#}"));
                    continue;
                }
            };
            if !said.words.is_empty() {
                nameless.push(format!("{place}: {:?}", said.words));
            }
            let outcome = self.submit_all(&place, said.records, found).await?;
            outcome.compare(&place, item, found);
            if outcome.is_recorded {
                kept.push(said.event);
            }
        }
        println!(
            "{} said with a number in the place of a word that no enum has:\n  {}\n{} not submitted, as no record can say it:\n  {}",
            nameless.len(),
            nameless.join("\n  "),
            inexpressible.len(),
            inexpressible.join("\n  ")
        );
        Ok(())
    }

    /// When an item is over, if it is recorded no earlier than it happened.
    ///
    /// Supplied: so is what can be recorded, and so is what does not say when it is recorded, unless what is
    /// wrong with it is that it is still to come.
    fn happened(&self, item: &Value) -> Option<DateTime<Utc>> {
        let is_recorded = item["expect"] == "RECORD_AND_FLAG";
        let day = item["event_date"].as_str().map(parse_civil_date);
        let day = day.and_then(Result::ok);
        if !is_recorded && (item.get("recorded_at").is_some() || self.is_to_come(item, day)) {
            return None;
        }
        let time = item["event_time"].as_str().map(str::parse);
        let ends = [
            day.and_then(|day| self.end_of(day).ok()),
            time.and_then(Result::ok),
        ];
        ends.into_iter().flatten().max()
    }

    /// Whether an item is wrong in that it is still to come: it says so, or it is years after the history.
    fn is_to_come(&self, item: &Value, day: Option<NaiveDate>) -> bool {
        let says = ["why", "field"].map(|name| item[name].as_str().unwrap_or_default());
        let says = says.join(" ").to_lowercase();
        let is_said = TO_COME.iter().any(|word| says.contains(word));
        let years = |last: NaiveDate| last.checked_add_days(YEARS_AFTER);
        let last = self.last_day().ok().and_then(years);
        is_said || day.zip(last).is_some_and(|(day, last)| last < day)
    }

    /// Submits the records of an item until one is refused, and nothing of that one may be recorded.
    async fn submit_all(
        &self,
        place: &str,
        records: Vec<pb::Record>,
        found: &mut Differences,
    ) -> Result<Outcome> {
        let mut outcome = Outcome {
            flags: Vec::new(),
            is_recorded: false,
            refused: None,
        };
        for record in records {
            let before = tree_size(&self.server).await?;
            let answer = submit(&self.server, record).await;
            let after = tree_size(&self.server).await?;
            match answer {
                Ok(receipt) => {
                    self.server.check(&receipt);
                    ensure!(after == before + 1, "{place}: one record is one entry");
                    let codes = receipt.flags.into_iter().map(|flag| flag.code);
                    outcome.flags.extend(codes);
                    outcome.is_recorded = true;
                }
                Err(status) => {
                    // A record id that is taken is the one thing that is wrong then.
                    let is_taken = status.code() == Code::AlreadyExists;
                    if refused_fields(&status).is_empty() && !is_taken {
                        found.tell(format!("{place}: no field is named by {status:?}"));
                    }
                    let refusals = [Code::InvalidArgument, Code::FailedPrecondition];
                    if !refusals.contains(&status.code()) && !is_taken {
                        found.tell(format!("{place}: {:?} is no refusal", status.code()));
                    }
                    if before != after {
                        found.tell(format!(
                            "{place}: refused, and {after} entries are not {before}"
                        ));
                    }
                    outcome.refused = Some(status);
                    break;
                }
            }
        }
        Ok(outcome)
    }
}

/// The fields that a refusal names.
fn refused_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.iter());
    let fields = violations.into_iter().flatten();
    fields.map(|violation| violation.field.clone()).collect()
}

async fn tree_size(server: &TestServer) -> Result<u64> {
    let request = as_actor(pb::GetCheckpointRequest {});
    let answer = server.ledger().get_checkpoint(request).await?;
    Ok(answer.into_inner().tree_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_is_missing() {
        for (why, name, is) in [
            ("no expiry", "expiry", true),
            ("decision without a justification", "justification", true),
            ("without a scope or justification", "justification", true),
            ("without scope, and late", "scope", true),
            ("a visit, mode missing", "mode", true),
            ("the mode is not given", "mode", true),
            ("autologous lot without patient", "intended_patient", false),
            ("a lot without expiry date", "expiry", true),
            ("no manufacturer", "manufacturer_gln", true),
            ("recall without lot", "lots", true),
            ("no lot number", "lot", false),
            ("without coi verification", "coi", false),
            ("no such mode", "mode", false),
            ("unknown mode", "mode", false),
            ("", "mode", false),
        ] {
            assert_eq!(is_missing(&words(why), name), is, "{why}: {name}");
        }
    }
}
