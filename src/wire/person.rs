//! Who somebody is.

use serde::{Deserialize, Serialize};

use super::{Language, lowercase};

/// Somebody, as the others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Person {
    /// Stable, unique and public; says nothing about the secret in the person's cookie.
    pub id: String,
    /// What to call them; any text.
    pub name: String,
    /// Of who has an account: unique, for mentions. Nobody else has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    pub handle: Option<String>,
    /// Who they are to the server; said to themselves alone, when they connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(ignore))]
    #[cfg_attr(not(feature = "ssr"), serde(skip_deserializing))]
    pub kind: Option<Kind>,
    /// In which they are spoken to; said to themselves alone, when they connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(ignore))]
    #[cfg_attr(not(feature = "ssr"), serde(skip_deserializing))]
    pub language: Option<Language>,
}

/// How somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By a secret of their own, or not at all.
    Guest,
    Account,
    /// A program with a token.
    Program,
}

impl Person {
    /// Somebody of whom no more is known, or is to be said.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), handle: None, kind: None, language: None }
    }

    /// Is seen as the same person now is, where it is that one. Says whether that is otherwise than before.
    pub fn becomes(&mut self, now: &Self) -> bool {
        let is_other = self.id == now.id && (&self.name, &self.handle) != (&now.name, &now.handle);
        if is_other {
            self.name.clone_from(&now.name);
            self.handle.clone_from(&now.handle);
        }
        is_other
    }

    /// Whether this is nobody of flesh and blood: a program that pushes, or one that nobody knows.
    pub fn is_program(&self) -> bool {
        self.id.is_empty() || self.id.starts_with('t')
    }

    /// Whether this is somebody without an account. What an account's id begins with says nothing: whoever was a guest keeps it.
    pub fn is_guest(&self) -> bool {
        self.handle.is_none() && self.id.starts_with('g')
    }

    /// The handle, where the name is not it: so nobody is taken for another one whose name looks the same. A name that is its owner's handle is
    /// nobody else's handle.
    pub fn told_apart_by(&self) -> Option<&str> {
        self.handle.as_deref().filter(|handle| lowercase(handle) != lowercase(&self.name))
    }
}
