//! One message, as it is shown: a function from the state to inert HTML, the same on the server and in the browser.

use super::{
    Delivery, RoomState, Row,
    actions::MENU,
    reactions,
    reader::{Reader, day_number},
};
use crate::{
    app::{
        Status, ZoneOf,
        components::{clock, date, hue, initial, mark, moment},
        markup::{Inner, Markup, button, element},
        words::words,
    },
    locales::room as say,
    wire::{Content, Timestamp},
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
struct Look {
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
        Self { continued, day }
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

/// All messages of the state, as the server shows them.
pub(super) fn all(state: &RoomState, reader: &Reader) -> String {
    (0..state.rows().len()).map(|place| message(state, place, reader, false).html()).collect()
}

/// The message at this place. What is long is `unfolded` when the reader says so.
pub fn message(state: &RoomState, place: usize, reader: &Reader, unfolded: bool) -> Markup {
    let (above, row) = (&state.rows()[..place], &state.rows()[place]);
    let Look { continued, day } = Look::of(row, above, reader.zone);
    let named = row.at.and_then(|at| reader.called(day_number(at, reader.zone)));
    let (content, mine) = state.shown(row);
    let classes = [
        ("mine", row.from.id == reader.id),
        ("continued", continued),
        ("pending", row.delivery == Delivery::Pending),
        ("failed", matches!(row.delivery, Delivery::Failed(_))),
        ("changing", state.is_changing(row)),
        ("deleted", content.deleted),
    ];
    let class = classes.iter().filter(|(_, is)| *is).fold("message".to_owned(), |all, (class, _)| all + " " + class);
    let mut parts = Vec::with_capacity(8);
    parts.extend(line_above(named.map(str::to_owned).filter(|_| day.is_some()).or(day), state.begins_new(place)));
    let (hue, initial) = (hue(&row.from.id), words(&initial(&row.from.name)));
    parts.push(element("span", &[("class", "avatar"), ("data-hue", &hue), ("aria-hidden", "true")], initial));
    parts.push(element("p", &[("class", "meta")], meta(row, &content, reader.zone)));
    let is_long = is_long(&content.text);
    let class_of_text = match (is_long, unfolded) {
        (false, _) => "text",
        (true, false) => "text long folded",
        (true, true) => "text long",
    };
    let said = if content.deleted { say::message_deleted().to_owned() } else { words(&content.text) };
    parts.push(element("p", &[("class", class_of_text), ("dir", "auto")], said));
    if is_long {
        let (expanded, label) = if unfolded { ("true", say::show_less()) } else { ("false", say::show_more()) };
        parts.push(button("fold quiet", label, &[("aria-expanded", expanded)]));
    }
    if !content.reactions.is_empty() {
        parts.push(reactions::group(&content.reactions, &mine, reader));
    }
    if state.is_changeable(row) {
        // Which of them is where the keyboard comes to the list, the list says.
        let names = [("aria-label", say::actions()), ("title", say::actions())];
        parts.push(button("act", "", &[names[0], names[1], ("tabindex", "-1"), ("popovertarget", MENU)]));
    }
    match &row.delivery {
        Delivery::Sent => {}
        Delivery::Pending => parts.push(element("p", &[("class", "delivery")], waits_for(reader.status))),
        Delivery::Failed(reason) => parts.push(refused(reason)),
    }
    // What was found by searching leads to its place; what has none is named by what makes it what it is.
    let mut attributes = match row.offset {
        Some(offset) => vec![("id", format!("message-{offset}"))],
        None => vec![("data-key", row.key.key().to_owned()), ("data-author", row.from.id.clone())],
    };
    attributes.push(("class", class));
    Markup { tag: "li", attributes, inner: Inner::Elements(parts) }
}

/// What parts a row from those above it: a day begins, or what the reader has not read yet.
fn line_above(day: Option<String>, is_new: bool) -> Option<Markup> {
    let (class, said) = match (day, is_new) {
        (None, false) => return None,
        (Some(day), false) => ("day", words(&day)),
        (None, true) => ("day new", say::new_line().to_owned()),
        (Some(day), true) => ("day new", format!("{} · {}", words(&day), say::new_line())),
    };
    Some(element("p", &[("class", class)], said))
}

/// Who said it and when, and when it was said differently.
fn meta(row: &Row, content: &Content, zone: ZoneOf) -> String {
    let mut meta = format!("<bdi class=\"author\">{}</bdi>{} ", words(&row.from.name), mark(&row.from));
    if let Some(at) = row.at {
        meta += &clock(at, zone, false).html();
    }
    if let Some(at) = content.edited {
        let title = say::edited_at(moment(at, zone));
        let edited = [("class", "edited"), ("datetime", &*at.to_string()), ("title", &title)];
        meta = meta + " " + &element("time", &edited, say::edited()).html();
    }
    meta
}

fn is_long(text: &str) -> bool {
    text.len() > LONG || text.lines().nth(LONG_LINES).is_some()
}

/// Says why the server did not take a message, and offers what can be done about it.
fn refused(reason: &str) -> Markup {
    let (retry, discard) = (button("retry quiet", say::retry(), &[]), button("discard quiet", say::discard(), &[]));
    let said = words(&say::not_sent(reason));
    let html = format!("<span>{said}</span> {}{}", retry.html(), discard.html());
    element("p", &[("class", "refused delivery"), ("role", "alert")], html)
}

/// What a message that is not sent yet waits for.
fn waits_for(status: &Status) -> &'static str {
    match status {
        Status::Rendered | Status::Connected => say::sending(),
        Status::Connecting => say::waiting(),
        Status::Closed { .. } => say::waits_for_connect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        app::RowKey,
        wire::{Emoji, Message, Mine, Offset, Person, Reaction, Stored, Stretch},
    };

    fn row(author: &str, at: Option<i64>) -> Row {
        let from = Person::new(author, author);
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

    #[test]
    fn of_the_last_days_it_is_said_which_they_are() {
        let reader = Reader { today: Some(20_000), ..Reader::of_the_page("ann") };
        assert_eq!(
            [19_998, 19_999, 20_000, 20_001].map(|day| reader.called(day)),
            [None, Some("Yesterday"), Some("Today"), None]
        );
        assert_eq!(Reader::of_the_page("ann").called(0), None, "where nobody knows which day it is");
    }

    /// Its name, its attributes, and the text that is directly in it.
    type Element = (String, Vec<(String, String)>, String);

    /// What HTML says, if it is well-formed and inert: its elements one after the other.
    fn read(html: &str) -> Vec<Element> {
        let plain = |text: &str| {
            assert!(!text.contains(['<', '>', '"']), "{text:?}");
            let plain = ["lt;<", "gt;>", "quot;\"", "amp;&"].iter().fold(text.to_owned(), |text, to| {
                let (name, sign) = to.split_at(to.len() - 1);
                text.replace(&format!("&{name}"), sign)
            });
            assert_eq!(words(&plain), text, "nothing else is written with an &");
            plain
        };
        let (mut all, mut open, mut rest) = (Vec::<Element>::new(), Vec::<usize>::new(), html);
        while let Some((text, tag)) = rest.split_once('<') {
            match open.last() {
                Some(at) => all[*at].2 += &plain(text),
                None => assert_eq!(text, ""),
            }
            if let Some(end) = tag.strip_prefix('/') {
                let (name, after) = end.split_once('>').expect("an end");
                let (begun, ..) = &all[open.pop().expect("something is open")];
                assert_eq!(begun, name);
                rest = after;
                continue;
            }
            let end = tag.find([' ', '>']).expect("an end");
            let (name, mut tag) = tag.split_at(end);
            let mut attributes = Vec::new();
            while let Some(attribute) = tag.strip_prefix(' ') {
                let (name, value) = attribute.split_once("=\"").expect("a value");
                let (value, after) = value.split_once('"').expect("an end");
                attributes.push((name.to_owned(), plain(value)));
                tag = after;
            }
            open.push(all.len());
            all.push((name.to_owned(), attributes, String::new()));
            rest = tag.strip_prefix('>').expect("an end");
        }
        assert_eq!((rest, open.len()), ("", 0), "{html}");
        all
    }

    /// What somebody may write who means no good, or who writes in many ways.
    fn written() -> impl Strategy<Value = String> {
        let hostile = prop::sample::select(vec![
            "</p></li><script>alert(1)</script>",
            "\" onclick=\"alert(1)\" x=\"",
            "'><img src=x onerror=alert(1)>",
            "<!--",
            "-->",
            "]]>",
            "&lt;b&gt; &amp &#60; &quot",
            "<svg/onload=alert(1)>",
            "javascript:alert(1)",
        ]);
        let part = prop_oneof![hostile.prop_map(str::to_owned), any::<String>(), "[<>&\"'` =/\n\\x00]{0,9}"];
        prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_message_is_inert_whatever_is_written(
            text in written(), name in written(), id in written(), key in written(), others in written(), me in any::<bool>(),
            edited in any::<bool>(), deleted in any::<bool>(), long in any::<bool>(), unfolded in any::<bool>(),
            delivery in prop_oneof![Just(Delivery::Sent), Just(Delivery::Pending), written().prop_map(Delivery::Failed)],
        ) {
            let from = Person::new(id.clone(), name.clone());
            let text = if long { format!("{text}{}", "\n".repeat(LONG_LINES + 1)) } else { text };
            let other = Person::new("g1", others.clone());
            let emoji = "\"<&>".parse::<Emoji>().expect("a word");
            let reactions = vec![Reaction { emoji, count: 2, from: vec![other, from.clone()] }];
            let edited = edited.then(|| Timestamp::from_millis(DAY));
            let content = Content { text: text.clone(), edited, deleted, reactions, ..Content::default() };
            let message = Message { id: "e-7".to_owned(), key: "k".parse().expect("a key"), from: from.clone(), content: content.clone(), at: Timestamp::from_millis(0) };
            let stretch = Stretch {
                epoch: "e".parse().expect("an epoch"), offset: Offset(7), first: Offset(1), latest: Offset(7),
                messages: vec![Stored { offset: Offset(7), message }], mine: Mine::new(),
            };
            let mut state = RoomState::new(stretch);
            if delivery != Delivery::Sent {
                state = state.with_row(Row { key: RowKey::new(&id, &key), from, content, mine: Vec::new(), at: None, offset: None, delivery: delivery.clone() });
            }
            let reader = Reader { id: if me { &id } else { "nobody" }, zone: |_| 0, today: None, status: &Status::Connected };
            let place = state.rows().len() - 1;
            let markup = super::message(&state, place, &reader, unfolded);
            let html = markup.html();
            prop_assert!(html.len() >= markup.inner_html().len());
            let elements = read(&html);
            let (tags, names): (BTreeSet<_>, BTreeSet<_>) = (
                elements.iter().map(|(tag, ..)| tag.as_str()).collect(),
                elements.iter().flat_map(|(_, attributes, _)| attributes.iter().map(|(name, _)| name.as_str())).collect(),
            );
            for tag in tags {
                prop_assert!(["li", "p", "span", "bdi", "time", "div", "button"].contains(&tag), "{}", tag);
            }
            for name in names {
                let known = [
                    "id", "class", "dir", "title", "role", "type", "datetime", "tabindex", "popovertarget", "data-hue", "data-key", "data-author",
                    "data-emoji", "aria-hidden", "aria-label", "aria-pressed", "aria-expanded",
                ];
                prop_assert!(known.contains(&name), "{}", name);
            }
            let said = |class: &str| {
                let has = |attributes: &[(String, String)]| attributes.iter().any(|(name, value)| name == "class" && value.split(' ').next() == Some(class));
                elements.iter().find(|(_, attributes, _)| has(attributes)).map(|(.., text)| text.clone())
            };
            prop_assert_eq!(said("author"), Some(name));
            prop_assert_eq!(said("text"), Some(if deleted { say::message_deleted().to_owned() } else { text }));
            prop_assert_eq!(said("fold").is_some(), long);
        }
    }
}
