//! The data of a page: what the server knows when it renders it, and all that the browser needs to go on from there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::{Group, Key, Members, Person, Rights, RoomList, Stretch, Unreadable, read};
#[cfg(feature = "ssr")]
use crate::{locales::still as say, wire::Hit};

/// A page and its data. What does not change once it is shown the server alone renders; of that the browser learns no more than
/// that it is such a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "page", rename_all = "snake_case", try_from = "Value")]
pub enum Page {
    Lobby(LobbyPage),
    Room(RoomPage),
    #[cfg(feature = "ssr")]
    #[serde(serialize_with = "still")]
    Search(SearchPage),
    #[cfg(not(feature = "ssr"))]
    Still,
}

/// Nothing but the kind of the page.
#[cfg(feature = "ssr")]
fn still<T, S: serde::Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_unit()
}

impl TryFrom<Value> for Page {
    type Error = Unreadable;

    fn try_from(page: Value) -> Result<Self, Unreadable> {
        match page.get("page").and_then(Value::as_str) {
            Some("lobby") => read(&page).map(Self::Lobby),
            Some("room") => read(&page).map(Self::Room),
            #[cfg(not(feature = "ssr"))]
            Some("search") => Ok(Self::Still),
            _ => Err(Unreadable),
        }
    }
}

#[cfg(feature = "ssr")]
impl Page {
    /// What a list of links says of it.
    pub fn description(&self) -> String {
        match self {
            Self::Lobby(_) => say::about_rooms().to_owned(),
            Self::Room(room) => say::about_room(&room.group),
            Self::Search(_) => say::about_search().to_owned(),
        }
    }

    /// What the browser's tab says.
    pub fn title(&self) -> String {
        match self {
            Self::Lobby(_) => say::title_rooms().to_owned(),
            Self::Room(room) => format!("{} · Confab", room.called()),
            Self::Search(_) => say::title_search().to_owned(),
        }
    }
}

/// `/`: the rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LobbyPage {
    pub you: Person,
    pub list: RoomList,
    /// What all of them have in their names.
    pub name: String,
    /// It begins with the newest; else it is a further part, and stays as it is.
    pub first: bool,
    /// What was wrong with what was entered, and what it was.
    pub mistake: Option<(String, String)>,
    /// What was entered is a new room that could be mistaken for another one.
    pub alike: Option<Alike>,
    /// The rooms of who is signed in, as HTML: the server alone renders them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
}

/// Two rooms whose names differ in the case of their letters alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    /// The one that was asked for; nobody has used it.
    pub entered: Group,
    /// The one that is there.
    pub there: Group,
}

/// `/room/{group}/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomPage {
    pub group: Group,
    pub you: Person,
    /// The newest messages or an earlier part, and where the room's stream stood; the socket resumes from there.
    pub stretch: Stretch,
    /// Who was there; the reader perhaps not yet.
    pub members: Members,
    /// The key of what is sent with the form: sending the form twice is one message.
    pub form_key: Key,
    /// The longest text, in bytes.
    pub longest: usize,
    /// What was wrong with what the form sent, and the text, which is not lost.
    pub mistake: Option<(String, String)>,
    /// Where somebody owns the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned: Option<OwnedRoom>,
    /// What the reader may do there.
    #[serde(default, skip_serializing_if = "Rights::are_usual")]
    pub may: Rights,
}

impl RoomPage {
    /// What people call the room.
    pub fn called(&self) -> &str {
        self.owned.as_ref().map_or(self.group.as_str(), |owned| &owned.title)
    }
}

/// What a room is called and about that somebody owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedRoom {
    pub title: String,
    pub topic: String,
}

/// `/search/`: what was searched for, and what came of it.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPage {
    pub you: Person,
    /// The room that is searched; none for all of them.
    pub group: Option<Group>,
    pub text: String,
    /// The longest text, in characters.
    pub longest: usize,
    pub outcome: Outcome,
    /// The address of the page, with what is asked.
    pub here: String,
}

/// What came of a search.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was searched for.
    Nothing,
    /// The best first. `complete`: all messages were considered.
    Found { hits: Vec<Hit>, complete: bool },
    /// The text is too long.
    TooLong,
    /// The room's messages are not kept for searching.
    NotKept,
    /// The store cannot be searched now.
    Unavailable,
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn of_a_page_that_does_not_change_the_browser_learns_its_kind_alone() {
        let you = Person::new("g1", "Ann");
        let (text, here) = ("tea".to_owned(), "/search/?q=tea".to_owned());
        let search = SearchPage { you, group: None, text, longest: 256, outcome: Outcome::NotKept, here };
        let page = serde_json::to_value(Page::Search(search)).expect("JSON");
        assert_eq!(page, serde_json::json!({ "page": "search" }));
    }
}
