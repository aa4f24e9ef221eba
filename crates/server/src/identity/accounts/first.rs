//! The accounts that a cloud starts with.

use hextet_store::{EngineError, Store, Tx};

use super::grants::add_role;
use super::{insert, new_id, try_name, value, write};
use crate::identity::bootstrap::Bootstrap;
use crate::identity::directory::Directory;
use crate::identity::error::Failure;
use crate::identity::password::{Hasher, PasswordError};
use crate::identity::records::{Holder, Named, Project, User};

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
                    logins_from: 0,
                };
                if try_name(tx, Project::NAMES, &project.name, &project.id).await? {
                    insert(tx, &project).await?;
                }
            }
            for (wanted, hash) in users {
                let project_id = holder(tx, Project::NAMES, &wanted.project).await?;
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
                if try_name(tx, User::NAMES, &user.name, &user.id).await? {
                    insert(tx, &user).await?;
                }
                let user_id = holder(tx, User::NAMES, &user.name).await?;
                add_role(tx, &project_id, &user_id, wanted.role).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Who holds a name that somebody holds.
async fn holder(tx: &mut Tx, names: &'static str, name: &str) -> Result<String, Failure> {
    let holder: Option<Holder> = value(tx, names, name).await?;
    let holder = holder.ok_or_else(|| Failure::not_found("the holder of the name", name))?;
    Ok(holder.id)
}

/// Gives the accounts of earlier programs, which kept names elsewhere, their names' documents.
pub async fn take_names(store: &Store) -> Result<(), Failure> {
    let missing = store
        .read(|model| {
            let accounts = Directory(model);
            Ok::<_, EngineError>(accounts.nameless::<Project>()? || accounts.nameless::<User>()?)
        })
        .await??;
    if !missing {
        return Ok(());
    }
    write(store, |tx| {
        Box::pin(async move {
            take_names_of::<Project>(tx).await?;
            take_names_of::<User>(tx).await
        })
    })
    .await
}

async fn take_names_of<R: Named>(tx: &mut Tx) -> Result<(), Failure> {
    for document in tx.documents(R::KIND).await? {
        let record: R = document.parse(R::KIND)?;
        // Their kinds were the scopes of the claims.
        tx.release(R::NAMES, record.name()).await?;
        try_name(tx, R::NAMES, record.name(), &record.key()).await?;
    }
    Ok(())
}
