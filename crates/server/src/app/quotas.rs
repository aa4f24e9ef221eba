//! Quotas: how much a project may have.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::ProjectId;
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::{Layout, NETWORK, PORT, SUBNET, Store, Tx};

use super::{Failure, transact};

/// The kind of the documents that hold projects' own limits.
pub const QUOTA: &str = "quota";
/// What is limited, by its kind.
pub const KINDS: [&str; 3] = [NETWORK, PORT, SUBNET];
/// A limit that limits nothing.
pub const UNLIMITED: i64 = -1;
/// Highest limit (Neutron's database holds no more).
pub const LIMIT_MAX: i64 = 2_147_483_647;

/// Limits by kind, at least [`UNLIMITED`].
pub type Limits = BTreeMap<String, i64>;

/// The limits of a project that has none of its own, one for each of [`KINDS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults(Limits);

/// A limit and what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// At most so many; [`UNLIMITED`]: any number.
    pub limit: i64,
    /// So many there are.
    pub used: u64,
}

struct Set {
    defaults: Arc<Defaults>,
    project: ProjectId,
    limits: Limits,
    force: bool,
}

impl Default for Defaults {
    /// Neutron's.
    fn default() -> Self {
        Self::new(100, 500, 100)
    }
}

impl Defaults {
    /// Each at least [`UNLIMITED`].
    pub fn new(network: i64, port: i64, subnet: i64) -> Self {
        let limits = KINDS.into_iter().zip([network, port, subnet]);
        Self(
            limits
                .map(|(kind, limit)| (kind.to_owned(), limit))
                .collect(),
        )
    }

    /// All limits of a project that has these of its own.
    pub fn effective(&self, own: &Limits) -> Limits {
        let mut limits = self.0.clone();
        limits.extend(own.clone());
        limits
    }
}

/// Whether the project may have one more of a kind.
///
/// # Errors
/// `OverQuota` where it may not.
pub(super) async fn check(
    tx: &mut Tx,
    defaults: &Defaults,
    kind: &str,
    project: &ProjectId,
) -> Result<(), Failure> {
    let limits = defaults.effective(&own(tx, project).await?);
    let limit = limits.get(kind).copied().unwrap_or(UNLIMITED);
    if fits(tx.used(kind, project).await? + 1, limit) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::OverQuota,
        format!("Quota exceeded for resources: ['{kind}']. The project may have {limit}."),
    )
    .into())
}

/// Gives a project limits of its own; those that are not named stay. Answers all of them.
///
/// # Errors
/// `BadRequest` for a limit below what is used, unless `force` says so.
pub async fn set(
    store: &Store,
    defaults: Arc<Defaults>,
    project: ProjectId,
    (limits, force): (Limits, bool),
) -> Result<Limits, Failure> {
    let set = Set {
        defaults,
        project,
        limits,
        force,
    };
    transact(store, set, set_in).await
}

fn set_in(tx: &mut Tx, set: Arc<Set>) -> BoxFuture<'_, Result<Limits, Failure>> {
    Box::pin(async move {
        let project = &set.project;
        let mut limits = own(tx, project).await?;
        for (kind, limit) in &set.limits {
            let used = tx.used(kind, project).await?;
            if !set.force && !fits(used, *limit) {
                let refusal = Refusal::new(
                    RefusalKind::BadRequest,
                    format!(
                        "Bad quota request: {kind} {limit} is below the {used} that the project has; force is needed."
                    ),
                );
                return Err(refusal.into());
            }
            limits.insert(kind.clone(), *limit);
        }
        let id = project.0.as_str();
        let layout = Layout::default();
        if !tx.update(QUOTA, id, &limits, layout).await? {
            tx.insert(QUOTA, id, id, &limits, layout).await?;
        }
        Ok(set.defaults.effective(&limits))
    })
}

/// Takes a project's own limits away.
///
/// # Errors
/// `TenantQuotaNotFound` where it has none.
pub async fn reset(store: &Store, project: ProjectId) -> Result<(), Failure> {
    transact(store, project, reset_in).await
}

fn reset_in(tx: &mut Tx, project: Arc<ProjectId>) -> BoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        if tx.delete(QUOTA, &project.0).await? {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalKind::TenantQuotaNotFound,
            format!("Quota for tenant {project} could not be found."),
        )
        .into())
    })
}

/// The limits of a project, each with what is used of it.
///
/// # Errors
/// When the database fails.
pub async fn details(
    store: &Store,
    defaults: Arc<Defaults>,
    project: ProjectId,
) -> Result<BTreeMap<String, Usage>, Failure> {
    transact(store, (defaults, project), details_in).await
}

fn details_in(
    tx: &mut Tx,
    of: Arc<(Arc<Defaults>, ProjectId)>,
) -> BoxFuture<'_, Result<BTreeMap<String, Usage>, Failure>> {
    Box::pin(async move {
        let (defaults, project) = &*of;
        let mut details = BTreeMap::new();
        for (kind, limit) in defaults.effective(&own(tx, project).await?) {
            let used = tx.used(&kind, project).await?;
            details.insert(kind, Usage { limit, used });
        }
        Ok(details)
    })
}

async fn own(tx: &mut Tx, project: &ProjectId) -> Result<Limits, Failure> {
    Ok(tx.value(QUOTA, &project.0).await?.unwrap_or_default())
}

fn fits(used: u64, limit: i64) -> bool {
    limit == UNLIMITED || u64::try_from(limit).is_ok_and(|limit| used <= limit)
}
