//! A page as all of its readers see it, with places for what is each one's own.
//!
//! It is [rendered](Template::of) once, for a stand-in whose name, id and form key nobody can guess. Where these stand in the HTML, and in
//! the data beside it, is where the reader's own go; so does a fresh nonce wherever the one of the rendering stands. A message of the
//! reader's own differs from others' by one class of its row. Whatever else may differ is nothing that a template can say: see
//! [`Template::is_for`].

use std::{collections::HashSet, sync::OnceLock};

use crate::{
    app::{as_data, hue, initial, words},
    server::{
        gzip::{Deflated, Gzip, gzip},
        random,
    },
    wire::{Key, Person, Stored},
};

/// What comes before the classes of a row that only some have.
const ROW: &str = "class=\"message";
/// A page with less is deflated whole for each reader, in bytes.
const SHORT: usize = 8 << 10;
/// The class of a message of the reader's own.
const MINE: &str = " mine";

/// Somebody in whose place each reader stands.
pub(in crate::server) struct StandIn {
    pub(in crate::server) you: Person,
    pub(in crate::server) form_key: Key,
}

impl StandIn {
    pub(in crate::server) fn new(has_account: bool) -> Self {
        let handle = has_account.then(random::hex_128);
        let you = Person { handle, ..Person::new(random::hex_128(), random::hex_128()) };
        Self { you, form_key: random::fresh_key() }
    }
}

/// See the [module](self).
pub(in crate::server) struct Template {
    html: String,
    /// Where something of the reader's own stands instead of what is in the HTML, in rising order and apart from each other.
    places: Vec<Place>,
    /// Who is named where the reader would be said to be it.
    named: HashSet<String>,
    /// Of some reactions not everybody is known.
    is_sampled: bool,
    /// What stands around the places that every reader fills, made when the first takes it so.
    deflated: OnceLock<Vec<Deflated>>,
}

struct Place {
    start: usize,
    end: usize,
    what: Own,
}

enum Own {
    /// What stands at the head of the page.
    Banner,
    Nonce,
    FormKey,
    Id,
    Name(Writing),
    Handle(Writing),
    Initial,
    Hue,
    /// The class of a row whose author is this one.
    Mine(String),
}

impl Own {
    fn write(&self, Filling { reader, form_key, nonce, banner }: Filling<'_>, into: &mut String) {
        match self {
            Self::Banner => into.push_str(banner),
            Self::Nonce => into.push_str(nonce),
            Self::FormKey => into.push_str(form_key.as_str()),
            Self::Id => into.push_str(&reader.id),
            Self::Name(writing) => writing.write(&reader.name, into),
            Self::Handle(writing) => writing.write(reader.handle.as_deref().unwrap_or_default(), into),
            Self::Initial => into.push_str(&words(&initial(&reader.name))),
            Self::Hue => into.push_str(&hue(&reader.id)),
            Self::Mine(author) if *author == reader.id => into.push_str(MINE),
            Self::Mine(_) => {}
        }
    }
}

/// What is filled in.
#[derive(Clone, Copy)]
pub(in crate::server) struct Filling<'f> {
    pub(in crate::server) reader: &'f Person,
    pub(in crate::server) form_key: &'f Key,
    pub(in crate::server) nonce: &'f str,
    /// What stands at the head of the page, as HTML.
    pub(in crate::server) banner: &'f str,
}

/// How a text is written where it stands.
#[derive(Clone, Copy)]
enum Writing {
    /// Between two tags.
    Text,
    /// In a quoted attribute.
    Attribute,
    /// In a string of JSON, in a string of a script.
    Data,
}

impl Writing {
    /// Of what comes after this.
    fn after(html: &str) -> Self {
        if html.ends_with("\\\"") {
            Self::Data
        } else if html.ends_with('"') {
            Self::Attribute
        } else {
            Self::Text
        }
    }

    fn write(self, text: &str, into: &mut String) {
        match self {
            Self::Text => into.push_str(&words(text)),
            Self::Attribute => into.push_str(&words(text).replace('"', "&quot;")),
            Self::Data => into.push_str(&as_data(text)),
        }
    }
}

impl Template {
    /// Of a page that was rendered for the stand-in with this nonce, and has these messages and names these people; none where it does not
    /// look as it should.
    pub(in crate::server) fn of(
        html: String,
        nonce: &str,
        stand_in: &StandIn,
        messages: &[Stored],
        people: &[Person],
    ) -> Option<Self> {
        let mut places = Vec::new();
        let key = stand_in.form_key.to_string();
        for (text, what) in [
            (nonce, (|_| Own::Nonce) as fn(&str) -> Own),
            (&key, |_| Own::FormKey),
            (&stand_in.you.id, |_| Own::Id),
            (&stand_in.you.name, |before| Own::Name(Writing::after(before))),
        ] {
            places.extend(html.match_indices(text).map(|(start, text)| Place {
                start,
                end: start + text.len(),
                what: what(&html[..start]),
            }));
        }
        if let Some(handle) = &stand_in.you.handle {
            let own = |(start, text): (usize, &str)| Place {
                start,
                end: start + text.len(),
                what: Own::Handle(Writing::after(&html[..start])),
            };
            places.extend(html.match_indices(&**handle).map(own));
        }
        // At the head of the page, before anything else.
        let (start, end) = between(&html, 0, "<div id=\"banner\" role=\"status\">", "</div>")?;
        places.push(Place { start, end, what: Own::Banner });
        // The reader's face stands in the bar, before anything that people have written.
        let me = html.find("popovertarget=\"me\"")?;
        let hue = between(&html, me, "data-hue=\"", "\"")?;
        let initial = between(&html, hue.1, ">", "<")?;
        places.push(Place { start: hue.0, end: hue.1, what: Own::Hue });
        places.push(Place { start: initial.0, end: initial.1, what: Own::Initial });
        let mut at = initial.1;
        for message in messages {
            let row = format!("id=\"message-{}\"", message.offset);
            at += html[at..].find(&row)? + row.len();
            at += html[at..].find(ROW)? + ROW.len();
            places.push(Place { start: at, end: at, what: Own::Mine(message.message.from.id.clone()) });
        }
        places.sort_by_key(|place| place.start);
        let reactions = || messages.iter().flat_map(|stored| &stored.message.content.reactions);
        let named = reactions().flat_map(|reaction| &reaction.from).chain(people);
        Some(Self {
            places,
            named: named.map(|person| person.id.clone()).collect(),
            is_sampled: reactions().any(crate::wire::Reaction::is_sampled),
            deflated: OnceLock::new(),
            html,
        })
    }

    /// Whether the page is the same for this reader but for what stands in its places. `is_new`: they have shown no secret, so nothing can
    /// be theirs.
    pub(in crate::server) fn is_for(&self, reader: &Person, is_new: bool) -> bool {
        is_new || !(self.is_sampled || self.named.contains(&reader.id))
    }

    /// The page of a reader.
    pub(in crate::server) fn fill(&self, own: Filling<'_>) -> String {
        let mut page = String::with_capacity(self.html.len() + own.banner.len() + 512);
        let mut at = 0;
        for Place { start, end, what } in &self.places {
            page.push_str(&self.html[at..*start]);
            what.write(own, &mut page);
            at = *end;
        }
        page.push_str(&self.html[at..]);
        page
    }

    /// The same in gzip: what is alike for all was deflated before, unless one of the messages is the reader's own, or the page is so short
    /// that in parts it would be half as long again.
    pub(in crate::server) fn fill_gzip(&self, own: Filling<'_>) -> Vec<u8> {
        let reader = own.reader;
        let has_own = || self.places.iter().any(|place| matches!(&place.what, Own::Mine(author) if *author == reader.id));
        if self.html.len() < SHORT || has_own() {
            return gzip(self.fill(own).as_bytes());
        }
        let (mut page, mut written) = (Gzip::with_capacity(self.html.len() / 4), String::new());
        let parts = self.deflated.get_or_init(|| self.parts().map(|(part, _)| Deflated::new(part.as_bytes())).collect());
        for ((part, place), deflated) in self.parts().zip(parts) {
            page.deflated(deflated, part.len());
            if let Some(place) = place {
                written.clear();
                place.what.write(own, &mut written);
                page.stored(written.as_bytes());
            }
        }
        page.finish()
    }

    /// What stands around the places that every reader fills, each with the place after it.
    fn parts(&self) -> impl Iterator<Item = (&str, Option<&Place>)> {
        let filled = self.places.iter().filter(|place| !matches!(place.what, Own::Mine(_)));
        let mut at = 0;
        filled.map(Some).chain([None]).map(move |place| {
            let part = &self.html[at..place.map_or(self.html.len(), |place| place.start)];
            at = place.map_or(at, |place| place.end);
            (part, place)
        })
    }

    /// About how much memory it takes, in bytes.
    pub(in crate::server) fn weight(&self) -> usize {
        // Deflated it takes a fourth at most.
        self.html.capacity() * 5 / 4 + self.places.len() * 128 + self.named.len() * 96
    }
}

/// What stands between two texts, after a place.
fn between(html: &str, from: usize, before: &str, after: &str) -> Option<(usize, usize)> {
    let start = from + html[from..].find(before)? + before.len();
    Some((start, start + html[start..].find(after)?))
}
