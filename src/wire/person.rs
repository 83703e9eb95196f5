//! Who somebody is.

use serde::{Deserialize, Serialize};

/// Somebody, as the others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Person {
    /// Stable, unique and public; says nothing about the secret in the person's cookie.
    pub id: String,
    /// What to call them; any text.
    pub name: String,
    /// Of who has an account: unique, for mentions. It stands where one sees oneself; what is said goes without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
}

impl Person {
    /// Whether this is nobody of flesh and blood: a program that pushes, or one that nobody knows.
    pub fn is_program(&self) -> bool {
        self.id.is_empty() || self.id.starts_with('t')
    }
}
