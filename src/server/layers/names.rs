//! The names of channels and groups: what they may be, and how fresh ones are made.
//!
//! The rules are those of Channels, whose limit is 99 characters although its specification says 100. Its regular
//! expressions also let some other digits and a final line feed pass; those are refused here, for no program makes them.

use std::fmt::Write as _;

use super::LayerError;
pub use crate::wire::InvalidName;
use crate::wire::checked_text;

/// In characters, which are bytes: names are ASCII.
const LONGEST: usize = 99;

fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_group(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && is_plain(text)
}

fn is_channel(text: &str) -> bool {
    let (process, local) = text.split_once('!').unwrap_or((text, ""));
    text.len() <= LONGEST && !process.is_empty() && is_plain(process) && is_plain(local)
}

checked_text!(
    /// The name of a group of channels: `[A-Za-z0-9._-]{1,99}`.
    GroupName,
    is_group(),
    "a group of channels has a name of 1 to 99 of A-Z a-z 0-9 - _ ."
);

checked_text!(
    /// The name of a channel: 1 to 99 of `A-Z a-z 0-9 - _ .`, with at most one `!` that is not the first.
    ///
    /// With a `!` the channel is process-specific: the part [before](Self::non_local) it says which process reads it, the
    /// part [after](Self::local) it is that process's own business.
    Channel,
    is_channel(),
    "a channel has a name of 1 to 99 of A-Z a-z 0-9 - _ . with at most one ! that is not the first"
);

impl Channel {
    /// The part up to and including the `!`, or the whole name. A mailbox, and its capacity, is for this part.
    pub fn non_local(&self) -> &str {
        self.0.find('!').map_or(&*self.0, |at| &self.0[..=at])
    }

    /// The part after the `!`; none without a `!`.
    pub fn local(&self) -> Option<&str> {
        self.0.split_once('!').map(|(_, local)| local)
    }

    /// The channel of the same process with another part after the `!`.
    ///
    /// # Errors
    /// If this channel has no `!`, or `local` is too long or has a character that is not allowed.
    pub fn with_local(&self, local: &str) -> Result<Self, InvalidName> {
        if self.local().is_none() {
            return Err(InvalidName("only a channel with a ! in its name has virtual channels"));
        }
        [self.non_local(), local].concat().parse()
    }
}

/// The id by which the channels of one layer are told from those of other processes.
pub(super) struct ClientId(String);

impl ClientId {
    pub(super) fn draw() -> Result<Self, LayerError> {
        Ok(Self(random_id()?))
    }

    /// See [`ChannelLayer::new_channel`](super::ChannelLayer::new_channel).
    pub(super) fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
        Ok(format!("{prefix}.{}!{}", self.0, random_id()?).parse()?)
    }

    /// The glob for all channels of this process.
    pub(super) fn pattern(&self) -> String {
        format!("*.{}!*", self.0)
    }

    /// Whether this process reads `channel`: anybody reads one without `!`.
    pub(super) fn may_read(&self, channel: &Channel) -> bool {
        channel.0.split_once('!').is_none_or(|(process, _)| process.ends_with(&self.0))
    }
}

/// A fresh name for an attached sink: `{prefix}.{id}!`.
pub(super) fn new_process_name(prefix: &str) -> Result<Channel, LayerError> {
    Ok(format!("{prefix}.{}!", random_id()?).parse()?)
}

/// 128 bits as 32 hexadecimal digits. From the system, not from a generator that somebody may have seeded: who guesses a
/// name can write to the channel.
fn random_id() -> Result<String, LayerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| LayerError::Unavailable(error.into()))?;
    let mut id = String::with_capacity(32);
    for byte in bytes {
        write!(id, "{byte:02x}").expect("a String takes what is written"); // never: writing to a String cannot fail
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIFIC: &str = "specific.0123456789abcdef0123456789abcdef!fedcba9876543210fedcba9876543210";

    #[test]
    fn channels_and_groups_have_the_names_that_channels_allows() {
        let (longest, too_long) = ("a".repeat(99), "a".repeat(100));
        for (name, channel, group) in [
            ("chat", true, true),
            ("a.b-c_9", true, true),
            (&longest, true, true),
            ("a!b", true, false),
            ("a!", true, false),
            (SPECIFIC, true, false),
            (&too_long, false, false),
            ("", false, false),
            ("a!b!c", false, false),
            ("!", false, false),
            ("!b", false, false),
            ("a b", false, false),
            ("a:b", false, false),
            ("a/b", false, false),
            ("a?b", false, false),
            ("=+135!", false, false),
            ("\u{e9}", false, false),
            ("\u{663}", false, false),
            ("a!\u{e9}", false, false),
            ("chat\n", false, false),
        ] {
            assert_eq!(name.parse::<Channel>().map(|c| c.to_string()).ok(), channel.then(|| name.to_owned()), "{name:?}");
            assert_eq!(name.parse::<GroupName>().map(|g| g.to_string()).ok(), group.then(|| name.to_owned()), "{name:?}");
        }
    }

    #[test]
    fn the_exclamation_mark_parts_a_name() {
        for (name, non_local, local) in [("a!b", "a!", Some("b")), ("a!", "a!", Some("")), ("a", "a", None)] {
            let channel: Channel = name.parse().unwrap();
            assert_eq!((channel.non_local(), channel.local()), (non_local, local));
        }
    }

    #[test]
    fn virtual_channels_are_made_behind_the_exclamation_mark() {
        let name: Channel = "a!".parse().unwrap();
        assert_eq!(name.with_local("g17").unwrap().as_str(), "a!g17");
        assert_eq!(name.with_local("g17").unwrap().with_local("x").unwrap().as_str(), "a!x");
        for bad in ["!", "x!", "x y", &"x".repeat(98)] {
            assert!(name.with_local(bad).is_err(), "{bad:?}");
        }
        assert!("a".parse::<Channel>().unwrap().with_local("x").is_err());
    }

    #[test]
    fn a_client_reads_its_own_channels_and_shared_ones() {
        let client = ClientId::draw().unwrap();
        assert!(client.may_read(&client.new_channel("specific").unwrap()));
        assert!(client.may_read(&"shared".parse().unwrap()));
        assert!(!client.may_read(&SPECIFIC.parse().unwrap()));
        assert!(!client.may_read(&ClientId::draw().unwrap().new_channel("specific").unwrap()));
        assert!(!client.may_read(&"not-client-prefix!local_part".parse().unwrap()));
    }
}
