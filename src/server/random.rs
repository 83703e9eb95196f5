//! Names that nobody can guess.

/// Sixteen bytes of the system's randomness, as 32 hexadecimal digits.
pub fn hex_128() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("randomness"); // never: it fails on no machine that has booted
    format!("{:032x}", u128::from_ne_bytes(bytes))
}
