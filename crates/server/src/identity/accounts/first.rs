//! The accounts that a cloud starts with.

use hextet_store::Store;

use super::grants::add_role;
use super::projects::PROJECT_NAMES;
use super::users::USER_NAMES;
use super::{insert, new_id, write};
use crate::identity::bootstrap::Bootstrap;
use crate::identity::error::Failure;
use crate::identity::password::{Hasher, PasswordError};
use crate::identity::records::{Project, User};

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
