//! `genetrail trace`: from a lot to everybody who received it, and back from a patient, a sample or a chain of
//! identity; and what a recall reaches.

use super::{
    Outcome,
    client::{self, Connection},
    query::{Asking, PAGE_SIZE, Shown, Table, amount, basis, entries, lot, pages, word, yes},
};
use crate::pb::{
    self, AdministrationStatus, CoiResult, CoiStep, Disposition, LotRole, PatientStanding,
    RecallClass, SampleEventKind, SamplePurpose, trace_lot_request::Root,
    traced_material::Material,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// Where a lot went: the lots made from it, the patients, their samples, and what is left.
    Lot {
        /// Its GTIN, of 14 digits.
        #[arg(value_name = "GTIN")]
        gtin: String,
        /// The lot number.
        #[arg(value_name = "LOT")]
        lot: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Where a donation went.
    Donation {
        /// Its donation identification number, without the check character.
        #[arg(value_name = "DIN")]
        din: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// What a patient received, and where it came from.
    Patient {
        /// The pseudonym.
        #[arg(value_name = "PATIENT")]
        patient: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Where a sample came from.
    Sample {
        /// The sample's id.
        #[arg(value_name = "SAMPLE")]
        sample: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// The life of a chain of identity.
    Coi {
        /// The chain-of-identity identifier.
        #[arg(value_name = "COI")]
        coi: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// What a recall reaches, and how it stands.
    Recall {
        /// The recall's id.
        #[arg(value_name = "RECALL")]
        recall: String,
        #[command(flatten)]
        asking: Asking,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.from {
        From::Lot { gtin, lot, asking } => {
            let key = pb::LotKey {
                gtin: gtin.clone(),
                lot: lot.clone(),
                ..pb::LotKey::default()
            };
            from_root(asking, Root::Lot(key))
        }
        From::Donation { din, asking } => from_root(asking, Root::Din(din.clone())),
        From::Patient { patient, asking } => {
            let request = pb::TracePatientRequest {
                question: Some(asking.question()),
                patient: patient.clone(),
                page_size: PAGE_SIZE,
                page_token: String::new(),
            };
            let answer = asking
                .server
                .call(|connection| of_patient(connection, request))?;
            asking.print(&answer, &patient_shown(&answer))
        }
        From::Sample { sample, asking } => {
            let request = pb::TraceSampleRequest {
                question: Some(asking.question()),
                sample_id: sample.clone(),
                page_size: PAGE_SIZE,
                page_token: String::new(),
            };
            let answer = asking
                .server
                .call(|connection| of_sample(connection, request))?;
            asking.print(&answer, &sample_shown(&answer))
        }
        From::Coi { coi, asking } => {
            let request = pb::GetChainOfIdentityRequest {
                question: Some(asking.question()),
                coi: coi.clone(),
            };
            let answer = asking
                .server
                .call(|connection| of_coi(connection, request))?;
            asking.print(&answer, &coi_shown(&answer))
        }
        From::Recall { recall, asking } => {
            let request = recall_request(asking.question(), recall);
            let answer = asking
                .server
                .call(|connection| of_recall(connection, request))?;
            asking.print(&answer, &recall_shown(&answer))
        }
    }
}

fn from_root(asking: &Asking, root: Root) -> anyhow::Result<Outcome> {
    let request = pb::TraceLotRequest {
        question: Some(asking.question()),
        root: Some(root),
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let answer = asking
        .server
        .call(|connection| of_lot(connection, request))?;
    asking.print(&answer, &lot_shown(&answer))
}

/// All pages of a trace from a lot, as one.
async fn of_lot(
    connection: Connection,
    request: pb::TraceLotRequest,
) -> anyhow::Result<pb::TraceLotResponse> {
    let mut client = client::trace(connection);
    let mut all = pb::TraceLotResponse::default();
    let ask = async |page_token| {
        let request = pb::TraceLotRequest {
            page_token,
            ..request.clone()
        };
        client.trace_lot(request).await
    };
    let join = |page: pb::TraceLotResponse| {
        all.answered = page.answered;
        all.materials.extend(page.materials);
        all.administrations.extend(page.administrations);
        extend_new(&mut all.samples, page.samples);
        all.unadministered.extend(page.unadministered);
        page.next_page_token
    };
    pages(ask, join).await?;
    Ok(all)
}

async fn of_patient(
    connection: Connection,
    request: pb::TracePatientRequest,
) -> anyhow::Result<pb::TracePatientResponse> {
    let mut client = client::trace(connection);
    let mut all = pb::TracePatientResponse::default();
    let ask = async |page_token| {
        let request = pb::TracePatientRequest {
            page_token,
            ..request.clone()
        };
        client.trace_patient(request).await
    };
    let join = |mut page: pb::TracePatientResponse| {
        let mut ancestors = std::mem::take(&mut all.ancestors);
        ancestors.append(&mut page.ancestors);
        let next = std::mem::take(&mut page.next_page_token);
        all = pb::TracePatientResponse { ancestors, ..page };
        next
    };
    pages(ask, join).await?;
    Ok(all)
}

async fn of_sample(
    connection: Connection,
    request: pb::TraceSampleRequest,
) -> anyhow::Result<pb::TraceSampleResponse> {
    let mut client = client::trace(connection);
    let mut all = pb::TraceSampleResponse::default();
    let ask = async |page_token| {
        let request = pb::TraceSampleRequest {
            page_token,
            ..request.clone()
        };
        client.trace_sample(request).await
    };
    let join = |mut page: pb::TraceSampleResponse| {
        let mut materials = std::mem::take(&mut all.materials);
        materials.append(&mut page.materials);
        let next = std::mem::take(&mut page.next_page_token);
        all = pb::TraceSampleResponse { materials, ..page };
        next
    };
    pages(ask, join).await?;
    Ok(all)
}

async fn of_coi(
    connection: Connection,
    request: pb::GetChainOfIdentityRequest,
) -> anyhow::Result<pb::GetChainOfIdentityResponse> {
    let answer = client::trace(connection)
        .get_chain_of_identity(request)
        .await;
    Ok(answer
        .map_err(|status| client::failed(&status))?
        .into_inner())
}

/// Asks how a recall stands.
pub(super) fn recall_request(question: pb::Question, recall: &str) -> pb::GetRecallRequest {
    pb::GetRecallRequest {
        question: Some(question),
        recall_id: recall.to_owned(),
        page_size: PAGE_SIZE,
        page_token: String::new(),
    }
}

/// All pages of a recall, as one.
pub(super) async fn of_recall(
    connection: Connection,
    request: pb::GetRecallRequest,
) -> anyhow::Result<pb::GetRecallResponse> {
    let mut client = client::trace(connection);
    let mut all: Option<pb::GetRecallResponse> = None;
    let ask = async |page_token| {
        let request = pb::GetRecallRequest {
            page_token,
            ..request.clone()
        };
        client.get_recall(request).await
    };
    let join = |mut page: pb::GetRecallResponse| {
        let next = std::mem::take(&mut page.next_page_token);
        match &mut all {
            None => all = Some(page),
            Some(recall) => {
                recall.materials.extend(page.materials);
                recall.administrations.extend(page.administrations);
                extend_new(&mut recall.samples, page.samples);
                recall.unadministered.extend(page.unadministered);
                recall.reconciliations.extend(page.reconciliations);
            }
        }
        next
    };
    pages(ask, join).await?;
    Ok(all.unwrap_or_default())
}

/// A patient who received lots of several pages has the samples on each.
fn extend_new(samples: &mut Vec<pb::TracedSample>, more: Vec<pb::TracedSample>) {
    for sample in more {
        if !samples.contains(&sample) {
            samples.push(sample);
        }
    }
}

fn lot_shown(answer: &pb::TraceLotResponse) -> Shown {
    Shown {
        message: "genetrail.v1.TraceLotResponse",
        answered: answer.answered.clone(),
        tables: vec![
            materials("materials", &answer.materials),
            administrations(
                "administered",
                "nobody received it",
                &answer.administrations,
            ),
            samples(&answer.samples),
            stock("left", &answer.unadministered),
        ],
    }
}

fn patient_shown(answer: &pb::TracePatientResponse) -> Shown {
    Shown {
        message: "genetrail.v1.TracePatientResponse",
        answered: answer.answered.clone(),
        tables: vec![
            administrations("received", "nothing", &answer.administrations),
            materials("made from", &answer.ancestors),
            stock(
                "made for the patient, not given",
                &answer.never_administered,
            ),
        ],
    }
}

fn sample_shown(answer: &pb::TraceSampleResponse) -> Shown {
    let rows = answer.tubes.iter().flat_map(|tube| {
        tube.happenings.iter().map(|happening| {
            vec![
                tube.sample_id.clone(),
                tube.from_sample_id.clone(),
                answer.patient.clone(),
                happening.on.clone(),
                happening.kind.clone(),
                sample_event(happening.event()),
                happening.site.clone(),
                basis(happening.why.as_ref()),
                entries(happening.why.as_ref()),
            ]
        })
    });
    let tubes = Table {
        title: "tubes",
        empty: "none",
        columns: &[
            "sample", "from", "patient", "day", "record", "event", "site", "rule", "entries",
        ],
        rows: rows.collect(),
    };
    Shown {
        message: "genetrail.v1.TraceSampleResponse",
        answered: answer.answered.clone(),
        tables: vec![
            tubes,
            administrations("received before", "nothing", &answer.administrations),
            materials("made from", &answer.materials),
        ],
    }
}

fn coi_shown(answer: &pb::GetChainOfIdentityResponse) -> Shown {
    let row = |link: &pb::ChainLink| {
        let lots: Vec<&str> = link.lots.iter().map(|lot| lot.lot.as_str()).collect();
        let result = word(link.result(), CoiResult::as_str_name);
        vec![
            link.event_time.clone(),
            link.kind.clone(),
            lots.join(" "),
            link.patient.clone(),
            link.site.clone(),
            link.to_gln.clone(),
            word(link.step(), CoiStep::as_str_name),
            result,
            link.other_coi.clone(),
            basis(link.why.as_ref()),
            entries(link.why.as_ref()),
        ]
    };
    Shown {
        message: "genetrail.v1.GetChainOfIdentityResponse",
        answered: answer.answered.clone(),
        tables: vec![Table {
            title: "chain of identity",
            empty: "nothing is bound to it",
            columns: &[
                "time",
                "record",
                "lots",
                "patient",
                "site",
                "to",
                "step",
                "result",
                "other coi",
                "rule",
                "entries",
            ],
            rows: answer.links.iter().map(row).collect(),
        }],
    }
}

/// A recall for people.
pub(super) fn recall_shown(answer: &pb::GetRecallResponse) -> Shown {
    let site = |site: &pb::RecallSite| {
        vec![
            site.site.clone(),
            site.notified_on.clone(),
            site.acknowledged_on.clone(),
            site.patient_action.clone(),
            yes(site.concerned),
            basis(site.why.as_ref()),
            entries(site.why.as_ref()),
        ]
    };
    let roots: Vec<&str> = answer.roots.iter().map(|lot| lot.lot.as_str()).collect();
    let recall = vec![
        answer.recall_id.clone(),
        word(answer.recall_class(), RecallClass::as_str_name),
        roots.join(" "),
        answer.opened_on.clone(),
        answer.closed_on.clone(),
        answer.authority.clone(),
        answer.reason.clone(),
        basis(answer.why.as_ref()),
        entries(answer.why.as_ref()),
    ];
    let recall = Table {
        title: "recalls",
        empty: "none",
        columns: &[
            "recall",
            "class",
            "lots",
            "opened",
            "closed",
            "authority",
            "reason",
            "rule",
            "entries",
        ],
        rows: vec![recall],
    };
    let sites = Table {
        title: "sites",
        empty: "none",
        columns: &[
            "site",
            "notified",
            "acknowledged",
            "patient action",
            "concerned",
            "rule",
            "entries",
        ],
        rows: answer.sites.iter().map(site).collect(),
    };
    Shown {
        message: "genetrail.v1.GetRecallResponse",
        answered: answer.answered.clone(),
        tables: vec![
            recall,
            materials("materials", &answer.materials),
            administrations(
                "administered",
                "nobody received them",
                &answer.administrations,
            ),
            stock("left", &answer.unadministered),
            sites,
            reconciliations(&answer.reconciliations),
        ],
    }
}

fn materials(title: &'static str, materials: &[pb::TracedMaterial]) -> Table {
    let row = |traced: &pb::TracedMaterial| {
        let (name, gtin) = match &traced.material {
            Some(Material::Lot(lot)) => (lot.lot.clone(), lot.gtin.clone()),
            Some(Material::Din(din)) => (din.clone(), String::new()),
            None => (String::new(), String::new()),
        };
        let role = match traced.material {
            Some(Material::Din(_)) => "DONATION".to_owned(),
            Some(Material::Lot(_)) | None => word(traced.role(), LotRole::as_str_name),
        };
        vec![
            traced.depth.to_string(),
            name,
            gtin,
            role,
            traced.expiry.clone(),
            word(traced.state(), Disposition::as_str_name),
            basis(traced.why.as_ref()),
            entries(traced.why.as_ref()),
        ]
    };
    Table {
        title,
        empty: "none",
        columns: &[
            "steps", "lot", "gtin", "role", "expiry", "state", "rule", "entries",
        ],
        rows: materials.iter().map(row).collect(),
    }
}

fn administrations(
    title: &'static str,
    empty: &'static str,
    administrations: &[pb::TracedAdministration],
) -> Table {
    let row = |row: &pb::TracedAdministration| {
        vec![
            lot(row.lot.as_ref()),
            row.patient.clone(),
            word(row.patient_status(), PatientStanding::as_str_name),
            row.site.clone(),
            row.administered_on.clone(),
            word(row.status(), AdministrationStatus::as_str_name),
            amount(row.dose.as_ref()),
            row.coi.clone(),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Table {
        title,
        empty,
        columns: &[
            "lot", "patient", "standing", "site", "day", "given", "dose", "coi", "rule", "entries",
        ],
        rows: administrations.iter().map(row).collect(),
    }
}

fn samples(samples: &[pb::TracedSample]) -> Table {
    let row = |sample: &pb::TracedSample| {
        let purposes = sample.purposes();
        let purposes: Vec<String> = purposes
            .map(|purpose| word(purpose, SamplePurpose::as_str_name))
            .collect();
        vec![
            sample.patient.clone(),
            sample.sample_id.clone(),
            sample.collected_on.clone(),
            purposes.join(" "),
            sample_event(sample.last_event()),
            basis(sample.why.as_ref()),
            entries(sample.why.as_ref()),
        ]
    };
    Table {
        title: "samples",
        empty: "none",
        columns: &[
            "patient", "sample", "day", "purpose", "event", "rule", "entries",
        ],
        rows: samples.iter().map(row).collect(),
    }
}

fn stock(title: &'static str, stock: &[pb::StockRow]) -> Table {
    let row = |row: &pb::StockRow| {
        vec![
            lot(row.lot.as_ref()),
            row.location_gln.clone(),
            amount(row.held.as_ref()),
            word(row.state(), Disposition::as_str_name),
            yes(row.expired),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Table {
        title,
        empty: "nothing",
        columns: &["lot", "site", "held", "state", "expired", "rule", "entries"],
        rows: stock.iter().map(row).collect(),
    }
}

fn reconciliations(reconciliations: &[pb::StockReconciliation]) -> Table {
    let row = |row: &pb::StockReconciliation| {
        vec![
            lot(row.lot.as_ref()),
            row.site.clone(),
            word(row.source(), pb::StockSource::as_str_name),
            amount(row.shipped.as_ref()),
            amount(row.used.as_ref()),
            amount(row.returned.as_ref()),
            amount(row.destroyed.as_ref()),
            amount(row.held.as_ref()),
            amount(row.unaccounted.as_ref()),
            amount(
                row.not_received
                    .as_ref()
                    .filter(|amount| amount.value != "0"),
            ),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Table {
        title: "account",
        empty: "no stock",
        columns: &[
            "lot",
            "site",
            "source",
            "shipped",
            "used",
            "returned",
            "destroyed",
            "held",
            "unaccounted",
            "under way",
            "rule",
            "entries",
        ],
        rows: reconciliations.iter().map(row).collect(),
    }
}

fn sample_event(event: SampleEventKind) -> String {
    word(event, SampleEventKind::as_str_name)
}
