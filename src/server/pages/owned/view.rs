//! What the pages of rooms that somebody owns look like.

use axum::{http::StatusCode, response::Response};
use leptos::prelude::*;

use super::form::{Mistake, Typed, complaint, role_name};
use crate::{
    locales::rooms as say,
    server::{
        manage::{BANS_LAST, Ban},
        pages::{
            html::{html, within},
            sheet::{Back, sheet},
        },
        rooms::{About, Brief, Invitation, Logged, Member, Posting, Record, Role, RoomKind},
        who::Who,
    },
    wire::{Group, Person, Timestamp},
};

/// For how long somebody can be muted, in minutes.
pub(super) const MUTES: [u32; 5] = [10, 60, 1_440, 10_080, 525_600];

/// How long an invitation can be good, in minutes; 0 for ever.
pub(super) const EXPIRES: [u32; 5] = [30, 1_440, 10_080, 43_200, 0];

/// How many may use it; 0 for as many as like.
pub(super) const USES: [u32; 5] = [1, 5, 25, 100, 0];

/// A choice of some words, of which one is chosen.
pub(super) fn choice(
    id: &'static str,
    label: &'static str,
    chosen: &str,
    options: Vec<(String, String)>,
) -> impl IntoView + use<> {
    let options = options.into_iter().map(|(value, words)| {
        let selected = value == chosen;
        view! { <option value=value selected=selected>{words}</option> }
    });
    let options: Vec<_> = options.collect();
    view! {
        <label for=id>{label}</label>
        <select id=id name=name_of(id)>{options}</select>
    }
}

/// What a field is called in the form: what stands after the last dash of its id.
pub(super) fn name_of(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}

pub(super) fn numbers(of: &[u32], words: fn(u32) -> String) -> Vec<(String, String)> {
    of.iter().map(|number| (number.to_string(), words(*number))).collect()
}

/// So many minutes, in the largest unit that they are a number of.
pub(in crate::server::pages) fn span(minutes: u32) -> String {
    const HOUR: u64 = 60;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    match u64::from(minutes) {
        0 => say::for_ever().to_owned(),
        minutes if minutes % YEAR == 0 => say::years(minutes / YEAR),
        minutes if minutes % DAY == 0 => say::days(minutes / DAY),
        minutes if minutes % HOUR == 0 => say::hours(minutes / HOUR),
        minutes => say::minutes(minutes),
    }
}

fn users(count: u32) -> String {
    if count == 0 { say::any_number().to_owned() } else { say::people(count.into()) }
}

pub(super) fn kinds() -> Vec<(String, String)> {
    let words = [(RoomKind::Open, say::kind_open()), (RoomKind::Closed, say::kind_closed())];
    words.into_iter().map(|(kind, words)| (kind.to_string(), words.to_owned())).collect()
}

pub(super) fn postings() -> Vec<(String, String)> {
    let words = [
        (Posting::Everybody, say::posting_everybody()),
        (Posting::Members, say::posting_members()),
        (Posting::Moderators, say::posting_moderators()),
    ];
    words.into_iter().map(|(posting, words)| (posting.to_string(), words.to_owned())).collect()
}

pub(super) fn roles(of: &[Role]) -> Vec<(String, String)> {
    of.iter().map(|role| (role.to_string(), role_name(*role).to_owned())).collect()
}

pub(super) fn form_of_room(who: &Who, mistake: Option<&Mistake>) -> Response {
    let Typed { group, title, kind, .. } = mistake.map(|mistake| mistake.sent.clone()).unwrap_or_default();
    let (invalid, described) = mistake.map(|_| ("true", "make-mistake")).unzip();
    sheet(StatusCode::OK, say::make_room(), who, Back("/".to_owned(), say::rooms()), || {
        view! {
            <form class="card" method="post" action="/rooms/new">
                <label for="make-group">{say::name_in_address()}</label>
                <input
                    id="make-group"
                    name="group"
                    required
                    maxlength="64"
                    pattern="[A-Za-z0-9_\\-]+"
                    title=say::letters()
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    value=group
                    aria-invalid=invalid
                    aria-describedby=described
                />
                <label for="make-title">{say::title_for_people()}</label>
                <input id="make-title" name="title" maxlength="80" autocomplete="off" value=title />
                {choice("make-kind", say::for_whom(), &kind, kinds())}
                {complaint(mistake)}
                <button type="submit">{say::make_the_room()}</button>
            </form>
        }
    })
}

/// What comes of a form, beside the page as it is.
pub(super) enum News {
    Mistake(Box<Mistake>),
    /// An invitation was made; its code is shown this once.
    Invited(String),
}

pub(super) fn page_of_nobodys(who: &Who, group: &Group) -> Response {
    sheet(StatusCode::OK, group.as_str(), who, Back(format!("/room/{group}/"), say::back_to_room()), || {
        view! {
            <form class="card" method="post">
                <input type="hidden" name="act" value="take_over" />
                <p>{say::nobodys()}</p>
                <button type="submit">{say::take_over()}</button>
            </form>
        }
    })
}

pub(super) fn page_of_settings(
    status: StatusCode,
    who: &Who,
    about: &About,
    (present, bans): (&[Person], &[&Ban]),
    news: Option<&News>,
) -> Response {
    let About { record, role, members, .. } = about;
    let Record { group, title, topic, brief } = record;
    let mistake = news.and_then(|news| match news {
        News::Mistake(mistake) => Some(&**mistake),
        News::Invited(_) => None,
    });
    let link = news.and_then(|news| match news {
        News::Invited(link) => Some(link.clone()),
        News::Mistake(_) => None,
    });
    let title = if title.is_empty() { others(members, who.person()) } else { title.clone() };
    let loose = mistake.filter(|mistake| !["change", "invite", "delete"].contains(&mistake.act.as_str()));
    sheet(status, &title, who, Back(format!("/room/{group}/"), say::back_to_room()), || {
        view! {
            {(!topic.is_empty()).then(|| view! { <p><bdi>{topic.clone()}</bdi></p> })}
            <p>{described(*brief, *role, about.count)}</p>
            {complaint(loose)}
            {link.map(invitation_link)}
            {about.changes.then(|| form_of_change(record, Mistake::of(mistake, "change")))}
            {about.manages.then(|| form_of_invitation(about, Mistake::of(mistake, "invite")))}
            {(brief.kind == RoomKind::Direct || about.manages).then(|| list_of_members(about, who.person()))}
            {about.manages.then(|| list_of_others(about, present))}
            {about.manages.then(|| list_of_banned(about))}
            {about.manages.then(|| list_of_addresses(bans))}
            {about.manages.then(|| list_of_log(&about.log))}
            {(role.is_some() && *role != Some(Role::Owner) && brief.kind != RoomKind::Direct).then(|| button("leave", say::leave(), None))}
            {about.changes.then(|| if brief.is_archived { button("reopen", say::reopen(), None) } else { button("archive", say::archive(), None) })}
            {about.owns.then(|| form_of_deletion(group, Mistake::of(mistake, "delete")))}
        }
    })
}

/// The others of a direct room, by their names.
pub(super) fn others(members: &[Member], you: &Person) -> String {
    let names = members.iter().filter(|member| member.person.id != you.id).map(|member| member.person.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

pub(super) fn described(brief: Brief, role: Option<Role>, count: u64) -> String {
    let you = role.map_or_else(|| say::you_are_no_member().to_owned(), |role| say::you_are(role_name(role).to_lowercase()));
    let members = say::members(count);
    let text = match brief.kind {
        RoomKind::Open => say::an_open_room(members, you),
        RoomKind::Closed => say::a_closed_room(members, you),
        RoomKind::Direct => say::a_direct_room(members, you),
    };
    if brief.is_archived { text + say::it_is_archived() } else { text }
}

/// One button that does something, to somebody perhaps.
pub(super) fn button(act: &'static str, words: &'static str, person: Option<&str>) -> impl IntoView + use<> {
    let person = person.map(|id| view! { <input type="hidden" name="person" value=id.to_owned() /> });
    view! {
        <form method="post">
            <input type="hidden" name="act" value=act />
            {person}
            <button type="submit" class="quiet">
                {words}
            </button>
        </form>
    }
}

pub(super) fn invitation_link(link: String) -> impl IntoView {
    view! {
        <div class="card" role="status">
            <label for="invitation">{say::invitation_once()}</label>
            <input id="invitation" type="text" readonly value=link />
        </div>
    }
}

pub(super) fn form_of_change(record: &Record, mistake: Option<&Mistake>) -> impl IntoView + use<> {
    let sent = mistake.map(|mistake| mistake.sent.clone());
    let (title, topic, kind, posting) = sent.map_or_else(
        || (record.title.clone(), record.topic.clone(), record.brief.kind.to_string(), record.brief.posting.to_string()),
        |sent| (sent.title, sent.topic, sent.kind, sent.posting),
    );
    let (invalid, described) = mistake.map(|_| ("true", "change-mistake")).unzip();
    view! {
        <form class="card" method="post">
            <h2>{say::the_room()}</h2>
            <input type="hidden" name="act" value="change" />
            <label for="change-title">{say::title()}</label>
            <input
                id="change-title"
                name="title"
                required
                maxlength="80"
                autocomplete="off"
                value=title
                aria-invalid=invalid
                aria-describedby=described
            />
            <label for="change-topic">{say::about()}</label>
            <input id="change-topic" name="topic" maxlength="250" autocomplete="off" value=topic aria-describedby=described />
            {choice("change-kind", say::for_whom(), &kind, kinds())}
            {choice("change-posting", say::who_may_write(), &posting, postings())}
            {complaint(mistake)}
            <button type="submit">{say::save()}</button>
        </form>
    }
}

pub(super) fn form_of_invitation(about: &About, mistake: Option<&Mistake>) -> impl IntoView + use<> {
    let sent = mistake.map(|mistake| mistake.sent.clone()).unwrap_or_default();
    let given = if about.owns { &[Role::Member, Role::ReadOnly, Role::Moderator][..] } else { &[Role::Member, Role::ReadOnly] };
    let expires = if sent.minutes.is_empty() { "10080" } else { &sent.minutes };
    let living: Vec<_> = about.invitations.iter().map(living).collect();
    view! {
        <section class="card">
            <h2>{say::invitations()}</h2>
            <form method="post">
                <input type="hidden" name="act" value="invite" />
                {choice("invite-role", say::comes_as(), &sent.role, roles(given))}
                {choice("invite-uses", say::good_for(), &sent.uses, numbers(&USES, users))}
                {choice("invite-minutes", say::and_for(), expires, numbers(&EXPIRES, span))}
                {complaint(mistake)}
                <button type="submit">{say::make_invitation()}</button>
            </form>
            <ul class="rows">{living}</ul>
        </section>
    }
}

pub(super) fn living(invitation: &Invitation) -> impl IntoView + use<> {
    let Invitation { digest, terms, by } = invitation;
    let until = terms.expires.map_or_else(|| say::for_ever().to_owned(), |at| say::until(minute(at)));
    let uses = terms.uses.map_or_else(|| say::any_number().to_owned(), |uses| say::uses_left(uses.into()));
    let name = [html!("<bdi>{}</bdi>", by.name)];
    let text = within(name, |[name]| say::invitation_by(role_name(terms.role), uses, until, name));
    view! {
        <li>
            <span inner_html=text.as_str().to_owned()></span>
            <form method="post">
                <input type="hidden" name="act" value="revoke" />
                <input type="hidden" name="invitation" value=digest.clone() />
                <button type="submit" class="quiet">
                    {say::revoke()}
                </button>
            </form>
        </li>
    }
}

/// A time to the minute, in UTC: this page knows no other clock.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

pub(super) fn list_of_members(about: &About, you: &Person) -> impl IntoView + use<> {
    let (owns, manages) = (about.owns, about.manages);
    let now = Timestamp::now();
    let rows = about.members.iter().map(|Member { person, role, muted }| {
        let is_managed = manages && person.id != you.id && *role != Role::Owner && (owns || *role != Role::Moderator);
        let id = person.id.clone();
        let muted = muted.filter(|until| *until > now);
        let note = muted.map(|until| say::muted_until(minute(until))).unwrap_or_default();
        // Two may be called alike.
        let handle = person.handle.as_ref().map(|handle| view! { " @" <bdi>{handle.clone()}</bdi> });
        let actions = is_managed.then(|| actions(&person.id, *role, owns, muted.is_some()));
        view! {
            <li>
                <span>
                    <a href=format!("/people/{id}")>
                        <bdi>{person.name.clone()}</bdi>
                    </a>
                    {handle}
                    {format!(" · {}{note}", role_name(*role))}
                </span>
                {actions}
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    let more = about.count.saturating_sub(about.members.len() as u64);
    let more = (more > 0).then(|| view! { <p>{say::and_more(more)}</p> });
    view! {
        <section class="card">
            <h2>{say::members_title()}</h2>
            <ul class="rows">{rows}</ul>
            {more}
        </section>
    }
}

/// What can be done to a member.
pub(super) fn actions(person: &str, role: Role, owns: bool, is_muted: bool) -> impl IntoView + use<> {
    let given =
        if owns { &[Role::Member, Role::ReadOnly, Role::Moderator, Role::Owner][..] } else { &[Role::Member, Role::ReadOnly] };
    let options = |of: Vec<(String, String)>, chosen: &str| {
        let options = of.into_iter().map(|(value, words)| {
            let selected = value == chosen;
            view! { <option value=value selected=selected>{words}</option> }
        });
        options.collect::<Vec<_>>()
    };
    let id = person.to_owned();
    let mute = if is_muted {
        button("unmute", say::unmute(), Some(person)).into_any()
    } else {
        view! {
            <form method="post">
                <input type="hidden" name="act" value="mute" />
                <input type="hidden" name="person" value=id.clone() />
                <select name="minutes" aria-label=say::for_how_long()>
                    {options(numbers(&MUTES, span), "60")}
                </select>
                <button type="submit" class="quiet">
                    {say::mute()}
                </button>
            </form>
        }
        .into_any()
    };
    view! {
        <details>
            <summary>{say::manage()}</summary>
            <form method="post">
                <input type="hidden" name="act" value="role" />
                <input type="hidden" name="person" value=id.clone() />
                <select name="role" aria-label=say::role()>
                    {options(roles(given), role.as_str())}
                </select>
                <button type="submit" class="quiet">
                    {say::set()}
                </button>
            </form>
            {mute}
            {button("remove", say::remove(), Some(person))}
            {button("ban", say::ban(), Some(person))}
        </details>
    }
}

/// Who is there and no member.
pub(super) fn list_of_others(about: &About, present: &[Person]) -> impl IntoView + use<> {
    let is_other = |person: &&Person| !about.members.iter().any(|member| member.person.id == person.id);
    let rows = present.iter().filter(is_other).map(|person| {
        let name = person.name.clone();
        view! {
            <li>
                <bdi>{name}</bdi>
                {button("ban", say::ban(), Some(&person.id))}
                {person.handle.is_none().then(|| ban_with_address(&person.id))}
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty())
        .then(|| view! { <section class="card"><h2>{say::here_no_members()}</h2><ul class="rows">{rows}</ul></section> })
}

/// Bans a guest, who could come again as another one, with where they come from.
fn ban_with_address(person: &str) -> impl IntoView + use<> {
    let lasts = BANS_LAST.map(|minutes| {
        view! { <option value=minutes.to_string() selected=minutes == 1_440>{span(minutes)}</option> }
    });
    view! {
        <form method="post">
            <input type="hidden" name="act" value="ban_address" />
            <input type="hidden" name="person" value=person.to_owned() />
            <select name="minutes" aria-label=say::for_how_long()>
                {lasts.to_vec()}
            </select>
            <button type="submit" class="quiet">
                {say::ban_with_address()}
            </button>
        </form>
    }
}

/// From where guests are kept out, by whom that was against: the addresses are nobody's business here.
fn list_of_addresses(bans: &[&Ban]) -> impl IntoView + use<> {
    let rows = bans.iter().map(|ban| {
        let name = [html!("<bdi>{}</bdi>", ban.note)];
        let whence = within(name, |[name]| say::where_from(name, minute(ban.ends)));
        view! {
            <li>
                <span inner_html=whence.as_str().to_owned()></span>
                <form method="post">
                    <input type="hidden" name="act" value="lift_ban" />
                    <input type="hidden" name="ban" value=ban.id.clone() />
                    <button type="submit" class="quiet">
                        {say::let_guests_in()}
                    </button>
                </form>
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty())
        .then(|| view! { <section class="card"><h2>{say::guests_kept_out()}</h2><ul class="rows">{rows}</ul></section> })
}

pub(super) fn list_of_banned(about: &About) -> impl IntoView + use<> {
    let rows = about.banned.iter().map(|person| {
        let name = person.name.clone();
        view! {
            <li>
                <bdi>{name}</bdi>
                {button("unban", say::unban(), Some(&person.id))}
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| view! { <section class="card"><h2>{say::banned()}</h2><ul class="rows">{rows}</ul></section> })
}

/// What was done, by its word in the log.
fn act_in_words(act: &str) -> &str {
    match act {
        "made" => say::log_made(),
        "changed" => say::log_changed(),
        "archived" => say::log_archived(),
        "opened again" => say::log_reopened(),
        "handed over" => say::log_handed_over(),
        "role" => say::log_role(),
        "muted" => say::log_muted(),
        "unmuted" => say::log_unmuted(),
        "removed" => say::log_removed(),
        "banned" => say::log_banned(),
        "unbanned" => say::log_unbanned(),
        "invited" => say::log_invited(),
        "revoked an invitation" => say::log_revoked(),
        "joined" => say::log_joined(),
        "left" => say::log_left(),
        "deleted a message" => say::log_message(),
        // Of a later version.
        other => other,
    }
}

/// With what it was done, as the log has it: a kind, a role, a time, a kind and who may write, or the terms of an invitation.
fn detail_in_words(detail: &str) -> String {
    let word = |word: &str| match word {
        "open" => Some(say::open()),
        "closed" => Some(say::closed()),
        "direct" => Some(say::direct()),
        "owner" => Some(say::role_owner()),
        "moderator" => Some(say::role_moderator()),
        "member" => Some(say::role_member()),
        "read_only" => Some(say::role_read_only()),
        "everybody" => Some(say::everybody()),
        "members" => Some(say::members_post()),
        "moderators" => Some(say::moderators_post()),
        _ => None,
    };
    let changed = || {
        let (kind, posting) = detail.strip_suffix(" may post")?.split_once(", ")?;
        Some(say::detail_changed(word(kind)?, word(posting)?))
    };
    let until = |text: &str| match text {
        "for ever" => Some(say::for_ever().to_owned()),
        other => other.strip_prefix("until ").map(say::until),
    };
    let invited = || {
        let mut parts = detail.splitn(3, ", ");
        let role = word(parts.next()?)?;
        let uses = match parts.next()? {
            "any number of people" => say::any_number().to_owned(),
            uses => say::people(uses.strip_suffix(" people")?.parse().ok()?),
        };
        Some(say::detail_invited(role, uses, until(parts.next()?)?))
    };
    let known = word(detail).map(str::to_owned).or_else(changed).or_else(invited).or_else(|| until(detail));
    known.unwrap_or_else(|| detail.to_owned())
}

pub(super) fn list_of_log(log: &[Logged]) -> impl IntoView + use<> {
    let rows = log.iter().map(|Logged { at, by, act, to, detail }| {
        let to = to.as_ref().map(|to| view! { " · " <bdi>{to.name.clone()}</bdi> });
        let detail = (!detail.is_empty()).then(|| say::in_brackets(detail_in_words(detail)));
        let line = within([html!("<bdi>{}</bdi>", by.name)], |[by]| say::log_line(minute(*at), by, act_in_words(act)));
        view! { <li><span><span inner_html=line.as_str().to_owned()></span>{to}{detail}</span></li> }
    });
    let rows: Vec<_> = rows.collect();
    view! {
        <details class="card">
            <summary>{say::what_was_done()}</summary>
            <ul class="rows">{rows}</ul>
        </details>
    }
}

pub(super) fn form_of_deletion(group: &Group, mistake: Option<&Mistake>) -> impl IntoView + use<> {
    let (invalid, described) = mistake.map(|_| ("true", "delete-mistake")).unzip();
    let sure = mistake.map(|mistake| mistake.sent.sure.clone()).unwrap_or_default();
    view! {
        <form class="card" method="post">
            <h2>{say::delete()}</h2>
            <input type="hidden" name="act" value="delete" />
            <label for="delete-sure">{say::delete_text(group)}</label>
            <input
                id="delete-sure"
                name="sure"
                required
                autocomplete="off"
                autocapitalize="none"
                value=sure
                aria-invalid=invalid
                aria-describedby=described
            />
            {complaint(mistake)}
            <button type="submit" class="danger">
                {say::delete_the_room()}
            </button>
        </form>
    }
}
