//! `genetrail demo`: what the product does, on a fresh ledger, for somebody who has never seen it. All of
//! it goes through the real server; only the clock is the history's own.

mod answers;
mod audit;
mod clock;
mod history;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tonic::transport::Channel;

use self::{clock::DemoClock, history::Event};
use super::{
    Hex, Outcome, client, complain, export, init,
    local::{self, Apart},
    random, receipt, record, record_json, say, serve,
};
use crate::{
    clock::{Clock, SystemClock},
    note::VerifierKey,
    pb,
    server::{self, Running, Settings},
};

const ORIGIN: &str = "demo.genetrail.example/car-t";
const ADMINISTRATOR: &str = "administrator";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// End after the demonstration, and remove what it made; without it, the server stays.
    #[arg(long)]
    once: bool,
    /// Keep the ledger in this directory; by default it is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to take calls: a loopback address; by default port 7410, and with --once a free port.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    apart: Apart,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    local::make_sled_sync();
    let workshop = Workshop::create()?;
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| workshop.0.join("ledger"));
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(async {
        let told = serve::told_to_stop()?;
        let events = history::events()?;
        let mut demo = Demo::start(arguments, &workshop.0, &data, &events).await?;
        tokio::select! {
            shown = demo.show(&events, arguments.once) => shown?,
            () = told => {}
        }
        demo.running.shut_down();
        demo.running.ended().await?;
        match &arguments.data {
            Some(kept) => say!("\nThe ledger stays in {}.", kept.display())?,
            None => say!("\nWhat this made is removed.")?,
        }
        Ok(Outcome::Fine)
    })
}

/// The directory for all that is removed at the end.
struct Workshop(PathBuf);

impl Workshop {
    fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("genetrail-demo-{}", Hex(&random::<4>()?)));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            complain(format_args!("cannot remove {}: {error}", self.0.display()));
        }
    }
}

/// A ledger that is served.
struct Demo<'a> {
    workshop: &'a Path,
    clock: Arc<DemoClock>,
    key: VerifierKey,
    running: Running,
    channel: Channel,
}

/// An administration, and the receipt for it.
struct Administration<'a> {
    event: &'a Event,
    receipt: &'a pb::Receipt,
    file: PathBuf,
}

impl<'a> Demo<'a> {
    async fn start(
        arguments: &Arguments,
        workshop: &'a Path,
        data: &Path,
        events: &[Event],
    ) -> anyhow::Result<Self> {
        say!("1. A new ledger")?;
        let clock = Arc::new(DemoClock::at(
            events.first().context("the history is empty")?.at,
        ));
        let options = arguments.apart.options(data);
        let origin = init::parse_origin(ORIGIN)?;
        let (_, key) = init::create_with_new_key(&options, origin, ADMINISTRATOR, clock.now())?;
        let port = if arguments.once { 0 } else { 7410 };
        let settings = Settings {
            listen: arguments.listen.unwrap_or(([127, 0, 0, 1], port).into()),
            metrics: None,
            ..Settings::default()
        };
        let ledger = local::open_with(&options, Arc::<DemoClock>::clone(&clock))?;
        let running = server::start(ledger, Arc::<DemoClock>::clone(&clock), settings).await?;
        let channel = client::channel(&format!("http://{}", running.addr))?;
        say!("     In {}, served at {}.", data.display(), running.addr)?;
        say!("     Its public key, with which anybody can check what it answers:")?;
        say!("     {key}")?;
        Ok(Self {
            workshop,
            clock,
            key,
            running,
            channel,
        })
    }

    async fn show(&mut self, events: &[Event], once: bool) -> anyhow::Result<()> {
        let receipts = self.play(events).await?;
        let administration = self.show_receipt(events, &receipts)?;
        show_mismatch(events, &receipts)?;
        self.show_refusal(&administration).await?;
        self.clock.go_on();
        self.show_audit(&administration).await?;
        self.show_answers(once).await?;
        if once {
            return Ok(());
        }
        self.invite(&administration)?;
        self.running.ended().await?;
        bail!("the server ended by itself")
    }

    async fn play(&self, events: &[Event]) -> anyhow::Result<Vec<pb::Receipt>> {
        say!("\n2. Seven years of a CAR-T product")?;
        say!(
            "     Two hospitals and a maker record what happens, each record at the time at which it"
        )?;
        say!("     was sent. All people, lots and numbers are invented.")?;
        let receipts = history::play(&self.channel, &self.clock, events).await?;
        say!(
            "     {} records: {}.",
            receipts.len(),
            history::counts(events)
        )?;
        say!("     Nothing that happened was refused. What should not have happened was flagged:")?;
        for (code, times) in history::flags(&receipts, pb::Severity::Critical) {
            say!("       {times:>3} x CRITICAL   {code}")?;
        }
        for (code, times) in history::flags(&receipts, pb::Severity::Deviation) {
            say!("       {times:>3} x DEVIATION  {code}")?;
        }
        Ok(receipts)
    }

    fn show_receipt<'e>(
        &self,
        events: &'e [Event],
        receipts: &'e [pb::Receipt],
    ) -> anyhow::Result<Administration<'e>> {
        let mut recorded = events.iter().zip(receipts);
        let (event, receipt) = recorded
            .find(|(event, _)| event.is("administration"))
            .context("nothing was administered")?;
        let patient = event.text("/patient");
        let lot = event.text("/administration/lot/lot");
        say!("\n3. A receipt")?;
        say!(
            "     The hospital recorded that patient {patient} was given lot {lot}, and got a receipt, to be"
        )?;
        say!("     kept for thirty years. It is checked here without the server:")?;
        let proof = record::proof_of(receipt)?;
        let proved = receipt::check(&proof, &receipt.entry, &self.key)?;
        for line in proved.to_string().lines() {
            say!("       {line}")?;
        }
        for line in record_json::to_json(proved.entry.record)?.lines() {
            say!("       {line}")?;
        }
        say!(
            "     It proves that this is entry {} of the log whose key is above, and that nobody, its",
            receipt.index
        )?;
        say!("     keeper included, can change it or take it away unnoticed.")?;
        let file = self.workshop.join("administration.tlog-proof");
        fs::write(&file, proof.encode())?;
        Ok(Administration {
            event,
            receipt,
            file,
        })
    }

    async fn show_refusal(&self, administration: &Administration<'_>) -> anyhow::Result<()> {
        say!("\n5. A record that cannot be right")?;
        say!(
            "     The same administration, mistyped: a digit of the product's number is wrong, there is no"
        )?;
        say!(
            "     dose, and it is dated ahead. Nothing is recorded; the sender is told what to do:"
        )?;
        let mut json = administration.event.json.clone();
        set(&mut json, "/recordId", json!(record_json::new_record_id()?))?;
        set(&mut json, "/eventTime", json!("2119-03-15T09:00:00+08:00"))?;
        set(
            &mut json,
            "/administration/lot/gtin",
            json!("09521123450012"),
        )?;
        set(&mut json, "/administration/doseActual", Value::Null)?;
        match history::submit(&self.channel, &json, administration.event.actor()).await? {
            Ok(receipt) => bail!("it was recorded at index {}", receipt.index),
            Err(rejection) => {
                for line in rejection.to_string().lines() {
                    say!("       {line}")?;
                }
                Ok(())
            }
        }
    }

    async fn show_audit(&self, administration: &Administration<'_>) -> anyhow::Result<()> {
        say!("\n6. The auditor takes a copy away, and verifies it without the server")?;
        let export = self.workshop.join("export");
        let connection = client::call_as(self.channel.clone(), Some(ADMINISTRATOR))?;
        let size = export::from_server(&export, connection).await?;
        audit::verify(&export, &self.key)?;

        let Administration {
            event,
            receipt,
            file: _,
        } = administration;
        let dose = event.text("/administration/doseActual/value");
        say!(
            "\n7. Somebody changes one digit in a copy: the first of the dose {dose} becomes a 9"
        )?;
        let copy = self.workshop.join("forged");
        let file = audit::forge(&export, &copy, size, receipt, dose)?;
        say!("     changed: {}", file.display())?;
        let finding = audit::verify_forgery(&copy, &self.key)?;
        say!("     REFUSED: {:#}", anyhow::Error::from(finding))
    }

    async fn show_answers(&self, once: bool) -> anyhow::Result<()> {
        say!("\n8. What is asked of the log")?;
        let connection = client::call_as(self.channel.clone(), Some(ADMINISTRATOR))?;
        let page = self.workshop.join("conformity.html");
        // What is removed at once is no page to open.
        answers::show(connection, (!once).then_some(page.as_path())).await
    }

    fn invite(&self, administration: &Administration<'_>) -> anyhow::Result<()> {
        let Administration {
            event: _,
            receipt,
            file,
        } = administration;
        let (addr, key) = (self.running.addr, &self.key);
        let (index, receipt) = (receipt.index, file.display());
        let workshop = self.workshop.display();
        let verification = json!({"submission": {"record": verification(SystemClock.now())?}});
        say!("\n9. Yours to try; the server stays until Ctrl-C")?;
        say!("  grpcurl -plaintext {addr} list")?;
        say!("  grpcurl -plaintext {addr} genetrail.v1.LedgerService/GetCheckpoint")?;
        say!(
            "  grpcurl -plaintext -d '{{\"index\": {index}}}' {addr} genetrail.v1.LedgerService/GetEntry"
        )?;
        say!(
            "  grpcurl -plaintext -H 'genetrail-actor: s02-1' -d '{verification}' {addr} \
             genetrail.v1.RecordingService/Record"
        )?;
        say!("  genetrail check {receipt} --key {key}")?;
        say!("  genetrail export {workshop}/mine --server http://{addr}")?;
        say!("  genetrail verify {workshop}/mine --key {key}")?;
        say!("  genetrail schedule P2 --as-of 2024-08-15 --server http://{addr}")?;
        say!("  genetrail deviations --severity critical --server http://{addr}")
    }
}

fn show_mismatch(events: &[Event], receipts: &[pb::Receipt]) -> anyhow::Result<()> {
    let mut recorded = events.iter().zip(receipts);
    let (event, receipt) = recorded
        .find(|(event, _)| event.text("/coiVerification/result") == "COI_RESULT_MISMATCH")
        .context("nothing was mismatched")?;
    say!("\n4. The wrong patient")?;
    say!(
        "     At the bedside of {} the label said {}, and the wristband {}. A mismatch is a fact: it is",
        event.text("/patient"),
        event.text("/coiVerification/labelId/value"),
        event.text("/coiVerification/personId/value"),
    )?;
    say!(
        "     recorded, as entry {}, and the receipt says at once what it means:",
        receipt.index
    )?;
    for flag in &receipt.flags {
        say!("       {}", record::shown(flag))?;
    }
    Ok(())
}

/// A record to try: the label and the patient of the history's last administration, verified once more.
fn verification(now: DateTime<Utc>) -> anyhow::Result<Value> {
    Ok(json!({
        "recordId": record_json::new_record_id()?,
        "eventTime": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "site": "9521123001022",
        "siteTz": "Asia/Shanghai",
        "actorPerson": "s02-1",
        "actorRole": "ACTOR_ROLE_NURSE",
        "signatureMeaning": "SIGNATURE_MEANING_AUTHORSHIP",
        "sourceKind": "SOURCE_KIND_DIRECT",
        "patient": "P6",
        "coiVerification": {
            "coi": "CHZ000122000006",
            "step": "COI_STEP_BEDSIDE",
            "lot": {"gtin": "09521123450011", "lot": "DP-006B"},
            "labelId": {"system": "IDENTIFIER_SYSTEM_COI", "value": "CHZ000122000006", "quality": "IDENTIFIER_QUALITY_SCANNED"},
            "personId": {"system": "IDENTIFIER_SYSTEM_COI", "value": "CHZ000122000006", "quality": "IDENTIFIER_QUALITY_SCANNED"},
            "verifiers": ["s02-1", "s02-2"],
            "result": "COI_RESULT_MATCH",
        },
    }))
}

/// Sets a value that is there.
fn set(json: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    *json
        .pointer_mut(pointer)
        .with_context(|| format!("the record has no {pointer}"))? = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record as records;

    #[test]
    fn the_record_that_the_demonstration_invites_to_send_is_a_faithful_one() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let record = record_json::parse(&verification(now).unwrap().to_string()).unwrap();
        let (_, violations) = records::check_encoded(&record.bytes, now).unwrap();
        assert_eq!(violations, []);
    }
}
