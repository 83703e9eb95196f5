//! One message.

use leptos::prelude::*;

use super::{
    Delivery, RoomState, Row, RowKey, What,
    actions::{Actions, MENU},
    reactions::Reactions,
};
use crate::{
    app::{
        Intent, RoomLink, Zone, ZoneOf,
        components::{Clock, date, hue, initial, moment},
        words::words,
    },
    wire::{Content, Emoji, Reaction, Timestamp},
};

/// Messages of one author within this time stand under one name, in milliseconds.
const TOGETHER: i64 = 5 * 60 * 1000;

/// How a message stands in the list, which depends on what stands above it.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    delivery: Delivery,
    at: Option<Timestamp>,
    /// Goes on with what the same author has just said.
    continued: bool,
    /// The day that begins with it.
    day: Option<String>,
}

impl Look {
    fn of(row: &Row, before: Option<&Row>, zone: ZoneOf) -> Self {
        let same_author = before.is_some_and(|before| before.from.id == row.from.id && before.from.name == row.from.name);
        let apart = before.and_then(|before| Some(row.at?.as_millis() - before.at?.as_millis()));
        let begins_day = |at: &Timestamp| match before {
            Some(before) => before.at.is_some_and(|before| day_number(before, zone) != day_number(*at, zone)),
            None => true,
        };
        let day = row.at.filter(begins_day).map(|at| date(at, zone));
        let continued = same_author && day.is_none() && apart.is_none_or(|apart| apart < TOGETHER);
        Self { delivery: row.delivery.clone(), at: row.at, continued, day }
    }
}

fn day_number(at: Timestamp, zone: ZoneOf) -> i64 {
    (at.as_millis() + i64::from(zone(at)) * 60_000).div_euclid(24 * 60 * 60 * 1000)
}

/// What a message says, and what can be done to it.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    content: Content,
    /// What of its reactions is the reader's.
    mine: Vec<Emoji>,
    /// Something that we want done to it is not done yet.
    changing: bool,
    /// It has a menu.
    menu: bool,
    /// The last that has one: where the keyboard comes to the list.
    last: bool,
}

impl Shown {
    /// As the state has it, and whether that is not what was shown before. The content is copied only then.
    fn of(state: &RoomState, row: &Row, before: Option<Self>) -> (Self, bool) {
        let (content, mine) = state.shown(row);
        let (changing, menu) = (state.is_changing(row), state.is_changeable(row));
        let last = state.last_changeable() == Some(&row.key);
        match before {
            Some(shown) if shown.content == *content && shown.mine == *mine => {
                let changed = (shown.changing, shown.menu, shown.last) != (changing, menu, last);
                (Self { changing, menu, last, ..shown }, changed)
            }
            _ => (Self { content: content.into_owned(), mine: mine.into_owned(), changing, menu, last }, true),
        }
    }

    /// The reactions, and what of them is the reader's.
    fn put(&self) -> (Vec<Reaction>, Vec<Emoji>) {
        (self.content.reactions.clone(), self.mine.clone())
    }

    fn text(&self) -> String {
        if self.content.deleted { "Message deleted".to_owned() } else { self.content.text.clone() }
    }
}

/// Where nothing can be done to messages, `actions` is none.
#[component]
pub(super) fn MessageRow(link: RoomLink, key: RowKey, me: StoredValue<String>, actions: Option<Actions>) -> impl IntoView {
    let state = link.state;
    let zone = expect_context::<Zone>().0;
    // The row is in the list that asked for this; were it not, nothing would be shown.
    state.with_untracked(|state| state.row(&key).cloned()).map(|row| {
        let program = row.from.is_program();
        let mine = me.with_value(|me| *me == row.from.id);
        let (name, avatar, hue) = (row.from.name.clone(), initial(&row.from.name), hue(&row.from.id));
        // What was found by searching leads here.
        let place = row.offset.map(|offset| format!("message-{offset}"));
        // Until the list lets go of it, a row that has gone looks as it did at first.
        let first = StoredValue::new(row);
        let changed = link.row_signal(&key);
        let also_changed = changed.clone();
        let key = StoredValue::new(key);
        let look = Memo::new(move |_| {
            changed.track();
            state.with_untracked(|state| {
                key.with_value(|key| {
                    first.with_value(|first| Look::of(state.row(key).unwrap_or(first), state.before(key), zone.get()))
                })
            })
        });
        let shown = Memo::new_owning(move |before| {
            also_changed.track();
            state.with_untracked(|state| {
                key.with_value(|key| first.with_value(|first| Shown::of(state, state.row(key).unwrap_or(first), before)))
            })
        });
        let pending = move || look.with(|look| look.delivery == Delivery::Pending);
        let failed = move || look.with(|look| matches!(look.delivery, Delivery::Failed(_)));
        let react = move |emoji, on| {
            if let Some(actions) = actions {
                key.with_value(|key| actions.wish(key, What::React { emoji, on }));
            }
        };
        let disabled = Signal::derive(move || actions.is_none_or(|actions| !actions.alive.get()));
        view! {
            <li
                id=place
                class="message"
                class:mine=mine
                class:continued=move || look.with(|look| look.continued)
                class:pending=pending
                class:failed=failed
                class:changing=move || shown.with(|shown| shown.changing)
                class:deleted=move || shown.with(|shown| shown.content.deleted)
            >
                {move || look.with(|look| look.day.clone()).map(|day| view! { <p class="day" inner_html=words(&day)></p> })}
                <span class="avatar" data-hue=hue aria-hidden="true">
                    {avatar}
                </span>
                <p class="meta">
                    <bdi class="author">{name}</bdi>
                    {program.then(|| view! { " " <span class="program">"program"</span> })}
                    " "
                    {move || look.with(|look| look.at).map(|at| view! { <Clock at /> })}
                    {move || shown.with(|shown| shown.content.edited).map(|at| view! { " " <Edited at /> })}
                </p>
                <p class="text" dir="auto" inner_html=move || words(&shown.with(Shown::text))></p>
                <Show when=move || shown.with(|shown| !shown.content.reactions.is_empty())>
                    <Reactions put=Memo::new(move |_| shown.with(Shown::put)) me disabled react />
                </Show>
                {actions
                    .map(|actions| {
                        move || {
                            shown
                                .with(|shown| shown.menu.then_some(shown.last))
                                .map(|last| {
                                    view! {
                                        <button
                                            type="button"
                                            class="act"
                                            aria-label="Message actions"
                                            title="Message actions"
                                            tabindex=if last { "0" } else { "-1" }
                                            popovertarget=MENU
                                            on:click=move |_| key.with_value(|key| actions.is_opened_for(key))
                                        ></button>
                                    }
                                })
                        }
                    })}
                {move || match look.with(|look| look.delivery.clone()) {
                    Delivery::Sent => None,
                    Delivery::Pending => Some(view! { <p class="delivery">"Sending…"</p> }.into_any()),
                    Delivery::Failed(reason) => Some(view! { <Refused link key reason /> }.into_any()),
                }}
            </li>
        }
    })
}

/// Says why the server did not take a message, and offers what can be done about it.
#[component]
fn Refused(link: RoomLink, key: StoredValue<RowKey>, reason: String) -> impl IntoView {
    view! {
        <p class="delivery" role="alert">
            <span inner_html=words(&format!("Not sent: {reason}"))></span>
            " "
            <button type="button" class="quiet" on:click=move |_| link.request(Intent::Retry(key.get_value()))>
                "Retry"
            </button>
            <button type="button" class="quiet" on:click=move |_| link.request(Intent::Discard(key.get_value()))>
                "Discard"
            </button>
        </p>
    }
}

/// Says that a message was said differently at first, and on demand when that was changed.
#[component]
fn Edited(at: Timestamp) -> impl IntoView {
    let zone = expect_context::<Zone>().0;
    view! {
        <time class="edited" datetime=at.to_string() title=move || format!("Edited {}", moment(at, zone.get()))>
            "(edited)"
        </time>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Person;

    fn row(author: &str, at: Option<i64>) -> Row {
        let from = Person { id: author.to_owned(), name: author.to_owned() };
        let key = RowKey::new(author, "k");
        let at = at.map(Timestamp::from_millis);
        Row { key, from, content: Content::default(), mine: Vec::new(), at, offset: None, delivery: Delivery::Sent }
    }

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn one_author_stands_once_over_what_is_said_in_one_go() {
        let first = row("ann", Some(0));
        for (then, continued) in [
            (row("ann", Some(TOGETHER - 1)), true),
            (row("ann", Some(TOGETHER)), false),
            (row("bob", Some(1)), false),
            (row("ann", None), true),
        ] {
            assert_eq!(Look::of(&then, Some(&first), |_| 0).continued, continued, "{then:?}");
        }
        assert!(!Look::of(&first, None, |_| 0).continued);
    }

    #[test]
    fn a_day_begins_by_the_readers_clock() {
        let (evening, night) = (row("ann", Some(DAY - 90_000)), row("ann", Some(DAY - 30_000)));
        assert_eq!(Look::of(&night, Some(&evening), |_| 0).day, None);
        assert_eq!(Look::of(&night, Some(&evening), |_| 1).day, Some("2 Jan 1970".to_owned()));
        assert_eq!(Look::of(&evening, None, |_| 0).day, Some("1 Jan 1970".to_owned()));
    }
}
