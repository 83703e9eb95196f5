//! Epochs of streams that may not have begun yet.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use sha2::{Digest, Sha256};

use crate::wire::{Epoch, Group};

/// From it and a room's name follows the room's epoch. So somebody who comes to an empty room gets a position that holds when
/// the first message arrives, and visiting names leaves nothing behind in the store.
#[derive(Clone, Debug)]
pub(in crate::server::store) struct EpochSeed(Vec<u8>);

/// Twelve characters of 36 are 62 bits: a million rooms share none of their epochs, but for a chance of one in ten million.
const LENGTH: usize = 12;
const ALPHABET: [u8; 36] = *b"0123456789abcdefghijklmnopqrstuvwxyz";

impl EpochSeed {
    pub(in crate::server::store) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(in crate::server::store) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A seed that no other one equals. It is no secret, so the standard library's source of random numbers will do.
    pub(in crate::server::store) fn random() -> Self {
        let number = || RandomState::new().build_hasher().finish().to_le_bytes();
        Self([number(), number()].concat())
    }

    /// The epoch of the room's stream.
    pub(in crate::server::store) fn epoch_of(&self, group: &Group) -> Epoch {
        let digest = Sha256::new().chain_update(&self.0).chain_update(group.as_str()).finalize();
        let mut rest = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let text: String = (0..LENGTH)
            .map(|_| {
                let digit = rest % 36;
                rest /= 36;
                char::from(ALPHABET[digit as usize])
            })
            .collect();
        text.parse().expect("an epoch") // never: twelve letters and digits are an epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Group {
        name.parse().expect("a group name")
    }

    #[test]
    fn an_epoch_depends_on_the_seed_and_the_name_alone() {
        let (one, other) = (EpochSeed::random(), EpochSeed::random());
        assert_eq!(one.epoch_of(&group("a")), one.clone().epoch_of(&group("a")));
        assert_ne!(one.epoch_of(&group("a")), one.epoch_of(&group("b")));
        assert_ne!(one.epoch_of(&group("a")), other.epoch_of(&group("a")));
    }

    #[test]
    fn an_epoch_is_twelve_lower_case_letters_and_digits() {
        let epoch = EpochSeed::from_bytes(vec![7; 16]).epoch_of(&group("lobby"));
        assert_eq!(epoch.as_str().len(), LENGTH);
        assert!(epoch.as_str().bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{epoch}");
    }
}
