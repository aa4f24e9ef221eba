//! Changes of what roles users hold.

use std::collections::BTreeSet;

use hextet_store::{Store, Tx};

use super::credentials::delete_credentials_of;
use super::{find, insert, refuse_last, update, value, write};
use crate::identity::error::Failure;
use crate::identity::records::{Assignment, Project, Record, User};
use crate::identity::role::{Role, effective};

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

/// Takes a role away, and with it the user's credentials that stand on it.
pub async fn ungrant(
    store: &Store,
    project_id: String,
    user_id: String,
    role: Role,
) -> Result<(), Failure> {
    write(store, move |tx| {
        let key = Assignment::key_of(&project_id, &user_id);
        let (project_id, user_id) = (project_id.clone(), user_id.clone());
        Box::pin(async move {
            let held: Option<Assignment> = value(tx, Assignment::KIND, &key).await?;
            let Some(mut assignment) = held.filter(|assignment| assignment.roles.contains(&role))
            else {
                return Err(Failure::not_found("role assignment with role", role.id()));
            };
            if role == Role::Admin {
                refuse_last(tx, |grant| grant.key() == key).await?;
            }
            assignment.roles.remove(&role);
            let left = effective(&assignment.roles);
            delete_credentials_of(tx, (User::KIND, &user_id), |credential| {
                credential.project_id == project_id && !credential.roles.is_subset(&left)
            })
            .await?;
            if assignment.roles.is_empty() {
                tx.delete(Assignment::KIND, &key).await?;
                return Ok(());
            }
            update(tx, &assignment).await
        })
    })
    .await
}

pub(super) async fn add_role(
    tx: &mut Tx,
    project_id: &str,
    user_id: &str,
    role: Role,
) -> Result<(), Failure> {
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

pub(super) async fn delete_assignments(
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
