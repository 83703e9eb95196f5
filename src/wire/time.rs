//! Instants on the wire. They are read by a few lines of our own: the parser of `time` reads every format there is, which would be a
//! twentieth of what a browser loads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// An instant with the precision of a millisecond; on the wire RFC 3339 in UTC, `2026-11-20T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema), schema(value_type = String, format = DateTime))]
pub struct Timestamp(i64);

/// The years 0000 to 9999, which is what RFC 3339 can write.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since 1970; instants that RFC 3339 cannot write become the nearest that it can.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(*RANGE.start(), *RANGE.end()))
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The clock of this machine. Not for the browser, whose standard library has no clock.
    #[cfg(feature = "ssr")]
    pub fn now() -> Self {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    /// The calendar day and the time of day as a clock shows them `offset_minutes` east of Greenwich.
    pub fn civil(self, offset_minutes: i32) -> OffsetDateTime {
        let zone = UtcOffset::from_whole_seconds(offset_minutes.clamp(-1_439, 1_439) * 60).unwrap_or(UtcOffset::UTC);
        let utc =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        utc.checked_to_offset(zone).unwrap_or(utc)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.civil(0);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Why a text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time is written as in RFC 3339, 2026-11-20T12:00:00.000Z")
    }
}

impl std::error::Error for InvalidTimestamp {}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339. Between the date and the time may stand any character, as its section 5.6 allows.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        instant(text).map(Self::from_millis).ok_or(InvalidTimestamp)
    }
}

/// Milliseconds since 1970. What is finer is left out, towards 1970.
fn instant(text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    let month = after(&mut rest, b"-").and_then(|()| digits(&mut rest, 2))?;
    let day = after(&mut rest, b"-").and_then(|()| digits(&mut rest, 2))?;
    rest = rest.get(1..)?;
    let hour = digits(&mut rest, 2)?;
    let minute = after(&mut rest, b":").and_then(|()| digits(&mut rest, 2))?;
    let second = after(&mut rest, b":").and_then(|()| digits(&mut rest, 2))?;
    let nanos = if after(&mut rest, b".").is_some() { fraction(&mut rest)? } else { 0 };
    let east = if after(&mut rest, b"Zz").is_some() { UtcOffset::UTC } else { zone(&mut rest)? };
    // A leap second is the last of its month. There is no name for it: the moment before it stands for it.
    let is_leap = second == 60;
    let (second, nanos) = if is_leap { (59, 999_999_999) } else { (second, nanos) };
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let [hour, minute, second] = [hour, minute, second].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
    let time = Time::from_hms_nano(hour, minute, second, nanos).ok()?;
    let instant = PrimitiveDateTime::new(date, time).assume_offset(east);
    let utc = if is_leap { Some(instant.checked_to_offset(UtcOffset::UTC)?) } else { None };
    let is_last = |utc: OffsetDateTime| {
        (utc.hour(), utc.minute()) == (23, 59) && utc.date().next_day().is_none_or(|next| next.month() != utc.month())
    };
    (rest.is_empty() && utc.is_none_or(is_last)).then_some(())?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Takes exactly so many digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (digits, others) = rest.split_at_checked(count)?;
    *rest = others;
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

/// Takes one of these characters.
fn after(rest: &mut &[u8], one_of: &[u8]) -> Option<()> {
    let (_, others) = rest.split_first().filter(|(first, _)| one_of.contains(first))?;
    *rest = others;
    Some(())
}

/// Takes the digits of a fraction of a second, at least one, in nanoseconds.
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, others) = rest.split_at_checked(count).filter(|_| count > 0)?;
    *rest = others;
    let scales = std::iter::successors(Some(100_000_000_u32), |scale| Some(scale / 10));
    Some(digits.iter().zip(scales).map(|(byte, scale)| u32::from(byte - b'0') * scale).sum())
}

/// Takes how far a clock is ahead of UTC.
fn zone(rest: &mut &[u8]) -> Option<UtcOffset> {
    let sign = if after(rest, b"+").is_some() { 1 } else { after(rest, b"-").map(|()| -1)? };
    let hour = digits(rest, 2)?;
    let minute = after(rest, b":").and_then(|()| digits(rest, 2))?;
    let [hour, minute] = [hour, minute].map(|part| i8::try_from(part).unwrap_or(i8::MAX) * sign);
    // A day has 24 hours on either side of UTC.
    (hour.abs() < 24).then(|| UtcOffset::from_hms(hour, minute, 0).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    #[test]
    fn prints_rfc_3339_and_reads_it_back() {
        for (millis, text) in [
            (0, "\"1970-01-01T00:00:00.000Z\""),
            (1_795_176_000_123, "\"2026-11-20T12:00:00.123Z\""),
            (-1, "\"1969-12-31T23:59:59.999Z\""),
        ] {
            let instant = Timestamp::from_millis(millis);
            assert_eq!(serde_json::to_string(&instant).expect("a string"), text);
            assert_eq!(serde_json::from_str::<Timestamp>(text).expect("RFC 3339"), instant);
        }
    }

    #[test]
    fn other_zones_are_understood() {
        let east: Timestamp = serde_json::from_str("\"2026-11-20T14:30:00+02:30\"").expect("RFC 3339");
        assert_eq!(east.to_string(), "2026-11-20T12:00:00.000Z");
        assert_eq!((east.civil(150).hour(), east.civil(150).minute()), (14, 30));
    }

    /// What the parser of `time` makes of it.
    fn by_the_library(text: &str) -> Option<i64> {
        let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok()
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00:00.Z",
            "2026-11-20T12:00:00Zz",
            "2026-11-20T12:00:00 Z",
            "2026-13-20T12:00:00Z",
            "2026-00-20T12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-11-31T12:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T12:60:00Z",
            "2026-11-20T12:00:61Z",
            "2026-11-20T12:00:60Z",
            "2026-11-20T12:00:00+24:00",
            "2026-11-20T12:00:00+01:60",
            "2026-11-20T12:00:00+0100",
            "+026-11-20T12:00:00Z",
            "2026-11-20ü12:00:00Z",
        ] {
            assert_eq!((text.parse::<Timestamp>(), by_the_library(text)), (Err(InvalidTimestamp), None), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_048))]

        #[test]
        fn rfc_3339_is_read_as_by_the_library(
            date in ("[0-9]{4}|20[0-9]{2}|0000|9999", "0[0-9]|1[0-3]|06|12", "[0-3][0-9]|30|31").prop_map(|(y, m, d)| format!("{y}-{m}-{d}")),
            between in "[Tt _x]",
            time in ("[01][0-9]|2[0-5]|23", "[0-6][0-9]|59", "[0-6][0-9]|60").prop_map(|(h, m, s)| format!("{h}:{m}:{s}")),
            fraction in "(\\.[0-9]{0,12})?",
            zone in "[Zz]|[+-]([01][0-9]|2[0-5]):[0-6][0-9]|[+-][0-9]{4}|",
        ) {
            let text = format!("{date}{between}{time}{fraction}{zone}");
            prop_assert_eq!(instant(&text), by_the_library(&text), "{}", text);
        }

        #[test]
        fn any_text_is_read_as_by_the_library(text in "[-0-9TZ:.+]{0,30}") {
            prop_assert_eq!(instant(&text), by_the_library(&text), "{}", text);
        }
    }

    #[test]
    fn extremes_do_not_panic() {
        for millis in [i64::MIN, i64::MAX] {
            let instant = Timestamp::from_millis(millis);
            let _ = (instant.to_string(), instant.civil(i32::MAX), instant.civil(i32::MIN));
        }
    }
}
