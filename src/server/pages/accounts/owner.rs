//! Who may do something to an account: its owner, by their session and their password.

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Redirect},
};

use super::{busy, sign_in, too_often};
use crate::{
    locales::accounts as say,
    server::{
        accounts::{Account, NotChecked, Password, SignedIn},
        audit::{Act, By, Deed},
        pages::plain::Instead,
        problem::Problem,
        services::Services,
        visitors::Visitor,
        who::Who,
    },
};

/// Who looks at their own page: somebody with an account of this server.
pub(super) fn owner(who: &Who, elsewhere: StatusCode) -> Result<&SignedIn, Instead> {
    match who {
        Who::Account(signed_in) => match signed_in.elsewhere {
            Some(by) => Err(sign_in::signed_in_elsewhere(who, signed_in, elsewhere, by).into()),
            None => Ok(signed_in),
        },
        _ => Err(Redirect::to("/login?next=/account/").into_response().into()),
    }
}

/// The account with an id; where there is none any more, there is no such address.
pub(super) async fn account(services: &Services, id: &str) -> Result<Account, Instead> {
    Ok(services.accounts.find(id).await?.ok_or(Problem::NoAddress)?)
}

/// Whether a password is the one that somebody has; what is wrong with it. Wrong ones are counted as at signing in.
pub(super) async fn is_theirs(
    services: &Services,
    who: &Who,
    account: &Account,
    visitor: Visitor,
    typed: &str,
) -> Result<Result<(), String>, Instead> {
    let shown = match Password::shown(typed.to_owned()) {
        Ok(shown) => shown,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (folded, shown) = (account.handle.folded(), (shown, account.password.as_deref()));
    match services.attempts.check(&services.passwords, &folded, visitor.subnet(), shown).await {
        Ok(checked) if checked.is_right => Ok(Ok(())),
        Ok(_) => Ok(Err(say::other_password_now().to_owned())),
        Err(NotChecked::TooMany(wait)) => Err(too_often(say::your_account(), who, say::too_many_passwords(), wait)),
        Err(NotChecked::Busy(cause)) => Err(busy(say::your_account(), who)(cause)),
    }
}

/// The account of whoever is signed in, where the password that they show is theirs; otherwise what is wrong with it.
pub(super) async fn confirmed(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    visitor: Visitor,
    typed: &str,
) -> Result<Result<Account, String>, Instead> {
    let account = account(services, &signed_in.person.id).await?;
    Ok(is_theirs(services, who, &account, visitor, typed).await?.map(|()| account))
}

/// Notes what somebody has done to their own account.
pub(super) async fn record(services: &Services, who: &Who, signed_in: &SignedIn, act: Act) {
    let deed = Deed::new(By::Person(who.person()), act).to(&signed_in.person.id, signed_in.handle.as_str());
    services.audit.record(&deed).await;
}

/// Where one comes to who has chosen a password, of which this is said.
pub(super) fn after_change(advice: Option<&str>) -> &'static str {
    if advice.is_some() { "/account/?weak=yes" } else { "/account/?done=yes" }
}
