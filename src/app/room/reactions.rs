//! The reactions to a message.

use super::reader::Reader;
use crate::{
    app::{
        Status,
        components::called,
        markup::{Inner, Markup, button, element},
        words::words,
    },
    locales::room as say,
    wire::{Emoji, Reaction},
};

/// The attribute that says of which emoji a button is.
pub(super) const EMOJI: &str = "data-emoji";
/// So many people are named.
pub(super) const NAMED: usize = 5;

/// Who has put it, in a few words: the reader, where it is theirs, and then the others by their names, as far as these are known.
fn names(reaction: &Reaction, mine: bool, me: &str) -> String {
    let mut others = Vec::new();
    for name in reaction.from.iter().filter(|from| from.id != me).map(called) {
        others.insert(others.partition_point(|other| *other <= name), name);
    }
    let named: Vec<_> = mine.then(|| say::you().to_owned()).into_iter().chain(others).take(NAMED).collect();
    match (reaction.count.saturating_sub(named.len() as u64), named.is_empty()) {
        (0, _) => named.join(say::comma()),
        (more, false) => say::names_and_more(named.join(say::comma()), more),
        (more, true) => say::people_alone(more),
    }
}

/// All that a reaction's button says, for those who do not see it.
fn label(reaction: &Reaction, mine: bool, me: &str) -> String {
    say::reaction(reaction.count, &reaction.emoji, names(reaction, mine, me))
}

/// Each emoji with the number of people, and which of them are the reader's; pressing one puts ours or takes it away. A button is its
/// emoji's as long as it is there, whatever comes before it, so that the keyboard stays with the emoji.
pub(super) fn group(reactions: &[Reaction], mine: &[Emoji], reader: &Reader) -> Markup {
    let one = |reaction: &Reaction| {
        let Reaction { emoji, count, .. } = reaction;
        let is_mine = mine.contains(emoji);
        let (label, names) = (label(reaction, is_mine, reader.id), names(reaction, is_mine, reader.id));
        let pressed = if is_mine { "true" } else { "false" };
        let mut attributes = vec![("aria-pressed", pressed), ("aria-label", &label), ("title", &names)];
        // Before the page is alive nobody hears it.
        if *reader.status == Status::Rendered {
            attributes.push(("disabled", ""));
        }
        let html = format!("<span class=\"emoji\">{}</span> <span class=\"count\">{count}</span>", words(emoji.as_str()));
        let mut one = button("reaction", &html, &attributes);
        one.attributes.insert(0, (EMOJI, emoji.to_string()));
        one
    };
    let mut group = element("div", &[("class", "reactions"), ("role", "group"), ("aria-label", say::reactions())], "");
    group.inner = Inner::Elements(reactions.iter().map(one).collect());
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Person;

    /// Of so many people, of whom some are named.
    fn reaction(count: u64, named: u64) -> Reaction {
        let person = |n| Person::new(format!("p{n}"), format!("Name {n}"));
        Reaction { emoji: "👍".parse().expect("an emoji"), count, from: (1..=named).map(person).collect() }
    }

    #[test]
    fn a_reaction_says_how_many_and_who() {
        assert_eq!(label(&reaction(1, 1), false, "me"), "👍, 1 reaction: Name 1");
        assert_eq!(label(&reaction(2, 2), true, "p2"), "👍, 2 reactions: you, Name 1");
    }

    #[test]
    fn of_many_people_some_are_named() {
        assert_eq!(names(&reaction(5, 5), false, ""), "Name 1, Name 2, Name 3, Name 4, Name 5");
        assert_eq!(names(&reaction(8, 8), false, ""), "Name 1, Name 2, Name 3, Name 4, Name 5 and 3 more");
        assert_eq!(names(&reaction(900, 20), true, "me"), "you, Name 1, Name 10, Name 11, Name 12 and 895 more");
        // Those who were named have taken it away.
        assert_eq!(names(&reaction(900, 0), true, "me"), "you and 899 more");
        assert_eq!(
            (names(&reaction(9, 0), false, ""), names(&reaction(1, 0), false, "")),
            ("9 people".to_owned(), "1 person".to_owned())
        );
    }
}
