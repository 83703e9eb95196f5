//! How busy each node is, and what is open on it: connections by node and person, each of which can be closed.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::Response,
};

use super::{
    Typed, back, bans,
    parts::{act as one, bytes, facts, link, sheet, table, text, time},
};
use crate::{
    server::{
        audit::{Act, By, Deed},
        lease::Shown,
        manage::{Answer, Figures, Seen},
        pages::{
            form::{Sent, alert, card},
            html::{Html, html},
            plain::Instead,
        },
        percent::percent_encode,
        services::Services,
        who::Who,
    },
    wire::Timestamp,
};

const CONNECTIONS: &str = "/manage/connections/";
/// How often a page is loaded anew that is to be, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// `GET /manage/`: how much there is, and how busy each node is; with `?refresh=yes` again and again.
pub(super) async fn overview(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let is_live = !Typed::asked(&uri).refresh.is_empty();
    let counts = services.people.counts().await?;
    let (owned, direct) = services.rooms.counts();
    let seen = services.nodes.ask(None).await;
    let headcount = services.presence.headcount();
    let about = facts(&[
        ("Accounts", html!("{}", counts.accounts)),
        ("Administrators", html!("{}", counts.administrators)),
        ("Signed-in devices", html!("{}", counts.sessions)),
        ("Rooms that somebody owns", html!("{}", owned)),
        ("Direct rooms", html!("{}", direct)),
        ("People in rooms now", html!("{}", headcount.people)),
        ("Tokens that can be used", html!("{}", services.programs.made() + services.programs.of_settings().count())),
    ]);
    let row = |Answer { node, figures, .. }: &Answer| {
        let Figures { host, version, up_s, connections, memory_bytes, queued_bytes, groups, .. } = figures;
        let trouble = |of: &str, trouble: &Option<String>| trouble.as_ref().map(|trouble| format!("{of}: {trouble}"));
        let troubles: Vec<_> =
            [trouble("layer", &figures.layer), trouble("store", &figures.store)].into_iter().flatten().collect();
        vec![
            text(host),
            html!("<code>{}</code>", node),
            html!("{}", version),
            html!("{}", lasted(*up_s)),
            html!("{}", connections),
            html!("{}", format!("{:.1}", figures.messages_per_s)),
            html!("{}", format!("{:.1}", figures.deliveries_per_s)),
            html!("{}", bytes(*memory_bytes)),
            html!("{}", bytes(*queued_bytes)),
            html!("{}", groups),
            html!("{}", if troubles.is_empty() { "well".to_owned() } else { troubles.join("; ") }),
        ]
    };
    let columns = [
        "Machine",
        "Node",
        "Version",
        "Up",
        "Connections",
        "Messages/s in",
        "Deliveries/s",
        "Memory",
        "Waiting",
        "Topics",
        "Is",
    ];
    let nodes = table("Nodes", &columns, seen.answers.iter().map(row).collect(), "");
    let live = if is_live {
        html!("<p>This page is loaded anew every five seconds. <a href=\"/manage/\">Stop that</a></p>")
    } else {
        html!("<p>As of now. <a href=\"/manage/\">Load anew</a> · <a href=\"/manage/?refresh=yes\">again and again</a></p>")
    };
    let main = html!("{}{}{}{}", about, silent(&seen), card("Nodes", nodes), live);
    let mut response = sheet(StatusCode::OK, "Administration", &who, "/manage/", &main);
    if is_live {
        response.headers_mut().insert(header::REFRESH, AGAIN);
    }
    Ok(response)
}

/// How long something has lasted, roughly.
fn lasted(seconds: u64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} h", seconds / 3_600),
        120.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// An address, and the way to keep it out.
fn from(address: &str, name: &str) -> Html {
    let ban = format!("{}?address={}&note={}", bans::TAB, percent_encode(address), percent_encode(name));
    html!("{} <a href=\"{}\">Ban</a>", address, ban)
}

/// The nodes that have not answered.
fn silent(Seen { silent, .. }: &Seen) -> Option<Html> {
    (!silent.is_empty()).then(|| alert(&format!("these nodes did not answer within a second: {}", silent.join(", "))))
}

/// `GET /manage/connections/`: what is open on each node; with `?of=ID` what is of one person.
pub(super) async fn connections(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Response {
    let asked = Typed::asked(&uri);
    let of = Some(asked.of.trim()).filter(|of| !of.is_empty());
    let seen = services.nodes.ask(of).await;
    let node = |Answer { node, figures, open, count }: &Answer| {
        let row = |shown: &Shown| {
            let number = shown.number.to_string();
            vec![
                link(&format!("{CONNECTIONS}?of={}", percent_encode(&shown.person)), &shown.name),
                html!("{}", shown.kind),
                html!("{}", shown.topics),
                time(Timestamp::from_millis(shown.since)),
                shown.address.as_deref().map_or_else(|| html!("this machine"), |address| from(address, &shown.name)),
                one(
                    "Close",
                    &[
                        ("node", node),
                        ("number", &number),
                        ("id", &shown.person),
                        ("name", &shown.name),
                        ("of", of.unwrap_or_default()),
                    ],
                ),
            ]
        };
        let columns = ["Who", "By", "Topics", "Since", "From", ""];
        let label = format!("Connections of {node}");
        let shown = table(&label, &columns, open.iter().map(row).collect(), "Nothing is open there.");
        let rest = (*count > open.len())
            .then(|| html!("<p>and {} more; those of one person are shown by their name</p>", count - open.len()));
        card(&format!("{} · {node}", figures.host), html!("{}{}", shown, rest))
    };
    let nodes: Html = seen.answers.iter().map(node).collect();
    let whose = of.map(|of| {
        html!(
            "<p>Of one person. <a href=\"/manage/people/{}\">Their page</a>, if they have an account · <a href=\"{}\">Of all</a></p>",
            of,
            CONNECTIONS
        )
    });
    sheet(StatusCode::OK, "Connections", &who, CONNECTIONS, &html!("{}{}{}", whose, silent(&seen), nodes))
}

/// `POST /manage/connections/`: closes one.
pub(super) async fn close(State(services): State<Arc<Services>>, who: Who, Sent(typed): Sent<Typed>) -> Response {
    if let Ok(number) = typed.number.parse()
        && services.nodes.close(&typed.node, number).await
    {
        let deed = Deed::new(By::Person(who.person()), Act::ConnectionClosed).to(&typed.id, &typed.name);
        services.audit.record(&deed.detail(format!("on {}", typed.node))).await;
    }
    let of = typed.of.trim();
    back(&if of.is_empty() { CONNECTIONS.to_owned() } else { format!("{CONNECTIONS}?of={}", percent_encode(of)) })
}
