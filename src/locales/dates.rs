//! Days, as people write them.

use super::{Language, here};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day of a month, counted from 1, of a year.
pub fn date(day: u8, month: u8, year: i32) -> String {
    match here() {
        Language::English => {
            let month = MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or_default();
            format!("{day} {month} {year}")
        }
        Language::Chinese => format!("{year}年{month}月{day}日"),
    }
}
