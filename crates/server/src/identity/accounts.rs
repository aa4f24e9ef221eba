//! Changes of accounts: each is one transaction of the store, which changes all that it says or nothing.

mod administrators;
mod credentials;
mod first;
mod grants;
mod projects;
mod recover;
mod tokens;
mod users;

use futures::future::BoxFuture;
use hextet_store::{EngineError, Layout, Store, Tx, WriteError};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::error::Failure;
use super::records::{Holder, Named, Record};
use administrators::refuse_last;
pub use credentials::{create_credential, delete_credential};
pub use first::{bootstrap, take_names};
use grants::delete_assignments;
pub use grants::{grant, ungrant};
pub use projects::{create_project, delete_project, update_project};
pub use recover::recover;
pub use tokens::{Rotation, ensure_key, revoke, rotate_keys};
pub use users::{NewPassword, change_password, create_user, delete_user, update_user};

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

async fn write<T, F>(store: &Store, make: F) -> Result<T, Failure>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, Failure>> + Send + 'static,
    T: Send + 'static,
{
    store.write(make).await.map_err(Failure::from)
}

async fn find<R: Record>(tx: &mut Tx, noun: &str, id: &str) -> Result<R, Failure> {
    value(tx, R::KIND, id)
        .await?
        .ok_or_else(|| Failure::not_found(noun, id))
}

/// What no id holds is asked of no database: PostgreSQL fails at a NUL.
async fn value<T: DeserializeOwned>(
    tx: &mut Tx,
    kind: &'static str,
    id: &str,
) -> Result<Option<T>, Failure> {
    if id.contains('\0') {
        return Ok(None);
    }
    Ok(tx.value(kind, id).await?)
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

/// Takes a name among the records of a kind.
async fn take_name<R: Named>(tx: &mut Tx, name: &str, id: &str) -> Result<(), Failure> {
    if try_name(tx, R::NAMES, name, id).await? {
        return Ok(());
    }
    Err(Failure::name_taken(R::NOUN, name))
}

/// Takes a name; false when somebody has it.
async fn try_name(tx: &mut Tx, names: &'static str, name: &str, id: &str) -> Result<bool, Failure> {
    let holder = Holder { id: id.to_owned() };
    Ok(tx
        .insert(names, name, "", &holder, Layout::default())
        .await?)
}
