//! All accounts of this cloud, as the store's model holds them at this moment: what every request is judged by.

use std::collections::BTreeSet;

use hextet_store::{EngineError, Model};

use super::records::{
    Assignment, Credential, DOMAIN_ID, DOMAIN_NAME, Holder, Named, Project, Record, Revocation,
    SigningKey, User,
};
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
    /// The user's roles there, with all that they include, or those of them that the credential has. Never empty in a
    /// project, always empty without one.
    pub roles: BTreeSet<Role>,
    /// The application credential that logged in, if one did.
    pub credential: Option<Credential>,
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
        self.named(name)
    }

    /// The project of this name.
    pub fn project_named(self, name: &str) -> Result<Option<Project>, EngineError> {
        self.named(name)
    }

    fn named<R: Named>(self, name: &str) -> Result<Option<R>, EngineError> {
        match self.holder(R::NAMES, name)? {
            Some(holder) => self.get(&holder.id),
            None => Ok(None),
        }
    }

    fn holder(self, names: &str, name: &str) -> Result<Option<Holder>, EngineError> {
        let document = self.0.document(names, name);
        document.map(|document| document.parse(names)).transpose()
    }

    /// Whether a record's name is not found: an earlier program kept it elsewhere.
    pub fn nameless<R: Named>(self) -> Result<bool, EngineError> {
        let all = self.all::<R>()?;
        Ok(all
            .iter()
            .any(|record| self.0.document(R::NAMES, record.name()).is_none()))
    }

    /// This user's credential of this name.
    pub fn credential_named(
        self,
        user_id: &str,
        name: &str,
    ) -> Result<Option<Credential>, EngineError> {
        match self.holder(Credential::NAMES, &Credential::name_of(user_id, name))? {
            Some(holder) => self.get(&holder.id),
            None => Ok(None),
        }
    }

    /// A user's credentials, in the order of their names.
    pub fn credentials_of(self, user_id: &str) -> Result<Vec<Credential>, EngineError> {
        let own = Credential::name_of(user_id, "");
        let names = self.0.documents(Credential::NAMES);
        let mut credentials = Vec::new();
        for name in names.filter(|name| name.id.starts_with(&own)) {
            let holder: Holder = name.parse(Credential::NAMES)?;
            credentials.extend(self.get::<Credential>(&holder.id)?);
        }
        Ok(credentials)
    }

    /// The key that signs tokens.
    pub fn signing_key(self) -> Result<Option<SigningKey>, EngineError> {
        let keys = self.all::<SigningKey>()?;
        Ok(keys.into_iter().find(|key| key.verifies_until.is_none()))
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
    /// role is held in it, nobody gave the token back, and what was proved, password or credential, still holds.
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
                credential: None,
            }));
        };
        let project = self
            .get::<Project>(project_id)?
            .filter(|project| project.enabled && claims.login >= project.logins_from);
        let mut roles = effective(&self.granted(project_id, &user.id)?);
        let mut credential = None;
        if let Some(id) = &claims.credential {
            let Some(found) = self.get::<Credential>(id)? else {
                return Ok(None);
            };
            let allowed = effective(&found.roles);
            roles.retain(|role| allowed.contains(role));
            credential = Some(found);
        }
        if project.is_none() || roles.is_empty() {
            return Ok(None);
        }
        Ok(Some(Session {
            claims,
            user,
            project,
            roles,
            credential,
        }))
    }
}

/// Whether a domain named by id or by name, either or both, is the one that there is.
pub fn is_our_domain(id: Option<&str>, name: Option<&str>) -> bool {
    id.is_none_or(|id| id == DOMAIN_ID) && name.is_none_or(|name| name == DOMAIN_NAME)
}
