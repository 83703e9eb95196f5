//! Who somebody is, and the way to a room with them alone.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use leptos::prelude::*;

use super::form::{Mistake, Typed, complaint, sign_in, status, to_room};
use crate::{
    locales::rooms as say,
    server::{
        accounts::{Account, Handle},
        pages::{
            form::Sent,
            plain::Instead,
            sheet::{Back, sheet},
        },
        problem::Problem,
        rooms::{DIRECT, NotDone},
        services::Services,
        store::StoreError,
        who::Who,
    },
    wire::Person,
};

/// The account that an address names: by its id, or by its handle after an @.
async fn account(services: &Services, named: &str) -> Result<Option<Account>, StoreError> {
    let records = &services.accounts.records;
    let found = match named.strip_prefix('@') {
        Some(handle) => match handle.parse::<Handle>() {
            Ok(handle) => records.by_handle(&handle).await?,
            Err(_) => None,
        },
        None => records.by_id(named).await?,
    };
    Ok(found.filter(|account| !account.is_deactivated))
}

/// `GET /people/{account}`: who that is.
pub(in crate::server) async fn person(
    State(services): State<Arc<Services>>,
    who: Who,
    named: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Instead> {
    let named = named.map(|Path(named)| named).unwrap_or_default();
    if who.signed_in().is_none() {
        return Ok(sign_in(uri.path()));
    }
    let account = account(&services, &named).await?.ok_or(Problem::NoAddress)?;
    Ok(page_of(StatusCode::OK, &who, &account, None))
}

/// `POST /people/{account}/direct`: opens the direct room with them, and with whom `with` names beside.
pub(in crate::server) async fn open_direct(
    State(services): State<Arc<Services>>,
    who: Who,
    named: Result<Path<String>, PathRejection>,
    Sent(sent): Sent<Typed>,
) -> Result<Response, Instead> {
    let named = named.map(|Path(named)| named).unwrap_or_default();
    if who.signed_in().is_none() {
        return Ok(sign_in(&format!("/people/{named}")));
    }
    let them = account(&services, &named).await?.ok_or(Problem::NoAddress)?;
    let opened = async {
        let mut others = vec![person_of(&them)];
        for named in sent.with.split([',', ' ']).filter(|named| !named.is_empty()).take(*DIRECT.end()) {
            let named = if named.starts_with('@') { named.to_owned() } else { format!("@{named}") };
            let account = account(&services, &named).await?.ok_or(NotDone::Wrong(say::nobody_of_handles()))?;
            others.push(person_of(&account));
        }
        services.rooms.direct(who.asker(), &others).await
    };
    match opened.await {
        Ok(group) => Ok(to_room(&group).into_response()),
        Err(not_done) => {
            let mistake = Mistake { act: "direct".to_owned(), text: not_done.to_string(), sent };
            Ok(page_of(status(&not_done), &who, &them, Some(&mistake)))
        }
    }
}

fn person_of(account: &Account) -> Person {
    Person::new(account.id.clone(), account.name.clone())
}

fn page_of(status: StatusCode, who: &Who, account: &Account, mistake: Option<&Mistake>) -> Response {
    let is_you = account.id == who.person().id;
    let (invalid, described) = mistake.map(|_| ("true", "direct-mistake")).unzip();
    let with = mistake.map(|mistake| mistake.sent.with.clone()).unwrap_or_default();
    sheet(status, &account.name, who, Back("/".to_owned(), say::rooms()), || {
        let way = if is_you {
            view! {
                <p>{say::that_is_you()}</p>
                {complaint(mistake)}
            }
            .into_any()
        } else {
            view! {
                <form class="card" method="post" action=format!("/people/{}/direct", account.id)>
                    <label for="direct-with">{say::who_else()}</label>
                    <input
                        id="direct-with"
                        name="with"
                        maxlength="400"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        placeholder=say::handles_example()
                        value=with
                        aria-invalid=invalid
                        aria-describedby=described
                    />
                    {complaint(mistake)}
                    <button type="submit">{say::talk_directly()}</button>
                </form>
            }
            .into_any()
        };
        view! {
            <p>"@" <bdi>{account.handle.to_string()}</bdi></p>
            {way}
        }
    })
}
