//! Who makes a request, as a verified token says.

use std::collections::BTreeSet;

use hextet_core::ids::ProjectId;
use hextet_store::EngineError;

use super::role::Role;

/// A user acting in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's id, 32 hexadecimal digits.
    pub user_id: String,
    /// The project that the token is scoped to.
    pub project_id: ProjectId,
    /// The roles that the user holds in that project at this moment, with all that they include.
    pub roles: BTreeSet<Role>,
}

impl Caller {
    /// Whether this is an administrator: every project, and the attributes that only an administrator sees.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Whether this is another service of the cloud.
    pub fn is_service(&self) -> bool {
        self.roles.contains(&Role::Service)
    }

    /// Whether things of `project` may be seen.
    pub fn can_read(&self, project: &ProjectId) -> bool {
        self.is_admin() || (self.project_id == *project && self.roles.contains(&Role::Reader))
    }
}

/// A token that opens nothing. It does not say why: unknown, expired, revoked and foreign tokens look alike outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The request you have made requires authentication.")]
pub struct Unauthorized;

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// The accounts cannot be read.
    #[error("accounts could not be read")]
    Accounts(#[from] EngineError),
}
