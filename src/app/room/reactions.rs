//! The reactions to a message.

use leptos::{ev, prelude::*, wasm_bindgen::JsCast, web_sys};

use super::actions::focus;
use crate::wire::{Emoji, Reaction};

/// So many people are named.
const NAMED: usize = 5;

/// Who has put it, in a few words: the reader, who is `me`, and then the others by their names.
fn names(reaction: &Reaction, me: &str) -> String {
    let (mine, mut others): (Vec<_>, Vec<_>) = reaction.from.iter().partition(|from| from.id == me);
    others.sort_by(|one, other| one.name.cmp(&other.name));
    let all = mine.iter().map(|_| "you").chain(others.iter().map(|from| from.name.as_str()));
    let named: Vec<_> = all.take(NAMED).collect();
    match reaction.from.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// All that a reaction's button says, for those who do not see it.
fn label(reaction: &Reaction, me: &str) -> String {
    let count = reaction.from.len();
    let word = if count == 1 { "reaction" } else { "reactions" };
    format!("{}, {count} {word}: {}", reaction.emoji, names(reaction, me))
}

/// Each emoji with the number of people; pressing one puts ours or takes it away, which is what `react` is told. A button is its
/// emoji's as long as it is there, whatever comes before it, so that the keyboard stays with the emoji.
#[component]
pub(super) fn Reactions(
    reactions: Memo<Vec<Reaction>>,
    me: StoredValue<String>,
    disabled: Signal<bool>,
    react: impl Fn(Emoji, bool) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let emojis = move || reactions.with(|all| all.iter().map(|reaction| reaction.emoji.clone()).collect::<Vec<_>>());
    let button = move |emoji: Emoji| {
        let glyph = emoji.to_string();
        let emoji = StoredValue::new(emoji);
        // Until the list lets go of it, one that has gone looks as it did last.
        let reaction = Memo::new(move |last: Option<&Reaction>| {
            let found = reactions.with(|all| emoji.with_value(|emoji| all.iter().find(|one| one.emoji == *emoji).cloned()));
            let none = || Reaction { emoji: emoji.get_value(), from: Vec::new() };
            found.or_else(|| last.cloned()).unwrap_or_else(none)
        });
        let is_mine = move || reaction.with(|reaction| me.with_value(|me| reaction.from.iter().any(|from| from.id == *me)));
        let count = move || reaction.with(|reaction| reaction.from.len());
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
                aria-pressed=move || if is_mine() { "true" } else { "false" }
                aria-label=move || reaction.with(|reaction| me.with_value(|me| label(reaction, me)))
                title=move || reaction.with(|reaction| me.with_value(|me| names(reaction, me)))
                disabled=disabled
                on:click=press
            >
                <span class="emoji">{glyph}</span>
                " "
                <span class="count">{count}</span>
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

    fn reaction(people: usize) -> Reaction {
        let person = |n| Person { id: format!("p{n}"), name: format!("Name {n}") };
        Reaction { emoji: "👍".parse().expect("an emoji"), from: (1..=people).map(person).collect() }
    }

    #[test]
    fn a_reaction_says_how_many_and_who() {
        assert_eq!(label(&reaction(1), "me"), "👍, 1 reaction: Name 1");
        assert_eq!(label(&reaction(2), "p2"), "👍, 2 reactions: you, Name 1");
    }

    #[test]
    fn of_many_people_some_are_named() {
        assert_eq!(names(&reaction(NAMED), ""), "Name 1, Name 2, Name 3, Name 4, Name 5");
        assert_eq!(names(&reaction(NAMED + 3), ""), "Name 1, Name 2, Name 3, Name 4, Name 5 and 3 more");
    }
}
