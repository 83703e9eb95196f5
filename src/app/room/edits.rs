//! Messages of ours that we are about to say differently.
//!
//! One of them may be in the composer. Another one can be chosen in the midst of it, and the server may refuse what was saved: what
//! was written is kept with its message either way, is offered beside the composer, and is there again when that message is edited
//! again. Only the reader gives it up, or saves it.

use serde::{Deserialize, Serialize};

use crate::wire::{MessageId, is_blank};

/// What is to be said in place of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Editing {
    pub message: MessageId,
    /// What the message says, as far as the page knows.
    pub before: String,
    /// What was written in its place.
    pub text: String,
    /// Why the server did not take it; none where it has not been asked.
    pub refused: Option<String>,
}

impl Editing {
    /// Something would be lost with it. Where nothing is written nothing is.
    pub fn is_unsaved(&self) -> bool {
        !is_blank(&self.text) && (self.refused.is_some() || self.text != self.before)
    }
}

/// What is written in place of messages and not said yet: one text for each message, in the order in which they were begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    all: Vec<Editing>,
    /// The one that the composer holds.
    open: Option<MessageId>,
}

impl Edits {
    /// All of them, the one in the composer too.
    pub fn all(&self) -> &[Editing] {
        &self.all
    }

    /// The one that the composer holds in place of the draft.
    pub fn open(&self) -> Option<&Editing> {
        let open = self.open.as_ref()?;
        self.all.iter().find(|editing| editing.message == *open)
    }

    /// Those that the composer does not hold and the reader has not decided on: left for another one, or refused.
    pub fn waiting(&self) -> impl Iterator<Item = &Editing> {
        self.all.iter().filter(|editing| editing.is_unsaved() && Some(&editing.message) != self.open.as_ref())
    }

    /// A message that says this goes into the composer, with what was written in its place before, if anything was.
    pub fn begin(&mut self, message: MessageId, says: String) {
        self.let_go();
        match self.of(&message) {
            Some(editing) => editing.before = says,
            None => self.all.push(Editing { message: message.clone(), text: says.clone(), before: says, refused: None }),
        }
        self.open = Some(message);
    }

    /// What waits with this message goes into the composer once more.
    pub fn again(&mut self, message: &MessageId) {
        self.let_go();
        self.open = self.of(message).map(|editing| editing.message.clone());
    }

    /// This is written now in place of the message in the composer.
    pub fn write(&mut self, text: String) {
        if let Some(open) = self.open.clone()
            && let Some(editing) = self.of(&open)
        {
            editing.text = text;
        }
    }

    /// The composer gives the message back, and what was written in its place waits for the reader's decision.
    pub fn leave(&mut self) {
        self.let_go();
    }

    /// The reader leaves the message in the composer as it is. What was refused is asked about again, lest it is lost by one key.
    pub fn cancel(&mut self) {
        if let Some(open) = self.open.take() {
            self.all.retain(|editing| editing.message != open || editing.refused.is_some() && editing.is_unsaved());
        }
    }

    /// Something else is to become of this message: the composer gives it back, and what was written waits.
    pub fn close(&mut self, message: &MessageId) {
        if self.open.as_ref() == Some(message) {
            self.let_go();
        }
    }

    /// What was written in place of this message is saved, or of no use any more.
    pub fn finish(&mut self, message: &MessageId) {
        self.all.retain(|editing| editing.message != *message);
        self.open.take_if(|open| open == message);
    }

    /// The server refused a text. What has been written in its place since then, or is being written, stands.
    pub fn refuse(&mut self, refused: Editing) {
        match self.of(&refused.message) {
            Some(editing) => editing.refused = refused.refused,
            None => self.all.push(refused),
        }
    }

    /// What the tab had when the page was left; nothing is being written yet.
    pub fn restore(&mut self, editing: Editing) {
        self.all.push(editing);
    }

    fn of(&mut self, message: &MessageId) -> Option<&mut Editing> {
        self.all.iter_mut().find(|editing| editing.message == *message)
    }

    /// The composer gives back what it holds.
    fn let_go(&mut self) {
        self.open = None;
        self.all.retain(Editing::is_unsaved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Offset;

    fn id(offset: u64) -> MessageId {
        MessageId { epoch: "e".parse().expect("an epoch"), offset: Offset(offset) }
    }

    fn refused(offset: u64, text: &str) -> Editing {
        Editing { message: id(offset), before: "old".to_owned(), text: text.to_owned(), refused: Some("no".to_owned()) }
    }

    fn begin(edits: &mut Edits, offset: u64, says: &str) {
        edits.begin(id(offset), says.to_owned());
    }

    fn open(edits: &Edits) -> Option<(u64, &str)> {
        edits.open().map(|editing| (editing.message.offset.0, editing.text.as_str()))
    }

    fn notices(edits: &Edits) -> Vec<&str> {
        edits.waiting().map(|editing| editing.text.as_str()).collect()
    }

    #[test]
    fn what_was_written_is_there_again_when_its_message_is_chosen_again() {
        let mut edits = Edits::default();
        begin(&mut edits, 1, "one");
        edits.write("one, half".to_owned());
        begin(&mut edits, 2, "two");
        assert_eq!((open(&edits), notices(&edits)), (Some((2, "two")), vec!["one, half"]));
        begin(&mut edits, 1, "one");
        assert_eq!(open(&edits), Some((1, "one, half")));
        // Chosen in the midst of it, it goes on as well.
        begin(&mut edits, 1, "one");
        assert_eq!(open(&edits), Some((1, "one, half")));
        assert_eq!(edits.all().len(), 1, "of the other one nothing was changed");
    }

    #[test]
    fn what_is_left_half_written_waits() {
        let mut edits = Edits::default();
        begin(&mut edits, 1, "one");
        edits.leave();
        assert_eq!(edits, Edits::default(), "nothing was written");
        begin(&mut edits, 1, "one");
        edits.write("one, half".to_owned());
        edits.leave();
        assert_eq!((open(&edits), notices(&edits)), (None, vec!["one, half"]));
        edits.again(&id(1));
        assert_eq!(open(&edits), Some((1, "one, half")));
    }

    #[test]
    fn what_is_given_up_or_saved_is_gone() {
        for leave in [Edits::cancel, |edits: &mut Edits| edits.finish(&id(1))] {
            let mut edits = Edits::default();
            begin(&mut edits, 1, "one");
            edits.write("one, half".to_owned());
            leave(&mut edits);
            assert_eq!(edits, Edits::default());
            begin(&mut edits, 1, "one");
            assert_eq!(open(&edits), Some((1, "one")));
        }
    }

    #[test]
    fn a_refusal_opens_nothing_and_takes_nothing_that_is_being_written() {
        let mut edits = Edits::default();
        edits.refuse(refused(1, "first"));
        assert_eq!((open(&edits), notices(&edits)), (None, vec!["first"]));
        begin(&mut edits, 2, "two");
        edits.write("two, half".to_owned());
        edits.refuse(refused(3, "third"));
        assert_eq!((open(&edits), notices(&edits)), (Some((2, "two, half")), vec!["first", "third"]));
        edits.again(&id(3));
        assert_eq!((open(&edits), notices(&edits)), (Some((3, "third")), vec!["first", "two, half"]));
        begin(&mut edits, 2, "two");
        assert_eq!((open(&edits), notices(&edits)), (Some((2, "two, half")), vec!["first", "third"]));
    }

    #[test]
    fn a_refusal_of_what_is_being_written_anew_leaves_the_newer_text() {
        let mut edits = Edits::default();
        begin(&mut edits, 1, "saved");
        edits.write("saved, and better".to_owned());
        edits.refuse(refused(1, "saved"));
        let reason = edits.open().and_then(|editing| editing.refused.as_deref());
        assert_eq!((open(&edits), reason), (Some((1, "saved, and better")), Some("no")));
        assert_eq!(notices(&edits), Vec::<&str>::new());
    }

    #[test]
    fn only_the_reader_gives_up_what_was_refused() {
        let mut edits = Edits::default();
        edits.refuse(refused(1, "text"));
        edits.again(&id(1));
        edits.cancel();
        assert_eq!(notices(&edits), ["text"]);
        begin(&mut edits, 1, "old");
        assert_eq!(open(&edits), Some((1, "text")), "chosen in the list");
        edits.cancel();
        edits.finish(&id(1));
        assert_eq!(edits, Edits::default());
    }

    #[test]
    fn what_is_closed_waits_and_closes_nothing_else() {
        let mut edits = Edits::default();
        begin(&mut edits, 1, "one");
        edits.write("one, half".to_owned());
        edits.close(&id(2));
        assert_eq!(open(&edits), Some((1, "one, half")));
        edits.close(&id(1));
        assert_eq!((open(&edits), notices(&edits)), (None, vec!["one, half"]));
    }

    #[test]
    fn what_the_tab_had_waits_to_be_decided_on() {
        let mut edits = Edits::default();
        edits.restore(Editing { refused: None, ..refused(1, "half") });
        assert_eq!((open(&edits), notices(&edits)), (None, vec!["half"]));
        edits.again(&id(1));
        assert_eq!((open(&edits), notices(&edits)), (Some((1, "half")), vec![]));
    }

    #[test]
    fn where_nothing_is_written_nothing_is_kept() {
        let mut edits = Edits::default();
        begin(&mut edits, 1, "one");
        edits.write("\n".to_owned());
        begin(&mut edits, 2, "two");
        edits.cancel();
        assert_eq!(edits, Edits::default());
        edits.refuse(refused(3, "third"));
        edits.again(&id(3));
        edits.write(String::new());
        edits.cancel();
        assert_eq!(edits, Edits::default());
    }

    #[test]
    fn what_is_not_there_is_not_opened() {
        let mut edits = Edits::default();
        edits.again(&id(1));
        edits.write("text".to_owned());
        edits.cancel();
        assert_eq!(edits, Edits::default());
    }
}
