//! People of other sites, by tokens that those have signed (RFC 7519).
//!
//! Which key checks a token follows from its `iss`, and of a set of keys from its `kid`; how it is checked follows from the key alone
//! (RFC 8725 section 3.1). `iss`, `aud`, `sub` and `exp` have to be there.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, Validation,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    dangerous::insecure_decode_claims,
    decode, decode_header,
    errors::{ErrorKind, new_error},
    signature::{self, Verifier},
};
use parking_lot::Mutex;
use ring::{
    hmac,
    signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey},
};
use serde_json::{Map, Value as Json};
use thiserror::Error;
use tokio::time::Instant;

use super::foreign::first_name;
use crate::{
    server::settings::{JwtKey, JwtKeys, JwtRule, read_key_file, read_key_set},
    wire::{Group, PersonName},
};

/// The longest token that is looked at, in bytes.
pub const LONGEST: usize = 8_192;
/// By how much clocks may differ about when a token begins, in seconds.
const LEEWAY: u64 = 10;
/// A `sub` is never longer, in bytes.
const LONGEST_SUBJECT: usize = 255;
/// The most rooms that a token names.
const MOST_ROOMS: usize = 100;
/// How often a file of keys is looked at.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// Sites whose tokens are believed.
#[derive(Default)]
pub struct Sites(Vec<Site>);

struct Site {
    rule: JwtRule,
    /// The keys now, and when their file was changed and looked at last.
    keys: Mutex<Keys>,
}

struct Keys {
    now: Vec<JwtKey>,
    changed: Option<SystemTime>,
    looked: Instant,
}

/// Whom a token names, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who vouches for them: `jwt:` and the issuer.
    pub origin: String,
    /// What that site calls them.
    pub subject: String,
    /// What others see, where the token has it.
    pub name: Option<PersonName>,
    /// What they would like to be mentioned by.
    pub handle: Option<String>,
    /// The rooms that the token gives them, each with a role as the site writes it, `member` where it writes none.
    pub rooms: Vec<(Group, String)>,
    /// When the token ends, in seconds since 1970.
    pub ends_at: u64,
}

/// Why a token is not believed: ready to be shown to whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("a token has at most {LONGEST} bytes")]
    Long,
    #[error("this is no token: three parts in base64url with dots between them, of which the first two are JSON")]
    Malformed,
    #[error("nobody with this iss is believed here")]
    Issuer,
    #[error("the token is not for this server: its aud is another")]
    Audience,
    #[error("the token names no key (kid) that its issuer has")]
    Key,
    #[error("the token is signed in another way than its issuer's key is for")]
    Algorithm,
    #[error("the token's signature is not its issuer's")]
    Signature,
    #[error("the token is over: its exp is past")]
    Over,
    #[error("the token is not good yet: its nbf is to come")]
    Early,
    #[error("the token needs iss, aud, exp and sub, the last with 1 to {LONGEST_SUBJECT} bytes")]
    Claims,
}

impl Sites {
    pub fn new(rules: &[JwtRule]) -> Self {
        // The only error is that it was done before.
        let _ = PROVIDER.install_default();
        let site = |rule: &JwtRule| {
            let (now, file) = match &rule.keys {
                JwtKeys::One(key) => (vec![key.clone()], None),
                JwtKeys::File(file, key) => (vec![key.clone()], Some(file)),
                JwtKeys::Set(file, keys) => (keys.clone(), Some(file)),
            };
            let keys = Keys { now, changed: file.and_then(|file| changed(file)), looked: Instant::now() };
            Site { rule: rule.clone(), keys: Mutex::new(keys) }
        };
        Self(rules.iter().map(site).collect())
    }

    /// Whether any site is believed at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom a token names.
    ///
    /// # Errors
    /// It is not believed.
    pub fn visitor(&self, token: &str) -> Result<Visitor, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Long);
        }
        let header = decode_header(token).map_err(|cause| match cause.kind() {
            // One of an algorithm that not even the library knows, such as none.
            ErrorKind::Json(_) if has_header(token) => Refused::Algorithm,
            _ => Refused::Malformed,
        })?;
        let unchecked: Map<String, Json> = insecure_decode_claims(token).map_err(|_| Refused::Malformed)?;
        let issuer = unchecked.get("iss").and_then(Json::as_str).ok_or(Refused::Claims)?;
        let site = self.0.iter().find(|site| site.rule.issuer == issuer).ok_or(Refused::Issuer)?;
        let key = site.key(header.kid.as_deref()).ok_or(Refused::Key)?;
        let algorithm = key.algorithm.of_library();
        if header.alg != algorithm {
            return Err(Refused::Algorithm);
        }
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&site.rule.issuer]);
        validation.set_audience(&[&site.rule.audience]);
        let claims: Map<String, Json> = decode(token, key.reveal(), &validation).map_err(|cause| refused(cause.kind()))?.claims;
        let visitor = site.rule.visitor(&claims).ok_or(Refused::Claims)?;
        // Of the end there is no doubt: what is open by it ends then, too.
        if visitor.ends_at <= now() { Err(Refused::Over) } else { Ok(visitor) }
    }
}

fn refused(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::InvalidSignature => Refused::Signature,
        ErrorKind::InvalidAlgorithm => Refused::Algorithm,
        ErrorKind::InvalidIssuer => Refused::Issuer,
        ErrorKind::InvalidAudience => Refused::Audience,
        ErrorKind::ExpiredSignature => Refused::Over,
        ErrorKind::ImmatureSignature => Refused::Early,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Refused::Claims,
        _ => Refused::Malformed,
    }
}

/// Whether the first part is JSON with an algorithm.
fn has_header(token: &str) -> bool {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    header.and_then(|json| serde_json::from_slice::<Json>(&json).ok()).is_some_and(|header| header.get("alg").is_some())
}

impl JwtRule {
    fn visitor(&self, claims: &Map<String, Json>) -> Option<Visitor> {
        let text = |claim: &str| claims.get(claim).and_then(Json::as_str);
        let subject =
            text("sub").filter(|subject| (1..=LONGEST_SUBJECT).contains(&subject.len()) && !subject.contains('\0'))?;
        let rooms = claims.get(&self.rooms_claim);
        let room = |name: &str, role: Option<&Json>| {
            let role = role.map_or(Some("member"), Json::as_str)?;
            Some((name.parse().ok()?, role.to_owned()))
        };
        let rooms: Vec<_> = match rooms {
            Some(Json::Array(names)) => names.iter().filter_map(|name| room(name.as_str()?, None)).take(MOST_ROOMS).collect(),
            Some(Json::Object(roles)) => {
                roles.iter().filter_map(|(name, role)| room(name, Some(role))).take(MOST_ROOMS).collect()
            }
            _ => Vec::new(),
        };
        Some(Visitor {
            origin: format!("jwt:{}", self.issuer),
            subject: subject.to_owned(),
            name: first_name(text(&self.name_claim)),
            handle: text(&self.handle_claim).map(str::to_owned),
            rooms,
            // As the library has compared it.
            ends_at: claims.get("exp").and_then(Json::as_f64).map(|end| end.round() as u64)?,
        })
    }
}

impl Site {
    /// The key that a token names. Where there is only one it need not name it.
    fn key(&self, id: Option<&str>) -> Option<JwtKey> {
        let mut keys = self.keys.lock();
        keys.look(&self.rule.keys);
        match (&keys.now[..], id) {
            ([only], None) => Some(only.clone()),
            ([only], Some(_)) if only.id.is_none() => Some(only.clone()),
            (all, Some(id)) => all.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
            (_, None) => None,
        }
    }
}

impl Keys {
    /// Takes the keys of the set anew if its file has been changed. One that cannot be read leaves them as they are.
    fn look(&mut self, keys: &JwtKeys) {
        let JwtKeys::Set(file, _) = keys else { return };
        if self.looked.elapsed() < LOOKED_AT {
            return;
        }
        self.looked = Instant::now();
        let changed = changed(file);
        if changed == self.changed {
            return;
        }
        self.changed = changed;
        match read_key_file(file).and_then(|text| read_key_set(&text).map_err(|wrong| wrong.to_string())) {
            Ok(keys) => {
                tracing::info!(file = %file.display(), keys = keys.len(), "the keys of other sites' tokens were read again");
                self.now = keys;
            }
            Err(cause) => {
                tracing::warn!(file = %file.display(), cause, "the keys of other sites' tokens cannot be read; those before are used");
            }
        }
    }
}

/// In seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

/// Checks signatures by the library that encrypts the connections. Nothing is signed here.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 | Algorithm::RS256 | Algorithm::EdDSA => {
            Ok(Box::new(Check { algorithm: *algorithm, key: key.clone() }))
        }
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    },
    // Keys are only read, never made into others.
    key_utils: KeyUtils::new_unimplemented(),
};

struct Check {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature)
            }
            (Algorithm::RS256, DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        checked.map_err(|_| signature::Error::new())
    }
}
