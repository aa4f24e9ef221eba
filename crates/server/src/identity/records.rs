//! What the identity service keeps: documents in the store, each with an id and a kind.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::role::Role;

/// The only domain's id.
pub const DOMAIN_ID: &str = "default";

/// The only domain's name.
pub const DOMAIN_NAME: &str = "Default";

/// Longest name of a project, in characters (as Keystone's).
pub const PROJECT_NAME_CHARS_MAX: usize = 64;
/// Longest name of a user, in characters (as Keystone's).
pub const USER_NAME_CHARS_MAX: usize = 255;

/// Something kept as a document.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind under which the store keeps it.
    const KIND: &'static str;

    /// The document's id within its kind.
    fn key(&self) -> String;
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// A project that is not enabled opens nothing to anybody.
    pub enabled: bool,
}

impl Record for Project {
    const KIND: &'static str = "identity_project";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Somebody who can log in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// An address to write to, if one was given.
    pub email: Option<String>,
    /// The project of a login that names none.
    pub default_project_id: Option<String>,
    /// A user who is not enabled cannot log in, and tokens given before open nothing.
    pub enabled: bool,
    /// The Argon2id hash as a PHC string, or none: then no password opens.
    pub password_hash: Option<String>,
    /// Tokens of a login before this moment open nothing (milliseconds since 1970): set when the password changes.
    pub logins_from: u64,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl Record for User {
    const KIND: &'static str = "identity_user";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The roles of one user in one project, as granted (what they include is not written down). Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Where.
    pub project_id: String,
    /// Who.
    pub user_id: String,
    /// What.
    pub roles: BTreeSet<Role>,
}

impl Assignment {
    /// The key of the assignment of this user in this project.
    pub fn key_of(project_id: &str, user_id: &str) -> String {
        format!("{project_id}/{user_id}")
    }
}

impl Record for Assignment {
    const KIND: &'static str = "identity_assignment";

    fn key(&self) -> String {
        Self::key_of(&self.project_id, &self.user_id)
    }
}

/// The key that signs tokens, one for all servers on a database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// 32 random octets, in base64.
    secret: String,
}

impl SigningKey {
    /// The one key's id.
    pub const ID: &'static str = "token";

    /// A fresh key from the system's generator.
    pub fn random() -> Self {
        Self {
            secret: STANDARD.encode(rand::random::<[u8; 32]>()),
        }
    }

    /// The key's octets, or none if the document is damaged.
    pub fn octets(&self) -> Option<Vec<u8>> {
        STANDARD
            .decode(&self.secret)
            .ok()
            .filter(|octets| octets.len() == 32)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl Record for SigningKey {
    const KIND: &'static str = "identity_key";

    fn key(&self) -> String {
        Self::ID.to_owned()
    }
}

/// A token given back before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The token's audit id.
    pub audit_id: String,
    /// When the token would have expired (seconds since 1970): from then on this record is of no use.
    pub expires_at: u64,
}

impl Record for Revocation {
    const KIND: &'static str = "identity_revocation";

    fn key(&self) -> String {
        self.audit_id.clone()
    }
}

#[cfg(test)]
mod tests;
