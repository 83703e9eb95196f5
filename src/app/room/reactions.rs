//! The reactions to a message.

use leptos::{ev, prelude::*, wasm_bindgen::JsCast, web_sys};

use super::actions::focus;
use crate::{
    app::live::{click, live, text},
    wire::{Emoji, Reaction},
};

/// So many people are named.
pub(super) const NAMED: usize = 5;

/// Who has put it, in a few words: the reader, where it is theirs, and then the others by their names, as far as these are known.
fn names(reaction: &Reaction, mine: bool, me: &str) -> String {
    let mut others: Vec<_> = reaction.from.iter().filter(|from| from.id != me).map(|from| from.name.as_str()).collect();
    others.sort_unstable();
    let named: Vec<_> = mine.then_some("you").into_iter().chain(others).take(NAMED).collect();
    match (reaction.count.saturating_sub(named.len() as u64), named.is_empty()) {
        (0, _) => named.join(", "),
        (more, false) => format!("{} and {more} more", named.join(", ")),
        (1, true) => "1 person".to_owned(),
        (more, true) => format!("{more} people"),
    }
}

/// All that a reaction's button says, for those who do not see it.
fn label(reaction: &Reaction, mine: bool, me: &str) -> String {
    let word = if reaction.count == 1 { "reaction" } else { "reactions" };
    format!("{}, {} {word}: {}", reaction.emoji, reaction.count, names(reaction, mine, me))
}

/// Each emoji with the number of people, and which of them are the reader's; pressing one puts ours or takes it away, which is what
/// `react` is told. A button is its emoji's as long as it is there, whatever comes before it, so that the keyboard stays with the emoji.
#[component]
pub(super) fn Reactions(
    put: Memo<(Vec<Reaction>, Vec<Emoji>)>,
    me: StoredValue<String>,
    alive: Memo<bool>,
    react: impl Fn(Emoji, bool) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let emojis = move || put.with(|(all, _)| all.iter().map(|reaction| reaction.emoji.clone()).collect::<Vec<_>>());
    let button = move |emoji: Emoji| {
        let glyph = emoji.to_string();
        let emoji = StoredValue::new(emoji);
        // Until the list lets go of it, one that has gone looks as it did last.
        let reaction = Memo::new(move |last: Option<&Reaction>| {
            let found = put.with(|(all, _)| emoji.with_value(|emoji| all.iter().find(|one| one.emoji == *emoji).cloned()));
            let none = || Reaction { emoji: emoji.get_value(), count: 0, from: Vec::new() };
            found.or_else(|| last.cloned()).unwrap_or_else(none)
        });
        let is_mine = move || put.with(|(_, mine)| emoji.with_value(|emoji| mine.contains(emoji)));
        let count = move || reaction.with(|reaction| reaction.count);
        let press = move |event: ev::MouseEvent| {
            let (is_mine, count) = untrack(|| (is_mine(), count()));
            if is_mine && count == 1 {
                leave(&event);
            }
            react(emoji.get_value(), !is_mine);
        };
        view! {
            <button
                type="button"
                class="reaction"
                aria-pressed=live(move || if is_mine() { "true" } else { "false" })
                aria-label=text(move || reaction.with(|reaction| me.with_value(|me| label(reaction, is_mine(), me))))
                title=text(move || reaction.with(|reaction| me.with_value(|me| names(reaction, is_mine(), me))))
                disabled=live(move || !alive.get())
                on:click=click(press)
            >
                <span class="emoji">{glyph}</span>
                " "
                <span class="count" inner_html=text(move || count().to_string())></span>
            </button>
        }
    };
    view! {
        <div class="reactions" role="group" aria-label="Reactions">
            <For each=emojis key=Clone::clone let:emoji>
                {button(emoji)}
            </For>
        </div>
    }
}

/// The button is about to go: the keyboard goes to its row's menu.
fn leave(event: &ev::MouseEvent) {
    let button = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let row = button.and_then(|button| button.closest("li").ok().flatten());
    focus(row.and_then(|row| row.query_selector(".act").ok().flatten()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Person;

    /// Of so many people, of whom some are named.
    fn reaction(count: u64, named: u64) -> Reaction {
        let person = |n| Person { id: format!("p{n}"), name: format!("Name {n}"), handle: None };
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
