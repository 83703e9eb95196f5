//! Instants on the wire.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// An instant with the precision of a millisecond; on the wire RFC 3339 in UTC, `2026-11-20T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
        let text = String::deserialize(deserializer)?;
        let instant = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        let millis = instant.unix_timestamp_nanos() / 1_000_000;
        i64::try_from(millis).map(Self::from_millis).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn extremes_do_not_panic() {
        for millis in [i64::MIN, i64::MAX] {
            let instant = Timestamp::from_millis(millis);
            let _ = (instant.to_string(), instant.civil(i32::MAX), instant.civil(i32::MIN));
        }
    }
}
