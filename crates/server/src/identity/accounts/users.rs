//! Changes of users.

use hextet_store::Store;

use super::credentials::delete_credentials_of;
use super::{delete_assignments, find, insert, refuse_last, take_name, update, write};
use crate::identity::error::Failure;
use crate::identity::records::{Named, Project, Record, User};
use crate::identity::request::UserFields;

/// Stores a new user.
pub async fn create_user(store: &Store, user: User) -> Result<User, Failure> {
    write(store, move |tx| {
        let user = user.clone();
        Box::pin(async move {
            if let Some(project_id) = &user.default_project_id {
                find::<Project>(tx, "project", project_id).await?;
            }
            take_name::<User>(tx, &user.name, &user.id).await?;
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

/// Changes a user's given attributes. `fields.password` is not looked at: `password` is what it became; `now` is
/// in milliseconds since 1970.
pub async fn update_user(
    store: &Store,
    id: String,
    fields: UserFields,
    password: Option<NewPassword>,
    now: u64,
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
            let shuts = password.as_ref().is_some_and(|new| new.hash.is_none());
            if enabled == Some(false) || shuts {
                refuse_last(tx, |grant| grant.user_id == id).await?;
            }
            if let Some(name) = name.filter(|name| *name != user.name) {
                take_name::<User>(tx, &name, &id).await?;
                tx.delete(User::NAMES, &user.name).await?;
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
            if user.enabled && enabled == Some(false) {
                user.logins_from = user.logins_from.max(now.saturating_add(1));
            }
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

/// Deletes a user, all roles that it holds and its credentials.
pub async fn delete_user(store: &Store, id: String) -> Result<(), Failure> {
    write(store, move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let user: User = find(tx, "user", &id).await?;
            refuse_last(tx, |grant| grant.user_id == id).await?;
            delete_credentials_of(tx, (User::KIND, &id), |_| true).await?;
            delete_assignments(tx, |grant| grant.user_id == id).await?;
            tx.delete(User::NAMES, &user.name).await?;
            tx.delete(User::KIND, &id).await?;
            Ok(())
        })
    })
    .await
}
