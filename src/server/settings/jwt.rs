//! `[[accounts.jwt]]`: sites whose signed tokens say who somebody is. A key has one algorithm, which follows from it or stands beside it,
//! and never from a token.

use std::{fmt, fs, path::PathBuf, str::FromStr, sync::Arc};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};

use super::{
    mistakes::{Invalid, Mistakes},
    show::{list, quoted, table},
    table::{Table, distinct},
    values::Node,
};

/// RFC 7518 section 3.2: a secret is at least as long as the digest.
const SHORTEST_SECRET: usize = 32;
/// RFC 7518 section 3.3.
const SHORTEST_MODULUS: usize = 2_048 / 8;
/// A file of keys is never longer.
const LONGEST_FILE: u64 = 1 << 20;

/// A site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRule {
    /// `iss` of its tokens.
    pub issuer: String,
    /// What must be in their `aud`.
    pub audience: String,
    pub keys: JwtKeys,
    /// The claims that have the name that others see, what they are mentioned by, and the rooms that are theirs.
    pub name_claim: String,
    pub handle_claim: String,
    pub rooms_claim: String,
}

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    One(JwtKey),
    /// A file with one key.
    File(PathBuf, JwtKey),
    /// A file with a JSON Web Key Set, as it was when it was read.
    Set(PathBuf, Vec<JwtKey>),
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    Hs256,
    Rs256,
    EdDsa,
}

impl JwtAlgorithm {
    /// The same, as the library names it.
    pub fn of_library(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl FromStr for JwtAlgorithm {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "HS256" => Ok(Self::Hs256),
            "RS256" => Ok(Self::Rs256),
            "EdDSA" => Ok(Self::EdDsa),
            _ => Err(Invalid(r#""HS256", "RS256" or "EdDSA" is needed"#)),
        }
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        })
    }
}

/// A key that tokens are checked with. It is never printed.
#[derive(Clone)]
pub struct JwtKey {
    /// `kid`: which of several it is.
    pub id: Option<String>,
    pub algorithm: JwtAlgorithm,
    key: Arc<DecodingKey>,
}

impl JwtKey {
    /// The key, for the library.
    pub fn reveal(&self) -> &DecodingKey {
        &self.key
    }

    /// A secret, or a public key in PEM.
    fn of_text(algorithm: JwtAlgorithm, text: &str) -> Result<Self, Invalid> {
        let key = if algorithm == JwtAlgorithm::Hs256 {
            if text.contains("-----BEGIN") {
                return Err(Invalid("with HS256 the key is a secret that both sides have, no key in PEM"));
            }
            DecodingKey::from_secret(text.as_bytes())
        } else {
            const NEEDED: Invalid = Invalid(
                "the public key in PEM is needed, `-----BEGIN PUBLIC KEY-----` and so on, as `openssl pkey -pubout` prints it; of the algorithm's kind",
            );
            if text.contains("PRIVATE KEY-----") {
                return Err(Invalid(
                    "this is the private key, which only who signs should have; `openssl pkey -pubout` makes the public one of it",
                ));
            }
            if !text.contains("PUBLIC KEY-----") {
                return Err(NEEDED);
            }
            let read = if algorithm == JwtAlgorithm::Rs256 { DecodingKey::from_rsa_pem } else { DecodingKey::from_ed_pem };
            Ok(read(text.as_bytes()).map_err(|_| NEEDED)?)
        };
        key.map_err(|_| Invalid("a key is needed")).and_then(|key| Self::new(None, algorithm, key))
    }

    fn new(id: Option<String>, algorithm: JwtAlgorithm, key: DecodingKey) -> Result<Self, Invalid> {
        let length = match key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
            DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
        };
        match algorithm {
            JwtAlgorithm::Hs256 if length < SHORTEST_SECRET => {
                Err(Invalid("a secret for HS256 has at least 32 letters, such as `openssl rand -hex 32` prints"))
            }
            JwtAlgorithm::Rs256 if length < SHORTEST_MODULUS => Err(Invalid("a key for RS256 has at least 2048 bits")),
            JwtAlgorithm::EdDsa if length != 32 => Err(Invalid("a key for EdDSA is one of Ed25519, with 32 bytes")),
            _ => Ok(Self { id, algorithm, key: Arc::new(key) }),
        }
    }

    /// None for a key that signs no tokens.
    fn of_jwk(jwk: &Jwk) -> Result<Option<Self>, Invalid> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Ok(None);
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => JwtAlgorithm::Hs256,
            AlgorithmParameters::RSA(_) => JwtAlgorithm::Rs256,
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => JwtAlgorithm::EdDsa,
            _ => return Ok(None),
        };
        // One that says that it is for another algorithm is none of ours.
        if jwk.common.key_algorithm.is_some_and(|named| named.to_string() != algorithm.to_string()) {
            return Ok(None);
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_| Invalid("it has a key that is broken"))?;
        Self::new(jwk.common.key_id.clone(), algorithm, key).map(Some)
    }
}

impl PartialEq for JwtKey {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |key: &Self| match key.key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => (bytes.clone(), Vec::new()),
            DecodingKeyKind::RsaModulusExponent { n, e } => (n.clone(), e.clone()),
        };
        self.id == other.id && self.algorithm == other.algorithm && bytes(self) == bytes(other)
    }
}

impl Eq for JwtKey {}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey({} ***)", self.algorithm)
    }
}

/// The keys of a JSON Web Key Set (RFC 7517 section 5) that can be used here.
///
/// # Errors
/// What is wrong with it, to be read after its name and a colon.
pub fn read_key_set(text: &str) -> Result<Vec<JwtKey>, Invalid> {
    let set: serde_json::Value = serde_json::from_str(text).map_err(|_| Invalid("it is not JSON"))?;
    let keys =
        set.get("keys").and_then(serde_json::Value::as_array).ok_or(Invalid(r#"it is no set of keys, {"keys": [...]}"#))?;
    // Key by key: one of a kind that nobody knows here is no harm (RFC 7517 section 5).
    let known = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
    let keys: Vec<JwtKey> = known.filter_map(|jwk| JwtKey::of_jwk(&jwk).transpose()).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(Invalid("it has no key for HS256, RS256 or EdDSA (Ed25519)"));
    }
    for (at, key) in keys.iter().enumerate() {
        if keys.len() > 1 && key.id.is_none() {
            return Err(Invalid("of its several keys one has no kid"));
        }
        if keys[..at].iter().any(|other| other.id == key.id) {
            return Err(Invalid("two of its keys have one kid"));
        }
    }
    Ok(keys)
}

/// Reads a file of keys.
///
/// # Errors
/// Why it cannot be read.
pub fn read_key_file(file: &std::path::Path) -> Result<String, String> {
    let length = fs::metadata(file).map_err(|cause| cause.to_string())?.len();
    if length > LONGEST_FILE {
        return Err(format!("it is longer than {LONGEST_FILE} bytes"));
    }
    fs::read_to_string(file).map_err(|cause| cause.to_string())
}

pub(super) fn rules(node: &Node) -> Result<Vec<JwtRule>, Mistakes> {
    let says = |at, before| {
        format!("accounts.jwt[{at}] has the issuer of accounts.jwt[{before}]: give a site with several keys a jwks_file")
    };
    let same = |one: &JwtRule, other: &JwtRule| one.issuer == other.issuer;
    distinct(node, "a list of tables, each begun with [[accounts.jwt]]", rule, same, says)
}

fn rule(node: &Node) -> Result<JwtRule, Mistakes> {
    let needed = r#"a table, like { issuer = "https://example.org", audience = "confab", algorithm = "HS256", key = "..." }"#;
    let mut table = Table::of(node, needed)?;
    let issuer = table.need(
        "issuer",
        r#"needs an issuer, the iss of the site's tokens, like issuer = "https://example.org""#,
        |field| field.parsed(word),
    );
    let audience = table.need(
        "audience",
        r#"needs an audience, what the site writes into aud for this server, like audience = "confab""#,
        |field| field.parsed(word),
    );
    let algorithm = table.read("algorithm", |field| field.parsed(str::parse));
    let keys = keys(&mut table, algorithm);
    let mut claim = |key, usual: &str| table.read(key, |field| field.parsed(word)).unwrap_or_else(|| usual.to_owned());
    let name_claim = claim("name_claim", "name");
    let handle_claim = claim("handle_claim", "preferred_username");
    let rooms_claim = claim("rooms_claim", "rooms");
    let rule = |((issuer, audience), keys)| JwtRule { issuer, audience, keys, name_claim, handle_claim, rooms_claim };
    table.end(issuer.zip(audience).zip(keys).map(rule))
}

/// Where a site's keys are: in one of three places, of which all but the last need the algorithm. Each is asked for, so that it is known.
fn keys(table: &mut Table<'_>, algorithm: Option<JwtAlgorithm>) -> Option<JwtKeys> {
    let is_one = ["key", "key_file", "jwks_file"].into_iter().filter(|key| table.has(key)).count() == 1;
    let algorithm = algorithm.filter(|_| is_one);
    let key = table.read("key", |field| {
        let read = |algorithm| field.secret(|text| JwtKey::of_text(algorithm, text)).map(JwtKeys::One);
        algorithm.map(read).transpose()
    });
    let file = table.read("key_file", |field| {
        let of_text = |algorithm, text: &str| JwtKey::of_text(algorithm, text.trim_end_matches(['\r', '\n']));
        let read = |algorithm| in_file(field, |text| of_text(algorithm, text)).map(|(file, key)| JwtKeys::File(file, key));
        algorithm.map(read).transpose()
    });
    let set = table.read("jwks_file", |field| {
        let read = || in_file(field, read_key_set).map(|(file, keys)| JwtKeys::Set(file, keys));
        is_one.then(read).transpose()
    });
    match (is_one, table.has("jwks_file"), table.has("algorithm")) {
        (false, ..) => table.wrong("needs one of key, key_file and jwks_file"),
        (true, false, false) => table.wrong(r#"needs the algorithm of its key: "HS256", "RS256" or "EdDSA""#),
        (true, true, true) => table.wrong("has a jwks_file, whose keys say their algorithm: leave algorithm out"),
        (true, true, false) | (true, false, true) => {}
    }
    [key, file, set].into_iter().flatten().flatten().next()
}

/// What a file has, whose path is a value. Mistakes show the path and nothing of what is in it.
fn in_file<T>(node: &Node, read: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<(PathBuf, T), Mistakes> {
    node.parsed(|path| {
        let text = read_key_file(path.as_ref())?;
        read(&text).map(|read| (PathBuf::from(path), read)).map_err(|wrong| wrong.to_string())
    })
}

fn word(text: &str) -> Result<String, Invalid> {
    let good = (1..=200).contains(&text.len()) && !text.contains(|sign: char| sign.is_whitespace() || sign.is_control());
    good.then(|| text.to_owned()).ok_or(Invalid("1 to 200 letters without spaces are needed"))
}

/// One `[[accounts.jwt]]` for each site, its key masked.
pub(super) fn shown(rules: &[JwtRule]) -> String {
    if rules.is_empty() {
        return list(std::iter::empty());
    }
    let rule = |JwtRule { issuer, audience, keys, name_claim, handle_claim, rooms_claim }: &JwtRule| {
        let keys = match keys {
            JwtKeys::One(key) => vec![("algorithm", quoted(key.algorithm)), ("key", quoted("***"))],
            JwtKeys::File(file, key) => vec![("algorithm", quoted(key.algorithm)), ("key_file", quoted(file.display()))],
            JwtKeys::Set(file, _) => vec![("jwks_file", quoted(file.display()))],
        };
        let claims = [("name_claim", name_claim), ("handle_claim", handle_claim), ("rooms_claim", rooms_claim)];
        let all = [("issuer", quoted(issuer)), ("audience", quoted(audience))].into_iter().chain(keys);
        table(all.chain(claims.map(|(key, claim)| (key, quoted(claim)))))
    };
    list(rules.iter().map(rule))
}
