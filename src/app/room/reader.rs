//! For whom the messages are shown.

use crate::app::{Status, ZoneOf};

/// Who looks at the messages, and how the page is doing.
pub struct Reader<'a> {
    pub id: &'a str,
    pub zone: ZoneOf,
    pub status: &'a Status,
}

impl<'a> Reader<'a> {
    /// As the server shows the messages to this person, and the browser finds them.
    pub fn of_the_page(id: &'a str) -> Self {
        Self { id, zone: |_| 0, status: &Status::Rendered }
    }
}
