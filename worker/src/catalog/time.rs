//! Reads the times that callers write and gives the text that PostgreSQL takes. Knows the clock only as the `now` it
//! is handed, and the time zone only as the toolset's setting.
//!
//! Accepted are RFC 3339, the ISO 8601 calendar and week forms that Python's `fromisoformat` takes (many callers are
//! Python programs), and times relative to now. What can't be read is refused, never guessed.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// What to tell a caller whose time can't be read.
pub(crate) const TIME_FORMS: &str = "a time such as 2026-04-28T08:00:00Z, a date such as 2026-04-28, or relative such as now-7d (units s, m, h, d, w)";
pub(crate) const DATE_FORMS: &str =
    "a date such as 2026-04-28, or relative such as now-7d (units d, w)";

/// What a text means before a time zone is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Instant(Timestamp),
    Naive(DateTime),
    Date(Date),
    /// An instant in the last hours of year 9999, "the end of time" to many callers: jiff's timestamps end before.
    Late(DateTime, Offset),
}

/// `timestamptz`: an instant. A time without an offset is read in `zone`, a date is its first moment there.
pub(crate) fn timestamptz(text: &str, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let naive = match read(text, now)? {
        Moment::Instant(instant) => return storable(instant).then(|| instant.to_string()),
        Moment::Late(naive, offset) => return Some(written(naive, offset)),
        Moment::Naive(naive) => naive,
        Moment::Date(date) => date.to_datetime(Time::midnight()),
    };
    match instant_of(naive, zone) {
        Some(instant) => storable(instant).then(|| instant.to_string()),
        None => (naive.year() == 9999).then(|| written(naive, zone.to_offset(Timestamp::MAX))),
    }
}

fn written(naive: DateTime, offset: Offset) -> String {
    format!("{naive}{offset}")
}

/// `timestamp`: the wall clock in `zone`. A time without an offset stays as it is.
pub(crate) fn timestamp(text: &str, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let wall = match read(text, now)? {
        Moment::Instant(instant) => zone.to_datetime(instant),
        Moment::Naive(naive) => naive,
        Moment::Date(date) => date.to_datetime(Time::midnight()),
        Moment::Late(naive, offset) => {
            let shift = zone.to_offset(Timestamp::MAX).seconds() - offset.seconds();
            naive
                .checked_add(SignedDuration::from_secs(i64::from(shift)))
                .ok()?
        }
    };
    (wall.year() >= 1).then(|| wall.to_string())
}

/// `date`: a calendar day; relative ones are taken in `zone`. A time is not a date.
pub(crate) fn date(text: &str, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let day = match read(text, now)? {
        Moment::Instant(instant) if text.starts_with("now") => zone.to_datetime(instant).date(),
        Moment::Date(date) => date,
        Moment::Instant(_) | Moment::Naive(_) | Moment::Late(..) => return None,
    };
    (day.year() >= 1).then(|| day.to_string())
}

fn instant_of(naive: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(naive).compatible().ok()
}

/// PostgreSQL has no year 0, which the offset of a time in year 1 can lead to.
fn storable(instant: Timestamp) -> bool {
    const YEAR_ONE: i64 = -62_135_596_800;
    instant.as_second() >= YEAR_ONE
}

fn read(text: &str, now: Timestamp) -> Option<Moment> {
    match text.strip_prefix("now") {
        Some(terms) => relative(terms, now).map(Moment::Instant),
        None => absolute(text),
    }
}

/// The terms after `now`: `-7d`, `+1h`, `-1d-12h`, or none. A day is 24 hours.
fn relative(mut terms: &str, now: Timestamp) -> Option<Timestamp> {
    let mut instant = now;
    while !terms.is_empty() {
        let (sign, rest) = match terms.as_bytes().first()? {
            b'-' => (-1, terms.get(1..)?),
            b'+' => (1, terms.get(1..)?),
            _ => return None,
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        let seconds = number.checked_mul(unit)?.checked_mul(sign)?;
        instant = instant
            .checked_add(SignedDuration::from_secs(seconds))
            .ok()?;
        terms = rest.get(digits + 1..)?;
    }
    Some(instant)
}

fn absolute(text: &str) -> Option<Moment> {
    let mut cursor = Cursor {
        bytes: text.as_bytes(),
        at: 0,
    };
    let date = cursor.date()?;
    if cursor.at_end() {
        return Some(Moment::Date(date));
    }
    // Any single character may part date and time, but a sign would look like an offset.
    let separator = text.get(cursor.at..)?.chars().next()?;
    if separator.is_ascii_digit() || matches!(separator, '+' | '-') {
        return None;
    }
    cursor.at += separator.len_utf8();
    let (time, leap) = cursor.time()?;
    let offset = cursor.offset()?;
    if !cursor.at_end() {
        return None;
    }
    let extra = SignedDuration::from_secs(i64::from(leap));
    let naive = DateTime::from_parts(date, time).checked_add(extra).ok()?;
    match offset {
        None => Some(Moment::Naive(naive)),
        Some(offset) => match offset.to_timestamp(naive) {
            Ok(instant) => Some(Moment::Instant(instant)),
            Err(_) => (naive.year() == 9999).then_some(Moment::Late(naive, offset)),
        },
    }
}

struct Cursor<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek(0) == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn is_digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|b| b.is_ascii_digit())
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i16> {
        let mut value = 0i16;
        for _ in 0..digits {
            let digit = self.peek(0).filter(u8::is_ascii_digit)?;
            value = value
                .checked_mul(10)?
                .checked_add(i16::from(digit - b'0'))?;
            self.at += 1;
        }
        Some(value)
    }

    fn two(&mut self) -> Option<i8> {
        self.number(2).and_then(|n| i8::try_from(n).ok())
    }

    /// `2026-04-28`, `20260428`, `2026-W18-2`, `2026W182`, `2026-W18`, `2026W18`.
    fn date(&mut self) -> Option<Date> {
        let year = self.number(4).filter(|year| *year >= 1)?;
        let dashed = self.take(b'-');
        if !self.take(b'W') {
            let month = self.two()?;
            if dashed && !self.take(b'-') {
                return None;
            }
            return Date::new(year, month, self.two()?).ok();
        }
        let week = self.two()?;
        let has_day = if dashed {
            self.peek(0) == Some(b'-') && self.is_digit(1)
        } else {
            self.is_digit(0)
        };
        let mut day = 1;
        if has_day {
            self.at += usize::from(dashed);
            day = i8::try_from(self.number(1)?).ok()?;
        }
        let day = Weekday::from_monday_one_offset(day).ok()?;
        ISOWeekDate::new(year, week, day)
            .ok()
            .map(|date| date.date())
    }

    /// `08`, `08:00`, `08:00:30.5`, and the same without colons. Also whether it was a leap second, which PostgreSQL,
    /// too, takes for the next second.
    fn time(&mut self) -> Option<(Time, bool)> {
        let hour = self.two()?;
        let colons = self.peek(0) == Some(b':');
        let more = |cursor: &mut Self| {
            if colons {
                cursor.take(b':')
            } else {
                cursor.is_digit(0)
            }
        };
        let (mut minute, mut second, mut nanosecond) = (0, 0, 0);
        if more(self) {
            minute = self.two()?;
            if more(self) {
                second = self.two()?;
                if self.take(b'.') || self.take(b',') {
                    nanosecond = self.fraction()?;
                }
            }
        }
        let leap = second == 60;
        let time = Time::new(hour, minute, if leap { 59 } else { second }, nanosecond).ok()?;
        Some((time, leap))
    }

    /// The digits of a second's fraction, cut to microseconds: PostgreSQL keeps no more.
    fn fraction(&mut self) -> Option<i32> {
        let mut value = 0i32;
        let mut unit = 100_000_000i32;
        if !self.is_digit(0) {
            return None;
        }
        while let Some(digit) = self.peek(0).filter(u8::is_ascii_digit) {
            if unit >= 1_000 {
                value += i32::from(digit - b'0') * unit;
                unit /= 10;
            }
            self.at += 1;
        }
        Some(value)
    }

    /// `Z`, `+02`, `+02:00`, `-0930`, with seconds if need be; nothing at all is no offset.
    #[allow(clippy::option_option)]
    fn offset(&mut self) -> Option<Option<Offset>> {
        if self.at_end() {
            return Some(None);
        }
        if self.take(b'Z') || self.take(b'z') {
            return Some(Some(Offset::UTC));
        }
        let sign = if self.take(b'-') {
            -1
        } else if self.take(b'+') {
            1
        } else {
            return None;
        };
        let mut parts = [0i32; 3];
        for (index, part) in parts.iter_mut().enumerate() {
            if index > 0 && !self.take(b':') && !self.is_digit(0) {
                break;
            }
            *part = i32::from(self.two()?);
        }
        let [hours, minutes, seconds] = parts;
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        Offset::from_seconds(sign * (hours * 3_600 + minutes * 60 + seconds))
            .ok()
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-04-28T12:00:00Z".parse().unwrap()
    }

    fn utc(text: &str) -> Option<String> {
        timestamptz(text, now(), &TimeZone::UTC)
    }

    #[test]
    fn every_accepted_form() {
        let table = [
            ("2026-04-28T08:00:00Z", "2026-04-28T08:00:00Z"),
            ("2026-04-28t08:00:00z", "2026-04-28T08:00:00Z"),
            (
                "2026-04-28T08:00:00.123456789Z",
                "2026-04-28T08:00:00.123456Z",
            ),
            ("2026-04-28T08:00:00,5Z", "2026-04-28T08:00:00.5Z"),
            ("2026-04-28 08:00:00+02:00", "2026-04-28T06:00:00Z"),
            ("2026-04-28 08:00:00+00", "2026-04-28T08:00:00Z"),
            ("2026-04-28T08:00-0930", "2026-04-28T17:30:00Z"),
            ("2026-04-28", "2026-04-28T00:00:00Z"),
            ("20260428T10", "2026-04-28T10:00:00Z"),
            ("20260428T101112.25", "2026-04-28T10:11:12.25Z"),
            ("2026-W18-2", "2026-04-28T00:00:00Z"),
            ("2026W182T06", "2026-04-28T06:00:00Z"),
            ("2026-W18", "2026-04-27T00:00:00Z"),
            ("2026-04-28é08:00", "2026-04-28T08:00:00Z"),
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
            ("now", "2026-04-28T12:00:00Z"),
            ("now-7d", "2026-04-21T12:00:00Z"),
            ("now+90m", "2026-04-28T13:30:00Z"),
            ("now-1w-1d+12h-30s", "2026-04-20T23:59:30Z"),
        ];
        for (text, expected) in table {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_end_of_time_can_be_named() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let table = [
            ("9999-12-31", "9999-12-31T00:00:00+00"),
            (
                "9999-12-31T23:59:59.999999Z",
                "9999-12-31T23:59:59.999999+00",
            ),
            ("9999-12-31T23:59:59-09:30", "9999-12-31T23:59:59-09:30"),
        ];
        for (text, expected) in table {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(
            timestamptz("9999-12-31T12:00", now(), &zone).as_deref(),
            Some("9999-12-31T12:00:00+01")
        );
        assert_eq!(
            timestamp("9999-12-31T12:00Z", now(), &zone).as_deref(),
            Some("9999-12-31T13:00:00")
        );
        assert_eq!(
            date("9999-12-31", now(), &zone).as_deref(),
            Some("9999-12-31")
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "",
            "n",
            "yesterday",
            "2026",
            "2026-04",
            "2026-4-28",
            "2026-02-30",
            "2026-04-28T",
            "2026-04-28T8",
            "2026-04-28T25:00",
            "2026-04-28T08:60",
            "2026-04-28T08:00:61",
            "2026-04-28T08:00:00.",
            "2026-04-28T08:0000",
            "2026-04-28+02:00",
            "2026-04-28T08:00:00+24:00",
            "2026-04-28T08:00:00 UTC",
            "2026-W54-1",
            "2026-W18-8",
            "0000-01-01",
            "0001-01-01T00:00:00+01:00",
            "now7d",
            "now-",
            "now-7",
            "now-7y",
            "now-d",
            "now -7d",
            "now-99999999999999999999d",
            "now-9999999999w",
            "2026-04-28T08:00:00Zz",
            "１０２６-04-28",
            "2026-0428",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_offset_is_read_in_the_zone() {
        let zone = TimeZone::get("America/New_York").expect("the system's time zone data");
        assert_eq!(
            timestamptz("2026-04-28T08:00", now(), &zone).as_deref(),
            Some("2026-04-28T12:00:00Z")
        );
        assert_eq!(
            timestamptz("2026-01-28", now(), &zone).as_deref(),
            Some("2026-01-28T05:00:00Z")
        );
        assert_eq!(
            timestamp("2026-04-28T08:00", now(), &zone).as_deref(),
            Some("2026-04-28T08:00:00")
        );
        assert_eq!(
            timestamp("2026-04-28T08:00Z", now(), &zone).as_deref(),
            Some("2026-04-28T04:00:00")
        );
        assert_eq!(
            timestamp("now", now(), &zone).as_deref(),
            Some("2026-04-28T08:00:00")
        );
    }

    #[test]
    fn dates_are_days() {
        let zone = TimeZone::get("Pacific/Auckland").expect("the system's time zone data");
        assert_eq!(
            date("2026-W18-2", now(), &zone).as_deref(),
            Some("2026-04-28")
        );
        assert_eq!(date("now", now(), &zone).as_deref(), Some("2026-04-29"));
        assert_eq!(date("now-1d", now(), &zone).as_deref(), Some("2026-04-28"));
        assert_eq!(date("2026-04-28T08:00:00Z", now(), &zone), None);
        assert_eq!(date("2026-04-28T08:00", now(), &zone), None);
    }
}
