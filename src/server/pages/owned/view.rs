//! What the pages of rooms that somebody owns look like.

use axum::{http::StatusCode, response::Response};
use leptos::prelude::*;

use super::form::{Mistake, Typed, complaint, role_name};
use crate::{
    server::{
        manage::{BANS_LAST, Ban},
        pages::sheet::{Back, sheet},
        rooms::{About, Brief, Invitation, Logged, Member, Posting, Record, Role, RoomKind},
        who::Who,
    },
    wire::{Group, Person, Timestamp},
};

/// For how long somebody can be muted, in minutes.
pub(super) const MUTES: [(u32, &str); 5] =
    [(10, "10 minutes"), (60, "1 hour"), (1_440, "1 day"), (10_080, "7 days"), (525_600, "1 year")];

/// How long an invitation can be good, in minutes; 0 for ever.
pub(super) const EXPIRES: [(u32, &str); 5] =
    [(30, "30 minutes"), (1_440, "1 day"), (10_080, "7 days"), (43_200, "30 days"), (0, "for ever")];

/// How many may use it; 0 for as many as like.
pub(super) const USES: [(u32, &str); 5] =
    [(1, "1 person"), (5, "5 people"), (25, "25 people"), (100, "100 people"), (0, "any number of people")];

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

pub(super) fn numbers(of: &[(u32, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(number, words)| (number.to_string(), (*words).to_owned())).collect()
}

pub(super) fn kinds() -> Vec<(String, String)> {
    let words = [
        (RoomKind::Open, "Open: everybody who may enter such rooms here"),
        (RoomKind::Closed, "Closed: only those who are invited"),
    ];
    words.into_iter().map(|(kind, words)| (kind.to_string(), words.to_owned())).collect()
}

pub(super) fn postings() -> Vec<(String, String)> {
    let words = [
        (Posting::Everybody, "Everybody who reads it"),
        (Posting::Members, "Members"),
        (Posting::Moderators, "Moderators and the owner"),
    ];
    words.into_iter().map(|(posting, words)| (posting.to_string(), words.to_owned())).collect()
}

pub(super) fn roles(of: &[Role]) -> Vec<(String, String)> {
    of.iter().map(|role| (role.to_string(), role_name(*role).to_owned())).collect()
}

pub(super) fn form_of_room(who: &Who, mistake: Option<&Mistake>) -> Response {
    let Typed { group, title, kind, .. } = mistake.map(|mistake| mistake.sent.clone()).unwrap_or_default();
    let (invalid, described) = mistake.map(|_| ("true", "make-mistake")).unzip();
    sheet(StatusCode::OK, "Make a room", who, Back("/".to_owned(), "Rooms"), || {
        view! {
            <form class="card" method="post" action="/rooms/new">
                <label for="make-group">"Name, as it stands in addresses"</label>
                <input
                    id="make-group"
                    name="group"
                    required
                    maxlength="64"
                    pattern="[A-Za-z0-9_\\-]+"
                    title="Letters A to Z, digits, _ and -"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    value=group
                    aria-invalid=invalid
                    aria-describedby=described
                />
                <label for="make-title">"Title, as people see it"</label>
                <input id="make-title" name="title" maxlength="80" autocomplete="off" value=title />
                {choice("make-kind", "For whom it is", &kind, kinds())}
                {complaint(mistake)}
                <button type="submit">"Make the room"</button>
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
    sheet(StatusCode::OK, group.as_str(), who, Back(format!("/room/{group}/"), "Back to the room"), || {
        view! {
            <form class="card" method="post">
                <input type="hidden" name="act" value="take_over" />
                <p>"Nobody owns this room. Whoever owns it says who may write in it, and can close it."</p>
                <button type="submit">"Take it over"</button>
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
    sheet(status, &title, who, Back(format!("/room/{group}/"), "Back to the room"), || {
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
            {(role.is_some() && *role != Some(Role::Owner) && brief.kind != RoomKind::Direct).then(|| button("leave", "Leave this room", None))}
            {about.changes.then(|| if brief.is_archived { button("reopen", "Open it again", None) } else { button("archive", "Archive: nobody writes any more", None) })}
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
    let kind = match brief.kind {
        RoomKind::Open => "An open room",
        RoomKind::Closed => "A closed room",
        RoomKind::Direct => "A direct room",
    };
    let members = if count == 1 { "1 member".to_owned() } else { format!("{count} members") };
    let archived = if brief.is_archived { " It is archived: what was said can be read." } else { "" };
    let you = role.map_or_else(|| "You are no member.".to_owned(), |role| format!("You: {}.", role_name(role).to_lowercase()));
    format!("{kind} with {members}. {you}{archived}")
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
            <label for="invitation">"Whoever has this address may come in. It is shown this once:"</label>
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
            <h2>"The room"</h2>
            <input type="hidden" name="act" value="change" />
            <label for="change-title">"Title"</label>
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
            <label for="change-topic">"What it is about"</label>
            <input id="change-topic" name="topic" maxlength="250" autocomplete="off" value=topic aria-describedby=described />
            {choice("change-kind", "For whom it is", &kind, kinds())}
            {choice("change-posting", "Who may write in it", &posting, postings())}
            {complaint(mistake)}
            <button type="submit">"Save"</button>
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
            <h2>"Invitations"</h2>
            <form method="post">
                <input type="hidden" name="act" value="invite" />
                {choice("invite-role", "Who comes by it is", &sent.role, roles(given))}
                {choice("invite-uses", "It is good for", &sent.uses, numbers(&USES))}
                {choice("invite-minutes", "and for", expires, numbers(&EXPIRES))}
                {complaint(mistake)}
                <button type="submit">"Make an invitation"</button>
            </form>
            <ul class="rows">{living}</ul>
        </section>
    }
}

pub(super) fn living(invitation: &Invitation) -> impl IntoView + use<> {
    let Invitation { digest, terms, by } = invitation;
    let until = terms.expires.map_or_else(|| "for ever".to_owned(), |at| format!("until {}", minute(at)));
    let uses = terms.uses.map_or_else(|| "any number of people".to_owned(), |uses| format!("{uses} more"));
    let text = format!("{}, {uses}, {until}, by ", role_name(terms.role));
    let name = by.name.clone();
    view! {
        <li>
            <span>{text}<bdi>{name}</bdi></span>
            <form method="post">
                <input type="hidden" name="act" value="revoke" />
                <input type="hidden" name="invitation" value=digest.clone() />
                <button type="submit" class="quiet">
                    "Revoke"
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
        let note = muted.map(|until| format!(", muted until {}", minute(until))).unwrap_or_default();
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
    let more = (more > 0).then(|| view! { <p>{format!("and {more} more")}</p> });
    view! {
        <section class="card">
            <h2>"Members"</h2>
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
        button("unmute", "Let them speak", Some(person)).into_any()
    } else {
        view! {
            <form method="post">
                <input type="hidden" name="act" value="mute" />
                <input type="hidden" name="person" value=id.clone() />
                <select name="minutes" aria-label="For how long">
                    {options(numbers(&MUTES), "60")}
                </select>
                <button type="submit" class="quiet">
                    "Mute"
                </button>
            </form>
        }
        .into_any()
    };
    view! {
        <details>
            <summary>"Manage"</summary>
            <form method="post">
                <input type="hidden" name="act" value="role" />
                <input type="hidden" name="person" value=id.clone() />
                <select name="role" aria-label="Role">
                    {options(roles(given), role.as_str())}
                </select>
                <button type="submit" class="quiet">
                    "Set"
                </button>
            </form>
            {mute}
            {button("remove", "Remove", Some(person))}
            {button("ban", "Ban", Some(person))}
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
                {button("ban", "Ban", Some(&person.id))}
                {person.handle.is_none().then(|| ban_with_address(&person.id))}
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty())
        .then(|| view! { <section class="card"><h2>"Here, and no members"</h2><ul class="rows">{rows}</ul></section> })
}

/// Bans a guest, who could come again as another one, with where they come from.
fn ban_with_address(person: &str) -> impl IntoView + use<> {
    let lasts = BANS_LAST.map(|(minutes, words)| {
        view! { <option value=minutes selected=minutes == "1440">{words}</option> }
    });
    view! {
        <form method="post">
            <input type="hidden" name="act" value="ban_address" />
            <input type="hidden" name="person" value=person.to_owned() />
            <select name="minutes" aria-label="For how long">
                {lasts.to_vec()}
            </select>
            <button type="submit" class="quiet">
                "Ban with their address"
            </button>
        </form>
    }
}

/// From where guests are kept out, by whom that was against: the addresses are nobody's business here.
fn list_of_addresses(bans: &[&Ban]) -> impl IntoView + use<> {
    let rows = bans.iter().map(|ban| {
        let (name, until) = (ban.note.clone(), format!(", until {}", minute(ban.ends)));
        view! {
            <li>
                <span>
                    "Where "<bdi>{name}</bdi>" came from"{until}
                </span>
                <form method="post">
                    <input type="hidden" name="act" value="lift_ban" />
                    <input type="hidden" name="ban" value=ban.id.clone() />
                    <button type="submit" class="quiet">
                        "Let guests in again"
                    </button>
                </form>
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| view! { <section class="card"><h2>"Guests kept out"</h2><ul class="rows">{rows}</ul></section> })
}

pub(super) fn list_of_banned(about: &About) -> impl IntoView + use<> {
    let rows = about.banned.iter().map(|person| {
        let name = person.name.clone();
        view! {
            <li>
                <bdi>{name}</bdi>
                {button("unban", "Let them in again", Some(&person.id))}
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| view! { <section class="card"><h2>"Banned"</h2><ul class="rows">{rows}</ul></section> })
}

pub(super) fn list_of_log(log: &[Logged]) -> impl IntoView + use<> {
    let rows = log.iter().map(|Logged { at, by, act, to, detail }| {
        let to = to.as_ref().map(|to| view! { " · " <bdi>{to.name.clone()}</bdi> });
        let detail = (!detail.is_empty()).then(|| format!(" ({detail})"));
        view! { <li><span>{minute(*at)} " · " <bdi>{by.name.clone()}</bdi> ": " {act.clone()}{to}{detail}</span></li> }
    });
    let rows: Vec<_> = rows.collect();
    view! {
        <details class="card">
            <summary>"What was done"</summary>
            <ul class="rows">{rows}</ul>
        </details>
    }
}

pub(super) fn form_of_deletion(group: &Group, mistake: Option<&Mistake>) -> impl IntoView + use<> {
    let (invalid, described) = mistake.map(|_| ("true", "delete-mistake")).unzip();
    let sure = mistake.map(|mistake| mistake.sent.sure.clone()).unwrap_or_default();
    view! {
        <form class="card" method="post">
            <h2>"Delete"</h2>
            <input type="hidden" name="act" value="delete" />
            <label for="delete-sure">{format!("What was said goes for good, and nobody gets this name again. To do that write {group}:")}</label>
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
                "Delete the room"
            </button>
        </form>
    }
}
