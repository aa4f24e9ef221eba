//! All accounts of this cloud, as the store's model holds them at this moment: what every request is judged by.

use std::collections::BTreeSet;

use hextet_store::{EngineError, Model};

use super::records::{Assignment, DOMAIN_ID, DOMAIN_NAME, Project, Record, Revocation, User};
use super::role::{Role, effective};
use super::token::Claims;

/// The accounts in a model.
#[derive(Clone, Copy)]
pub struct Directory<'m>(pub &'m Model);

/// A login that holds: the token's claims and what they mean now.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the token says.
    pub claims: Claims,
    /// Its user, enabled.
    pub user: User,
    /// Its project, enabled; none for an unscoped token.
    pub project: Option<Project>,
    /// The user's roles there, with all that they include. Never empty in a project, always empty without one.
    pub roles: BTreeSet<Role>,
}

impl Session {
    /// Whether the roles include an administrator's.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }
}

impl Directory<'_> {
    /// The record of this kind and key.
    pub fn get<R: Record>(self, key: &str) -> Result<Option<R>, EngineError> {
        self.0
            .document(R::KIND, key)
            .map(|document| document.parse(R::KIND))
            .transpose()
    }

    /// Every record of a kind, in the order of their keys.
    pub fn all<R: Record>(self) -> Result<Vec<R>, EngineError> {
        self.0
            .documents(R::KIND)
            .map(|document| document.parse(R::KIND))
            .collect()
    }

    /// The user of this name.
    pub fn user_named(self, name: &str) -> Result<Option<User>, EngineError> {
        Ok(self
            .all::<User>()?
            .into_iter()
            .find(|user| user.name == name))
    }

    /// The project of this name.
    pub fn project_named(self, name: &str) -> Result<Option<Project>, EngineError> {
        Ok(self
            .all::<Project>()?
            .into_iter()
            .find(|project| project.name == name))
    }

    /// The roles granted to a user in a project.
    pub fn granted(self, project_id: &str, user_id: &str) -> Result<BTreeSet<Role>, EngineError> {
        let assignment: Option<Assignment> = self.get(&Assignment::key_of(project_id, user_id))?;
        Ok(assignment
            .map(|assignment| assignment.roles)
            .unwrap_or_default())
    }

    /// The enabled projects in which a user holds a role.
    pub fn projects_of(self, user_id: &str) -> Result<Vec<Project>, EngineError> {
        let mut projects = Vec::new();
        for grant in self
            .all::<Assignment>()?
            .into_iter()
            .filter(|grant| grant.user_id == user_id)
        {
            projects.extend(
                self.get::<Project>(&grant.project_id)?
                    .filter(|project| project.enabled),
            );
        }
        Ok(projects)
    }

    /// Whether anybody can administrate.
    pub fn has_administrator(self) -> Result<bool, EngineError> {
        for grant in self
            .all::<Assignment>()?
            .into_iter()
            .filter(|grant| grant.roles.contains(&Role::Admin))
        {
            let user = self
                .get::<User>(&grant.user_id)?
                .is_some_and(|user| user.enabled);
            let project = self
                .get::<Project>(&grant.project_id)?
                .is_some_and(|project| project.enabled);
            if user && project {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The session that verified claims open, if they open one: the user is there and enabled, so is the project, a
    /// role is held in it, nobody gave the token back, and the password is still the one that was proved.
    pub fn session(self, claims: Claims) -> Result<Option<Session>, EngineError> {
        let Some(user) = self.get::<User>(&claims.sub)?.filter(|user| user.enabled) else {
            return Ok(None);
        };
        if self.get::<Revocation>(&claims.jti)?.is_some() || claims.login < user.logins_from {
            return Ok(None);
        }
        let Some(project_id) = &claims.project else {
            return Ok(Some(Session {
                claims,
                user,
                project: None,
                roles: BTreeSet::new(),
            }));
        };
        let project = self
            .get::<Project>(project_id)?
            .filter(|project| project.enabled);
        let roles = effective(&self.granted(project_id, &user.id)?);
        if project.is_none() || roles.is_empty() {
            return Ok(None);
        }
        Ok(Some(Session {
            claims,
            user,
            project,
            roles,
        }))
    }
}

/// Whether a domain named by id or by name, either or both, is the one that there is.
pub fn is_our_domain(id: Option<&str>, name: Option<&str>) -> bool {
    id.is_none_or(|id| id == DOMAIN_ID) && name.is_none_or(|name| name == DOMAIN_NAME)
}
