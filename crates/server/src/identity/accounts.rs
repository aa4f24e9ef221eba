//! Changes of accounts: each is one transaction of the store, which changes all that it says or nothing.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use hextet_store::{EngineError, Layout, Store, Tx, WriteError};
use http::StatusCode;

use super::bootstrap::Bootstrap;
use super::error::Failure;
use super::password::{Hasher, PasswordError};
use super::records::{Assignment, Project, Record, Revocation, SigningKey, User};
use super::request::{ProjectFields, UserFields};
use super::role::Role;

/// Tokens given back that have not expired yet. At the bound no further one can be given back before its time.
const REVOCATIONS_MAX: usize = 10_000;

/// Scope in which users' names are unique.
const USER_NAMES: &str = "identity_user_name";

/// Scope in which projects' names are unique.
const PROJECT_NAMES: &str = "identity_project_name";

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        // The store says in the log that the database is away, once for each time.
        let told = match &error {
            EngineError::OutcomeUnknown(_) => {
                "The database was lost while the request was carried out: see whether it was before you repeat it."
            }
            error if error.is_passing() => {
                "The database cannot be reached, or is too busy; nothing was changed. Try again shortly."
            }
            _ => return Self::fault(error),
        };
        Self::Refusal(StatusCode::SERVICE_UNAVAILABLE, told.to_owned())
    }
}

impl From<WriteError<Failure>> for Failure {
    fn from(error: WriteError<Failure>) -> Self {
        match error {
            WriteError::Refused(failure) => failure,
            WriteError::Engine(error) => error.into(),
        }
    }
}

/// A fresh id, 32 hexadecimal digits.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The key that signs tokens; the first start makes it.
pub async fn signing_key(store: &Store) -> Result<SigningKey, Failure> {
    let fresh = SigningKey::random();
    write(store, move |tx| {
        let fresh = fresh.clone();
        Box::pin(async move {
            if let Some(key) = tx.value(SigningKey::KIND, SigningKey::ID).await? {
                return Ok(key);
            }
            insert(tx, &fresh).await?;
            Ok(fresh)
        })
    })
    .await
}

/// Stores a new project.
pub async fn create_project(store: &Store, project: Project) -> Result<Project, Failure> {
    write(store, move |tx| {
        let project = project.clone();
        Box::pin(async move {
            claim_name(tx, PROJECT_NAMES, "project", &project.name, &project.id).await?;
            insert(tx, &project).await?;
            Ok(project)
        })
    })
    .await
}

/// Changes a project's given attributes.
pub async fn update_project(
    store: &Store,
    id: String,
    fields: ProjectFields,
) -> Result<Project, Failure> {
    let (name, description, enabled) = (fields.name, fields.description, fields.enabled);
    write(store, move |tx| {
        let (id, name, description) = (id.clone(), name.clone(), description.clone());
        Box::pin(async move {
            let mut project: Project = find(tx, "project", &id).await?;
            if let Some(name) = name.filter(|name| *name != project.name) {
                claim_name(tx, PROJECT_NAMES, "project", &name, &id).await?;
                tx.release(PROJECT_NAMES, &project.name).await?;
                project.name = name;
            }
            if let Some(description) = description {
                project.description = description.unwrap_or_default();
            }
            project.enabled = enabled.unwrap_or(project.enabled);
            update(tx, &project).await?;
            Ok(project)
        })
    })
    .await
}

/// Deletes a project and the roles in it. What the project owns elsewhere stays (as with Keystone).
pub async fn delete_project(store: &Store, id: String) -> Result<(), Failure> {
    write(store, move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let project: Project = find(tx, "project", &id).await?;
            delete_assignments(tx, |grant| grant.project_id == id).await?;
            tx.release(PROJECT_NAMES, &project.name).await?;
            tx.delete(Project::KIND, &id).await?;
            Ok(())
        })
    })
    .await
}

/// Stores a new user.
pub async fn create_user(store: &Store, user: User) -> Result<User, Failure> {
    write(store, move |tx| {
        let user = user.clone();
        Box::pin(async move {
            if let Some(project_id) = &user.default_project_id {
                find::<Project>(tx, "project", project_id).await?;
            }
            claim_name(tx, USER_NAMES, "user", &user.name, &user.id).await?;
            insert(tx, &user).await?;
            Ok(user)
        })
    })
    .await
}

/// What a user's change comes with beside the given attributes.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// The hash to keep; none: no password opens.
    pub hash: Option<String>,
    /// The first moment (milliseconds since 1970) of logins that still count.
    pub logins_from: u64,
}

/// Changes a user's given attributes. `fields.password` is not looked at: `password` is what it became.
pub async fn update_user(
    store: &Store,
    id: String,
    fields: UserFields,
    password: Option<NewPassword>,
) -> Result<User, Failure> {
    let UserFields {
        name,
        description,
        email,
        default_project_id,
        enabled,
        ..
    } = fields;
    write(store, move |tx| {
        let (id, name, description, email) =
            (id.clone(), name.clone(), description.clone(), email.clone());
        let (default_project_id, password) = (default_project_id.clone(), password.clone());
        Box::pin(async move {
            let mut user: User = find(tx, "user", &id).await?;
            if let Some(name) = name.filter(|name| *name != user.name) {
                claim_name(tx, USER_NAMES, "user", &name, &id).await?;
                tx.release(USER_NAMES, &user.name).await?;
                user.name = name;
            }
            if let Some(default_project_id) = default_project_id {
                if let Some(project_id) = &default_project_id {
                    find::<Project>(tx, "project", project_id).await?;
                }
                user.default_project_id = default_project_id;
            }
            if let Some(description) = description {
                user.description = description.unwrap_or_default();
            }
            if let Some(password) = password {
                user.password_hash = password.hash;
                user.logins_from = password.logins_from;
            }
            user.email = email.unwrap_or(user.email);
            user.enabled = enabled.unwrap_or(user.enabled);
            update(tx, &user).await?;
            Ok(user)
        })
    })
    .await
}

/// Gives a user another password.
pub async fn change_password(
    store: &Store,
    id: String,
    password: NewPassword,
) -> Result<(), Failure> {
    write(store, move |tx| {
        let (id, password) = (id.clone(), password.clone());
        Box::pin(async move {
            let mut user: User = find(tx, "user", &id).await?;
            user.password_hash = password.hash;
            user.logins_from = password.logins_from;
            update(tx, &user).await
        })
    })
    .await
}

/// Deletes a user and all roles that it holds.
pub async fn delete_user(store: &Store, id: String) -> Result<(), Failure> {
    write(store, move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let user: User = find(tx, "user", &id).await?;
            delete_assignments(tx, |grant| grant.user_id == id).await?;
            tx.release(USER_NAMES, &user.name).await?;
            tx.delete(User::KIND, &id).await?;
            Ok(())
        })
    })
    .await
}

/// Grants a role; granting it again changes nothing.
pub async fn grant(
    store: &Store,
    project_id: String,
    user_id: String,
    role: Role,
) -> Result<(), Failure> {
    write(store, move |tx| {
        let (project_id, user_id) = (project_id.clone(), user_id.clone());
        Box::pin(async move {
            find::<Project>(tx, "project", &project_id).await?;
            find::<User>(tx, "user", &user_id).await?;
            add_role(tx, &project_id, &user_id, role).await
        })
    })
    .await
}

/// Takes a role away.
pub async fn ungrant(
    store: &Store,
    project_id: String,
    user_id: String,
    role: Role,
) -> Result<(), Failure> {
    write(store, move |tx| {
        let key = Assignment::key_of(&project_id, &user_id);
        Box::pin(async move {
            let held: Option<Assignment> = tx.value(Assignment::KIND, &key).await?;
            let Some(mut assignment) = held.filter(|assignment| assignment.roles.contains(&role))
            else {
                return Err(Failure::not_found("role assignment with role", role.id()));
            };
            assignment.roles.remove(&role);
            if assignment.roles.is_empty() {
                tx.delete(Assignment::KIND, &key).await?;
                return Ok(());
            }
            update(tx, &assignment).await
        })
    })
    .await
}

/// Makes a token open nothing from now on, and forgets revocations that are past their use at `now`.
pub async fn revoke(store: &Store, revocation: Revocation, now: u64) -> Result<(), Failure> {
    write(store, move |tx| {
        let revocation = revocation.clone();
        Box::pin(async move {
            let mut kept = 0;
            for document in tx.documents(Revocation::KIND).await? {
                let old: Revocation = document.parse(Revocation::KIND)?;
                if old.expires_at <= now {
                    tx.delete(Revocation::KIND, &old.audit_id).await?;
                } else {
                    kept += 1;
                }
            }
            if kept >= REVOCATIONS_MAX {
                return Err(Failure::Refusal(
                    http::StatusCode::SERVICE_UNAVAILABLE,
                    "Too many tokens are revoked at this time. This one holds until it expires."
                        .to_owned(),
                ));
            }
            // Revoking twice is the same as once.
            tx.insert(
                Revocation::KIND,
                &revocation.key(),
                "",
                &revocation,
                Layout::default(),
            )
            .await?;
            Ok(())
        })
    })
    .await
}

/// Makes the projects and users of `bootstrap` that are not there, with their roles. Existing users keep their passwords.
pub async fn bootstrap(
    store: &Store,
    hasher: &Hasher,
    bootstrap: &Bootstrap,
) -> Result<(), Failure> {
    let mut users = Vec::new();
    for user in &bootstrap.users {
        let hash = hasher
            .hash(user.password.clone())
            .await
            .map_err(|error: PasswordError| Failure::fault(error))?;
        users.push((user.clone(), hash));
    }
    let projects = bootstrap.projects.clone();
    write(store, move |tx| {
        let (projects, users) = (projects.clone(), users.clone());
        Box::pin(async move {
            for name in projects {
                let project = Project {
                    id: new_id(),
                    name,
                    description: String::new(),
                    enabled: true,
                };
                if tx.claim(PROJECT_NAMES, &project.name, &project.id).await? {
                    insert(tx, &project).await?;
                }
            }
            for (wanted, hash) in users {
                let holder = tx.holder(PROJECT_NAMES, &wanted.project).await?;
                let project_id =
                    holder.ok_or_else(|| Failure::not_found("project", &wanted.project))?;
                let user = User {
                    id: new_id(),
                    name: wanted.name,
                    description: String::new(),
                    email: None,
                    default_project_id: Some(project_id.clone()),
                    enabled: true,
                    password_hash: Some(hash),
                    logins_from: 0,
                };
                if tx.claim(USER_NAMES, &user.name, &user.id).await? {
                    insert(tx, &user).await?;
                }
                let user_id = tx.holder(USER_NAMES, &user.name).await?.unwrap_or(user.id);
                add_role(tx, &project_id, &user_id, wanted.role).await?;
            }
            Ok(())
        })
    })
    .await
}

async fn write<T, F>(store: &Store, make: F) -> Result<T, Failure>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, Failure>> + Send + 'static,
    T: Send + 'static,
{
    store.write(make).await.map_err(Failure::from)
}

async fn find<R: Record>(tx: &mut Tx, noun: &str, id: &str) -> Result<R, Failure> {
    tx.value(R::KIND, id)
        .await?
        .ok_or_else(|| Failure::not_found(noun, id))
}

/// Ids are random, so one that is taken is a fault of the random generator, not of the caller.
async fn insert<R: Record>(tx: &mut Tx, record: &R) -> Result<(), Failure> {
    if tx
        .insert(R::KIND, &record.key(), "", record, Layout::default())
        .await?
    {
        return Ok(());
    }
    Err(Failure::fault(Inconsistent(R::KIND)))
}

async fn update<R: Record>(tx: &mut Tx, record: &R) -> Result<(), Failure> {
    if tx
        .update(R::KIND, &record.key(), record, Layout::default())
        .await?
    {
        return Ok(());
    }
    Err(Failure::fault(Inconsistent(R::KIND)))
}

/// A record that was there is not, or one that was not is.
#[derive(Debug, thiserror::Error)]
#[error("the records of kind {0} contradict each other")]
struct Inconsistent(&'static str);

async fn claim_name(
    tx: &mut Tx,
    scope: &str,
    noun: &str,
    name: &str,
    holder: &str,
) -> Result<(), Failure> {
    if tx.claim(scope, name, holder).await? {
        Ok(())
    } else {
        Err(Failure::name_taken(noun, name))
    }
}

async fn add_role(tx: &mut Tx, project_id: &str, user_id: &str, role: Role) -> Result<(), Failure> {
    let key = Assignment::key_of(project_id, user_id);
    let held: Option<Assignment> = tx.value(Assignment::KIND, &key).await?;
    let Some(mut assignment) = held else {
        let (project_id, user_id) = (project_id.to_owned(), user_id.to_owned());
        return insert(
            tx,
            &Assignment {
                project_id,
                user_id,
                roles: BTreeSet::from([role]),
            },
        )
        .await;
    };
    if !assignment.roles.insert(role) {
        return Ok(());
    }
    update(tx, &assignment).await
}

async fn delete_assignments(
    tx: &mut Tx,
    which: impl Fn(&Assignment) -> bool + Send,
) -> Result<(), Failure> {
    for document in tx.documents(Assignment::KIND).await? {
        let assignment: Assignment = document.parse(Assignment::KIND)?;
        if which(&assignment) {
            tx.delete(Assignment::KIND, &assignment.key()).await?;
        }
    }
    Ok(())
}
