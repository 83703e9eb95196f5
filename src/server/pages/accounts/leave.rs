//! One's data, and how one goes for good: the file with all that is kept of somebody, and the form that deletes their account.

use std::{io, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{Stream, stream};
use serde_json::{Value as Json, json};
use tracing::debug;

use super::{Typed, now, owner, password_field, second_factor, username};
use crate::{
    locales::{Language, accounts as say},
    server::{
        accounts::{Account, SignedIn},
        audit::{Act, Place as LogPlace},
        http::Line,
        lease::{About, Closed, Holder, Taken},
        pages,
        pages::{
            form::{Field, Sent, alert, danger, form},
            html::{Html, html, within},
            plain::{Instead, page},
        },
        problem::Problem,
        quota::Payer,
        rooms::{Put, Said, Walk},
        services::{Entry, Services},
        store::StoreError,
        visitors::Visitor,
        who::Who,
    },
    wire::Timestamp,
};

/// Where one goes for good.
pub(super) const HERE: &str = "/account/delete";
/// The file with one's data.
pub(super) const DATA: &str = "/account/data.jsonl";
/// How many lines of the log are read at a time.
const LINES: usize = 500;

/// What was wrong with what was typed.
#[derive(Default)]
struct Wrong {
    password: Option<String>,
    code: Option<String>,
    all: Option<String>,
}

/// `GET /account/delete`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::OK)?;
    shown(&services, &who, signed_in, StatusCode::OK, &Typed::default(), Wrong::default()).await
}

/// `POST /account/delete`
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::FORBIDDEN)?;
    let id = signed_in.person.id.as_str();
    let wrong = async |wrong| shown(&services, &who, signed_in, StatusCode::UNPROCESSABLE_ENTITY, &typed, wrong).await;
    let said = match typed.said.as_str() {
        "stays" => Said::Stays,
        "goes" => Said::Goes,
        _ => return wrong(Wrong { all: Some(say::say_what_becomes().to_owned()), ..Wrong::default() }).await,
    };
    let account = match owner::confirmed(&services, &who, signed_in, visitor, &typed.password).await? {
        Ok(account) => account,
        Err(error) => return wrong(Wrong { password: Some(error), ..Wrong::default() }).await,
    };
    if services.accounts.second_factors.is_on(id).await?
        && !second_factor::is_right(&services, &who, &account, visitor, &typed.code).await?
    {
        return wrong(Wrong { code: Some(say::wrong_code().to_owned()), ..Wrong::default() }).await;
    }
    if !services.departures.begin(id, said).await? {
        let last = say::last_administrator().to_owned();
        return wrong(Wrong { all: Some(last), ..Wrong::default() }).await;
    }
    owner::record(&services, &who, signed_in, Act::AccountDeleted).await;
    Ok(pages::sign_out(&services, &who, "/").await?)
}

async fn shown(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    status: StatusCode,
    typed: &Typed,
    wrong: Wrong,
) -> Result<Response, Instead> {
    let id = signed_in.person.id.as_str();
    let row = |room: &str, heir: Option<&str>| {
        let heir = heir.unwrap_or_else(|| say::heir_nobody());
        let goes =
            within([html!("<bdi>{}</bdi>", room), html!("<bdi>{}</bdi>", heir)], |[room, heir]| say::goes_to(room, heir));
        html!("<li><span>{}</span></li>", goes)
    };
    let heirs = services.rooms.heirs(id).await?;
    let rows: Html = heirs.iter().map(|(room, heir)| row(&room.title, heir.as_ref().map(|heir| heir.name.as_str()))).collect();
    let rooms = (!heirs.is_empty()).then(|| html!("<p>{}</p><ul class=\"rows\">{}</ul>", say::rooms_get_owner(), rows));
    let said = Field { name: "said", label: say::what_becomes(), value: &typed.said, ..Field::default() };
    let said = said.choice(&[("", say::choose()), ("stays", say::it_stays()), ("goes", say::it_goes())]);
    let name = username(signed_in.handle.as_str());
    let is_on = services.accounts.second_factors.is_on(id).await?;
    let code = is_on.then(|| second_factor::code_field(say::of_app_or_paper(), wrong.code));
    let fields = html!("{}{}{}{}", said, name, password_field(say::your_password(), wrong.password), code);
    let fetch = html!("<a href=\"{}\">{}</a>", DATA, say::fetch_your_data());
    let main = html!(
        "{}<p>{} {}</p>{}{}<p><a href=\"/account/\">{}</a></p>",
        wrong.all.as_deref().map(alert),
        say::goes_for_good(),
        within([fetch], |[fetch]| say::fetch_before(fetch)),
        rooms,
        form(HERE, fields, danger(say::delete_account())),
        say::back_to_account(),
    );
    Ok(page(status, say::delete_account(), who, &main))
}

/// `GET /account/data.jsonl`: all that is kept of somebody, a line for each thing.
pub(super) async fn data(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    Extension(line): Extension<Line>,
    who: Who,
) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::FORBIDDEN)?;
    let about = About {
        kind: "export",
        name: who.person().name.clone(),
        since: Timestamp::now().as_millis(),
        address: visitor.paying(),
        topics: 0,
    };
    let holder = Arc::new(Holding(line.clone(), about));
    let lease = services.leases.grant(&who.person().id, who.session(), &holder);
    let Entry::In(place) = services.exports.enter(visitor.subnet()) else { return Err(Problem::Exports.into()) };
    let account = owner::account(&services, &signed_in.person.id).await?;
    owner::record(&services, &who, signed_in, Act::DataExported).await;
    let name = "attachment; filename=\"confab-data.jsonl\"";
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_DISPOSITION, name)];
    let payer = Payer { account: None, address: visitor.paying() };
    let export =
        Export { services: Arc::clone(&services), account, payer, line, step: Step::Account, _kept: (place, holder, lease) };
    Ok((headers, Body::from_stream(export.chunks())).into_response())
}

/// The file is cut off when its owner's session ends.
struct Holding(Line, About);

impl Holder for Holding {
    fn about(&self) -> About {
        self.1.clone()
    }

    fn close(&self, _: Closed) {
        self.0.cut();
    }

    fn take_back(&self, taken: &Taken) {
        if *taken == Taken::Everything {
            self.0.cut();
        }
    }
}

/// What is left of a file.
struct Export<K> {
    services: Arc<Services>,
    account: Account,
    payer: Payer,
    line: Line,
    step: Step,
    _kept: K,
}

/// What comes next.
enum Step {
    Account,
    Said(Walk),
    Put(Option<Put>),
    Log(LogPlace),
    Done,
}

impl<K> Export<K> {
    fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, |mut export| async {
            let part = export.next().await.map_err(|StoreError::Unavailable(cause)| {
                debug!(%cause, "a file of somebody's data was cut off");
                io::Error::other("the file was cut off")
            })?;
            Ok(part.map(|lines| (Bytes::from(lines), export)))
        })
    }

    /// The next lines; none at the end.
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            self.services.quotas.paid(self.payer).await;
            if self.line.is_cut() {
                return Err(StoreError::Unavailable("it was taken back".into()));
            }
            let id = self.account.id.as_str();
            let (lines, next) = match &mut self.step {
                Step::Account => (self.services.lines_of(&self.account).await?, Step::Said(Walk::default())),
                Step::Said(walk) => match self.services.rooms.said_by(id, walk).await? {
                    Some((group, messages)) => {
                        let line = |stored| json!({"type": "message", "room": group.as_str(), "message": stored});
                        let lines: Vec<Json> = messages.iter().map(line).collect();
                        if lines.is_empty() {
                            continue;
                        }
                        return Ok(Some(text(&lines)));
                    }
                    None => (Vec::new(), Step::Put(None)),
                },
                Step::Put(after) => {
                    let puts = self.services.rooms.put_by(id, after.as_ref()).await?;
                    let line = |put: &Put| json!({"type": "reaction", "room": put.group.as_str(), "message": put.message.to_string(), "emoji": put.emoji});
                    let lines = puts.iter().map(line).collect();
                    let next = puts.into_iter().next_back();
                    (lines, next.map_or_else(|| Step::Log(LogPlace::newest()), |last| Step::Put(Some(last))))
                }
                Step::Log(before) => {
                    let deeds = self.services.audit.page(before, Some(id), LINES).await?;
                    let line = |deed: &crate::server::audit::Recorded| {
                        let to = deed.to.as_ref().map(|(_, name)| name);
                        json!({"type": "log", "at": deed.at, "by": deed.by_name, "act": deed.act, "to": to, "detail": deed.detail})
                    };
                    let lines = deeds.iter().map(line).collect();
                    let next = deeds.last().map(|last| LogPlace { at: last.at.as_millis(), id: last.id.clone() });
                    (lines, next.map_or(Step::Done, Step::Log))
                }
                Step::Done => return Ok(None),
            };
            self.step = next;
            if !lines.is_empty() {
                return Ok(Some(text(&lines)));
            }
        }
    }
}

fn text(lines: &[Json]) -> String {
    lines.iter().map(Json::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

impl Services {
    /// The account, the handles that it had, its devices and its rooms.
    async fn lines_of(&self, account: &Account) -> Result<Vec<Json>, StoreError> {
        let at = |millis| Timestamp::from_millis(millis);
        let has_second_factor = self.accounts.second_factors.is_on(&account.id).await?;
        let mut lines = vec![json!({
            "type": "account", "id": account.id, "handle": account.handle.as_str(), "name": account.name,
            "administrator": account.is_administrator, "second_factor": has_second_factor,
            "language": account.language.map(Language::tag), "exported": at(now()),
        })];
        for (handle, until) in self.accounts.records.former_handles(&account.id).await? {
            lines.push(json!({"type": "former_handle", "handle": handle, "kept_until": at(until)}));
        }
        for device in self.accounts.devices(&account.id).await? {
            lines.push(json!({
                "type": "session", "device": device.device, "began": at(device.created_at), "used": at(device.used_at),
            }));
        }
        lines.extend(
            self.rooms
                .memberships(&account.id)
                .await?
                .into_iter()
                .map(|(group, role)| json!({"type": "membership", "room": group.as_str(), "role": role.as_str()})),
        );
        Ok(lines)
    }
}
