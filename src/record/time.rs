//! When two times of different precision are in order. A time that is known to the day is a span of
//! instants; one time is before another only if all of its span is.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::format::{EventTime, Precision};
use crate::pb;

/// How far ahead of the ledger's clock a sender's may be.
pub const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

/// The instants that a time can mean: from the first to before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: DateTime<Utc>,
    /// The last; of an instant, the same.
    pub last: DateTime<Utc>,
}

impl Span {
    /// What a time can mean in a zone; without one, in any zone on Earth.
    pub fn of(time: EventTime, zone: Option<Tz>) -> Self {
        match time {
            EventTime::Instant(instant) => {
                let instant = instant.date_time().with_timezone(&Utc);
                Self {
                    first: instant,
                    last: instant,
                }
            }
            EventTime::Date(date) => {
                let after = date
                    .last_day()
                    .checked_add_days(Days::new(1))
                    .unwrap_or(date.last_day());
                let last = end_of_day(after, zone);
                Self {
                    first: start_of_day(date.first_day(), zone),
                    last,
                }
            }
        }
    }

    /// Whether all of this is before all of the other.
    pub fn is_before(self, other: Self) -> bool {
        self.last < other.first
    }

    /// Whether it can only be later than now, skew allowed.
    pub fn is_future(self, now: DateTime<Utc>) -> bool {
        now.checked_add_signed(SKEW_MAX)
            .is_some_and(|latest| latest < self.first)
    }
}

/// What the record's `event_time` can mean, with its zone and its precision; `None` if it is not a time.
pub fn event_span(record: &pb::Record) -> Option<Span> {
    let text = match record.event_precision() {
        pb::EventPrecision::Year => record.event_time.get(..4),
        pb::EventPrecision::Month => record.event_time.get(..7),
        pb::EventPrecision::Day => record.event_time.get(..10),
        pb::EventPrecision::Unspecified
        | pb::EventPrecision::Minute
        | pb::EventPrecision::Second => None,
    };
    let time = EventTime::parse(text.unwrap_or(&record.event_time)).ok()?;
    Some(Span::of(time, record.site_tz.parse().ok()))
}

/// Whether one text is a time that is surely before another. Two dates are compared as dates, whatever the
/// zone.
pub(super) fn is_before(earlier: &str, later: &str, zone: Option<Tz>) -> bool {
    match (EventTime::parse(earlier), EventTime::parse(later)) {
        (Ok(EventTime::Date(earlier)), Ok(EventTime::Date(later))) => {
            earlier.last_day() < later.first_day()
        }
        (Ok(earlier), Ok(later)) => Span::of(earlier, zone).is_before(Span::of(later, zone)),
        _ => false,
    }
}

/// How precisely the record's `event_time` is known: as it says, or else as it is written.
pub fn event_precision(record: &pb::Record) -> Option<Precision> {
    let written = EventTime::parse(&record.event_time).ok()?.precision();
    Some(stated_precision(record).unwrap_or(written))
}

/// How precise the record says that its time is, if it says so.
pub(super) fn stated_precision(record: &pb::Record) -> Option<Precision> {
    match record.event_precision() {
        pb::EventPrecision::Unspecified => None,
        pb::EventPrecision::Year => Some(Precision::Year),
        pb::EventPrecision::Month => Some(Precision::Month),
        pb::EventPrecision::Day => Some(Precision::Day),
        pb::EventPrecision::Minute => Some(Precision::Minute),
        pb::EventPrecision::Second => Some(Precision::Second),
    }
}

/// No clock on Earth is further ahead of UTC, or behind it, than these.
const AHEAD: TimeDelta = TimeDelta::hours(14);
const BEHIND: TimeDelta = TimeDelta::hours(12);

fn start_of_day(day: NaiveDate, zone: Option<Tz>) -> DateTime<Utc> {
    let midnight = NaiveDateTime::from(day);
    match zone {
        Some(zone) => in_zone(midnight, zone),
        None => midnight
            .checked_sub_signed(AHEAD)
            .unwrap_or(midnight)
            .and_utc(),
    }
}

/// The last nanosecond before a day.
fn end_of_day(after: NaiveDate, zone: Option<Tz>) -> DateTime<Utc> {
    let midnight = NaiveDateTime::from(after);
    let end = match zone {
        Some(zone) => in_zone(midnight, zone),
        None => midnight
            .checked_add_signed(BEHIND)
            .unwrap_or(midnight)
            .and_utc(),
    };
    end.checked_sub_signed(TimeDelta::nanoseconds(1))
        .unwrap_or(end)
}

/// A local midnight as an instant. Where clocks go forward at midnight there is none, and the day begins
/// where the day before ends.
fn in_zone(midnight: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let second = TimeDelta::seconds(1);
    let eve = || {
        let before = zone
            .from_local_datetime(&midnight.checked_sub_signed(second)?)
            .latest()?;
        before.checked_add_signed(second)
    };
    let found = zone.from_local_datetime(&midnight).earliest().or_else(eve);
    found.map_or(midnight.and_utc(), |instant| instant.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, zone: &str) -> Span {
        Span::of(EventTime::parse(text).unwrap(), zone.parse().ok())
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_and_ends_with_its_zone() {
        let day = span("2026-01-31", "Asia/Shanghai");
        assert_eq!(day.first, utc("2026-01-30T16:00:00Z"));
        assert_eq!(day.last, utc("2026-01-31T15:59:59.999999999Z"));
        let month = span("2026-02", "Asia/Shanghai");
        assert_eq!(month.first, utc("2026-01-31T16:00:00Z"));
        assert_eq!(month.last, utc("2026-02-28T15:59:59.999999999Z"));
    }

    #[test]
    fn a_day_without_a_zone_may_be_anywhere_on_earth() {
        let day = span("2026-01-31", "");
        assert_eq!(day.first, utc("2026-01-30T10:00:00Z"));
        assert_eq!(day.last, utc("2026-02-01T11:59:59.999999999Z"));
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_where_the_day_before_ends() {
        // Clocks in Cairo went from 23:59:59 to 01:00:00 on 2023-04-28.
        let day = span("2023-04-28", "Africa/Cairo");
        assert_eq!(day.first, utc("2023-04-27T22:00:00Z"));
        assert_eq!(
            span("2023-04-27", "Africa/Cairo").last,
            utc("2023-04-27T21:59:59.999999999Z")
        );
    }

    #[test]
    fn a_time_is_before_another_only_if_all_of_it_is() {
        let zone = "Asia/Shanghai".parse().ok();
        for (earlier, later, before) in [
            ("2026-01-30", "2026-01-31", true),
            ("2026-01-31", "2026-01-31", false),
            ("2026-01", "2026-01-31", false),
            ("2026-01", "2026-02-01", true),
            ("2026-01-31T00:00:00+08:00", "2026-01-31", false),
            ("2026-01-30T23:59:59+08:00", "2026-01-31", true),
            ("2026-01-31", "2026-02-01T00:00:00+08:00", true),
            ("2026-01-31T09:00:00+08:00", "2026-01-31T01:00:00Z", false),
            ("2026-01-31T09:00:00+08:00", "2026-01-31T01:00:01Z", true),
            ("", "2026-01-31", false),
            ("2026-02-30", "2027-01-31", false),
        ] {
            assert_eq!(is_before(earlier, later, zone), before, "{earlier} {later}");
        }
    }

    #[test]
    fn the_future_begins_after_the_skew() {
        let now = utc("2026-01-31T16:00:00Z");
        assert!(!span("2026-01-31T16:05:00Z", "").is_future(now));
        assert!(span("2026-01-31T16:05:01Z", "").is_future(now));
        // It is February in Shanghai, but not in London.
        assert!(!span("2026-02-01", "Asia/Shanghai").is_future(now));
        assert!(span("2026-02-01", "Europe/London").is_future(now));
        assert!(!span("2026-02-01", "").is_future(now));
        assert!(span("2026-02-02", "").is_future(now));
    }

    #[test]
    fn a_stated_precision_widens_an_instant() {
        let record = |event_precision: pb::EventPrecision| pb::Record {
            event_time: "2026-01-31T09:00:00+08:00".into(),
            site_tz: "Asia/Shanghai".into(),
            event_precision: event_precision.into(),
            ..Default::default()
        };
        let first = |precision| event_span(&record(precision)).unwrap().first;
        assert_eq!(
            first(pb::EventPrecision::Unspecified),
            utc("2026-01-31T01:00:00Z")
        );
        assert_eq!(first(pb::EventPrecision::Day), utc("2026-01-30T16:00:00Z"));
        assert_eq!(
            first(pb::EventPrecision::Month),
            utc("2025-12-31T16:00:00Z")
        );
        assert_eq!(first(pb::EventPrecision::Year), utc("2025-12-31T16:00:00Z"));
    }
}
