//! An administrator for whoever holds the database.

use hextet_store::{Store, Tx};

use super::grants::add_role;
use super::{find, insert, new_id, try_name, update, value, write};
use crate::identity::error::Failure;
use crate::identity::records::{Holder, Named, Project, User};
use crate::identity::role::Role;

/// Sees to it that this user is there, enabled, with this password's hash, and an administrator in this project, which is
/// there and enabled too. Logins before `now` (milliseconds since 1970) end for the user. Answers whether it was made.
pub async fn recover(
    store: &Store,
    user: String,
    project: String,
    hash: String,
    now: u64,
) -> Result<bool, Failure> {
    write(store, move |tx| {
        let (user, project, hash) = (user.clone(), project.clone(), hash.clone());
        Box::pin(async move {
            let project_id = enabled_project(tx, project).await?;
            let held: Option<Holder> = value(tx, User::NAMES, &user).await?;
            let made = held.is_none();
            let id = match held {
                Some(holder) => {
                    let mut user: User = find(tx, "user", &holder.id).await?;
                    user.enabled = true;
                    user.password_hash = Some(hash);
                    user.logins_from = now;
                    update(tx, &user).await?;
                    holder.id
                }
                None => {
                    let user = User {
                        id: new_id(),
                        name: user,
                        description: String::new(),
                        email: None,
                        default_project_id: Some(project_id.clone()),
                        enabled: true,
                        password_hash: Some(hash),
                        logins_from: 0,
                    };
                    try_name(tx, User::NAMES, &user.name, &user.id).await?;
                    insert(tx, &user).await?;
                    user.id
                }
            };
            add_role(tx, &project_id, &id, Role::Admin).await?;
            Ok(made)
        })
    })
    .await
}

/// The id of the project of this name, which is made or enabled where it must be.
async fn enabled_project(tx: &mut Tx, name: String) -> Result<String, Failure> {
    let held: Option<Holder> = value(tx, Project::NAMES, &name).await?;
    let Some(holder) = held else {
        let project = Project {
            id: new_id(),
            name,
            description: String::new(),
            enabled: true,
            logins_from: 0,
        };
        try_name(tx, Project::NAMES, &project.name, &project.id).await?;
        insert(tx, &project).await?;
        return Ok(project.id);
    };
    let mut project: Project = find(tx, "project", &holder.id).await?;
    if !project.enabled {
        project.enabled = true;
        update(tx, &project).await?;
    }
    Ok(project.id)
}
