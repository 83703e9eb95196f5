//! What stands in a session of Django's about who it is: `django.contrib.auth.login` writes three texts into it.

use serde_json::Value as Json;

use super::pickle::{self, Value};

/// Whose session it is, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The primary key of the user, as text.
    pub(super) user: String,
    /// The class that has let them in.
    pub(super) backend: String,
    /// The digest of the password with which they came in.
    pub(super) hash: String,
}

const USER: &str = "_auth_user_id";
const BACKEND: &str = "_auth_user_backend";
const HASH: &str = "_auth_user_hash";

impl Claim {
    /// From what the serializer of JSON has written. None where nobody is signed in.
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(bytes).ok()?;
        Self::read(|key| Some(json.get(key)?.as_str()?.to_owned()))
    }

    /// From what the cache has pickled. None where nobody is signed in.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn from_pickle(bytes: &[u8]) -> Result<Option<Self>, pickle::Refused> {
        let session: Value = pickle::read(bytes)?;
        Ok(Self::read(|key| Some(session.get(key)?.as_str()?.to_owned())))
    }

    fn read(text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        Some(Self { user: text(USER)?, backend: text(BACKEND)?, hash: text(HASH)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_says_who_it_is_by_three_texts() {
        let full = r#"{"a": 1, "_auth_user_id": "7", "_auth_user_backend": "b", "_auth_user_hash": "h"}"#;
        let claim = Claim { user: "7".to_owned(), backend: "b".to_owned(), hash: "h".to_owned() };
        assert_eq!(Claim::from_json(full.as_bytes()), Some(claim));
        for none in ["", "{}", "[]", "{\"_auth_user_id\": \"7\"}", &full.replace("\"7\"", "7"), &full.replace("hash", "h")] {
            assert_eq!(Claim::from_json(none.as_bytes()), None, "{none}");
        }
    }
}
