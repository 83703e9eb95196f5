//! The codes by which people come into a room.

use std::{fmt::Write as _, str::FromStr};

use sha2::{Digest as _, Sha256};

use super::record::{Record, Role};
use crate::{
    server::random,
    wire::{InvalidName, Person, Timestamp},
};

/// What stands in the address of an invitation. Whoever has it may come in.
#[derive(Clone)]
pub struct Code(String);

impl Code {
    pub fn fresh() -> Self {
        Self(random::hex_128())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept of it: it does not lead back.
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(&self.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a text takes whatever is written
    }
    text
}

impl FromStr for Code {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_code = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_code { Ok(Self(text.to_owned())) } else { Err(InvalidName("an invitation is 32 hexadecimal digits")) }
    }
}

/// What an invitation is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What who comes by it is in the room.
    pub role: Role,
    /// Until when; never over where there is none.
    pub expires: Option<Timestamp>,
    /// How many may come by it; as many as like where there is none.
    pub uses: Option<u32>,
}

/// An invitation that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its name in the settings of the room, which is of no use to come in.
    pub digest: String,
    pub terms: Terms,
    pub by: Person,
}

/// What an invitation leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    pub room: Record,
    pub invitation: Invitation,
    /// How many members the room has.
    pub members: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_and_its_digest_is_another() {
        let code = Code::fresh();
        assert_eq!(code.as_str().parse::<Code>().map(|read| read.digest()), Ok(code.digest()));
        assert!(!code.digest().contains(code.as_str()) && code.digest().len() == 64);
        for bad in
            ["", "0123456789abcdef0123456789abcde", "0123456789ABCDEF0123456789ABCDEF", "../../../../../../../../../../.."]
        {
            assert!(bad.parse::<Code>().is_err(), "{bad:?}");
        }
    }
}
