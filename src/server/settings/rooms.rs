//! `[[rooms]]`: the rules of the rooms.

use std::sync::Arc;

use super::{
    mistakes::{Mistake, Mistakes},
    patterns::Pattern,
    room_events::{GroupTemplate, RoomEvents, collision},
    show::{fields, list, quoted},
    table::Table,
    values::{Node, TEXTS},
    web::SubProtocol,
    words::{History, Makes},
};

/// One `[[rooms]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRule {
    /// `match` in the file: which room names the rule is for.
    pub matches: Pattern,
    pub history: History,
    /// Whether people who are not signed in may enter.
    pub guests: bool,
    /// Who makes such rooms, and owns them.
    pub make: Makes,
    /// `keep_messages` and `keep_days` in the file.
    pub keep: Keep,
    /// `event_type`, `text_key` and `group` in the file.
    pub events: Arc<RoomEvents>,
    /// The sub-protocols that plain clients may offer: one of them is taken up.
    pub protocols: Vec<SubProtocol>,
}

/// The rule without `[[rooms]]`, and what a rule has that says nothing more than `match = "*"`.
impl Default for RoomRule {
    fn default() -> Self {
        Self {
            matches: Pattern::everything(),
            history: History::Store,
            guests: true,
            make: Makes::Accounts,
            keep: Keep::default(),
            events: Arc::default(),
            protocols: Vec::new(),
        }
    }
}

/// How much of a room's history is kept; without bounds all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest messages.
    pub messages: Option<u64>,
    /// Messages for so many days.
    pub days: Option<u32>,
}

impl Keep {
    /// Whether anything is ever dropped.
    pub fn is_bounded(self) -> bool {
        self != Self::default()
    }
}

/// The largest bounds that make sense: more than any room has,
const MOST_KEPT: u64 = 1_000_000_000_000;
/// and a thousand years.
const MOST_DAYS: u64 = 365_250;

/// All rules, of which at least one has to be there.
pub(super) fn rules(node: &Node) -> Result<Vec<RoomRule>, Mistakes> {
    let rules = node.list("a list of tables, each begun with [[rooms]]", |item| Ok((item.place.clone(), rule(item)?)))?;
    let rules = node.at_least_one(rules)?;
    if let Some(all) = rules.iter().position(|(_, rule)| rule.matches.matches_everything())
        && all + 1 < rules.len()
    {
        let says = format!("rooms[{all}] matches every room, so the rules after it are never used: put it last");
        return Err(Mistake { place: rules[all].0.clone(), says }.into());
    }
    let (places, rules): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
    let carried: Vec<_> = rules.iter().map(|rule| (&rule.matches, &rule.events.group)).collect();
    if let Some((one, other)) = collision(&carried) {
        let says = format!(
            "rooms[{other}] may give a room the group of another room, of rooms[{one}], and each would hear the other: give both the same group, or one of them a dot, which no room's name has"
        );
        return Err(Mistake { place: places[other].clone(), says }.into());
    }
    Ok(rules)
}

fn rule(node: &Node) -> Result<RoomRule, Mistakes> {
    let RoomRule { history, guests, make, .. } = RoomRule::default();
    let mut table = Table::of(node, r#"a table, like { match = "*", history = "store", guests = true }"#)?;
    let matches = table.need("match", r#"needs a match, the pattern of the rooms it is for, like match = "*""#, |field| {
        field.parsed(Pattern::for_rooms)
    });
    let history = table.read("history", |field| field.parsed(str::parse)).unwrap_or(history);
    let guests = table.read("guests", Node::truth).unwrap_or(guests);
    let make = table.read("make", |field| field.parsed(str::parse)).unwrap_or(make);
    let keep = Keep {
        messages: table.read("keep_messages", |field| field.limit(MOST_KEPT)).filter(|most| *most > 0),
        days: table.read("keep_days", |field| field.limit(MOST_DAYS)).filter(|days| *days > 0),
    };
    let events = RoomEvents {
        event_type: table.read("event_type", |field| field.parsed(str::parse)).unwrap_or_default(),
        text_key: table.read("text_key", |field| field.parsed(str::parse)).unwrap_or_default(),
        group: table
            .read("group", |field| match &matches {
                Some(matches) => field.parsed(|text| GroupTemplate::new(text, matches)),
                // What it may be depends on the pattern.
                None => Ok(GroupTemplate::default()),
            })
            .unwrap_or_default(),
    };
    let protocols = table.read("protocols", |field| field.list(TEXTS, |item| item.parsed(str::parse))).unwrap_or_default();
    let rule = |matches| RoomRule { matches, history, guests, make, keep, events: Arc::new(events), protocols };
    table.end(matches.map(rule))
}

/// One `[[rooms]]` for each rule.
pub(super) fn shown(rules: &[RoomRule]) -> String {
    let rule = |RoomRule { matches, history, guests, make, keep, events, protocols }: &RoomRule| {
        let fields = fields([
            ("match", quoted(matches)),
            ("history", quoted(history)),
            ("guests", guests.to_string()),
            ("make", quoted(make)),
            ("keep_messages", keep.messages.unwrap_or(0).to_string()),
            ("keep_days", keep.days.unwrap_or(0).to_string()),
            ("event_type", quoted(&events.event_type)),
            ("text_key", quoted(&events.text_key)),
            ("group", quoted(&events.group)),
            ("protocols", list(protocols.iter().map(quoted))),
        ]);
        format!("[[rooms]]\n{}", fields.join("\n"))
    };
    rules.iter().map(rule).collect::<Vec<_>>().join("\n\n")
}
