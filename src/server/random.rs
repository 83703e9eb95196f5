//! Names that nobody can guess.

use crate::wire::{Key, Timestamp};

/// Sixteen bytes of the system's randomness.
pub fn bits_128() -> u128 {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("randomness"); // never: it fails on no machine that has booted
    u128::from_ne_bytes(bytes)
}

/// Sixteen bytes of the system's randomness, as 32 hexadecimal digits.
pub fn hex_128() -> String {
    format!("{:032x}", bits_128())
}

/// A key for a message whose author made none.
pub fn fresh_key() -> Key {
    Key::fresh(Timestamp::now(), bits_128())
}
