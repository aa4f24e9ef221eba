//! Changes of application credentials.

use hextet_store::{Store, Tx};

use super::{find, insert, try_name, value, write};
use crate::identity::error::Failure;
use crate::identity::records::{Credential, Project, Record, User};

/// Most credentials of one user.
const CREDENTIALS_MAX: usize = 100;

/// Stores a new credential.
pub async fn create_credential(
    store: &Store,
    credential: Credential,
) -> Result<Credential, Failure> {
    write(store, move |tx| {
        let credential = credential.clone();
        Box::pin(async move {
            let user: User = find(tx, "user", &credential.user_id).await?;
            let project: Project = find(tx, "project", &credential.project_id).await?;
            let others = tx
                .referrers((User::KIND, &user.id), Credential::KIND)
                .await?;
            if others.len() >= CREDENTIALS_MAX {
                return Err(Failure::Refusal(
                    http::StatusCode::FORBIDDEN,
                    format!("A user has at most {CREDENTIALS_MAX} application credentials."),
                ));
            }
            let name = Credential::name_of(&user.id, &credential.name);
            if !try_name(tx, Credential::NAMES, &name, &credential.id).await? {
                return Err(Failure::name_taken(
                    "application credential",
                    &credential.name,
                ));
            }
            insert(tx, &credential).await?;
            let by = (Credential::KIND, credential.id.as_str());
            tx.refer((User::KIND, &user.id), by).await?;
            tx.refer((Project::KIND, &project.id), by).await?;
            Ok(credential)
        })
    })
    .await
}

/// Deletes one of a user's credentials.
pub async fn delete_credential(store: &Store, user_id: String, id: String) -> Result<(), Failure> {
    write(store, move |tx| {
        let (user_id, id) = (user_id.clone(), id.clone());
        Box::pin(async move {
            let found: Option<Credential> = value(tx, Credential::KIND, &id).await?;
            let credential = found
                .filter(|credential| credential.user_id == user_id)
                .ok_or_else(|| Failure::not_found("application credential", &id))?;
            delete(tx, &credential).await
        })
    })
    .await
}

/// Deletes those of the credentials that stand on a user or a project.
pub(super) async fn delete_credentials_of(
    tx: &mut Tx,
    on: (&'static str, &str),
    which: impl Fn(&Credential) -> bool + Send,
) -> Result<(), Failure> {
    for id in tx.referrers(on, Credential::KIND).await? {
        let credential: Credential = find(tx, "application credential", &id).await?;
        if which(&credential) {
            delete(tx, &credential).await?;
        }
    }
    Ok(())
}

async fn delete(tx: &mut Tx, credential: &Credential) -> Result<(), Failure> {
    let name = Credential::name_of(&credential.user_id, &credential.name);
    tx.delete(Credential::NAMES, &name).await?;
    tx.delete(Credential::KIND, &credential.id).await?;
    Ok(())
}
