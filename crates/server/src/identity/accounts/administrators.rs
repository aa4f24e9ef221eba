//! A cloud keeps an administrator.

use hextet_store::Tx;
use http::StatusCode;

use super::value;
use crate::identity::error::Failure;
use crate::identity::records::{Assignment, Project, Record, User};
use crate::identity::role::Role;

/// Refuses a change that takes from the last administrators what makes them such; `ends` says whose role, of those that are
/// held, it ends. An administrator is who can log in as one: enabled, with a password, in a project that is enabled.
///
/// # Errors
/// 409 when nobody would be left.
pub(super) async fn refuse_last(
    tx: &mut Tx,
    ends: impl Fn(&Assignment) -> bool + Send,
) -> Result<(), Failure> {
    let mut last = false;
    for document in tx.documents(Assignment::KIND).await? {
        let grant: Assignment = document.parse(Assignment::KIND)?;
        if !grant.roles.contains(&Role::Admin) || !opens(tx, &grant).await? {
            continue;
        }
        if !ends(&grant) {
            return Ok(());
        }
        last = true;
    }
    if last {
        return Err(Failure::Refusal(
            StatusCode::CONFLICT,
            "Nobody would be left who can administrate this cloud: make another user with a password administrator first."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether somebody can log in by this grant.
async fn opens(tx: &mut Tx, grant: &Assignment) -> Result<bool, Failure> {
    let user: Option<User> = value(tx, User::KIND, &grant.user_id).await?;
    let project: Option<Project> = value(tx, Project::KIND, &grant.project_id).await?;
    Ok(
        user.is_some_and(|user| user.enabled && user.password_hash.is_some())
            && project.is_some_and(|project| project.enabled),
    )
}
