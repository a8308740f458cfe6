//! From what the rules answer to messages: every field by name, nothing decided.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::{
    pb,
    record::format::Decimal,
    rules::{
        deviations::{About, Details, Deviation},
        fact::{LotId, Material},
        question::Seen,
        trace::{
            forward::{StockRow, TracedAdministration, TracedMaterial, TracedSample},
            identity::ChainLink,
            people::Standing,
            recall::{RecallSite, Reconciliation, Source},
            retention::{Basis, Retention},
            sample::{Happening, TracedTube},
        },
    },
};

/// All of a list.
pub(super) fn all<T, M: From<T>>(list: Vec<T>) -> Vec<M> {
    list.into_iter().map(M::from).collect()
}

fn day(on: Option<NaiveDate>) -> String {
    on.map_or_else(String::new, |on| on.to_string())
}

fn quantity(value: Decimal, unit: &str) -> pb::Quantity {
    pb::Quantity {
        value: value.to_string(),
        unit: unit.to_owned(),
        comparator: pb::Comparator::Unspecified.into(),
    }
}

impl From<LotId> for pb::LotKey {
    fn from(LotId { gtin, lot }: LotId) -> Self {
        Self {
            gtin,
            lot,
            ..Self::default()
        }
    }
}

pub(super) fn standing(standing: Standing) -> pb::PatientStanding {
    match standing {
        Standing::Deceased => pb::PatientStanding::Deceased,
        Standing::LostToFollowUp => pb::PatientStanding::LostToFollowUp,
        Standing::Withdrawn => pb::PatientStanding::Withdrawn,
        Standing::Completed => pb::PatientStanding::Completed,
        Standing::Active => pb::PatientStanding::Active,
    }
}

impl From<TracedMaterial> for pb::TracedMaterial {
    fn from(traced: TracedMaterial) -> Self {
        use pb::traced_material::Material as Which;
        let TracedMaterial {
            material,
            depth,
            role,
            expiry,
            state,
            why,
        } = traced;
        Self {
            material: Some(match material {
                Material::Lot(lot) => Which::Lot(lot.into()),
                Material::Donation(din) => Which::Din(din),
            }),
            depth,
            role: role.into(),
            expiry: day(expiry),
            state: state.into(),
            why: Some(why),
        }
    }
}

impl From<TracedAdministration> for pb::TracedAdministration {
    fn from(traced: TracedAdministration) -> Self {
        let TracedAdministration {
            lot,
            patient,
            site,
            on,
            status,
            dose,
            coi,
            standing,
            why,
        } = traced;
        Self {
            lot: Some(lot.into()),
            patient,
            site,
            administered_on: on.to_string(),
            status: status.into(),
            dose,
            coi,
            patient_status: self::standing(standing).into(),
            why: Some(why),
        }
    }
}

impl From<TracedSample> for pb::TracedSample {
    fn from(traced: TracedSample) -> Self {
        let TracedSample {
            sample_id,
            patient,
            on,
            purposes,
            last_event,
            why,
        } = traced;
        Self {
            sample_id,
            patient,
            collected_on: on.to_string(),
            purposes,
            last_event: last_event.into(),
            why: Some(why),
        }
    }
}

impl From<StockRow> for pb::StockRow {
    fn from(row: StockRow) -> Self {
        let StockRow {
            lot,
            place,
            held,
            unit,
            position,
            state,
            is_expired,
            uncounted,
            why,
        } = row;
        Self {
            lot: Some(lot.into()),
            location_gln: place,
            held: Some(quantity(held, &unit)),
            position,
            state: state.into(),
            expired: is_expired,
            uncounted,
            why: Some(why),
        }
    }
}

impl From<TracedTube> for pb::TracedTube {
    fn from(tube: TracedTube) -> Self {
        let TracedTube {
            sample_id,
            from,
            happenings,
        } = tube;
        Self {
            sample_id,
            from_sample_id: from,
            happenings: all(happenings),
        }
    }
}

impl From<Happening> for pb::TubeHappening {
    fn from(happening: Happening) -> Self {
        let Happening {
            on,
            kind,
            event,
            site,
            why,
        } = happening;
        Self {
            on: on.to_string(),
            kind: kind.to_owned(),
            event: event.into(),
            site,
            why: Some(why),
        }
    }
}

impl From<ChainLink> for pb::ChainLink {
    fn from(link: ChainLink) -> Self {
        let ChainLink {
            on,
            event_time,
            kind,
            lots,
            patient,
            site,
            to,
            step,
            result,
            other_coi,
            why,
        } = link;
        Self {
            on: on.to_string(),
            event_time,
            kind: kind.to_owned(),
            lots: all(lots),
            patient,
            site,
            to_gln: to,
            step: step.into(),
            result: result.into(),
            other_coi,
            why: Some(why),
        }
    }
}

impl From<RecallSite> for pb::RecallSite {
    fn from(site: RecallSite) -> Self {
        let RecallSite {
            site,
            notified_on,
            acknowledged_on,
            patient_action,
            is_concerned,
            why,
        } = site;
        Self {
            site,
            notified_on: day(notified_on),
            acknowledged_on: day(acknowledged_on),
            patient_action,
            concerned: is_concerned,
            why: Some(why),
        }
    }
}

impl From<Reconciliation> for pb::StockReconciliation {
    fn from(row: Reconciliation) -> Self {
        let Reconciliation {
            lot,
            site,
            source,
            unit,
            account,
            not_received,
            unaccounted,
            uncounted,
            is_overdrawn,
            why,
        } = row;
        let amount = |value| Some(quantity(value, &unit));
        Self {
            lot: Some(lot.into()),
            site,
            source: match source {
                Source::Derived => pb::StockSource::Derived,
                Source::Acknowledged => pb::StockSource::Acknowledged,
                Source::Closed => pb::StockSource::Closed,
            }
            .into(),
            shipped: amount(account.shipped),
            used: amount(account.used),
            returned: amount(account.returned),
            destroyed: amount(account.destroyed),
            held: amount(account.held),
            unaccounted: unaccounted.and_then(amount),
            flagged: unaccounted.is_some_and(Decimal::is_positive),
            not_received: amount(not_received),
            uncounted,
            overdrawn: is_overdrawn,
            why: Some(why),
        }
    }
}

impl From<Retention> for pb::RetentionRow {
    fn from(row: Retention) -> Self {
        let Retention { lot, until, bases } = row;
        Self {
            lot: Some(lot.into()),
            retain_until: day(until),
            bases: all(bases),
        }
    }
}

impl From<Basis> for pb::RetentionBasis {
    fn from(basis: Basis) -> Self {
        let Basis {
            law,
            trigger,
            of,
            years,
            until,
            why,
        } = basis;
        Self {
            law: law.into(),
            trigger_date: day(trigger),
            trigger_lot: Some(of.into()),
            years,
            until: day(until),
            why: Some(why),
        }
    }
}

/// What an entry raised, and whom it is about.
pub(super) fn deviation(fact: &Seen, raised: &Deviation, patient: String) -> pb::Deviation {
    let Deviation {
        rule,
        raised_by,
        field,
        about,
        details,
        evidence,
    } = raised;
    let About {
        patient: _,
        lot,
        coi,
        sample,
        version,
        site: _,
    } = about.clone();
    let Details {
        due,
        actual,
        days,
        deadline,
        signed,
        effective,
        administered,
        consented,
        event,
        recorded,
        scanned,
    } = details.clone();
    let evidence = std::iter::once(raised_by).chain(evidence);
    let entries: BTreeMap<u64, String> = evidence
        .map(|fact| (fact.index.value(), fact.record.record_id.clone()))
        .collect();
    let entries = entries.into_iter();
    pb::Deviation {
        code: rule.code.to_owned(),
        severity: rule.severity.into(),
        patient,
        lot: lot.map(pb::LotKey::from),
        coi,
        sample_id: sample,
        version,
        site: raised.site(fact).to_owned(),
        event: event.unwrap_or(fact.on).to_string(),
        recorded: recorded
            .unwrap_or_else(|| fact.recorded_at.date_naive())
            .to_string(),
        due: day(due),
        deadline: day(deadline),
        actual: day(actual),
        days,
        signed: day(signed),
        effective: day(effective),
        administered: day(administered),
        consented: day(consented),
        scanned,
        field: field.clone().into_owned(),
        text: rule.text.to_owned(),
        why: Some(pb::Why {
            basis: rule.basis.iter().map(ToString::to_string).collect(),
            evidence: entries
                .map(|(index, record_id)| pb::Evidence { index, record_id })
                .collect(),
            text: rule.text.to_owned(),
        }),
        index: raised_by.index.value(),
    }
}
