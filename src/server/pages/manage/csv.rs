//! Lists as files of comma-separated values (RFC 4180), sent part by part as they are read. Cells that a spreadsheet would take for a formula
//! begin with an apostrophe, so that it shows them as text. Of secrets there is nothing in them: the lists have none.

use std::{io, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use tracing::error;

use crate::{
    server::{
        audit::{Act, By, Deed, Place, Recorded},
        manage::{Listed, TokenRow},
        pages::plain::refused,
        problem::Problem,
        rooms::{Overview, Owned},
        services::Services,
        store::StoreError,
        who::Who,
    },
    wire::{Group, Timestamp},
};

/// How many lines are read at a time.
const PART: usize = 500;

/// A list, and where in it the next part begins.
enum List {
    /// After somebody in the order of the handles.
    People(String),
    /// After a room in the order of the names.
    Rooms(Option<Group>),
    /// Before a line.
    Log(Place),
    /// So many further on.
    Tokens(i64),
}

/// `GET /manage/export/{list}`
pub(super) async fn export(
    State(services): State<Arc<Services>>,
    who: Who,
    list: Result<Path<String>, PathRejection>,
) -> Response {
    let name = list.map(|Path(name)| name).unwrap_or_default();
    let Some(list) = List::named(&name) else { return refused(Problem::NoAddress) };
    let deed = Deed::new(By::Person(who.person()), Act::ListExported).to(&name, &name);
    services.audit.record(&deed).await;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let head = line(list.head());
    let first = stream::once(async { Ok::<_, io::Error>(Bytes::from(head)) });
    let rest = stream::try_unfold((services, Some(list)), async |(services, list)| {
        let Some(list) = list else { return Ok(None) };
        let (lines, next) = list.part(&services).await.map_err(|cause| {
            error!(%cause, "an exported list was cut off");
            io::Error::other("the list was cut off")
        })?;
        let text: String = lines.iter().map(|cells| line(cells)).collect();
        Ok(Some((Bytes::from(text), (services, next))))
    });
    (headers, Body::from_stream(first.chain(rest))).into_response()
}

impl List {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "people.csv" => Self::People(String::new()),
            "rooms.csv" => Self::Rooms(None),
            "log.csv" => Self::Log(Place::newest()),
            "tokens.csv" => Self::Tokens(0),
            _ => return None,
        })
    }

    fn head(&self) -> &'static [&'static str] {
        match self {
            Self::People(_) => {
                &["id", "handle", "name", "administrator", "signed in by", "created", "last used", "deactivated"]
            }
            Self::Rooms(_) => &["room", "kind", "title", "owner id", "owner", "members", "archived", "made"],
            Self::Log(_) => &["at", "by id", "by", "act", "to id", "to", "detail"],
            Self::Tokens(_) => &["id", "name", "rooms", "read", "post", "push", "made", "made by", "last used", "revoked"],
        }
    }

    /// The lines of a part, and what follows on it; none where it is the last.
    async fn part(self, services: &Services) -> Result<(Vec<Vec<String>>, Option<Self>), StoreError> {
        let many = i64::try_from(PART).unwrap_or(i64::MAX);
        Ok(match self {
            Self::People(after) => {
                let part = services.people.list("", &after, many).await?;
                let next = part.last().filter(|_| part.len() == PART).map(|last| Self::People(last.place.clone()));
                (part.iter().map(of_person).collect(), next)
            }
            Self::Rooms(after) => {
                let part = services.rooms.overview("", after.as_ref(), PART).await?;
                let next = part.last().filter(|_| part.len() == PART).map(|last| Self::Rooms(Some(last.group.clone())));
                (part.iter().map(of_room).collect(), next)
            }
            Self::Log(before) => {
                let part = services.audit.page(&before, None, PART).await?;
                let next = part.last().filter(|_| part.len() == PART);
                let next = next.map(|last| Self::Log(Place { at: last.at.as_millis(), id: last.id.clone() }));
                (part.iter().map(of_deed).collect(), next)
            }
            Self::Tokens(from) => {
                let part = services.manage.tokens(many, from).await?;
                let next = (part.len() == PART).then_some(Self::Tokens(from + many));
                (part.iter().map(of_token).collect(), next)
            }
        })
    }
}

fn of_person(person: &Listed) -> Vec<String> {
    vec![
        person.id.clone(),
        person.handle.clone(),
        person.name.clone(),
        yes(person.is_administrator),
        sign_in_of(person).to_owned(),
        person.created.to_string(),
        optional(person.used),
        optional(person.deactivated),
    ]
}

/// The words of a file are for programs: they are the same in all languages.
fn sign_in_of(person: &Listed) -> &str {
    match (&person.origin, person.has_password) {
        (Some(origin), _) => origin,
        (None, true) => "password",
        (None, false) => "nothing yet",
    }
}

fn of_room(Overview { group, owned }: &Overview) -> Vec<String> {
    let Some(Owned { kind, title, made, is_archived, owner, members }) = owned else {
        let rest = std::iter::repeat_n(String::new(), 6);
        return [group.to_string(), "nobody's".to_owned()].into_iter().chain(rest).collect();
    };
    let (id, name) = owner.as_ref().map(|owner| (owner.id.clone(), owner.name.clone())).unwrap_or_default();
    let (members, archived) = (members.to_string(), yes(*is_archived));
    vec![group.to_string(), kind.to_string(), title.clone(), id, name, members, archived, made.to_string()]
}

fn of_deed(Recorded { at, by_id, by_name, act, to, detail, .. }: &Recorded) -> Vec<String> {
    let (to_id, to_name) = to.clone().unwrap_or_default();
    let by_id = by_id.clone().unwrap_or_default();
    vec![at.to_string(), by_id, by_name.clone(), act.clone(), to_id, to_name, detail.clone()]
}

fn of_token(token: &TokenRow) -> Vec<String> {
    vec![
        token.id.clone(),
        token.name.clone(),
        token.rooms.clone(),
        yes(token.may.read),
        yes(token.may.post),
        yes(token.may.push),
        token.made.to_string(),
        token.by_name.clone(),
        optional(token.used),
        optional(token.revoked),
    ]
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn optional(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<_> = cells.iter().map(|text| cell(text.as_ref())).collect();
    cells.join(",") + "\r\n"
}

/// A cell as it stands in the file.
fn cell(text: &str) -> String {
    // What a spreadsheet takes for a formula, also behind a sign that it leaves out.
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let harmless = if is_formula { format!("'{text}") } else { text.to_owned() };
    let is_plain = !harmless.contains(['"', ',', '\r', '\n', ';', '\t']) && harmless.trim() == harmless;
    if is_plain { harmless } else { format!("\"{}\"", harmless.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_and_are_no_formulas() {
        for (text, written) in [
            ("", ""),
            ("plain", "plain"),
            ("王小明", "王小明"),
            ("a,b", "\"a,b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" spaced ", "\" spaced \""),
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@ann", "'@ann"),
            ("\t=1", "\"'\t=1\""),
            ("=HYPERLINK(\"http://evil\",\"x\")", "\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\""),
            ("＝1", "'＝1"),
        ] {
            assert_eq!(cell(text), written, "{text}");
        }
        assert_eq!(line(&["a".to_owned(), "b,c".to_owned()]), "a,\"b,c\"\r\n");
    }
}
