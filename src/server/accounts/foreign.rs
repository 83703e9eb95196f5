//! What of other sites' people is taken over: their names, as far as one can go by them here.

use crate::wire::{LONGEST_NAME, PersonName};

/// The first of these texts that somebody can go by, cut where it is too long; none where none is.
pub(super) fn first_name<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<PersonName> {
    let cut = |text: &str| text.chars().take(LONGEST_NAME).collect::<String>().parse().ok();
    texts.into_iter().find_map(|text| text.parse().ok().or_else(|| cut(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_and_one_that_nobody_sees_is_passed_over() {
        let name = |texts: &[&str]| first_name(texts.iter().copied()).map(PersonName::into_string);
        assert_eq!(name(&["  Ann   Lee ", "ann"]), Some("Ann Lee".to_owned()));
        assert_eq!(name(&[" ", "\u{202e}", "ann"]), Some("ann".to_owned()));
        assert_eq!(name(&[&"ü".repeat(150)]), Some("ü".repeat(40)));
        assert_eq!(name(&["", "\u{200b}"]), None);
    }
}
