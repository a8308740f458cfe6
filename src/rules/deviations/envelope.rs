//! What any record may raise by its envelope: it was recorded late, or its site, its actor or the actor's
//! role is not registered.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Details, Deviation};
use crate::{
    pb::{self, record::Kind},
    record::{event_span, kind_rule},
    rules::{
        catalogue::{Catalogue, PlanVersion},
        fact::Fact,
        flags::codes,
        question::Seen,
    },
};

/// After how many days a record is late where no plan in force at its site says so: a week, in which a
/// weekend, a holiday or a line that is down is made up for.
const LATE_RECORDING_DAYS: u32 = 7;

/// What the envelope raises.
pub(super) fn raised(fact: &Seen, catalogue: &Catalogue) -> Vec<Deviation> {
    let housekeeping = fact.kind().is_none_or(|kind| kind_rule(kind).housekeeping);
    if housekeeping {
        return Vec::new();
    }
    let mut raised = late(fact, catalogue);
    let record = &fact.record;
    if !record.site.is_empty() && !is_registered(&record.site, catalogue) {
        raised.push(Deviation::new(codes::UNKNOWN_SITE, fact, "site"));
    }
    if !record.actor_person.is_empty() {
        match roles(&record.actor_person, fact, catalogue) {
            None => raised.push(Deviation::new(codes::UNKNOWN_ACTOR, fact, "actor_person")),
            Some(roles) if !roles.contains(&record.actor_role) => {
                raised.push(Deviation::new(codes::ROLE_NOT_HELD, fact, "actor_role"));
            }
            Some(_) => {}
        }
    }
    if !is_for_own_or_delegated(fact, catalogue) {
        let field = "on_behalf_of";
        raised.push(Deviation::new(codes::ON_BEHALF_UNDELEGATED, fact, field));
    }
    raised
}

/// Whether a record is for nobody else: for no organisation by name, for the actor's own, or for one that has
/// delegated a task to the actor by then.
fn is_for_own_or_delegated(fact: &Seen, catalogue: &Catalogue) -> bool {
    let (organisation, actor) = (&fact.record.on_behalf_of, &fact.record.actor_person);
    if organisation.is_empty() || of_organisation(actor, fact, catalogue) == Some(organisation) {
        return true;
    }
    let mut granted = grants(actor, fact.on, catalogue);
    granted.any(|(by, _)| {
        let grantor = &by.record;
        grantor.site == *organisation
            || grantor.on_behalf_of == *organisation
            || of_organisation(&grantor.actor_person, by, catalogue) == Some(organisation)
    })
}

/// The organisation that an actor was of when something happened: by the last record until then that says so,
/// or else by the first.
fn of_organisation<'a>(actor: &str, then: &Seen, catalogue: &'a Catalogue) -> Option<&'a String> {
    let mut of_actor = catalogue.others.iter().filter_map(|fact| {
        let organisation = match fact.kind() {
            Some(Kind::ActorRegistered(registered)) if registered.actor_id == actor => {
                &registered.organisation
            }
            Some(Kind::RoleChanged(changed)) if changed.actor_id == actor => &changed.organisation,
            _ => return None,
        };
        (!organisation.is_empty()).then_some((fact.on, organisation))
    });
    let first = of_actor.clone().next();
    let by_then = of_actor.rfind(|(on, _)| *on <= then.on);
    by_then.or(first).map(|(_, organisation)| organisation)
}

fn late(fact: &Seen, catalogue: &Catalogue) -> Vec<Deviation> {
    let most = late_recording_days(fact, catalogue);
    let Some(happened) = event_span(&fact.record).map(|span| civil_day(fact, span.last)) else {
        return Vec::new();
    };
    let recorded = civil_day(fact, fact.recorded_at);
    let days = recorded.signed_duration_since(happened).num_days();
    if days <= i64::from(most) {
        return Vec::new();
    }
    let late = Deviation::new(codes::LATE_RECORDING, fact, "event_time").with(Details {
        event: Some(happened),
        recorded: Some(recorded),
        days: Some(days),
        ..Details::default()
    });
    let reason = &fact.record.late_reason;
    let unexplained = reason.trim().is_empty();
    let missing =
        unexplained.then(|| Deviation::new(codes::LATE_REASON_MISSING, fact, "late_reason"));
    [late].into_iter().chain(missing).collect()
}

/// After how many days a record of what happened then is late.
pub(super) fn late_recording_days(fact: &Seen, catalogue: &Catalogue) -> u32 {
    least(catalogue, fact, |plan| plan.late_recording_days).unwrap_or(LATE_RECORDING_DAYS)
}

/// What the plans in force where and when something happened say, the last version that says it before the
/// others of its plan; of several plans, the least.
pub(super) fn least<T: Ord>(
    catalogue: &Catalogue,
    then: &Seen,
    said: impl Fn(&pb::PlanParameters) -> Option<T>,
) -> Option<T> {
    let in_force = |version: &PlanVersion| {
        let activation = version.activations.get(&then.record.site);
        activation.is_some_and(|activation| activation.is_in_force(then.on))
    };
    let of_plan = |versions: &Vec<PlanVersion>| {
        let mut standing = versions.iter().rev().skip_while(|one| !in_force(one));
        standing.find_map(|version| said(version.plan.parameters.as_ref()?))
    };
    catalogue.plans.values().filter_map(of_plan).min()
}

/// The civil day of an instant where a record is from.
pub(super) fn civil_day(fact: &Fact, instant: DateTime<Utc>) -> NaiveDate {
    match fact.record.site_tz.parse::<Tz>() {
        Ok(zone) => instant.with_timezone(&zone).date_naive(),
        Err(_) => instant.date_naive(),
    }
}

/// The civil day on which so many hours after an event are over.
pub(super) fn day_after_hours(fact: &Fact, hours: u32) -> Option<NaiveDate> {
    let happened = event_span(&fact.record)?.last;
    let then = happened.checked_add_signed(TimeDelta::hours(i64::from(hours)))?;
    Some(civil_day(fact, then))
}

/// The civil day that is so many days after another.
pub(super) fn days_after(day: NaiveDate, days: u32) -> Option<NaiveDate> {
    day.checked_add_days(chrono::Days::new(u64::from(days)))
}

fn is_registered(gln: &str, catalogue: &Catalogue) -> bool {
    catalogue.others.iter().any(|fact| match fact.kind() {
        Some(Kind::OrganisationRegistered(organisation)) => organisation.gln == gln,
        _ => false,
    })
}

/// The roles that an actor held when something happened: by the last record until then, or else by the
/// first. None, if the actor is not registered.
pub(super) fn roles(actor: &str, then: &Seen, catalogue: &Catalogue) -> Option<Vec<i32>> {
    let mut of_actor = catalogue
        .others
        .iter()
        .filter_map(|fact| match fact.kind() {
            Some(Kind::ActorRegistered(registered)) if registered.actor_id == actor => {
                Some((fact, &registered.roles))
            }
            Some(Kind::RoleChanged(changed)) if changed.actor_id == actor => {
                Some((fact, &changed.roles))
            }
            _ => None,
        });
    let (_, first) = of_actor.next()?;
    let by_then = of_actor.rfind(|(fact, _)| fact.on <= then.on);
    Some(by_then.map_or(first, |(_, roles)| roles).clone())
}

/// Whether an actor had been given a task by then, and still had it.
pub(super) fn has_task(
    actor: &str,
    task: pb::DelegatedTask,
    on: NaiveDate,
    catalogue: &Catalogue,
) -> bool {
    let mut granted = grants(actor, on, catalogue);
    granted.any(|(_, granted)| granted.tasks().any(|one| one == task))
}

/// What had been delegated to an actor by a day, and still was.
fn grants<'a>(
    actor: &'a str,
    on: NaiveDate,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = (&'a Seen, &'a pb::DelegationGranted)> {
    let day = |text: &str| crate::record::format::parse_civil_date(text).ok();
    catalogue
        .others
        .iter()
        .filter_map(move |fact| match fact.kind() {
            Some(Kind::DelegationGranted(granted)) => {
                let is_in_force = granted.delegate == actor
                    && day(&granted.valid_from).is_some_and(|from| from <= on)
                    && day(&granted.valid_to).is_none_or(|to| on <= to);
                is_in_force.then_some((fact, granted))
            }
            _ => None,
        })
}
