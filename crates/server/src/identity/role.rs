//! Roles and what each includes (Keystone's default role hierarchy: admin ⊃ manager ⊃ member ⊃ reader).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a user may do in a project. The set is fixed: it is Keystone's default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, in every project.
    Admin,
    /// All that a member may, and the handling of a project's shared matters.
    Manager,
    /// Reads and writes in the token's project.
    Member,
    /// Reads in the token's project.
    Reader,
    /// Another service of the cloud (Nova), for the calls that only services make. It includes no other role.
    Service,
}

impl Role {
    /// Every role, in the order in which lists show them.
    pub const ALL: [Role; 5] = [
        Role::Admin,
        Role::Manager,
        Role::Member,
        Role::Reader,
        Role::Service,
    ];

    /// The name in requests, tokens and lists.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Manager => "manager",
            Role::Member => "member",
            Role::Reader => "reader",
            Role::Service => "service",
        }
    }

    /// The id in the API, the same in every cloud, because the roles are.
    pub fn id(self) -> &'static str {
        match self {
            Role::Admin => "6865787465740000000000000000ad01",
            Role::Manager => "6865787465740000000000000000ad02",
            Role::Member => "6865787465740000000000000000ad03",
            Role::Reader => "6865787465740000000000000000ad04",
            Role::Service => "6865787465740000000000000000ad05",
        }
    }

    /// The role with this API id.
    pub fn from_id(id: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.id() == id)
    }

    /// The role next below, which this one includes (Keystone: an implied role).
    fn implied(self) -> Option<Role> {
        match self {
            Role::Admin => Some(Role::Manager),
            Role::Manager => Some(Role::Member),
            Role::Member => Some(Role::Reader),
            Role::Reader | Role::Service => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no role's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role \"{0}\"; the roles are admin, manager, member, reader and service")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Role::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The given roles and all that they include.
pub fn effective(given: &BTreeSet<Role>) -> BTreeSet<Role> {
    let mut all = BTreeSet::new();
    for role in given {
        let mut next = Some(*role);
        while let Some(role) = next {
            all.insert(role);
            next = role.implied();
        }
    }
    all
}

#[cfg(test)]
mod tests;
