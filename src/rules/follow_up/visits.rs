//! Visits: the slots of the plan, or one visit every so many months, and the visits that were held for them (R-V1);
//! and whether a visit has the content that the guideline asks for (R-V3). After the intensive period a visit is one
//! way of contact among others (R-V2): none is asked for then, and one that is held has its slot as before.

use super::{
    obligations::{Followed, Obligation, What},
    slots::{Held, Slot, Slots},
};
use crate::{
    pb::{self, SlotKind, VisitBlockKind as Block},
    record::format::add_months,
    rules::question::Seen,
};

/// The content blocks of the guideline.
const BLOCKS: [Block; 6] = [
    Block::History,
    Block::Drugs,
    Block::AdverseEvents,
    Block::Diseases,
    Block::Examination,
    Block::Pregnancy,
];

/// The next visit.
pub(super) fn open(followed: &Followed<'_>) -> Option<Obligation> {
    slots(followed).next(followed, What::Visit, "R-V1")
}

/// The visits of the plan, with those that were held.
pub(super) fn slots<'a>(followed: &Followed<'a>) -> Slots<'a> {
    let mut slots = Slots::of(followed, SlotKind::Visit, |_| true);
    let is_by_interval = slots.0.is_empty();
    if is_by_interval {
        slots = by_interval(followed);
    }
    slots.fill(
        followed,
        held(followed).map(|(fact, visit)| Held {
            fact,
            slot: visit.slot.as_str(),
        }),
    );
    if is_by_interval {
        let until = followed.course.intensive_until();
        let is_asked = |slot: &Slot<'_>| until.is_none_or(|until| slot.due <= until);
        slots
            .0
            .retain(|slot| is_asked(slot) || slot.met_by.is_some());
    }
    slots
}

/// The visits that were held since the anchor: the patient was reached.
pub(super) fn held<'a>(
    followed: &Followed<'a>,
) -> impl Iterator<Item = (&'a Seen, &'a pb::FollowUpVisit)> {
    let (anchor, on) = (followed.course.anchor, followed.on);
    let visits = followed.patient.of_kind(pick!(FollowUpVisit));
    visits.filter(move |(fact, visit)| {
        anchor <= fact.on && fact.on <= on && visit.reached != Some(false)
    })
}

/// A visit every so many months from the anchor: to the end of the intensive period, and on to the first one that is
/// not past.
fn by_interval<'a>(followed: &Followed<'a>) -> Slots<'a> {
    let course = followed.course;
    let parameters = course.plan.as_ref().map(|plan| &plan.parameters);
    let interval =
        parameters.and_then(|one| Some((one, one.visit_interval_months.as_ref()?.value)));
    let Some((parameters, interval)) = interval.filter(|(_, interval)| 0 < *interval) else {
        return Slots(Vec::new());
    };
    let last = parameters.intensive_months.value;
    let is_past =
        |months: u32| add_months(course.anchor, months).is_some_and(|due| due < followed.on);
    let months = (1..).map_while(|nth: u32| nth.checked_mul(interval));
    let slots = months
        .take_while(|months| *months <= last || is_past(months - interval))
        .filter_map(|months| {
            Some(Slot {
                name: format!("M{months}"),
                due: add_months(course.anchor, months)?,
                window_days: parameters.visit_window_days.value,
                met_by: None,
                blocked_by: None,
            })
        });
    Slots::sorted(followed, slots.collect())
}

/// The content blocks that a visit of the intensive period lacks (R-V3); none is asked of a later visit, unless it
/// is the last one of the period, held late.
pub(super) fn missing_blocks(
    followed: &Followed<'_>,
    slots: &Slots<'_>,
    fact: &Seen,
    visit: &pb::FollowUpVisit,
) -> Vec<Block> {
    let Some(until) = followed.course.intensive_until() else {
        return Vec::new();
    };
    let for_slot = slots.0.iter().find(|slot| slot.met_by == Some(fact));
    let is_of_period = fact.on <= until || for_slot.is_some_and(|slot| slot.due <= until);
    if !is_of_period {
        return Vec::new();
    }
    let lacks = |block: &Block| visit.blocks.iter().all(|one| one.block() != *block);
    BLOCKS.into_iter().filter(lacks).collect()
}
