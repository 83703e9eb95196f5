//! What commands say of what they have done.

use std::io::{self, Write as _};

/// A number of things.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A line for people; the work is done, whether somebody reads it or not.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
