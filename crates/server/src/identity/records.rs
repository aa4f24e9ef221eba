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

/// Longest name of an application credential, in characters (Keystone: 255).
pub const CREDENTIAL_NAME_CHARS_MAX: usize = 255;

/// Something kept as a document.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind under which the store keeps it.
    const KIND: &'static str;

    /// The document's id within its kind.
    fn key(&self) -> String;
}

/// A record with a name that no other of its kind has. The name is a document of its own, which is both the proof that
/// nobody else has it and the way from the name to the record.
pub trait Named: Record {
    /// The kind under which the store keeps the names.
    const NAMES: &'static str;
    /// What people call such a thing.
    const NOUN: &'static str;

    /// The record's name.
    fn name(&self) -> &str;
}

/// Whose name it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The record's key.
    pub id: String,
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
    /// Tokens of a login before this moment do not open it (milliseconds since 1970): set when it is disabled.
    #[serde(default)]
    pub logins_from: u64,
}

impl Named for Project {
    const NAMES: &'static str = "identity_project_name";
    const NOUN: &'static str = "project";

    fn name(&self) -> &str {
        &self.name
    }
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
    /// Tokens of a login before this moment open nothing (milliseconds since 1970): set when the password changes or the
    /// user is disabled.
    pub logins_from: u64,
}

impl Named for User {
    const NAMES: &'static str = "identity_user_name";
    const NOUN: &'static str = "user";

    fn name(&self) -> &str {
        &self.name
    }
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

/// A login for programs: its own secret, one project, no more roles than its maker holds there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique among the user's.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Who it logs in.
    pub user_id: String,
    /// Where it logs in to.
    pub project_id: String,
    /// What it may do there, as given.
    pub roles: BTreeSet<Role>,
    /// From this moment on it opens nothing (seconds since 1970); none: it holds until it is deleted.
    pub expires_at: Option<u64>,
    /// Whether its tokens may make and delete credentials.
    pub unrestricted: bool,
    /// The Argon2id hash of the secret as a PHC string.
    pub secret_hash: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

impl Record for Credential {
    const KIND: &'static str = "identity_credential";

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Credential {
    /// The kind under which the store keeps the names.
    pub const NAMES: &'static str = "identity_credential_name";

    /// What stands among the names: a user's credentials stand side by side.
    pub fn name_of(user_id: &str, name: &str) -> String {
        format!("{user_id}/{name}")
    }
}

/// A key that signs tokens, the same for all servers on a database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// What tokens name it by.
    #[serde(default = "SigningKey::first_id")]
    pub id: String,
    /// 32 random octets, in base64.
    secret: String,
    /// None: it signs. Else it only verifies, until this moment (seconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifies_until: Option<u64>,
}

impl SigningKey {
    /// The id of a cloud's first key, which every server that starts knows.
    pub const FIRST: &'static str = "token";

    fn first_id() -> String {
        Self::FIRST.to_owned()
    }

    /// A fresh key from the system's generator.
    pub fn random(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: STANDARD.encode(rand::random::<[u8; 32]>()),
            verifies_until: None,
        }
    }

    /// Whether it verifies a token at this moment.
    pub fn verifies(&self, now: u64) -> bool {
        self.verifies_until.is_none_or(|until| now < until)
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
        write!(f, "SigningKey({})", self.id)
    }
}

impl Record for SigningKey {
    const KIND: &'static str = "identity_key";

    fn key(&self) -> String {
        self.id.clone()
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
