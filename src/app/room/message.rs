//! One message.

use leptos::{either::Either, ev, prelude::*, wasm_bindgen::JsCast, web_sys};

use super::{
    Delivery, RoomState, Row, RowKey,
    actions::{Actions, MENU},
    reactions::Reactions,
};
use crate::{
    app::{
        Client, Intent, RoomLink, Status, Zone, ZoneOf,
        components::{Clock, date, hue, initial, moment, program},
        live::{click, live, memo, text, when},
        words::words,
    },
    wire::{Content, Emoji, Reaction, Timestamp},
};

/// Messages of one author within this time stand under one name, in milliseconds, counted from the first of them:
const TOGETHER: i64 = 5 * 60 * 1000;
/// and so many at most.
const RUN: usize = 15;
/// A longer text is folded, in bytes,
const LONG: usize = 4_000;
/// or one with more lines.
const LONG_LINES: usize = 40;

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
    /// Of a row below these.
    fn of(row: &Row, above: &[Row], zone: ZoneOf) -> Self {
        let before = above.last();
        let begins_day = |at: &Timestamp| match before {
            Some(before) => before.at.is_some_and(|before| day_number(before, zone) != day_number(*at, zone)),
            None => true,
        };
        let day = row.at.filter(begins_day).map(|at| date(at, zone));
        let continued = day.is_none() && continues(row, above);
        Self { delivery: row.delivery.clone(), at: row.at, continued, day }
    }
}

/// Whether the row belongs to the run of those above it. What one author says in one go, with no long silence between two messages, is cut
/// into runs, so that who goes on and on is named now and then.
fn continues(row: &Row, above: &[Row]) -> bool {
    let same_author = |row: &Row, other: &Row| row.from.id == other.from.id && row.from.name == other.from.name;
    let soon_after = |row: &Row, other: &Row| {
        let apart = row.at.and_then(|at| Some(at.as_millis() - other.at?.as_millis()));
        apart.is_none_or(|apart| apart < TOGETHER)
    };
    let mut next = row;
    let mut first = above.len();
    while let Some(before) = above[..first].last().filter(|before| same_author(next, before) && soon_after(next, before)) {
        next = before;
        first -= 1;
    }
    let begins = |first: usize, at: usize| at - first >= RUN || !soon_after(&above[at], &above[first]);
    let first = (first..above.len()).fold(first, |first, at| if begins(first, at) { at } else { first });
    above.get(first).is_some_and(|begins| above.len() - first < RUN && soon_after(row, begins))
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

    fn is_long(&self) -> bool {
        let text = &self.content.text;
        text.len() > LONG || text.lines().nth(LONG_LINES).is_some()
    }

    fn text(&self) -> String {
        if self.content.deleted { "Message deleted".to_owned() } else { self.content.text.clone() }
    }
}

#[component]
pub(super) fn MessageRow(link: RoomLink, key: RowKey, me: StoredValue<String>, actions: Actions) -> impl IntoView {
    let state = link.state;
    let zone = expect_context::<Zone>().0;
    // The row is in the list that asked for this; were it not, nothing would be shown.
    state.with_untracked(|state| state.row(&key).cloned()).map(|row| {
        let mark = program(&row.from);
        let mine = me.with_value(|me| *me == row.from.id);
        let (name, avatar, hue) = (row.from.name.clone(), initial(&row.from.name), hue(&row.from.id));
        // What was found by searching leads here.
        let place = row.offset.map(|offset| format!("message-{offset}"));
        // Until the list lets go of it, a row that has gone looks as it did at first.
        let first = StoredValue::new(row);
        let changed = link.row_signal(&key);
        let also_changed = changed.clone();
        let key = StoredValue::new(key);
        let look = memo(move || {
            changed.track();
            state.with_untracked(|state| {
                key.with_value(|key| {
                    first.with_value(|first| Look::of(state.row(key).unwrap_or(first), state.above(key), zone.get()))
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
            key.with_value(|key| actions.react(key, emoji, on));
        };
        let long = memo(move || shown.with(Shown::is_long));
        let unfolded = RwSignal::new(false);
        view! {
            <li
                id=place
                class="message"
                class:mine=mine
                class:continued=live(move || look.with(|look| look.continued))
                class:pending=live(pending)
                class:failed=live(failed)
                class:changing=live(move || shown.with(|shown| shown.changing))
                class:deleted=live(move || shown.with(|shown| shown.content.deleted))
            >
                {live(move || look.with(|look| look.day.clone()).map(|day| view! { <p class="day" inner_html=words(&day)></p> }))}
                <span class="avatar" data-hue=hue aria-hidden="true">
                    {avatar}
                </span>
                <p class="meta">
                    <bdi class="author">{name}</bdi>
                    {mark}
                    " "
                    {live(move || look.with(|look| look.at).map(|at| view! { <Clock at /> }))}
                    {live(move || shown.with(|shown| shown.content.edited).map(|at| view! { " " <Edited at /> }))}
                </p>
                <p
                    class="text"
                    class:long=live(move || long.get())
                    class:folded=live(move || long.get() && !unfolded.get())
                    dir="auto"
                    inner_html=text(move || words(&shown.with(Shown::text)))
                ></p>
                {when(move || long.get(), move || {
                    view! {
                        <Fold unfolded />
                    }
                })}
                {when(move || shown.with(|shown| !shown.content.reactions.is_empty()), move || {
                    view! {
                        <Reactions put=memo(move || shown.with(Shown::put)) me alive=actions.alive react />
                    }
                })}
                {live(move || {
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
                                    on:click=click(move |_| key.with_value(|key| actions.is_opened_for(key)))
                                ></button>
                            }
                        })
                })}
                {live(move || match look.with(|look| look.delivery.clone()) {
                    Delivery::Sent => None,
                    Delivery::Pending => {
                        Some(Either::Left(view! { <p class="delivery" inner_html=text(move || waits_for(&link.status.get()))></p> }))
                    },
                    Delivery::Failed(reason) => Some(Either::Right(view! { <Refused link key reason /> })),
                })}
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
            <button type="button" class="quiet" on:click=click(move |_| link.request(Intent::Retry(key.get_value())))>
                "Retry"
            </button>
            <button type="button" class="quiet" on:click=click(move |_| link.request(Intent::Discard(key.get_value())))>
                "Discard"
            </button>
        </p>
    }
}

/// What a message that is not sent yet waits for.
fn waits_for(status: &Status) -> &'static str {
    match status {
        Status::Rendered | Status::Connected => "Sending…",
        Status::Connecting => "Waiting for the connection…",
        Status::Closed { .. } => "Not sent: the connection is closed. It waits for “Connect”.",
    }
}

/// Shows a long text whole, or only its beginning. What the reader looks at stays where it is: the message when it is unfolded, and the
/// button when it is folded again.
#[component]
fn Fold(unfolded: RwSignal<bool>) -> impl IntoView {
    let hold = use_context::<Client>().map(|client| client.hold);
    let press = move |event: ev::MouseEvent| {
        let button = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let row = button.as_ref().and_then(|button| button.closest("li").ok().flatten());
        if let (Some(hold), Some(held)) = (hold, if unfolded.get_untracked() { button } else { row }) {
            hold(held);
        }
        unfolded.update(|unfolded| *unfolded = !*unfolded);
    };
    view! {
        <button
            type="button"
            class="quiet fold"
            aria-expanded=live(move || if unfolded.get() { "true" } else { "false" })
            on:click=click(press)
            inner_html=text(move || if unfolded.get() { "Show less" } else { "Show more" })
        ></button>
    }
}

/// Says that a message was said differently at first, and on demand when that was changed.
#[component]
fn Edited(at: Timestamp) -> impl IntoView {
    let zone = expect_context::<Zone>().0;
    view! {
        <time class="edited" datetime=at.to_string() title=text(move || format!("Edited {}", moment(at, zone.get())))>
            "(edited)"
        </time>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Person;

    fn row(author: &str, at: Option<i64>) -> Row {
        let from = Person { id: author.to_owned(), name: author.to_owned(), handle: None };
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
            assert_eq!(Look::of(&then, std::slice::from_ref(&first), |_| 0).continued, continued, "{then:?}");
        }
        assert!(!Look::of(&first, &[], |_| 0).continued);
    }

    /// Which of the rows begin a run.
    fn begins(rows: &[Row]) -> Vec<usize> {
        (0..rows.len()).filter(|at| !Look::of(&rows[*at], &rows[..*at], |_| 0).continued).collect()
    }

    #[test]
    fn who_goes_on_and_on_is_named_now_and_then() {
        let every = |millis: i64| (0..40).map(|n| row("ann", Some(n * millis))).collect::<Vec<_>>();
        assert_eq!(begins(&every(1)), [0, 15, 30], "by their number");
        assert_eq!(begins(&every(60_000)), [0, 5, 10, 15, 20, 25, 30, 35], "by the time since the first");
        let mut rows = every(1);
        rows.insert(20, row("bob", Some(20)));
        assert_eq!(begins(&rows), [0, 15, 20, 21, 36]);
    }

    #[test]
    fn a_day_begins_by_the_readers_clock() {
        let (evening, night) = (row("ann", Some(DAY - 90_000)), row("ann", Some(DAY - 30_000)));
        assert_eq!(Look::of(&night, std::slice::from_ref(&evening), |_| 0).day, None);
        assert_eq!(Look::of(&night, std::slice::from_ref(&evening), |_| 1).day, Some("2 Jan 1970".to_owned()));
        assert_eq!(Look::of(&evening, &[], |_| 0).day, Some("1 Jan 1970".to_owned()));
    }
}
