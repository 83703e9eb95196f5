//! For whom the messages are shown.

use crate::{
    app::{Status, ZoneOf},
    locales::room as say,
    wire::Timestamp,
};

/// How long a day is, in milliseconds.
pub const DAY: i64 = 24 * 60 * 60 * 1_000;

/// The number of a day by somebody's clock.
pub fn day_number(at: Timestamp, zone: ZoneOf) -> i64 {
    (at.as_millis() + i64::from(zone(at)) * 60_000).div_euclid(DAY)
}

/// Who looks at the messages, and how the page is doing.
pub struct Reader<'a> {
    pub id: &'a str,
    pub zone: ZoneOf,
    /// Which day it is by their clock, as [`day_number`] counts; none where nobody knows.
    pub today: Option<i64>,
    pub status: &'a Status,
}

impl<'a> Reader<'a> {
    /// As the server shows the messages to this person, and the browser finds them.
    pub fn of_the_page(id: &'a str) -> Self {
        Self { id, zone: |_| 0, today: None, status: &Status::Rendered }
    }

    /// What a day is called that is not long ago.
    pub(super) fn called(&self, day: i64) -> Option<&'static str> {
        match self.today? - day {
            0 => Some(say::today()),
            1 => Some(say::yesterday()),
            _ => None,
        }
    }
}
