//! Civil dates, dates known to the month or the year, and instants with their offset from UTC; and the one
//! piece of calendar arithmetic the rules need. Does not know what time it is, nor any time zone.

use std::fmt;

use chrono::{DateTime, FixedOffset, Months, NaiveDate, NaiveTime, TimeZone as _};

use super::{FormatError, demand};

/// How precisely a time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To the year.
    Year,
    /// To the month.
    Month,
    /// To the day.
    Day,
    /// To the minute.
    Minute,
    /// To the second.
    Second,
}

/// A civil date, `2026-11-22`.
pub fn check_civil_date(text: &str) -> Result<(), FormatError> {
    parse_civil_date(text).map(drop)
}

/// A civil date known to the year, the month or the day: `2026`, `2026-11`, `2026-11-22`.
pub fn check_partial_date(text: &str) -> Result<(), FormatError> {
    PartialDate::parse(text).map(drop)
}

/// An instant: RFC 3339 with seconds and the offset from UTC, `2026-11-22T10:15:00+08:00`.
pub fn check_instant(text: &str) -> Result<(), FormatError> {
    Instant::parse(text).map(drop)
}

/// An instant, or a date known to the year, the month or the day.
pub fn check_event_time(text: &str) -> Result<(), FormatError> {
    EventTime::parse(text).map(drop)
}

/// Parses a civil date, `2026-11-22`.
pub fn parse_civil_date(text: &str) -> Result<NaiveDate, FormatError> {
    let wrong = FormatError::new("DATE_FORMAT", "write the date as YYYY-MM-DD");
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
        return Err(wrong);
    };
    let year = number([y1, y2, y3, y4]);
    let (Some(year), Some(month), Some(day)) = (year, number([m1, m2]), number([d1, d2])) else {
        return Err(wrong);
    };
    calendar_date(year, month, day)
}

/// Parses a date written without hyphens, `20261122`.
pub(super) fn parse_compact(text: &str) -> Result<NaiveDate, FormatError> {
    let wrong = FormatError::new("DATE_FORMAT", "write the date as YYYYMMDD");
    let &[y1, y2, y3, y4, m1, m2, d1, d2] = text.as_bytes() else {
        return Err(wrong);
    };
    let year = number([y1, y2, y3, y4]);
    let (Some(year), Some(month), Some(day)) = (year, number([m1, m2]), number([d1, d2])) else {
        return Err(wrong);
    };
    calendar_date(year, month, day)
}

/// The corresponding day so many months later, or that month's last day if it has no such day (rule R-D1).
/// Always reckoned from the anchor: a month after a month is not two months. `None` beyond the calendar.
pub fn add_months(anchor: NaiveDate, months: u32) -> Option<NaiveDate> {
    anchor.checked_add_months(Months::new(months))
}

/// A civil date known to the year, the month or the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialDate {
    /// Known to the year; its first day.
    Year(NaiveDate),
    /// Known to the month; its first day.
    Month(NaiveDate),
    /// Known to the day.
    Day(NaiveDate),
}

impl PartialDate {
    /// Parses `2026`, `2026-11` or `2026-11-22`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let wrong = FormatError::new(
            "DATE_FORMAT",
            "write the date as YYYY-MM-DD, or as YYYY-MM or YYYY if no more is known",
        );
        if !text.is_ascii() {
            return Err(wrong);
        }
        let first_day = |rest: &str| parse_civil_date(&format!("{text}{rest}"));
        match text.len() {
            4 => first_day("-01-01").map(Self::Year),
            7 => first_day("-01").map(Self::Month),
            10 => first_day("").map(Self::Day),
            _ => Err(wrong),
        }
    }

    /// How precisely it is known.
    pub const fn precision(self) -> Precision {
        match self {
            Self::Year(_) => Precision::Year,
            Self::Month(_) => Precision::Month,
            Self::Day(_) => Precision::Day,
        }
    }

    /// The first day it can mean.
    pub const fn first_day(self) -> NaiveDate {
        match self {
            Self::Year(day) | Self::Month(day) | Self::Day(day) => day,
        }
    }

    /// The last day it can mean.
    pub fn last_day(self) -> NaiveDate {
        let next = match self {
            Self::Year(first) => add_months(first, 12),
            Self::Month(first) => add_months(first, 1),
            Self::Day(day) => return day,
        };
        next.and_then(|next| next.pred_opt())
            .unwrap_or(self.first_day())
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Year(first) => write!(f, "{}", first.format("%Y")),
            Self::Month(first) => write!(f, "{}", first.format("%Y-%m")),
            Self::Day(day) => write!(f, "{}", day.format("%Y-%m-%d")),
        }
    }
}

/// A point in time, with the offset from UTC at which somebody's clock showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(DateTime<FixedOffset>);

impl Instant {
    /// Parses RFC 3339 with seconds and offset. Stricter than the RFC, so that one instant at one offset is
    /// written one way up to its fraction: capitals `T` and `Z`, no `-00:00`, no leap second.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let wrong = FormatError::new(
            "INSTANT_FORMAT",
            "write the instant as YYYY-MM-DDThh:mm:ss with Z or an offset such as +08:00 at its end",
        );
        let (date, rest) = text.split_once('T').ok_or(wrong)?;
        let (time, rest) = rest.split_at_checked(8).ok_or(wrong)?;
        let (nanos, offset) = match rest.strip_prefix('.') {
            Some(rest) => split_fraction(rest)?,
            None => (0, rest),
        };
        let date = parse_civil_date(date)?;
        let offset = parse_offset(offset)?;
        let &[h1, h2, b':', m1, m2, b':', s1, s2] = time.as_bytes() else {
            return Err(wrong);
        };
        let numbers = (number([h1, h2]), number([m1, m2]), number([s1, s2]));
        let (Some(hour), Some(minute), Some(second)) = numbers else {
            return Err(wrong);
        };
        demand(
            second != 60,
            "INSTANT_LEAP_SECOND",
            "leap seconds are not recorded: write the second before, :59",
        )?;
        let time =
            NaiveTime::from_hms_nano_opt(hour, minute, second, nanos).ok_or(FormatError::new(
                "INSTANT_TIME",
                "the hour goes from 00 to 23, minutes and seconds from 00 to 59",
            ))?;
        offset
            .from_local_datetime(&date.and_time(time))
            .single()
            .map(Self)
            .ok_or(wrong)
    }

    /// As chrono knows it.
    pub const fn date_time(self) -> DateTime<FixedOffset> {
        self.0
    }
}

/// When something happened: an instant, or a date known as well as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    /// A point in time.
    Instant(Instant),
    /// A civil date, in the time zone of the site.
    Date(PartialDate),
}

impl EventTime {
    /// Parses an instant, or a date known to the year, the month or the day.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.contains('T') {
            Instant::parse(text).map(Self::Instant)
        } else {
            PartialDate::parse(text).map(Self::Date)
        }
    }

    /// The finest precision that the value supports.
    pub const fn precision(self) -> Precision {
        match self {
            Self::Instant(_) => Precision::Second,
            Self::Date(date) => date.precision(),
        }
    }
}

/// Years outside these are slips of the pen: nothing of this field happened before, and no retention period
/// of 30 years on a 15-year follow-up reaches further.
const YEARS: std::ops::RangeInclusive<u32> = 1900..=2200;

fn calendar_date(year: u32, month: u32, day: u32) -> Result<NaiveDate, FormatError> {
    demand(
        YEARS.contains(&year),
        "DATE_YEAR",
        "the year must lie between 1900 and 2200",
    )?;
    let date = i32::try_from(year)
        .ok()
        .and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    date.ok_or(FormatError::new(
        "DATE_NOT_IN_CALENDAR",
        "the calendar has no such day: look it up again",
    ))
}

/// The number that digits write.
fn number<const DIGITS: usize>(digits: [u8; DIGITS]) -> Option<u32> {
    digits.into_iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Nanoseconds and what follows them, from the text after the decimal point.
fn split_fraction(text: &str) -> Result<(u32, &str), FormatError> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let fraction = text
        .split_at_checked(end)
        .filter(|_| (1..=9).contains(&end));
    let nanos = fraction.and_then(|(digits, rest)| {
        let digits = format!("{digits:0<9}");
        Some((number::<9>(digits.as_bytes().try_into().ok()?)?, rest))
    });
    nanos.ok_or(FormatError::new(
        "INSTANT_FRACTION",
        "write one to nine digits after the decimal point",
    ))
}

fn parse_offset(text: &str) -> Result<FixedOffset, FormatError> {
    if text == "Z" {
        return offset_of(0);
    }
    let missing = FormatError::new(
        "INSTANT_OFFSET_MISSING",
        "say where the clock stood: end the instant with Z or an offset such as +08:00",
    );
    let &[sign, h1, h2, b':', m1, m2] = text.as_bytes() else {
        return Err(missing);
    };
    let (Some(hours), Some(minutes)) = (number([h1, h2]), number([m1, m2])) else {
        return Err(missing);
    };
    let total = hours.saturating_mul(60).saturating_add(minutes);
    demand(
        minutes < 60 && total <= 14 * 60,
        "INSTANT_OFFSET",
        "an offset lies between -14:00 and +14:00",
    )?;
    let seconds = i32::try_from(total).unwrap_or_default().saturating_mul(60);
    match (sign, total) {
        (b'-', 0) => Err(FormatError::new(
            "INSTANT_OFFSET",
            "-00:00 says that the offset is not known: write Z for UTC, or the site's offset",
        )),
        (b'+', _) => offset_of(seconds),
        (b'-', _) => offset_of(seconds.saturating_neg()),
        _ => Err(FormatError::new(
            "INSTANT_OFFSET",
            "write the sign of the offset, + or -",
        )),
    }
}

fn offset_of(seconds: i32) -> Result<FixedOffset, FormatError> {
    FixedOffset::east_opt(seconds).ok_or(FormatError::new(
        "INSTANT_OFFSET",
        "an offset lies between -14:00 and +14:00",
    ))
}

#[cfg(test)]
mod tests {
    use chrono::Datelike as _;
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        parse_civil_date(text).unwrap()
    }

    #[test]
    fn a_civil_date_is_a_day_of_the_calendar() {
        for text in [
            "2026-11-22",
            "2028-02-29",
            "2000-02-29",
            "1900-01-01",
            "2200-12-31",
        ] {
            assert_eq!(check_civil_date(text), Ok(()), "{text}");
        }
        for (text, rule) in [
            ("", "DATE_FORMAT"),
            ("20261122", "DATE_FORMAT"),
            ("2026-11", "DATE_FORMAT"),
            ("2026-1-22", "DATE_FORMAT"),
            ("2026-11-22Z", "DATE_FORMAT"),
            ("26-11-22", "DATE_FORMAT"),
            ("22-11-2026", "DATE_FORMAT"),
            ("2026/11/22", "DATE_FORMAT"),
            ("-026-11-22", "DATE_FORMAT"),
            ("+026-11-22", "DATE_FORMAT"),
            ("２026-11-22", "DATE_FORMAT"),
            ("2026-02-30", "DATE_NOT_IN_CALENDAR"),
            ("2027-02-29", "DATE_NOT_IN_CALENDAR"),
            ("2100-02-29", "DATE_NOT_IN_CALENDAR"),
            ("2026-13-01", "DATE_NOT_IN_CALENDAR"),
            ("2026-00-01", "DATE_NOT_IN_CALENDAR"),
            ("2026-01-00", "DATE_NOT_IN_CALENDAR"),
            ("2026-04-31", "DATE_NOT_IN_CALENDAR"),
            ("1899-12-31", "DATE_YEAR"),
            ("2201-01-01", "DATE_YEAR"),
            ("0000-00-00", "DATE_YEAR"),
        ] {
            assert_eq!(
                check_civil_date(text).map_err(|error| error.rule),
                Err(rule),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_partial_date_spans_the_days_it_can_mean() {
        for (text, precision, first, last) in [
            ("2028", Precision::Year, "2028-01-01", "2028-12-31"),
            ("2028-02", Precision::Month, "2028-02-01", "2028-02-29"),
            ("2027-02", Precision::Month, "2027-02-01", "2027-02-28"),
            ("2028-12", Precision::Month, "2028-12-01", "2028-12-31"),
            ("2028-02-29", Precision::Day, "2028-02-29", "2028-02-29"),
        ] {
            let date = PartialDate::parse(text).unwrap();
            let read = (date.precision(), date.first_day(), date.last_day());
            assert_eq!(read, (precision, day(first), day(last)), "{text}");
            assert_eq!(date.to_string(), text);
        }
        for text in [
            "",
            "202",
            "20281",
            "2028-",
            "2028-1",
            "2028-13",
            "2028-00",
            "2028-02-30",
            "２028",
        ] {
            assert!(check_partial_date(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_instant_says_where_its_clock_stood() {
        for text in [
            "2026-11-22T10:15:00Z",
            "2026-11-22T00:00:00+00:00",
            "2026-11-22T23:59:59+14:00",
            "2026-11-22T10:15:00-14:00",
            "2026-11-22T10:15:00.1-03:30",
            "2026-11-22T10:15:00.123456789+08:00",
        ] {
            assert_eq!(check_instant(text), Ok(()), "{text}");
            let chrono = DateTime::parse_from_rfc3339(text).unwrap();
            assert_eq!(Instant::parse(text).unwrap().date_time(), chrono, "{text}");
        }
        for (text, rule) in [
            ("2026-11-22", "INSTANT_FORMAT"),
            ("2026-11-22 10:15:00Z", "INSTANT_FORMAT"),
            ("2026-11-22t10:15:00Z", "INSTANT_FORMAT"),
            ("2026-11-22T10:15Z", "INSTANT_FORMAT"),
            ("2026-11-22T10.15.00Z", "INSTANT_FORMAT"),
            ("2026-11-22T1:015:00Z", "INSTANT_FORMAT"),
            ("2026-11-22T10:15:00", "INSTANT_OFFSET_MISSING"),
            ("2026-11-22T10:15:00z", "INSTANT_OFFSET_MISSING"),
            ("2026-11-22T10:15:00+0800", "INSTANT_OFFSET_MISSING"),
            ("2026-11-22T10:15:00+08", "INSTANT_OFFSET_MISSING"),
            ("2026-11-22T10:15:00ZZ", "INSTANT_OFFSET_MISSING"),
            ("2026-11-22T10:15:00 08:00", "INSTANT_OFFSET"),
            ("2026-11-22T10:15:00+14:01", "INSTANT_OFFSET"),
            ("2026-11-22T10:15:00+08:60", "INSTANT_OFFSET"),
            ("2026-11-22T10:15:00-00:00", "INSTANT_OFFSET"),
            ("2026-11-22T10:15:00.Z", "INSTANT_FRACTION"),
            ("2026-11-22T10:15:00.1234567890Z", "INSTANT_FRACTION"),
            ("2026-11-22T23:59:60Z", "INSTANT_LEAP_SECOND"),
            ("2026-11-22T24:00:00Z", "INSTANT_TIME"),
            ("2026-11-22T10:60:00Z", "INSTANT_TIME"),
            ("2026-11-22T10:15:61Z", "INSTANT_TIME"),
            ("2026-02-30T10:15:00Z", "DATE_NOT_IN_CALENDAR"),
            ("2026-11-22T10:15:0é+08:00", "INSTANT_FORMAT"),
        ] {
            assert_eq!(
                check_instant(text).map_err(|error| error.rule),
                Err(rule),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_event_time_is_an_instant_or_a_date() {
        for (text, precision) in [
            ("2026-11-22T10:15:00Z", Precision::Second),
            ("2026-11-22", Precision::Day),
            ("2026-11", Precision::Month),
            ("2026", Precision::Year),
        ] {
            assert_eq!(
                EventTime::parse(text).unwrap().precision(),
                precision,
                "{text}"
            );
        }
        for text in ["", "T", "2026-11-22T", "yesterday", "2026-11-22T10:15:00"] {
            assert!(check_event_time(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn months_later_is_the_corresponding_day_or_the_last_of_the_month() {
        for (anchor, months, later) in [
            ("2028-01-31", 1, "2028-02-29"),
            ("2027-01-31", 1, "2027-02-28"),
            ("2028-01-31", 2, "2028-03-31"),
            ("2028-08-31", 6, "2029-02-28"),
            ("2028-02-29", 12, "2029-02-28"),
            ("2028-02-29", 48, "2032-02-29"),
            ("2028-02-29", 180, "2043-02-28"),
            ("2028-02-29", 216, "2046-02-28"),
            ("2028-11-30", 3, "2029-02-28"),
            ("2028-12-31", 0, "2028-12-31"),
        ] {
            assert_eq!(
                add_months(day(anchor), months),
                Some(day(later)),
                "{anchor} + {months}"
            );
        }
        assert_eq!(add_months(NaiveDate::MAX, 1), None);
    }

    prop_compose! {
        fn any_day()(days in 0..109_000_u64) -> NaiveDate {
            NaiveDate::from_ymd_opt(1900, 1, 1).unwrap() + chrono::Days::new(days)
        }
    }

    proptest! {
        #[test]
        fn months_later_falls_in_that_month_and_never_on_a_later_day(anchor in any_day(), months in 0..400_u32) {
            let later = add_months(anchor, months).unwrap();
            let month_of = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
            prop_assert_eq!(month_of(later) - month_of(anchor), i64::from(months));
            let is_last = later.succ_opt().unwrap().day() == 1;
            prop_assert!(later.day() == anchor.day() || (is_last && later.day() < anchor.day()));
        }

        #[test]
        fn a_later_anchor_is_never_due_earlier(a in any_day(), b in any_day(), months in 0..400_u32) {
            let (first, second) = (a.min(b), a.max(b));
            prop_assert!(add_months(first, months) <= add_months(second, months));
        }

        #[test]
        fn a_date_written_is_the_date_read(date in any_day()) {
            prop_assume!(YEARS.contains(&date.year().unsigned_abs()));
            prop_assert_eq!(parse_civil_date(&date.format("%Y-%m-%d").to_string()), Ok(date));
            prop_assert_eq!(parse_compact(&date.format("%Y%m%d").to_string()), Ok(date));
        }

        #[test]
        fn an_instant_accepted_here_is_what_rfc_3339_says(text in "[0-9T:Z.+-]{19,26}|2026-1[0-2]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|[+-][01][0-9]:[0-6][0-9])?") {
            if let Ok(instant) = Instant::parse(&text) {
                prop_assert_eq!(DateTime::parse_from_rfc3339(&text), Ok(instant.date_time()));
            }
        }
    }
}
