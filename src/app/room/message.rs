//! One message.

use leptos::prelude::*;

use super::{Delivery, Row, RowKey};
use crate::{
    app::{
        Intent, RoomLink, Zone, ZoneOf,
        components::{Clock, date, hue, initial},
    },
    wire::{Content, Timestamp},
};

/// Messages of one author within this time stand under one name, in milliseconds.
const TOGETHER: i64 = 5 * 60 * 1000;

/// What of a message can change, with what stands above it.
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

#[component]
pub(super) fn MessageRow(link: RoomLink, key: RowKey, me: StoredValue<String>) -> impl IntoView {
    let state = link.state;
    let zone = expect_context::<Zone>().0;
    // The row is in the list that asked for this; were it not, nothing would be shown.
    state.with_untracked(|state| state.row(&key).cloned()).map(|row| {
        let mine = me.with_value(|me| *me == row.from.id);
        let look = {
            let (key, first) = (key.clone(), row.clone());
            Memo::new(move |_| {
                state.with(|state| {
                    let row = state.row(&key).unwrap_or(&first);
                    Look::of(row, state.before(&key), zone.get())
                })
            })
        };
        let Row { from, content: Content { text, .. }, offset, .. } = row;
        // What was found by searching leads here.
        let place = offset.map(|offset| format!("message-{offset}"));
        let name = from.name.clone();
        let pending = move || look.with(|look| look.delivery == Delivery::Pending);
        let failed = move || look.with(|look| matches!(look.delivery, Delivery::Failed(_)));
        let key = StoredValue::new(key);
        view! {
            <li id=place class="message" class:mine=mine class:continued=move || look.with(|look| look.continued) class:pending=pending class:failed=failed>
                {move || look.with(|look| look.day.clone()).map(|day| view! { <p class="day">{day}</p> })}
                <span class="avatar" data-hue=hue(&from.id) aria-hidden="true">
                    {initial(&from.name)}
                </span>
                <p class="meta">
                    <bdi class="author">{name}</bdi>
                    " "
                    {move || look.with(|look| look.at).map(|at| view! { <Clock at /> })}
                </p>
                <p class="text" dir="auto">
                    {text}
                </p>
                {move || match look.with(|look| look.delivery.clone()) {
                    Delivery::Sent => None,
                    Delivery::Pending => Some(view! { <p class="delivery">"Sending…"</p> }.into_any()),
                    Delivery::Failed(reason) => Some(
                        view! {
                            <p class="delivery" role="alert">
                                {format!("Not sent: {reason} ")}
                                <button type="button" class="quiet" on:click=move |_| link.request(Intent::Retry(key.get_value()))>
                                    "Retry"
                                </button>
                                <button type="button" class="quiet" on:click=move |_| link.request(Intent::Discard(key.get_value()))>
                                    "Discard"
                                </button>
                            </p>
                        }
                            .into_any(),
                    ),
                }}
            </li>
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Person;

    fn row(author: &str, at: Option<i64>) -> Row {
        let from = Person { id: author.to_owned(), name: author.to_owned() };
        let key = RowKey::new(author, "k");
        let at = at.map(Timestamp::from_millis);
        Row { key, from, content: Content::default(), at, offset: None, delivery: Delivery::Sent }
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
