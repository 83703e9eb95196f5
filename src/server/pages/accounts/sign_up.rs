//! Signing up: who may, and what makes an account of a name and a password.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use tracing::debug;

use super::{Typed, Wrong, begin, chosen, hashed, name_field, new_password_field, now, too_often};
use crate::{
    locales::{accounts as say, pages as said},
    server::{
        accounts::{Accounts, Asker, CreateError, Handle, Kind, NewAccount, Password, Token},
        pages::{
            form::{Sent, alert, button, form, hidden},
            html::{Html, html},
            own_path,
            plain::{Instead, page},
        },
        percent::percent_encode,
        problem::Problem,
        rooms::Code,
        services::Services,
        settings::SignUp,
        store::StoreError,
        visitors::{Subnet, Visitor},
        who::Who,
    },
    wire::{LONGEST_NAME, Person, PersonName},
};

/// A name and a password that were chosen.
pub(super) struct Chosen {
    pub(super) name: PersonName,
    pub(super) handle: Handle,
    password: Password,
}

impl Chosen {
    pub(super) async fn read(services: &Services, asker: (&Who, Subnet), typed: &Typed) -> Result<Self, NotMade> {
        let handle = typed.name.parse::<Handle>().map_err(|error| error.to_string());
        let name = typed.name.parse::<PersonName>().map_err(|_| said::name_of_person(LONGEST_NAME));
        let password =
            chosen(services, say::sign_up(), asker, &typed.password, &[&typed.name]).await.map_err(NotMade::Instead)?;
        let password = password.map_err(|error| error.to_string());
        match (name, handle, password) {
            (Ok(name), Ok(handle), Ok(chosen)) => Ok(Self { name, handle, password: chosen.password }),
            (name, handle, password) => {
                let (password, advice) = match password {
                    Ok(chosen) => (None, chosen.advice),
                    Err(error) => (Some(error), None),
                };
                Err(NotMade::Wrong(Wrong { name: handle.err().or(name.err()), password, advice, ..Wrong::default() }))
            }
        }
    }
}

/// The fields that [`Chosen`] is read from.
pub(super) fn fields(typed: &Typed, wrong: Wrong) -> Html {
    let name = name_field(&typed.name, say::name_hint(), wrong.name);
    html!("{}{}", name, new_password_field("password", say::password(), wrong.password, wrong.advice.as_deref()))
}

/// Why there is no account of what was chosen.
pub(super) enum NotMade {
    Wrong(Wrong),
    Instead(Instead),
}

impl NotMade {
    /// What is answered: the form, with what is wrong with it, or whatever else is said instead.
    pub(super) fn answer(self, form: impl FnOnce(Wrong) -> Response) -> Instead {
        match self {
            Self::Wrong(wrong) => form(wrong).into(),
            Self::Instead(instead) => instead,
        }
    }
}

impl From<StoreError> for NotMade {
    fn from(cause: StoreError) -> Self {
        Self::Instead(cause.into())
    }
}

/// That nobody has a handle, nor one that looks like it, nor had it of late.
pub(super) async fn is_free(services: &Services, handle: &Handle) -> Result<(), NotMade> {
    let is_free = services.accounts.records.is_free(handle, "", now()).await?;
    if is_free { Ok(()) } else { Err(NotMade::Wrong(Wrong::name(say::taken()))) }
}

/// Makes an account of what was chosen; gives whoever it is now.
pub(super) async fn make(
    services: &Services,
    (who, address): (&Who, Subnet),
    Chosen { name, handle, password }: Chosen,
    is_administrator: bool,
    invitation: Option<&Token>,
) -> Result<Person, NotMade> {
    // Before the work of a hash.
    is_free(services, &handle).await?;
    let password = Some(hashed(services, say::sign_up(), who, address, password).await.map_err(NotMade::Instead)?);
    // Whoever was a guest keeps what they wrote.
    let id = match who {
        Who::Guest(guest) if !guest.is_new => guest.person.id.clone(),
        _ => Accounts::fresh_id(),
    };
    let new = NewAccount { id, handle, name, is_administrator, password, subject: None };
    let made = match invitation {
        Some(invitation) => services.accounts.create_invited(&new, invitation).await,
        None => services.accounts.create(&new).await,
    };
    match made {
        Ok(()) => Ok(Person { handle: Some(new.handle.to_string()), ..Person::new(new.id, new.name.into_string()) }),
        Err(CreateError::Taken | CreateError::Exists) => Err(NotMade::Wrong(Wrong::name(say::taken()))),
        Err(CreateError::NotInvited) => {
            Err(NotMade::Instead(page(StatusCode::GONE, say::sign_up(), who, &alert(say::invitation_used_up())).into()))
        }
        Err(CreateError::Store(cause)) => Err(cause.into()),
    }
}

/// `GET /signup`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let asked = Typed::asked(&uri);
    let admitted = admitted(&services, &asked).await?;
    Ok(shown(&services, &who, StatusCode::OK, &asked, &admitted, Wrong::default()))
}

/// `POST /signup`: makes an account, and signs its owner in.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let admitted = admitted(&services, &typed).await?;
    let Admitted::Yes(invite) = &admitted else {
        return Ok(shown(&services, &who, StatusCode::FORBIDDEN, &typed, &admitted, Wrong::default()));
    };
    let form = |wrong| shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &typed, &admitted, wrong);
    let chosen = Chosen::read(&services, (&who, visitor.subnet()), &typed).await.map_err(|not_made| not_made.answer(form))?;
    services
        .attempts
        .sign_up(visitor.subnet())
        .map_err(|wait| too_often(say::sign_up(), &who, say::too_many_accounts(), wait))?;
    let folded = chosen.handle.folded();
    let made = make(&services, (&who, visitor.subnet()), chosen, false, invite.to_server()).await;
    let person = made.map_err(|not_made| not_made.answer(form))?;
    services.attempts.is_known(&folded, visitor.subnet());
    let mut to = own_path(&typed.next).to_owned();
    if let Invite::Room(code) = invite {
        // It was good a moment ago. Where it is not any more, the account is there all the same.
        match services.rooms.join(Asker::new(&person, Kind::Account), code).await {
            Ok(group) => to = format!("/room/{group}/"),
            Err(cause) => debug!(%cause, "an invitation was not good any more for a new account"),
        }
    }
    Ok(begin(&services, &who, &person.id, &to, &headers).await?)
}

/// Whether somebody may make an account.
enum Admitted {
    No,
    /// By this invitation, if it takes one or one was given.
    Yes(Invite),
}

/// An invitation by which somebody may make an account.
enum Invite {
    /// None, and it takes none.
    None,
    Room(Code),
    Server(Token),
}

impl Invite {
    fn to_server(&self) -> Option<&Token> {
        if let Self::Server(token) = self { Some(token) } else { None }
    }
}

async fn admitted(services: &Services, typed: &Typed) -> Result<Admitted, Problem> {
    let sign_up = services.manage.switches().sign_up;
    if sign_up == SignUp::Closed {
        return Ok(Admitted::No);
    }
    let invite = invite(services, &typed.invite).await?;
    Ok(if sign_up == SignUp::Invite && matches!(invite, Invite::None) { Admitted::No } else { Admitted::Yes(invite) })
}

/// The invitation that was given, if it is good; uses nothing.
async fn invite(services: &Services, given: &str) -> Result<Invite, Problem> {
    if let Ok(code) = given.parse::<Code>() {
        let invited = services.rooms.invited(&code).await.map_err(|_| Problem::Unavailable)?;
        return Ok(invited.map_or(Invite::None, |_| Invite::Room(code)));
    }
    match Token::read(given) {
        Some(token) if services.accounts.records.is_invited(&token, now()).await? => Ok(Invite::Server(token)),
        _ => Ok(Invite::None),
    }
}

fn shown(services: &Services, who: &Who, status: StatusCode, typed: &Typed, admitted: &Admitted, wrong: Wrong) -> Response {
    if who.signed_in().is_some() {
        let text =
            html!("<p>{}</p><p><a class=\"button\" href=\"/account/\">{}</a></p>", say::have_account(), say::your_account());
        return page(status, say::sign_up(), who, &text);
    }
    let sign_in = html!(
        "<p>{} <a href=\"/login?next={}\">{}</a></p>",
        say::have_account_question(),
        percent_encode(&typed.next),
        say::sign_in()
    );
    if let Admitted::No = admitted {
        let text = match services.manage.switches().sign_up {
            SignUp::Closed => say::made_by_administrators(),
            _ if typed.invite.is_empty() => say::takes_invitation(),
            _ => say::invitation_over(),
        };
        return page(status, say::sign_up(), who, &html!("<p>{}</p>{}", text, sign_in));
    }
    let keeps = match who {
        Who::Guest(guest) if !guest.is_new => html!("<p>{}</p>", say::guest_keeps()),
        _ => Html::default(),
    };
    let hidden = html!("{}{}", hidden("next", &typed.next), hidden("invite", &typed.invite));
    let fields = html!("{}{}", fields(typed, wrong), hidden);
    page(status, say::sign_up(), who, &html!("{}{}{}", keeps, form("/signup", fields, button(say::sign_up())), sign_in))
}
