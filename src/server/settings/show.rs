//! Values of settings as TOML that loads again, secrets masked: the table of keys prints with these.

use std::fmt::Display;

use super::{RoomEvents, RoomRule, TokenRule};

/// A TOML string.
pub(super) fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// A TOML array.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// An inline TOML table; its keys come quoted.
pub(super) fn table(fields: impl Iterator<Item = (String, impl Display)>) -> String {
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name} = {value}")).collect();
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

/// One `[[rooms]]` for each rule.
pub(super) fn rooms(rules: &[RoomRule]) -> String {
    let rule = |RoomRule { matches, history, guests, make, keep, events, protocols }: &RoomRule| {
        let RoomEvents { event_type, text_key, group } = &**events;
        let (matches, history) = (quoted(matches), quoted(history));
        let make = quoted(make);
        let (keep_messages, keep_days) = (keep.messages.unwrap_or(0), keep.days.unwrap_or(0));
        let (event_type, text_key, group) = (quoted(event_type), quoted(text_key), quoted(group));
        let protocols = list(protocols.iter().map(quoted));
        format!(
            "[[rooms]]\nmatch = {matches}\nhistory = {history}\nguests = {guests}\nmake = {make}\nkeep_messages = {keep_messages}\nkeep_days = {keep_days}\nevent_type = {event_type}\ntext_key = {text_key}\ngroup = {group}\nprotocols = {protocols}"
        )
    };
    rules.iter().map(rule).collect::<Vec<_>>().join("\n\n")
}

/// One `[[tokens]]` for each program, its token masked.
pub(super) fn tokens(rules: &[TokenRule]) -> String {
    let rule = |TokenRule { name, token, groups, channels }: &TokenRule| {
        let (name, token, groups) = (quoted(name), quoted(token), list(groups.iter().map(quoted)));
        format!("[[tokens]]\nname = {name}\ntoken = {token}\ngroups = {groups}\nchannels = {channels}")
    };
    rules.iter().map(rule).collect::<Vec<_>>().join("\n\n")
}
