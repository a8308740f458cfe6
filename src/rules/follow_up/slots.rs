//! The slots of a plan, and what was held for each (R-V1). Something held belongs to the slot that it names, or else
//! to the slot in whose window it was held, or else to the slot whose time it is, until the next one's window. Does not
//! know what is held.

use chrono::{Days, NaiveDate};

use super::{
    Why,
    obligations::{Followed, Obligation, What},
};
use crate::{
    pb::{self, SlotKind},
    record::format::add_months,
    rules::question::Seen,
};

/// A slot of the plan for a patient.
#[derive(Debug, Clone)]
pub struct Slot<'a> {
    /// Its name.
    pub name: String,
    /// Its day.
    pub due: NaiveDate,
    /// How far from its day it may be met, in days.
    pub window_days: u32,
    /// What met it.
    pub met_by: Option<&'a Seen>,
    /// The consent version that must be given first (R-P1).
    pub blocked_by: Option<pb::ConsentVersionKey>,
}

/// How a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// Met within its window.
    InWindow,
    /// Met before its window.
    Early,
    /// Met after its window.
    Late,
    /// Not met, and its time is over: the next slot's has come.
    Missed,
    /// Not met yet.
    Open,
}

/// Something that was held.
pub(super) struct Held<'a> {
    pub(super) fact: &'a Seen,
    /// The slot that it names.
    pub(super) slot: &'a str,
}

/// Slots of one kind, in the order of their days.
#[derive(Debug)]
pub(super) struct Slots<'a>(pub(super) Vec<Slot<'a>>);

impl Slot<'_> {
    /// The first day on which it is met in time.
    pub fn opens(&self) -> NaiveDate {
        let window = Days::new(u64::from(self.window_days));
        self.due.checked_sub_days(window).unwrap_or(self.due)
    }

    /// The last day on which it is met in time.
    pub fn closes(&self) -> NaiveDate {
        let window = Days::new(u64::from(self.window_days));
        self.due.checked_add_days(window).unwrap_or(self.due)
    }

    /// Whether it is met in time on a day.
    fn has_in_window(&self, on: NaiveDate) -> bool {
        self.opens() <= on && on <= self.closes()
    }

    /// How many days after its window it was met.
    pub fn days_after_window(&self) -> u64 {
        let late = self
            .met_by
            .map(|fact| fact.on.signed_duration_since(self.closes()));
        late.and_then(|late| late.num_days().try_into().ok())
            .unwrap_or(0)
    }
}

impl<'a> Slots<'a> {
    /// The slots of a kind that the plan has for a patient; not those after the end of the follow-up.
    pub(super) fn of(
        followed: &Followed<'_>,
        kind: SlotKind,
        takes: impl Fn(&pb::PlannedSlot) -> bool,
    ) -> Self {
        let course = followed.course;
        let Some(plan) = &course.plan else {
            return Self(Vec::new());
        };
        let of_kind = plan
            .slots
            .iter()
            .filter(|slot| slot.kind() == kind && takes(slot));
        let default = plan.parameters.visit_window_days.value;
        let slots = of_kind.filter_map(|slot| {
            let due = add_months(course.anchor, slot.months)?;
            let due = due.checked_add_days(Days::new(u64::from(slot.days)))?;
            Some(Slot {
                name: slot.slot.clone(),
                due,
                window_days: slot.window_days.unwrap_or(default),
                met_by: None,
                blocked_by: introduced(followed, slot),
            })
        });
        Self::sorted(followed, slots.collect())
    }

    /// The same without what lies after the end of the follow-up.
    pub(super) fn sorted(followed: &Followed<'_>, mut slots: Vec<Slot<'a>>) -> Self {
        let course = followed.course;
        let is_within = |due| course.until_decision || course.end.is_none_or(|end| due <= end);
        slots.retain(|slot| is_within(slot.due));
        slots.sort_by(|one, other| (one.due, &one.name).cmp(&(other.due, &other.name)));
        Self(slots)
    }

    /// Gives each slot what was held for it by a day: what names it, or else the first that was held in its window,
    /// or else, of what was held in no window, the first after it. What was held before its window takes no slot that
    /// may still be met in time: an extra visit does not do away with the next one.
    pub(super) fn fill(&mut self, followed: &Followed<'_>, held: impl Iterator<Item = Held<'a>>) {
        let (named, others): (Vec<_>, Vec<_>) = held.partition(|held| self.named(held).is_some());
        let (inside, mut outside): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|held| self.0.iter().any(|slot| slot.has_in_window(held.fact.on)));
        for held in named {
            self.meet(self.named(&held), &held);
        }
        for held in inside {
            self.meet(self.nearest(held.fact.on), &held);
        }
        outside.retain(|held| !self.meet(self.before(held.fact.on), held));
        for held in outside {
            self.meet(self.ahead(held.fact.on, followed), &held);
        }
    }

    /// Whether the slot was free, and is met by this.
    fn meet(&mut self, at: Option<usize>, held: &Held<'a>) -> bool {
        let slot = at.and_then(|at| self.0.get_mut(at));
        let Some(slot) = slot.filter(|slot| slot.met_by.is_none()) else {
            return false;
        };
        slot.met_by = Some(held.fact);
        true
    }

    /// The slot that is named.
    fn named(&self, held: &Held<'_>) -> Option<usize> {
        self.0.iter().position(|slot| slot.name == held.slot)
    }

    /// Of the free slots in whose window a day is, the nearest.
    fn nearest(&self, on: NaiveDate) -> Option<usize> {
        let slots = self.0.iter().enumerate();
        let free = slots.filter(|(_, slot)| slot.met_by.is_none() && slot.has_in_window(on));
        let nearest = free.min_by_key(|(_, slot)| (slot.due - on).abs());
        nearest.map(|(at, _)| at)
    }

    /// The slot whose time it is: the last whose window has begun.
    fn before(&self, on: NaiveDate) -> Option<usize> {
        self.0.iter().rposition(|slot| slot.opens() <= on)
    }

    /// The next slot, where a day is nearer to it than to the one before, or to the anchor, and its window is over.
    fn ahead(&self, on: NaiveDate, followed: &Followed<'_>) -> Option<usize> {
        let now = self.before(on);
        let at = now.map_or(0, |now| now + 1);
        let next = self.0.get(at)?;
        let before = now.and_then(|now| self.0.get(now));
        let before = before.map_or(followed.course.anchor, |before| before.due);
        let is_near = next.due - on < on - before;
        (is_near && next.closes() < followed.on).then_some(at)
    }

    /// How a slot stands on a day.
    pub(super) fn state(&self, at: usize, on: NaiveDate) -> SlotState {
        let Some(slot) = self.0.get(at) else {
            return SlotState::Open;
        };
        match slot.met_by {
            Some(fact) if fact.on < slot.opens() => SlotState::Early,
            Some(fact) if slot.closes() < fact.on => SlotState::Late,
            Some(_) => SlotState::InWindow,
            None if self.0.get(at + 1).is_some_and(|next| next.opens() <= on) => SlotState::Missed,
            None => SlotState::Open,
        }
    }

    /// The first slot that is open, as an obligation.
    pub(super) fn next(
        &self,
        followed: &Followed<'_>,
        what: What,
        rule: &'static str,
    ) -> Option<Obligation> {
        let at = (0..self.0.len()).find(|at| self.state(*at, followed.on) == SlotState::Open)?;
        let slot = self.0.get(at)?;
        let mut why = Why::by(rule);
        followed.add_anchor(&mut why);
        Some(Obligation {
            window_days: slot.window_days,
            slot: slot.name.clone(),
            blocked_by: slot.blocked_by.clone(),
            ..Obligation::new(what, Some(slot.due), why)
        })
    }
}

/// What blocks a slot that a later version of the plan introduced than the one that the patient began with.
fn introduced(followed: &Followed<'_>, slot: &pb::PlannedSlot) -> Option<pb::ConsentVersionKey> {
    let plan = followed.course.plan.as_ref()?;
    let has = |version: &&crate::rules::catalogue::PlanVersion| {
        let mut slots = version.plan.slots.iter();
        slots.any(|one| one.slot == slot.slot && one.kind == slot.kind)
    };
    let by = plan.versions.iter().find(has)?;
    let effective = super::period::first_day_under(followed.patient, &by.activations, followed.on)?;
    if effective <= followed.course.begun {
        return None;
    }
    followed.blocks(by)
}
