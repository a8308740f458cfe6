//! Contacts: after the intensive period at least one in every so many months until the end (R-V2), and those that
//! the plan has slots for.

use chrono::Months;

use super::{
    Why,
    obligations::{Followed, Obligation, What},
    slots::{Held, Slots},
};
use crate::{
    pb::{SlotKind, record::Kind},
    record::format::add_months,
    rules::question::Seen,
};

/// The next contacts: by its slot, and by the rule.
pub(super) fn open(followed: &Followed<'_>) -> Vec<Obligation> {
    let by_slot = slots(followed).next(followed, What::Contact, "R-V1");
    by_slot.into_iter().chain(yearly(followed)).collect()
}

/// The contacts that the plan has slots for, with those that were made.
pub(super) fn slots<'a>(followed: &Followed<'a>) -> Slots<'a> {
    let mut slots = Slots::of(followed, SlotKind::Contact, |_| true);
    let anchor = followed.course.anchor;
    let contacts = followed.patient.of_kind(pick!(FollowUpContact));
    let made = contacts.filter(|(fact, contact)| {
        anchor <= fact.on && fact.on <= followed.on && contact.reached != Some(false)
    });
    slots.fill(
        followed,
        made.map(|(fact, contact)| Held {
            fact,
            slot: contact.slot.as_str(),
        }),
    );
    slots
}

fn yearly(followed: &Followed<'_>) -> Option<Obligation> {
    let until = followed.course.intensive_until()?;
    if followed.on <= until {
        return None;
    }
    let parameters = followed.course.plan.as_ref().map(|plan| &plan.parameters);
    let months = parameters.map_or(12, |one| one.contact_interval_months.value);
    let mut why = Why::by("R-V2");
    let earliest = until.checked_sub_months(Months::new(months))?;
    let from = if let Some(last) = last(followed).filter(|last| earliest <= last.on) {
        why.add(last);
        last.on
    } else {
        // The end of the intensive period is reckoned from what was given, by the plan.
        followed.add_anchor(&mut why);
        until
    };
    let due = add_months(from, months)?;
    let course = followed.course;
    let is_within = course.until_decision || course.end.is_none_or(|end| due <= end);
    is_within.then(|| Obligation::new(What::Contact, Some(due), why))
}

/// The last time that the patient was met or reached: a visit, a contact or a sample, whatever became of it.
pub(super) fn last<'a>(followed: &Followed<'a>) -> Option<&'a Seen> {
    let facts = followed.patient.facts.iter();
    let mut contacts = facts.filter(|fact| fact.on <= followed.on && is_contact(fact));
    contacts.next_back()
}

/// Whether a fact is a contact with the patient.
pub(super) fn is_contact(fact: &Seen) -> bool {
    match fact.kind() {
        Some(Kind::FollowUpVisit(visit)) => visit.reached != Some(false),
        Some(Kind::FollowUpContact(contact)) => contact.reached != Some(false),
        Some(Kind::SampleCollected(_)) => !fact.record.patient.is_empty(),
        _ => false,
    }
}
