//! What the API does, without HTTP: authorise, check, choose, and one transaction for each request.

pub mod address;
pub mod claims;
pub mod networks;
mod observed;
pub mod policy;
pub mod ports;
pub mod quotas;
pub mod reports;
pub mod subnets;
pub mod tags;

use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::mac::BaseMac;
use hextet_core::provider::Underlay;
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::{Document, EngineError, Store, Tx, WriteError};
use uuid::Uuid;

use crate::identity::Caller;
use policy::Demand;
use quotas::Defaults;
use reports::Reported;

/// Most resources that one request may make.
pub const BULK_MAX: usize = 1000;

/// Why a request was not carried out; nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user's kind of no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Ours.
    #[error("the request could not be carried out")]
    Fault(#[source] EngineError),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Failure::Fault(error)
    }
}

impl From<WriteError<Failure>> for Failure {
    fn from(error: WriteError<Failure>) -> Self {
        match error {
            WriteError::Refused(failure) => failure,
            WriteError::Engine(error) => Failure::Fault(error),
        }
    }
}

/// What is asked for, by whom and when, as a transaction takes it.
#[derive(Clone, Debug)]
pub struct Ask<T> {
    /// Who asks.
    pub caller: Caller,
    /// When, as `created_at` and `updated_at` write it.
    pub now: String,
    /// What networks can be made of.
    pub underlay: Arc<Underlay>,
    /// How generated MACs begin.
    pub base_mac: BaseMac,
    /// What hosts said of their ports.
    pub reported: Reported,
    /// How much a project may have that has no limits of its own.
    pub quotas: Arc<Defaults>,
    /// What for.
    pub what: T,
}

/// What a body says, and what saying it demands of the caller.
#[derive(Clone, Debug)]
pub struct Said<T> {
    /// What it says.
    pub what: T,
    /// The rules to satisfy beyond the right to make or change the resource.
    pub demands: Vec<Demand>,
}

impl<T> Said<T> {
    /// The same with another form of what is said.
    ///
    /// # Errors
    /// As the function that makes it.
    pub fn map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<Said<U>, E> {
        Ok(Said {
            what: make(self.what)?,
            demands: self.demands,
        })
    }
}

/// A change of one resource.
#[derive(Clone, Debug)]
pub struct Change<I, P> {
    /// Which resource.
    pub id: I,
    /// At which revision, if the request says so.
    pub if_match: IfMatch,
    /// What of it; `()` where it is to go.
    pub patch: P,
}

/// What a transaction does with its input.
pub(crate) type Work<I, T> = for<'a> fn(&'a mut Tx, Arc<I>) -> BoxFuture<'a, Result<T, Failure>>;

/// Makes resources, all or none.
pub(crate) type Create<T> = Work<Ask<Vec<Said<T>>>, Vec<Document>>;
/// Changes one.
pub(crate) type Update<I, P> = Work<Ask<Change<I, Said<P>>>, Document>;
/// Deletes one.
pub(crate) type Delete<I> = Work<Ask<Change<I, ()>>, ()>;

/// Runs a function on its input in one transaction. It may run more than once.
pub(crate) async fn transact<I, T>(store: &Store, input: I, run: Work<I, T>) -> Result<T, Failure>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    transact_then(store, input, run, |answer| answer).await
}

/// The same, and makes something of the function's answer while the disk is waited for.
pub(crate) async fn transact_then<I, T, U>(
    store: &Store,
    input: I,
    run: Work<I, T>,
    then: impl FnOnce(T) -> U + Send + 'static,
) -> Result<U, Failure>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    U: Send + 'static,
{
    let input = Arc::new(input);
    store
        .write_then(move |tx| run(tx, input.clone()), then)
        .await
        .map_err(Failure::from)
}

/// How the API writes a time: UTC, whole seconds. Such texts sort as the times do.
pub(crate) const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// The time for `created_at` and `updated_at`.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime(TIME_FORMAT).to_string()
}

/// An id for a network or a subnet: UUIDv7 (RFC 9562 §5.7), which begins with the time. What is made together then stands
/// together in the database's indexes, where random ids touch a page of their own each.
pub(crate) fn new_id() -> Uuid {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(now, &rand::random()).into_uuid()
}

/// An id that tells nothing. Of the thread's generator, which does not ask the kernel each time.
pub(crate) fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// What a transaction has just written.
pub(crate) async fn written(
    tx: &mut Tx,
    kind: &str,
    id: impl std::fmt::Display,
) -> Result<Document, Failure> {
    let document = tx.document(kind, &id.to_string()).await?;
    Ok(document.ok_or(EngineError::Unsound("resource that was just written"))?)
}

/// The condition of a request (`If-Match: revision_number=N`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

impl IfMatch {
    /// Whether the resource is at the revision that the request names, if it names one.
    pub(crate) fn check(self, revision_number: u64) -> Result<(), Refusal> {
        match self.0 {
            Some(wanted) if wanted != revision_number => Err(Refusal::new(
                RefusalKind::RevisionNumberConstraintFailed,
                format!("Constrained to {wanted}, but current revision is {revision_number}."),
            )),
            _ => Ok(()),
        }
    }
}
