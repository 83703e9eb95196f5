//! Values of settings as TOML that loads again, secrets masked: the table of keys prints with these.

use std::fmt::Display;

/// A TOML string.
pub(super) fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// A TOML array.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// An inline TOML table; its keys come quoted.
pub(super) fn table(fields: impl Iterator<Item = (impl Display, impl Display)>) -> String {
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name} = {value}")).collect();
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

/// The keys of a table with their values, each of which stands as it is after `=`.
pub(super) fn fields<const N: usize>(fields: [(&str, String); N]) -> Vec<String> {
    fields.into_iter().map(|(key, value)| format!("{key} = {value}")).collect()
}
