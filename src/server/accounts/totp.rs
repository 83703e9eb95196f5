//! Codes of authenticator apps (RFC 6238): six digits of an HMAC-SHA-1 over the number of the half minute, as all such apps have them.

use data_encoding::BASE32_NOPAD;
use ring::hmac;

use crate::server::{percent::percent_encode, random};

/// How long a code is shown, in milliseconds.
const STEP: i64 = 30_000;
/// How many bytes the secret has: as many as the hash (RFC 4226 section 4).
const SECRET: usize = 20;

/// What an app and the server share. It prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET]);

impl Secret {
    pub fn fresh() -> Self {
        let mut secret = [0; SECRET];
        let random = [random::bits_128().to_ne_bytes(), random::bits_128().to_ne_bytes()].concat();
        secret.copy_from_slice(&random[..SECRET]);
        Self(secret)
    }

    /// As the store has it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As people type it into an app, in groups of four.
    pub fn typed(&self) -> String {
        let text = BASE32_NOPAD.encode(&self.0);
        text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
    }

    /// As apps read it from a QR code: of this account, at the server of this name.
    pub fn address(&self, handle: &str, server: &str) -> String {
        let (handle, server) = (percent_encode(handle), percent_encode(server));
        format!("otpauth://totp/{server}:{handle}?secret={}&issuer={server}", BASE32_NOPAD.encode(&self.0))
    }

    /// Of which step of time a code is, if it is one of now. A clock may be a step behind or ahead.
    pub fn step(&self, code: &str, now: i64) -> Option<i64> {
        let code: u32 = (code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())).then(|| code.parse().ok())??;
        let now = now.div_euclid(STEP);
        [now, now - 1, now + 1].into_iter().find(|step| self.code(*step) == code)
    }

    fn code(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag[tag.len() - 1] & 0xf);
        let four = tag[at..].first_chunk::<4>().copied().unwrap_or_default(); // a tag has 20 bytes, so there are four
        (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six of its eight digits.
        let secret = Secret::read(b"12345678901234567890").unwrap();
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = second / 30;
            for off in [-30, 0, 30] {
                assert_eq!(secret.step(code, (second + off) * 1_000), Some(step), "{second}");
            }
            assert_eq!(secret.step(code, (second + 61) * 1_000), None);
        }
        for wrong in ["", "28708", "2870820", " 287082", "28708a", "+87082", "２87082"] {
            assert_eq!(secret.step(wrong, 59_000), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_reads_it_and_nothing_prints_it() {
        let secret = Secret::read(b"12345678901234567890").unwrap();
        assert_eq!(secret.typed(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert_eq!(
            secret.address("Zoë_Smith", "chat.example:3000"),
            "otpauth://totp/chat.example%3A3000:Zo%C3%AB_Smith?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=chat.example%3A3000"
        );
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_ne!(Secret::fresh(), Secret::fresh());
    }
}
