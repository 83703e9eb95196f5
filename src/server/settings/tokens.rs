//! `[[tokens]]`: the programs that may push.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use super::{
    mistakes::{Invalid, Mistakes},
    patterns::Pattern,
    show::{fields, list, quoted},
    table::{Table, distinct},
    values::{Node, TEXTS},
};
use crate::wire::PersonName;

/// One `[[tokens]]`: a program that may push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRule {
    /// Who it speaks as.
    pub name: ProgramName,
    pub token: PushToken,
    /// The groups that it may send to.
    pub groups: Vec<Pattern>,
    /// Whether it may send to single channels too.
    pub channels: bool,
}

/// The name that a program speaks under: one that a guest could have, exactly as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramName(PersonName);

impl ProgramName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ProgramName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.parse().ok().filter(|name: &PersonName| name.as_str() == text);
        name.map(Self).ok_or(Invalid(
            "a name of 1 to 40 characters is needed, without spaces around it, double spaces, or characters that nobody sees",
        ))
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The token of a program, as its SHA-256: the token itself is not held and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PushToken([u8; 32]);

impl PushToken {
    /// What [`Self::is`] compares.
    pub fn digest(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    /// Whether this is the token with the digest; takes the same time whether it is or not.
    pub fn is(&self, digest: &[u8; 32]) -> bool {
        self.0.iter().zip(digest).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

impl FromStr for PushToken {
    type Err = Invalid;

    /// The letters are those of RFC 6750 section 2.1, which leaves out what `confab check` prints in the token's place.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        good.then(|| Self(Self::digest(text)))
            .ok_or(Invalid("at least 16 of A-Z a-z 0-9 - . _ ~ + / = are needed, such as `openssl rand -hex 32` prints"))
    }
}

impl fmt::Display for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushToken(***)")
    }
}

/// All programs.
pub(super) fn rules(node: &Node) -> Result<Vec<TokenRule>, Mistakes> {
    let says = |at, before| format!("tokens[{at}] has the token of tokens[{before}]: give each its own");
    distinct(node, "a list of tables, each begun with [[tokens]]", rule, |one, other| one.token == other.token, says)
}

fn rule(node: &Node) -> Result<TokenRule, Mistakes> {
    let mut table = Table::of(node, r#"a table, like { name = "cron", token = "...", groups = ["*"], channels = false }"#)?;
    let name =
        table.need("name", r#"needs a name, who the program speaks as, like name = "cron""#, |field| field.parsed(str::parse));
    let token = table.need("token", "needs a token, the secret that the program sends", |field| field.secret(str::parse));
    let patterns = table.read("groups", |field| field.list(TEXTS, |item| item.parsed(Pattern::for_rooms)));
    let groups = patterns.unwrap_or_else(|| vec![Pattern::everything()]);
    let channels = table.read("channels", Node::truth).unwrap_or(false);
    if groups.is_empty() && !channels {
        table.wrong(r#"may send nowhere: it needs groups, like groups = ["*"], or channels = true"#);
    }
    table.end(name.zip(token).map(|(name, token)| TokenRule { name, token, groups, channels }))
}

/// One `[[tokens]]` for each program, its token masked.
pub(super) fn shown(rules: &[TokenRule]) -> String {
    let rule = |TokenRule { name, token, groups, channels }: &TokenRule| {
        let fields = fields([
            ("name", quoted(name)),
            ("token", quoted(token)),
            ("groups", list(groups.iter().map(quoted))),
            ("channels", channels.to_string()),
        ]);
        format!("[[tokens]]\n{}", fields.join("\n"))
    };
    rules.iter().map(rule).collect::<Vec<_>>().join("\n\n")
}
