//! Who may do what to a message that was said.

use crate::{
    server::store::{NewChange, Refused},
    wire::{Change, MOST_KINDS, MOST_KINDS_OF_ONE, Message},
};

/// Whether a change may be made of a message, to which its person has `put` so many kinds of emoji: only the author edits and deletes, and
/// nobody alone takes the room that there is for the emoji of others. Stores ask where nobody else changes the message.
///
/// # Errors
/// Why not.
pub fn may_change(change: &NewChange, message: &Message, put: usize) -> Result<(), Refused> {
    match &change.change {
        Change::Edit { .. } | Change::Delete { .. } if message.from.id != change.from.id => Err(Refused::NotYours),
        Change::React { emoji, on: true, .. } => {
            if message.content.reactions.len() >= MOST_KINDS && message.content.reaction(emoji).is_none() {
                return Err(Refused::TooManyKinds);
            }
            if put >= MOST_KINDS_OF_ONE { Err(Refused::TooManyOfOne) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// The same for who moderates the room: they delete what others have said.
///
/// # Errors
/// Why not.
pub(super) fn may_moderate(change: &NewChange, message: &Message, put: usize) -> Result<(), Refused> {
    if matches!(change.change, Change::Delete { .. }) { Ok(()) } else { may_change(change, message, put) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Act, Content, MessageId, Person, Reaction, Timestamp};

    fn id() -> MessageId {
        "e-1".parse().unwrap()
    }

    fn change(by: &str, act: &Act) -> NewChange {
        let from = Person::new(by, by.to_uppercase());
        let at = Timestamp::from_millis(0);
        let change = act.change(&from, at).unwrap();
        NewChange { group: "lobby".parse().unwrap(), change, from, at, rule: may_change }
    }

    /// Of Ann's, with so many kinds of emoji.
    fn message(kinds: usize) -> Message {
        let from = Person::new("ann", "Ann");
        let reaction = |kind| Reaction { emoji: format!("a{kind}").parse().unwrap(), count: 1, from: vec![from.clone()] };
        let content = Content { reactions: (0..kinds).map(reaction).collect(), ..Content::new("hello") };
        Message { id: "e-1".to_owned(), key: "k".parse().unwrap(), from, content, at: Timestamp::from_millis(0) }
    }

    #[test]
    fn only_the_author_edits_and_deletes() {
        for act in [Act::Edit { message: id(), text: "mine".to_owned() }, Act::Delete { message: id() }] {
            assert_eq!(may_change(&change("ann", &act), &message(0), 0), Ok(()));
            assert_eq!(may_change(&change("bob", &act), &message(0), 0), Err(Refused::NotYours));
        }
    }

    #[test]
    fn nobody_alone_takes_the_room_of_the_others() {
        let react = |emoji: &str, on| Act::React { message: id(), emoji: emoji.parse().unwrap(), on };
        for (emoji, on, kinds, put, expected) in [
            ("new", true, MOST_KINDS - 1, MOST_KINDS_OF_ONE - 1, Ok(())),
            ("new", true, MOST_KINDS, 0, Err(Refused::TooManyKinds)),
            ("a0", true, MOST_KINDS, 0, Ok(())),
            ("a0", true, 1, MOST_KINDS_OF_ONE, Err(Refused::TooManyOfOne)),
            ("a0", false, MOST_KINDS, MOST_KINDS_OF_ONE, Ok(())),
        ] {
            let may = may_change(&change("bob", &react(emoji, on)), &message(kinds), put);
            assert_eq!(may, expected, "{emoji} {on} with {kinds} kinds, {put} of one's own");
        }
    }
}
