//! Pages without a program: forms, and why there is no other page. Their content is [`Html`].

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html as HtmlAnswer, IntoResponse, Response},
};

use super::{
    html::{Html, html},
    render::with_identity,
};
use crate::locales::{Language, here, pages as say};
use crate::server::{
    accounts::Kind,
    assets::{BUILD, VERSION},
    banner, language,
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
            let manage = (who.asker().kind == Kind::Administrator)
                .then(|| html!("<a class=\"about\" href=\"/manage/\">{}</a>", say::manage()));
            html!("{}<a class=\"button quiet\" href=\"/account/\"><bdi>{}</bdi></a>", manage, you.name)
        }
        None => html!("<a class=\"button quiet\" href=\"/login\">{}</a>", say::sign_in()),
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
    let all = html!("<p>{}<a class=\"button\" href=\"/\">{}</a></p>", ways, say::all_rooms());
    let main = html!("<main class=\"notice\"><h1>{}</h1><p>{}</p>{}</main>", title, text, all);
    document(status, title, &html!(""), &main)
}

/// A room that guests do not enter, and how one becomes somebody who does, and comes back to this path.
pub(in crate::server) fn not_for_guests(path: &str) -> Response {
    let next = percent_encode(path);
    let way = |to: &str, words: &str| {
        html!("<a class=\"button\" href=\"{to}?next={next}\">{words}</a> ", to = to, next = &*next, words = words)
    };
    let ways = html!("{}{}", way("/login", say::sign_in()), way("/signup", say::sign_up()));
    notice_with(Problem::ClosedRoom.status(), say::not_for_guests(), say::come_back(), &ways)
}

/// That guests from somebody's network are kept out for a while, and how one comes in who has an account.
pub(in crate::server) fn kept_out(until: Timestamp) -> Response {
    let problem = Problem::KeptOut(until);
    let minute = until.to_string();
    let minute = minute.get(..16).unwrap_or(&minute).replace('T', " ");
    let way = html!("<a class=\"button\" href=\"/login\">{}</a> ", say::sign_in());
    notice_with(problem.status(), say::not_let_in(), &say::kept_out(minute), &way)
}

fn document(status: StatusCode, title: &str, me: &Html, main: &Html) -> Response {
    let html = html!(
        "<!DOCTYPE html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title} · Confab</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/pkg/{build}/confab.css\"></head>\
         <body><div id=\"banner\" role=\"status\">{banner}</div><div id=\"app\"><header class=\"bar\"><a class=\"home\" href=\"/\"><span class=\"word\">Confab</span></a>{me}</header>\
         {main}</div><footer class=\"version\">{languages}Confab {version}</footer></body></html>",
        lang = here().tag(),
        title = title,
        banner = Html::made(banner::html().to_string()),
        build = BUILD,
        me = me,
        main = main,
        languages = languages(),
        version = VERSION,
    );
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, headers, HtmlAnswer(html.as_str().to_owned())).into_response()
}

/// The other languages that the page may be in, each to be chosen.
fn languages() -> Html {
    let others = Language::ALL.into_iter().filter(|language| *language != here());
    let button = |language: Language| {
        html!(
            "<button type=\"submit\" class=\"quiet\" name=\"language\" value=\"{}\" lang=\"{}\">{}</button>",
            language.tag(),
            language.tag(),
            language.own_name()
        )
    };
    html!(
        "<form class=\"languages\" method=\"post\" action=\"/language\" aria-label=\"{}\">\
         <input type=\"hidden\" name=\"next\" value=\"{}\">{}</form>",
        say::language(),
        language::page().as_str(),
        others.map(button).collect::<Html>()
    )
}

/// A page on why something is not there, or cannot be now.
pub(in crate::server) fn refused(problem: impl Into<Problem>) -> Response {
    let problem = problem.into();
    let (title, text) = match problem {
        Problem::ReadOnly => (say::read_only(), say::read_only_text()),
        Problem::ClosedRoom => (say::not_for_guests(), say::room_not_for_guests()),
        Problem::Unavailable => (say::something_wrong(), say::unavailable()),
        // Whatever is not there.
        _ => (say::nothing_here(), say::no_page()),
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
