//! Pages without a program: forms, and why there is no other page. Their content is [`Html`].

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html as HtmlAnswer, IntoResponse, Response},
};

use super::{
    html::{Html, html},
    render::with_identity,
};
use crate::server::{
    accounts::Kind,
    assets::{BUILD, VERSION},
    banner,
    percent::percent_encode,
    problem::Problem,
    rooms::{Denied, Refusal},
    store::StoreError,
    who::Who,
};
use crate::wire::Timestamp;

/// Nothing runs on such a page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// The page with this in it, for somebody.
pub(in crate::server) fn page(status: StatusCode, title: &str, who: &Who, main: &Html) -> Response {
    let you = who.you();
    let me = match &you.handle {
        Some(_) => {
            let manage =
                (who.asker().kind == Kind::Administrator).then(|| html!("<a class=\"about\" href=\"/manage/\">Manage</a>"));
            html!("{}<a class=\"button quiet\" href=\"/account/\"><bdi>{}</bdi></a>", manage, you.name)
        }
        None => html!("<a class=\"button quiet\" href=\"/login\">Sign in</a>"),
    };
    let main = html!("<main class=\"forms\"><h1>{}</h1>{}</main>", title, main);
    let mut response = with_identity(document(status, title, &me, &main), who);
    // Addresses of such pages may have a secret in them. Who sends a form says where it comes from all the same.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

/// A page on why there is no other. It is about nobody, so it says nothing of who reads it.
pub(in crate::server) fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    notice_with(status, title, text, &html!(""))
}

/// The same, with ways on beside the one home.
fn notice_with(status: StatusCode, title: &str, text: &str, ways: &Html) -> Response {
    let all = html!("<p>{ways}<a class=\"button\" href=\"/\">See all rooms</a></p>", ways = ways);
    let main = html!("<main class=\"notice\"><h1>{}</h1><p>{}</p>{}</main>", title, text, all);
    document(status, title, &html!(""), &main)
}

/// A room that guests do not enter, and how one becomes somebody who does, and comes back to this path.
pub(in crate::server) fn not_for_guests(path: &str) -> Response {
    let next = percent_encode(path);
    let way = |to: &str, words: &str| {
        html!("<a class=\"button\" href=\"{to}?next={next}\">{words}</a> ", to = to, next = &*next, words = words)
    };
    let ways = html!("{}{}", way("/login", "Sign in"), way("/signup", "Sign up"));
    let text = "This room is not open to guests. Sign in, or make an account, and you come back here.";
    notice_with(Problem::ClosedRoom.status(), "Not for guests", text, &ways)
}

/// That guests from somebody's network are kept out for a while, and how one comes in who has an account.
pub(in crate::server) fn kept_out(until: Timestamp) -> Response {
    let problem = Problem::KeptOut(until);
    let minute = until.to_string();
    let minute = minute.get(..16).unwrap_or(&minute).replace('T', " ");
    let text = format!(
        "Guests from your network are kept out of this server until {minute} UTC, and no accounts are made from there. It may have \
         been somebody else who shares your address. Whoever has an account can sign in."
    );
    notice_with(problem.status(), "Not let in", &text, &html!("<a class=\"button\" href=\"/login\">Sign in</a> "))
}

fn document(status: StatusCode, title: &str, me: &Html, main: &Html) -> Response {
    let html = html!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title} · Confab</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/pkg/{build}/confab.css\"></head>\
         <body><div id=\"banner\" role=\"status\">{banner}</div><div id=\"app\"><header class=\"bar\"><a class=\"home\" href=\"/\"><span class=\"word\">Confab</span></a>{me}</header>\
         {main}</div><footer class=\"version\">Confab {version}</footer></body></html>",
        title = title,
        banner = Html::made(banner::html().to_string()),
        build = BUILD,
        me = me,
        main = main,
        version = VERSION,
    );
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, headers, HtmlAnswer(html.as_str().to_owned())).into_response()
}

/// A page on why something is not there, or cannot be now.
pub(in crate::server) fn refused(problem: impl Into<Problem>) -> Response {
    let problem = problem.into();
    let (title, text) = match problem {
        Problem::ReadOnly => {
            ("Read-only now", "What was said can be read, and nothing can be said or changed. Try again later.")
        }
        Problem::ClosedRoom => ("Not for guests", "This room is not open to guests."),
        Problem::Unavailable => ("Something is wrong here", "What is kept here cannot be read now. Try again in a moment."),
        // Whatever is not there.
        _ => {
            ("Nothing is here", "There is no such page. The name of a room is 1 to 64 of the letters A to Z, digits, _ and -.")
        }
    };
    notice(problem.status(), title, text)
}

/// What is answered instead of what was asked for.
pub(in crate::server) struct Instead(Box<Response>);

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Response> for Instead {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Problem> for Instead {
    fn from(problem: Problem) -> Self {
        refused(problem).into()
    }
}

impl From<StoreError> for Instead {
    fn from(cause: StoreError) -> Self {
        refused(cause).into()
    }
}

impl From<Denied> for Instead {
    fn from(denied: Denied) -> Self {
        refused(denied).into()
    }
}

impl From<Refusal> for Instead {
    fn from(refusal: Refusal) -> Self {
        refused(refusal).into()
    }
}
