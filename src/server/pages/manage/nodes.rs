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
    locales::manage as say,
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
        (say::accounts(), html!("{}", counts.accounts)),
        (say::administrators(), html!("{}", counts.administrators)),
        (say::signed_in_devices(), html!("{}", counts.sessions)),
        (say::rooms_owned(), html!("{}", owned)),
        (say::direct_rooms(), html!("{}", direct)),
        (say::people_in_rooms(), html!("{}", headcount.people)),
        (say::usable_tokens(), html!("{}", services.programs.made() + services.programs.of_settings().count())),
    ]);
    let row = |Answer { node, figures, .. }: &Answer| {
        let Figures { host, version, up_s, connections, memory_bytes, queued_bytes, groups, .. } = figures;
        let (layer, store) =
            (figures.layer.as_ref().map(say::trouble_of_layer), figures.store.as_ref().map(say::trouble_of_store));
        let troubles: Vec<_> = [layer, store].into_iter().flatten().collect();
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
            html!("{}", if troubles.is_empty() { say::well().to_owned() } else { troubles.join("; ") }),
        ]
    };
    let columns = [
        say::machine(),
        say::node(),
        say::version(),
        say::up(),
        say::connections(),
        say::messages_in(),
        say::deliveries(),
        say::memory(),
        say::waiting(),
        say::topics(),
        say::is(),
    ];
    let nodes = table(say::nodes(), &columns, seen.answers.iter().map(row).collect(), "");
    let live = if is_live {
        html!("<p>{} <a href=\"/manage/\">{}</a></p>", say::again_and_again(), say::stop_that())
    } else {
        html!(
            "<p>{} <a href=\"/manage/\">{}</a> · <a href=\"/manage/?refresh=yes\">{}</a></p>",
            say::as_of_now(),
            say::load_anew(),
            say::load_again_and_again()
        )
    };
    let main = html!("{}{}{}{}", about, silent(&seen), card(say::nodes(), nodes), live);
    let mut response = sheet(StatusCode::OK, say::administration(), &who, "/manage/", &main);
    if is_live {
        response.headers_mut().insert(header::REFRESH, AGAIN);
    }
    Ok(response)
}

/// How long something has lasted, roughly.
fn lasted(seconds: u64) -> String {
    match seconds {
        172_800.. => say::lasted_days(seconds / 86_400),
        7_200.. => say::lasted_hours(seconds / 3_600),
        120.. => say::lasted_minutes(seconds / 60),
        _ => say::lasted_seconds(seconds),
    }
}

/// An address, and the way to keep it out.
fn from(address: &str, name: &str) -> Html {
    let ban = format!("{}?address={}&note={}", bans::TAB, percent_encode(address), percent_encode(name));
    html!("{} <a href=\"{}\">{}</a>", address, ban, say::ban())
}

/// The nodes that have not answered.
fn silent(Seen { silent, .. }: &Seen) -> Option<Html> {
    (!silent.is_empty()).then(|| alert(&say::silent(silent.join(", "))))
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
                shown.address.as_deref().map_or_else(|| html!("{}", say::this_machine()), |address| from(address, &shown.name)),
                one(
                    say::close(),
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
        let columns = [say::who(), say::by(), say::topics(), say::since(), say::from(), ""];
        let label = say::connections_of(node);
        let shown = table(&label, &columns, open.iter().map(row).collect(), say::nothing_open());
        let rest = (*count > open.len()).then(|| html!("<p>{}</p>", say::and_more(count - open.len())));
        card(&format!("{} · {node}", figures.host), html!("{}{}", shown, rest))
    };
    let nodes: Html = seen.answers.iter().map(node).collect();
    let whose = of.map(|of| {
        html!(
            "<p>{} <a href=\"/manage/people/{}\">{}</a>{} · <a href=\"{}\">{}</a></p>",
            say::of_one_person(),
            of,
            say::their_page(),
            say::if_account(),
            CONNECTIONS,
            say::of_all()
        )
    });
    sheet(StatusCode::OK, say::connections(), &who, CONNECTIONS, &html!("{}{}{}", whose, silent(&seen), nodes))
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
