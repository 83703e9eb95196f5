use serde_json::json;

use super::*;
use crate::wire::{Epoch, Topic};

fn epoch(name: &str) -> Epoch {
    name.parse().expect("an epoch")
}

fn at(offset: u64) -> Position {
    Position { epoch: epoch("e"), offset: Offset(offset) }
}

fn me() -> Person {
    Person::new("me", "Me")
}

fn stored(offset: u64) -> Stored {
    said(offset, &Person::new("ann", "Ann"), &format!("k{offset}"))
}

fn said(offset: u64, from: &Person, key: &str) -> Stored {
    let message = Message {
        id: format!("e-{offset}"),
        key: key.parse().expect("a key"),
        from: from.clone(),
        content: Content::new(format!("text {offset}")),
        at: Timestamp::from_millis(i64::try_from(offset).expect("small") * 1_000),
    };
    Stored { offset: Offset(offset), message }
}

/// Part of a stream that has messages alone and comes to `head`.
fn stretch(head: u64, messages: impl IntoIterator<Item = Stored>) -> Stretch {
    let (offset, messages) = (Offset(head), messages.into_iter().collect());
    Stretch { epoch: epoch("e"), offset, first: Offset(1), latest: offset, messages, mine: Mine::new() }
}

fn push(stored: Stored) -> Push {
    let topic = Topic::Room("lobby".parse().expect("a group"));
    Push { topic, offset: Some(stored.offset), event: Event::Message(stored.message) }
}

fn answer(epoch_name: &str, head: u64, recovered: bool, events: impl IntoIterator<Item = Stored>) -> Input {
    let topic = Topic::Room("lobby".parse().expect("a group"));
    let events = events.into_iter().map(push).collect();
    Input::Joined(
        Joined { topic, epoch: epoch(epoch_name), offset: Offset(head) },
        State { recovered, events, mine: Mine::new(), rooms: None, members: None, ..State::default() },
    )
}

fn compose(state: &mut RoomState, key: &str) -> RowKey {
    let key = RowKey::new("me", key);
    assert_eq!(state.apply(begun(said_as(&key))), Ok(()));
    key
}

/// What says the message of a row of ours.
fn said_as(key: &RowKey) -> Act {
    Act::Send { key: key.key().parse().expect("a key"), text: format!("mine {}", key.key()) }
}

fn begun(act: Act) -> Input {
    Input::Begun { act, from: me(), at: Timestamp::from_millis(0) }
}

fn accepted(key: &RowKey, offset: Option<u64>) -> Input {
    Input::Done { act: said_as(key), offset: offset.map(Offset) }
}

/// Up to where the page has everything.
fn position(state: &RoomState) -> Option<&Position> {
    state.feed().position()
}

fn offsets(state: &RoomState) -> Vec<Option<u64>> {
    state.rows().iter().map(|row| row.offset.map(|offset| offset.0)).collect()
}

#[test]
fn an_own_message_is_one_row_whichever_comes_first_answer_or_event() {
    for event_first in [true, false] {
        let mut state = RoomState::new(stretch(3, (1..=3).map(stored)));
        let key = compose(&mut state, "a");
        assert_eq!(state.row(&key).map(|row| &row.delivery), Some(&Delivery::Pending));
        let accepted = accepted(&key, Some(4));
        let event = Input::Pushed(push(said(4, &me(), "a")));
        let inputs = if event_first { [event, accepted] } else { [accepted, event] };
        for input in inputs {
            assert_eq!(state.apply(input), Ok(()));
            assert_eq!(state.rows().len(), 4);
            assert_eq!(state.row(&key).map(|row| &row.delivery), Some(&Delivery::Sent));
        }
        assert_eq!(offsets(&state), [Some(1), Some(2), Some(3), Some(4)]);
    }
}

#[test]
fn a_hole_is_reported_and_changes_nothing() {
    let mut state = RoomState::new(stretch(3, (1..=3).map(stored)));
    let before = state.clone();
    assert_eq!(state.apply(Input::Pushed(push(stored(5)))), Err(Gap));
    assert_eq!(state, before);
}

#[test]
fn what_was_seen_is_not_seen_again() {
    let mut state = RoomState::new(stretch(3, (1..=3).map(stored)));
    let before = state.clone();
    assert_eq!(state.apply(Input::Pushed(push(stored(2)))), Ok(()));
    assert_eq!(state.apply(answer("e", 3, true, (1..=3).map(stored))), Ok(()));
    assert_eq!(state, before);
}

#[test]
fn a_fresh_state_replaces_the_stream_and_keeps_what_is_under_way() {
    let mut state = RoomState::new(stretch(3, (1..=3).map(stored)));
    let pending = compose(&mut state, "a");
    assert_eq!(state.apply(answer("f", 90, false, (41..=90).map(stored))), Ok(()));
    assert_eq!(position(&state), Some(&Position { epoch: epoch("f"), offset: Offset(90) }));
    assert_eq!(state.rows().len(), 51);
    assert_eq!(state.older_than(), Some(Offset(41)));
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&pending]);
    // Sent again, it turns out that it had arrived long ago.
    assert_eq!(state.apply(accepted(&pending, Some(7))), Ok(()));
    assert_eq!(state.rows().len(), 50);
}

#[test]
fn a_fresh_state_that_contains_what_is_under_way_answers_it() {
    let mut state = RoomState::new(stretch(0, []));
    let key = compose(&mut state, "a");
    assert_eq!(state.apply(answer("e", 2, false, [stored(1), said(2, &me(), "a")])), Ok(()));
    assert_eq!(offsets(&state), [Some(1), Some(2)]);
    assert_eq!(state.pending().count(), 0);
    assert_eq!(state.row(&key).and_then(|row| row.offset), Some(Offset(2)));
}

#[test]
fn a_refused_message_can_be_sent_again_or_thrown_away() {
    let mut state = RoomState::new(stretch(0, []));
    let (first, second) = (compose(&mut state, "a"), compose(&mut state, "b"));
    let refused = Input::Refused { act: said_as(&first), reason: "too long".to_owned() };
    assert_eq!(state.apply(refused), Ok(()));
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&second]);
    assert_eq!(state.apply(Input::Retried(first.clone())), Ok(()));
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&second, &first]);
    assert_eq!(state.apply(Input::Discarded(second)), Ok(()));
    assert_eq!(state.rows().len(), 1);
}

#[test]
fn trimmed_rows_can_be_read_again() {
    let all: Vec<Stored> = (1..=100).map(stored).collect();
    let mut state = RoomState::new(stretch(100, all.clone()));
    let untouched = state.clone();
    assert_eq!(state.apply(Input::Trimmed(End::Oldest, 30)), Ok(()));
    assert_eq!((state.rows().len(), state.older_than()), (30, Some(Offset(71))));
    assert_eq!(state.apply(Input::Older(Offset(71), stretch(100, all[..70].to_vec()))), Ok(()));
    assert_eq!(state, untouched);
}

#[test]
fn in_the_past_what_is_said_is_not_shown_until_the_reader_comes_down_to_it() {
    let mut state = RoomState::new(stretch(100, (1..=100).map(stored)));
    assert_eq!(state.apply(Input::Trimmed(End::Newest, 30)), Ok(()));
    assert_eq!((state.rows().len(), state.newer_than()), (30, Some(Offset(30))));
    let key = compose(&mut state, "a");
    assert_eq!(state.apply(Input::Pushed(push(stored(101)))), Ok(()));
    assert_eq!(state.apply(Input::Pushed(push(said(102, &me(), "a")))), Ok(()));
    assert_eq!((state.pending().count(), state.rows().len()), (1, 31), "it stands further down, and is not answered");
    assert_eq!(position(&state), Some(&at(102)));
    assert_eq!(state.apply(accepted(&key, Some(102))), Ok(()));
    assert_eq!((state.row(&key), state.rows().len()), (None, 30));
    // A program's word that nobody keeps has no place in the past.
    let Push { topic, event, .. } = push(stored(33));
    assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    assert_eq!(state.rows().len(), 30);
    assert_eq!(state.apply(Input::Newer(Offset(30), stretch(102, (31..=90).map(stored)))), Ok(()));
    assert_eq!(state.newer_than(), Some(Offset(90)));
    let rest = (91..=103).map(|offset| if offset == 102 { said(102, &me(), "a") } else { stored(offset) });
    assert_eq!(state.apply(Input::Newer(Offset(90), stretch(103, rest))), Ok(()));
    assert_eq!((state.newer_than(), position(&state)), (None, Some(&at(102))), "the answer was ahead of the socket");
    assert_eq!(state.apply(Input::Pushed(push(stored(103)))), Ok(()));
    assert_eq!(offsets(&state), (1..=103).map(Some).collect::<Vec<_>>());
}

#[test]
fn in_the_past_a_position_that_is_lost_moves_no_row() {
    let mut state = RoomState::new(stretch(100, (1..=30).map(stored)));
    let key = compose(&mut state, "a");
    let other = compose(&mut state, "b");
    let newest = (901..=950).map(|offset| if offset == 940 { said(940, &me(), "a") } else { stored(offset) });
    assert_eq!(state.apply(answer("e", 950, false, newest)), Ok(()));
    assert_eq!((state.newer_than(), position(&state)), (Some(Offset(30)), Some(&at(950))));
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&key, &other]);
    assert_eq!(state.apply(accepted(&key, Some(940))), Ok(()));
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&other]);
    // Another stream takes the place of the one that was.
    assert_eq!(state.apply(answer("f", 9, false, [stored(9)])), Ok(()));
    assert_eq!((state.newer_than(), offsets(&state)), (None, vec![Some(9), None]));
}

#[test]
fn in_the_past_our_message_stays_until_it_is_answered_or_read() {
    let missed = |recovered| answer("e", 102, recovered, [stored(101), said(102, &me(), "a")]);
    for event in [Input::Pushed(push(said(101, &me(), "a"))), missed(true), missed(false)] {
        let mut state = RoomState::new(stretch(100, (1..=30).map(stored)));
        let key = compose(&mut state, "a");
        // It came, and the answer to the sending did not: there must be something to ask about again.
        assert_eq!(state.apply(event), Ok(()));
        assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&key]);
        let head = state.feed().offset().0;
        let rest = (31..=head).map(|offset| if offset == head { said(offset, &me(), "a") } else { stored(offset) });
        assert_eq!(state.apply(Input::Newer(Offset(30), stretch(head, rest))), Ok(()));
        assert_eq!(offsets(&state), (1..=head).map(Some).collect::<Vec<_>>());
        assert_eq!(state.pending().count(), 0);
    }
}

#[test]
fn in_the_past_our_message_goes_with_its_event_when_it_was_answered() {
    let mut state = RoomState::new(stretch(100, (1..=30).map(stored)));
    let key = compose(&mut state, "a");
    assert_eq!(state.apply(accepted(&key, Some(101))), Ok(()));
    assert!(state.row(&key).is_some());
    assert_eq!(state.apply(Input::Pushed(push(said(101, &me(), "a")))), Ok(()));
    assert_eq!(state.row(&key), None);
}

#[test]
fn what_is_held_no_more_makes_no_hole() {
    let mut state = RoomState::new(stretch(1_900, (351..=400).map(stored)));
    assert_eq!(
        state.apply(Input::Newer(Offset(400), Stretch { first: Offset(901), ..stretch(1_900, (901..=950).map(stored)) })),
        Ok(())
    );
    assert_eq!(offsets(&state), (901..=950).map(Some).collect::<Vec<_>>());
    assert_eq!((state.older_than(), state.newer_than()), (None, Some(Offset(950))));
}

#[test]
fn the_newest_messages_take_the_place_of_the_past_and_leave_what_is_under_way() {
    let mut state = RoomState::new(stretch(100, (1..=30).map(stored)));
    assert_eq!(state.newer_than(), Some(Offset(30)));
    let key = compose(&mut state, "a");
    // One more has been said since they were read.
    assert_eq!(state.apply(Input::Pushed(push(stored(101)))), Ok(()));
    assert_eq!(state.apply(Input::Latest(stretch(100, (51..=100).map(stored)))), Ok(()));
    assert_eq!((state.older_than(), state.newer_than()), (Some(Offset(51)), Some(Offset(100))));
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&key]);
    assert_eq!(state.apply(Input::Newer(Offset(100), stretch(101, [stored(101)]))), Ok(()));
    assert_eq!(state.newer_than(), None);
    assert_eq!(state.rows().len(), 52);
}

#[test]
fn what_is_passing_is_trimmed_from_its_beginning_since_it_cannot_be_read_again() {
    let mut state = RoomState::new(stretch(0, []));
    for number in 1..=10 {
        let Push { topic, event, .. } = push(stored(number));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    }
    assert_eq!(state.apply(Input::Trimmed(End::Newest, 3)), Ok(()));
    let texts: Vec<_> = state.rows().iter().map(|row| row.content.text.as_str()).collect();
    assert_eq!((texts, state.newer_than()), (vec!["text 8", "text 9", "text 10"], None));
}

#[test]
fn messages_without_a_place_are_shown_in_the_order_of_their_coming() {
    let mut state = RoomState::new(stretch(0, []));
    let key = compose(&mut state, "a");
    for (name, from) in [("x", "ann"), ("a", "me")] {
        let from = Person::new(from, from);
        let Push { topic, event, .. } = push(said(1, &from, name));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    }
    assert_eq!(state.rows().len(), 2);
    assert_eq!(state.rows()[1].key, key, "where everybody else has it");
    assert_eq!(state.pending().count(), 0);
}

#[test]
fn a_message_without_a_place_stays_where_it_came() {
    let mut state = RoomState::new(stretch(3, (2..=3).map(stored)));
    let passing = |state: &mut RoomState, number| {
        let Push { topic, event, .. } = push(said(number, &me(), &format!("passing-{number}")));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    };
    let texts = |state: &RoomState| state.rows().iter().map(|row| row.content.text.clone()).collect::<Vec<_>>();
    passing(&mut state, 33);
    compose(&mut state, "a");
    assert_eq!(state.apply(Input::Pushed(push(stored(4)))), Ok(()));
    passing(&mut state, 44);
    assert_eq!(state.apply(Input::Older(Offset(2), stretch(4, [stored(1)]))), Ok(()));
    assert_eq!(texts(&state), ["text 1", "text 2", "text 3", "text 33", "text 4", "text 44", "mine a"]);
    assert_eq!(state.pending().count(), 1);
    assert_eq!(state.apply(Input::Trimmed(End::Oldest, 3)), Ok(()));
    assert_eq!(texts(&state), ["text 33", "text 4", "text 44", "mine a"]);
    assert_eq!(state.older_than(), Some(Offset(4)));
    // The stream begins anew; what was passing is not in it, and stands above.
    assert_eq!(state.apply(answer("f", 9, false, [stored(9)])), Ok(()));
    assert_eq!(texts(&state), ["text 33", "text 44", "text 9", "mine a"]);
    assert_eq!(state.pending().count(), 1);
}

#[test]
fn what_is_accepted_without_a_place_is_said_at_once_and_once() {
    let mut state = RoomState::new(stretch(0, []));
    let (first, second) = (compose(&mut state, "a"), compose(&mut state, "b"));
    assert_eq!(state.apply(accepted(&second, None)), Ok(()));
    assert_eq!(state.rows().iter().map(|row| &row.key).collect::<Vec<_>>(), [&second, &first]);
    let Push { topic, event, .. } = push(said(1, &me(), "b"));
    assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    assert_eq!(state.rows().iter().map(|row| &row.key).collect::<Vec<_>>(), [&second, &first]);
    assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&first]);
}

#[test]
fn what_is_already_there_is_not_said_again() {
    let mut state = RoomState::new(stretch(1, [said(1, &me(), "a")]));
    compose(&mut state, "a");
    assert_eq!(offsets(&state), [Some(1)]);
    assert_eq!(state.unsent().count(), 0);
}

#[test]
fn of_messages_without_a_place_the_oldest_go_too_but_none_of_ours_that_is_under_way() {
    let mut state = RoomState::new(stretch(0, []));
    let pending = compose(&mut state, "mine");
    for number in 1..=10 {
        let Push { topic, event, .. } = push(stored(number));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    }
    assert_eq!(state.apply(Input::Trimmed(End::Oldest, 3)), Ok(()));
    let texts: Vec<_> = state.rows().iter().map(|row| row.content.text.as_str()).collect();
    assert_eq!(texts, ["text 8", "text 9", "text 10", "mine mine"]);
    assert_eq!(state.row(&pending).map(|row| row.content.text.as_str()), Some("mine mine"));
}

#[test]
fn a_programs_event_with_a_text_is_shown() {
    let mut state = RoomState::new(stretch(0, []));
    for json in [r#"{"type":"x","text":"1"}"#, r#"{"type":"x","message":{"text":"2"}}"#, r#"{"type":"x","value":3}"#] {
        let event = serde_json::from_str(json).expect("an event");
        let topic = Topic::Room("lobby".parse().expect("a group"));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
    }
    assert_eq!(state.rows().iter().map(|row| row.content.text.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn what_we_do_shows_at_once_and_is_done_by_its_event() {
    let mut state = RoomState::new(stretch(3, (1..=3).map(|offset| said(offset, &me(), &format!("k{offset}")))));
    let key = RowKey::new("me", "k2");
    let id = MessageId { epoch: epoch("e"), offset: Offset(2) };
    let shown = |state: &RoomState| state.row(&key).map(|row| (state.content(row).text.clone(), state.is_changing(row)));
    assert_eq!(state.text(&id), Some("text 2"));
    let edit = Act::Edit { message: id.clone(), text: "new".to_owned() };
    assert_eq!(state.apply(begun(edit.clone())), Ok(()));
    assert_eq!(shown(&state), Some(("new".to_owned(), true)));
    assert_eq!(state.text(&id), Some("text 2"), "which it says until the event comes");
    assert_eq!(state.apply(Input::Done { act: edit, offset: Some(Offset(4)) }), Ok(()));
    assert_eq!(shown(&state), Some(("new".to_owned(), true)), "the event is on its way");
    let (topic, at) = (Topic::Room("lobby".parse().expect("a group")), Timestamp::from_millis(7));
    let event = Event::Change(Change::Edit { id, text: "new".to_owned(), at });
    assert_eq!(state.apply(Input::Pushed(Push { topic, offset: Some(Offset(4)), event })), Ok(()));
    assert_eq!(shown(&state), Some(("new".to_owned(), false)));
    assert_eq!(state.row(&key).and_then(|row| row.content.edited), Some(at), "by the server's clock");
}

#[test]
fn a_message_that_is_being_deleted_is_not_the_last_of_ours() {
    let mut state = RoomState::new(stretch(3, [said(1, &me(), "a"), said(2, &me(), "b"), stored(3)]));
    let last = |state: &RoomState| state.last_said_by("me").map(|row| row.key.key().to_owned());
    assert_eq!(last(&state).as_deref(), Some("b"));
    assert_eq!(state.last_changeable(), Some(&RowKey::new("ann", "k3")));
    let delete = Act::Delete { message: MessageId { epoch: epoch("e"), offset: Offset(2) } };
    assert_eq!(state.apply(begun(delete.clone())), Ok(()));
    assert_eq!(last(&state).as_deref(), Some("a"));
    assert_eq!(state.apply(Input::Refused { act: delete, reason: "no".to_owned() }), Ok(()));
    assert_eq!(last(&state).as_deref(), Some("b"));
    compose(&mut state, "c");
    assert_eq!(last(&state).as_deref(), Some("b"), "what is under way cannot be changed yet");
}

#[test]
fn an_event_of_a_program_stands_under_its_name_and_never_passes_for_a_person() {
    let mut state = RoomState::new(stretch(0, []));
    let topic = Topic::Room("lobby".parse().expect("a group"));
    let mut shown = |event: Value| {
        let before = state.rows().len();
        let event = serde_json::from_value(event).expect("an event");
        assert_eq!(state.apply(Input::Pushed(Push { topic: topic.clone(), offset: None, event })), Ok(()));
        state.rows().get(before).map(|row| (row.from.clone(), row.from.is_program(), row.content.text.clone()))
    };
    let cron = Person::new("t1", "Cron");
    let named = |name: &str| Person::new(String::new(), name);
    let by = json!({"id": "t1", "name": "Cron"});
    for (event, from) in [
        // Pushed with a token: the name is the token's, whatever the event says.
        (json!({"type": "x", "text": "hello", "from": "Ann", "confab.program": by}), cron.clone()),
        (json!({"type": "x", "text": "hello", "username": "Ann", "user": "Ann", "confab.program": by}), cron),
        // Of the layer: the name that it brings, as anybody's name is read.
        (json!({"type": "x", "text": "hello", "from": "Ann"}), named("Ann")),
        (json!({"type": "x", "text": "hello", "username": " A\u{202e}nn\u{200b} "}), named("Ann")),
        (json!({"type": "x", "text": "hello", "from": "\u{200b}", "user": "Bob"}), named("Bob")),
        (json!({"type": "x", "text": "hello"}), named("Program")),
        (json!({"type": "x", "text": "hello", "confab.program": {"id": "g1", "name": "Ann"}}), named("Program")),
    ] {
        assert_eq!(shown(event.clone()), Some((from, true, "hello".to_owned())), "{event}");
    }
    assert_eq!(shown(json!({"type": "x", "text": " \u{200b}"})), None, "nothing is seen in it");
}

/// How many rows an input has rendered anew, and whether the list and what is said of the people.
fn cost(state: &mut RoomState, input: Input) -> (usize, bool, bool) {
    state.take_touched();
    assert_eq!(state.apply(input), Ok(()));
    let touched = state.take_touched();
    let rows: HashSet<_> = touched.rows.into_iter().collect();
    (rows.len(), touched.list, touched.here)
}

#[test]
fn what_happens_costs_a_long_page_what_it_costs_a_short_one() {
    let react = |offset, at| {
        let (topic, id) =
            (Topic::Room("lobby".parse().expect("a group")), MessageId { epoch: epoch("e"), offset: Offset(offset) });
        let change = Change::React { id, emoji: "👍".parse().expect("an emoji"), from: me(), on: true };
        Input::Pushed(Push { topic, offset: Some(Offset(at)), event: Event::Change(change) })
    };
    let delete = || Act::Delete { message: MessageId { epoch: epoch("e"), offset: Offset(3) } };
    let by_turns = |offset| said(offset, &Person::new(format!("p{}", offset % 2), String::new()), &format!("k{offset}"));
    for rows in [10, 400] {
        let mut state = RoomState::new(stretch(rows, (1..=rows).map(by_turns)));
        let (from, at) = (me(), Timestamp::from_millis(0));
        assert_eq!(cost(&mut state, Input::Typing { from, at }), (0, false, true), "typing");
        assert_eq!(cost(&mut state, Input::Elapsed(at)), (0, false, true), "a typist who stops");
        assert_eq!(cost(&mut state, react(3, rows + 1)), (1, false, false), "a reaction");
        assert_eq!(cost(&mut state, Input::Pushed(push(by_turns(rows + 2)))), (1, true, false), "a message");
        assert_eq!(cost(&mut state, begun(delete())), (1, false, false), "an act");
        let refused = Input::Refused { act: delete(), reason: "no".to_owned() };
        assert_eq!(cost(&mut state, refused), (1, false, false), "a refusal");
        let composed = begun(said_as(&RowKey::new("me", "a")));
        assert_eq!(cost(&mut state, composed), (1, true, false), "a message of ours");
    }
}

#[test]
fn people_with_an_account_are_shown_as_they_are_now_and_guests_as_they_were() {
    let (ann, gus) = (Person { handle: Some("ann".to_owned()), ..Person::new("a1", "Ann") }, Person::new("g1", "Gus"));
    let mut first = said(1, &ann, "k1");
    let emoji = "👍".parse().expect("an emoji");
    first.message.content.reactions = vec![crate::wire::Reaction { emoji, count: 2, from: vec![ann.clone(), gus.clone()] }];
    let mut state = RoomState::new(stretch(3, [first, said(2, &gus, "k2"), said(3, &me(), "k3")]));
    let anna = Person { handle: Some("anna".to_owned()), ..Person::new("a1", "Anna") };
    let august = Person::new("g1", "August");
    let come = |joined: Vec<Person>| {
        let topic = Topic::Room("lobby".parse().expect("a group"));
        let event = Event::Presence(crate::wire::Presence { count: 2, joined, ..crate::wire::Presence::default() });
        Input::Pushed(Push { topic, offset: None, event })
    };
    assert_eq!(cost(&mut state, come(vec![ann])), (0, false, true), "who is seen as before costs nothing");
    let both = come(vec![anna.clone(), august.clone()]);
    assert_eq!(cost(&mut state, both), (3, true, true));
    let names: Vec<_> = state.rows().iter().map(|row| row.from.name.as_str()).collect();
    assert_eq!(names, ["Anna", "Gus", "Me"]);
    assert_eq!(state.rows()[0].content.reactions[0].from, [anna.clone(), gus]);
    // The same where it was missed.
    let annabel = Person { name: "Annabel".to_owned(), ..anna };
    let Input::Joined(at, answer) = answer("e", 3, true, []) else { unreachable!() };
    let members = Some(Members { count: 2, people: vec![annabel, august] });
    assert_eq!(state.apply(Input::Joined(at, State { members, ..answer })), Ok(()));
    assert_eq!(state.rows()[0].from.name, "Annabel");
}

/// Where the rows stand that begin what is new.
fn begins_new(state: &RoomState) -> Vec<Option<u64>> {
    let places = (0..state.rows().len()).filter(|place| state.begins_new(*place));
    places.map(|place| state.rows()[place].offset.map(|offset| offset.0)).collect()
}

fn read(state: &mut RoomState, up_to: u64, back: bool) {
    assert_eq!(state.apply(Input::Read { up_to: Offset(up_to), back }), Ok(()));
}

#[test]
fn what_was_not_read_is_counted_and_parted_as_long_as_one_reads_on() {
    let mut state = RoomState::new(stretch(4, (1..=4).map(stored))).read_by("me");
    assert_eq!((state.read(), state.unread()), (None, 0), "nobody knows");
    read(&mut state, 2, false);
    assert_eq!((state.unread(), begins_new(&state)), (2, vec![]));
    assert_eq!(state.apply(Input::Parted), Ok(()));
    assert_eq!(begins_new(&state), [Some(3)]);
    state.take_touched();
    read(&mut state, 4, false);
    read(&mut state, 3, false);
    assert_eq!((state.read(), state.unread(), begins_new(&state)), (Some(Offset(4)), 0, vec![Some(3)]), "the line stays");
    assert!(state.take_touched().rows.is_empty());
    for stored in [said(5, &me(), "own"), stored(6)] {
        assert_eq!(state.apply(Input::Pushed(push(stored))), Ok(()));
    }
    assert_eq!(state.unread(), 1, "one's own counts nothing");
    state.take_touched();
    assert_eq!(state.apply(Input::Parted), Ok(()));
    assert_eq!((begins_new(&state), state.take_touched().rows.len()), (vec![Some(5)], 2), "it is another line");
    read(&mut state, 1, true);
    assert_eq!((state.unread(), begins_new(&state)), (4, vec![Some(2)]));
    assert_eq!(state.apply(answer("other", 1, false, [stored(1)])), Ok(()));
    assert_eq!((state.read(), state.unread(), begins_new(&state)), (None, 0, vec![]), "that was another stream");
}

#[test]
fn the_line_is_where_it_belongs_when_what_stands_before_it_was_read_later() {
    let mut state = RoomState::new(stretch(8, (5..=8).map(stored))).read_by("me");
    read(&mut state, 2, false);
    assert_eq!(state.apply(Input::Parted), Ok(()));
    assert_eq!(begins_new(&state), [Some(5)], "it is further up");
    state.take_touched();
    assert_eq!(state.apply(Input::Older(Offset(5), stretch(8, (1..=4).map(stored)))), Ok(()));
    assert_eq!(begins_new(&state), [Some(3)]);
    let first_shown_before = state.key_at(Offset(5)).cloned().expect("a row");
    assert!(state.take_touched().rows.contains(&first_shown_before));
}
