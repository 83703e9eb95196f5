//! What the pages of administration have in common: the way from one to the other, tables, and what is shown once.

use axum::{http::StatusCode, response::Response};

use crate::{
    locales::{Text, manage as say},
    server::{
        pages::{
            form::{form, hidden, quiet},
            html::{Html, html},
            plain::page,
        },
        who::Who,
    },
    wire::Timestamp,
};

/// The pages, with their addresses and what they are called.
const TABS: [(&str, Text); 9] = [
    ("/manage/", say::overview),
    ("/manage/people/", say::people),
    ("/manage/rooms/", say::rooms),
    ("/manage/invitations/", say::invitations),
    ("/manage/tokens/", say::tokens),
    ("/manage/connections/", say::connections),
    ("/manage/bans/", say::bans),
    ("/manage/server/", say::server),
    ("/manage/log/", say::log),
];

/// A page below one of the tabs, for somebody who administers the server.
pub(super) fn sheet(status: StatusCode, title: &str, who: &Who, tab: &str, main: &Html) -> Response {
    let tab = |(address, name): &(&str, Text)| {
        let current = (*address == tab).then(|| html!(" aria-current=\"page\""));
        html!("<li><a href=\"{}\"{}>{}</a></li>", address, current, name())
    };
    let tabs: Html = TABS.iter().map(tab).collect();
    let main = html!(
        "<nav class=\"manage-tabs\" aria-label=\"{}\"><ul>{}</ul></nav><div class=\"manage\">{}</div>",
        say::administration(),
        tabs,
        main
    );
    page(status, title, who, &main)
}

/// A table with these columns, which scrolls by itself where it is too wide; `none` is said in the place of no rows.
pub(super) fn table(label: &str, columns: &[&str], rows: Vec<Vec<Html>>, none: &str) -> Html {
    if rows.is_empty() {
        return html!("<p>{}</p>", none);
    }
    let columns: Html = columns.iter().map(|column| html!("<th scope=\"col\">{}</th>", column)).collect();
    let row = |cells: Vec<Html>| {
        let cells: Html = cells.into_iter().map(|cell| html!("<td>{}</td>", cell)).collect();
        html!("<tr>{}</tr>", cells)
    };
    let rows: Html = rows.into_iter().map(row).collect();
    html!(
        "<div class=\"manage-scroll\" role=\"region\" aria-label=\"{}\" tabindex=\"0\"><table class=\"manage-table\"><thead><tr>{}</tr></thead>\
         <tbody>{}</tbody></table></div>",
        label,
        columns,
        rows
    )
}

/// A text of people's, on its own as to its direction.
pub(super) fn text(text: &str) -> Html {
    html!("<bdi>{}</bdi>", text)
}

/// Leads to a page by this text of people's.
pub(super) fn link(address: &str, text: &str) -> Html {
    html!("<a href=\"{}\"><bdi>{}</bdi></a>", address, text)
}

/// A form of one button, with what it sends.
pub(super) fn act(label: &str, fields: &[(&str, &str)]) -> Html {
    let fields = fields.iter().map(|(name, value)| hidden(name, value)).collect();
    form("", fields, quiet(label))
}

/// A secret that is shown this once.
pub(super) fn once(label: &str, secret: &str) -> Html {
    html!(
        "<div class=\"manage-once\" role=\"status\"><label for=\"once\">{}</label><input id=\"once\" type=\"text\" readonly value=\"{}\"></div>",
        label,
        secret
    )
}

/// A time to the minute, in UTC: these pages know no other clock.
pub(super) fn time(at: Timestamp) -> Html {
    let whole = at.to_string();
    let short = whole.get(..16).unwrap_or(&whole).replace('T', " ");
    html!("<time datetime=\"{}\">{}</time>", whole, say::utc(short))
}

/// The same of what may never have been.
pub(super) fn optional(at: Option<Timestamp>) -> Html {
    at.map_or_else(|| html!("{}", say::never()), time)
}

/// A number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut number = count as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while number >= 1024.0
        && let Some(next) = units.next()
    {
        number /= 1024.0;
        unit = Some(next);
    }
    format!("{number:.1} {}", unit.unwrap_or(&"KiB"))
}

/// Leads to the file of a list.
pub(super) fn file(list: &str) -> Html {
    html!("<p><a href=\"/manage/export/{}.csv\" download>{}</a></p>", list, say::save_as_csv())
}

/// What something is, by its name.
pub(super) fn facts(facts: &[(&str, Html)]) -> Html {
    let facts: Html = facts.iter().map(|(name, value)| html!("<dt>{}</dt><dd>{}</dd>", name, value)).collect();
    html!("<dl class=\"manage-facts\">{}</dl>", facts)
}

/// What is looked for in a list, and the button that looks.
pub(super) fn search(label: &str, find: &str) -> Html {
    html!(
        "<form class=\"manage-find\" role=\"search\"><label for=\"find\">{}</label><input id=\"find\" name=\"find\" type=\"search\" \
         maxlength=\"100\" autocomplete=\"off\" value=\"{}\"><button type=\"submit\">{}</button></form>",
        label,
        find,
        say::find()
    )
}

/// Leads to the next part of a list.
pub(super) fn next(address: &str) -> Html {
    html!("<p><a class=\"button\" rel=\"next\" href=\"{}\">{}</a></p>", address, say::next())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_written_for_people() {
        let written = [0, 1_023, 1_024, 1_536, 5 << 20, 7 << 40, 9_000 << 40].map(bytes);
        assert_eq!(written, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "7.0 TiB", "9000.0 TiB"]);
    }
}
