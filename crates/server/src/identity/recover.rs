//! The way back in for whoever runs the server's host and can log in as nobody.

use hextet_store::Store;

use super::error::Failure;
use super::password::Hasher;
use super::request::{check_password, check_user_name};
use super::secret::Secret;
use super::{OpenIdentityError, accounts, system_clock, unusable};

/// The project in which the recovered user administrates.
const PROJECT: &str = "admin";

/// An administrator that can log in.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The user's name.
    pub user: String,
    /// The project's name.
    pub project: String,
    /// The new password.
    pub password: Secret,
    /// Whether the user was not there before.
    pub made: bool,
}

/// Gives the user of this name a new password and the role admin in project `admin`; makes and enables either where that
/// is needed. Tokens of the user's earlier logins end. The store must be open in no other process that logs people in
/// meanwhile: SQLite's sees to that itself.
///
/// # Errors
/// When the name or the password is none, or the store fails.
pub async fn recover_administrator(
    store: &Store,
    user: String,
    password: Secret,
) -> Result<Recovered, OpenIdentityError> {
    check_user_name(&user)
        .and_then(|()| check_password(&password))
        .map_err(unusable)?;
    accounts::take_names(store).await.map_err(unusable)?;
    let hasher = Hasher::new().map_err(|error| unusable(Failure::from(error)))?;
    let hash = hasher
        .hash(password.clone())
        .await
        .map_err(|error| unusable(Failure::from(error)))?;
    let now = system_clock();
    let made = accounts::recover(store, user.clone(), PROJECT.to_owned(), hash, now)
        .await
        .map_err(unusable)?;
    Ok(Recovered {
        user,
        project: PROJECT.to_owned(),
        password,
        made,
    })
}
