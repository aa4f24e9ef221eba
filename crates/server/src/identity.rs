//! The embedded identity service: as much of OpenStack Identity (Keystone v3) as clients of the networking API use.
//!
//! Users, projects and role assignments are documents in the store; passwords are kept as Argon2id hashes; tokens are
//! signed, so that a server needs no table of them, and the keys and the revocations are in the store, so that every
//! server accepts and refuses the same ones. A token says who and where; what the user may do there is looked up at
//! each request, so that a role taken away is gone at once.
//!
//! Left out on purpose: more than one domain, groups, trusts, access rules, domain and system scopes, federation. What is left out answers 404 or an error that names it.

mod accounts;
mod body;
mod bootstrap;
mod caller;
mod directory;
mod error;
mod http;
mod login;
mod logins;
mod password;
mod query;
mod records;
mod recover;
mod request;
mod role;
mod secret;
mod sessions;
mod throttle;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hextet_core::ids::ProjectId;
use hextet_store::{EngineError, Model, Store};

pub use bootstrap::{Bootstrap, BootstrapError, BootstrapUser};
pub use caller::{AuthenticateError, Caller, Unauthorized};
pub use http::router;
pub(crate) use http::{Answer, OPERATIONS, Operation, RequestBody, example};
pub use logins::Logins;
pub(crate) use query::{FLAG_VALUES, FLAGS};
pub(crate) use records::DOMAIN_ID;
pub use recover::{Recovered, recover_administrator};
pub use role::{Role, UnknownRole, effective};
pub use secret::Secret;
pub(crate) use throttle::Places;
pub use throttle::Source;

use directory::{Directory, Session};
use error::Failure;
use password::Hasher;
use query::Filters;
use records::SigningKey;
use sessions::Sessions;
use throttle::Throttle;

/// How the service is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// How long a token holds after its login: whole seconds, 1 minute to 1 week.
    pub token_lifetime: Duration,
    /// The address that clients know this server by, as `https://cloud.example:9696`, without a slash at the end. None:
    /// each client is told the address in its own request's `Host` header, under the scheme of `listen_url`.
    pub public_url: Option<String>,
    /// What a client is told that sends no usable `Host` header: the address that is listened on.
    pub listen_url: String,
}

impl IdentityConfig {
    /// Default of [`IdentityConfig::token_lifetime`]: Keystone's, an hour.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
    /// Shortest token lifetime.
    pub const TOKEN_LIFETIME_MIN: Duration = Duration::from_secs(60);
    /// Longest token lifetime.
    pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

    /// The defaults, for a server that listens on `listen_url`.
    pub fn new(listen_url: impl Into<String>) -> Self {
        Self {
            token_lifetime: Self::TOKEN_LIFETIME,
            public_url: None,
            listen_url: listen_url.into(),
        }
    }
}

/// Why the service could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenIdentityError {
    /// The configured lifetime is out of range.
    #[error("token_lifetime: {} s to {} s are allowed", IdentityConfig::TOKEN_LIFETIME_MIN.as_secs(), IdentityConfig::TOKEN_LIFETIME_MAX.as_secs())]
    TokenLifetime,
    /// Nobody could ever log in and change that: no user has the role admin, and no first accounts were given.
    #[error("the database has no administrator, and no file of first accounts is configured")]
    NoAdministrator,
    /// The store failed, or what it holds is damaged, or the first accounts contradict it.
    #[error("the accounts could not be set up")]
    Accounts(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The service. Clones share everything.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    config: IdentityConfig,
    hasher: Hasher,
    throttle: Mutex<Throttle>,
    sessions: Sessions,
    logins: logins::Counts,
    clock: Clock,
}

/// Milliseconds since 1970-01-01T00:00Z.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

impl Identity {
    /// Sets the service up on a store. When nobody there is an administrator, which is so at the first start, the
    /// accounts of `bootstrap` are made; else `bootstrap` is not looked at, so that an account that was deleted or given
    /// another password stays so.
    pub async fn open(
        store: Store,
        config: IdentityConfig,
        bootstrap: Option<&Bootstrap>,
    ) -> Result<Self, OpenIdentityError> {
        Self::open_at(store, config, bootstrap, Box::new(system_clock)).await
    }

    /// As [`Identity::open`], with a clock.
    async fn open_at(
        store: Store,
        config: IdentityConfig,
        bootstrap: Option<&Bootstrap>,
        clock: Clock,
    ) -> Result<Self, OpenIdentityError> {
        let allowed = IdentityConfig::TOKEN_LIFETIME_MIN..=IdentityConfig::TOKEN_LIFETIME_MAX;
        if !allowed.contains(&config.token_lifetime) {
            return Err(OpenIdentityError::TokenLifetime);
        }
        accounts::ensure_key(&store).await.map_err(unusable)?;
        accounts::take_names(&store).await.map_err(unusable)?;
        let hasher = Hasher::new().map_err(|error| unusable(error.into()))?;
        match (Self::has_administrator(&store).await?, bootstrap) {
            (true, _) => {}
            (false, Some(bootstrap)) => accounts::bootstrap(&store, &hasher, bootstrap)
                .await
                .map_err(unusable)?,
            (false, None) => return Err(OpenIdentityError::NoAdministrator),
        }
        let throttle = Mutex::new(Throttle::default());
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                config,
                hasher,
                throttle,
                sessions: Sessions::default(),
                logins: logins::Counts::default(),
                clock,
            }),
        })
    }

    /// Whether somebody is an administrator, so that first accounts are not needed.
    ///
    /// # Errors
    /// When the accounts cannot be read.
    pub async fn has_administrator(store: &Store) -> Result<bool, OpenIdentityError> {
        store
            .read(|model| Directory(model).has_administrator())
            .await
            .flatten()
            .map_err(|error| unusable(error.into()))
    }

    /// Who bears this token, and in which project. Unscoped tokens open nothing outside identity.
    ///
    /// # Errors
    /// That the token opens nothing, or that the accounts cannot be read now: nobody gets in then.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AuthenticateError> {
        let session = self.session(token).await?.ok_or(Unauthorized)?;
        let project = session.project.as_ref().ok_or(Unauthorized)?;
        Ok(Caller {
            user_id: session.user.id.clone(),
            project_id: ProjectId(project.id.clone()),
            roles: session.roles.clone(),
        })
    }

    /// How logins by a proof went since the start.
    pub fn logins(&self) -> Logins {
        self.inner.logins.read()
    }

    /// Whether a token may open something, so that its request is worth being read. True where the accounts cannot be
    /// had now: whoever answers the request says so.
    pub(crate) async fn may_open(&self, token: &str) -> bool {
        let known = self
            .inner
            .store
            .glance(|model| self.session_in(model, token));
        // Another server may have just made what the token stands on.
        matches!(known, Ok(Some(_))) || !matches!(self.session(token).await, Ok(None))
    }

    /// The session that a token opens now.
    async fn session(&self, token: &str) -> Result<Option<Arc<Session>>, EngineError> {
        // In one read: what other servers wrote is waited for once, and holds for key, accounts and revocations alike.
        let store = &self.inner.store;
        store.read(|model| self.session_in(model, token)).await?
    }

    /// The session that a token opens now by these accounts.
    fn session_in(&self, model: &Model, token: &str) -> Result<Option<Arc<Session>>, EngineError> {
        let (sessions, now) = (&self.inner.sessions, self.now_ms() / 1000);
        if let Some(known) = sessions.get(model, token, now) {
            return Ok(Some(known));
        }
        let mut until = u64::MAX;
        let verified = token::verify(token, now, |key| {
            let key: Option<SigningKey> = Directory(model).get(key)?;
            until = key
                .as_ref()
                .and_then(|key| key.verifies_until)
                .unwrap_or(until);
            Ok::<_, EngineError>(key)
        })?;
        let claims = match verified {
            Ok(claims) => claims,
            Err(discard) => {
                tracing::debug!(%discard, "token refused");
                return Ok(None);
            }
        };
        until = until.min(claims.exp);
        let session = Directory(model).session(claims)?.map(Arc::new);
        if let Some(session) = &session {
            sessions.keep(model, token, until, session.clone());
        }
        Ok(session)
    }

    async fn directory<R, E: From<EngineError>>(
        &self,
        look: impl FnOnce(Directory<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.inner
            .store
            .read(|model| look(Directory(model)))
            .await?
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn config(&self) -> &IdentityConfig {
        &self.inner.config
    }

    fn hasher(&self) -> &Hasher {
        &self.inner.hasher
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.inner
            .throttle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn token_lifetime_seconds(&self) -> u64 {
        self.inner.config.token_lifetime.as_secs()
    }

    fn now_ms(&self) -> u64 {
        (self.inner.clock)()
    }
}

/// Whether a request could be carried out, as far as can be told without accounts.
pub(crate) fn decode(method: &str, path: &str, query: Option<&str>, body: &[u8]) -> bool {
    let mut operations = OPERATIONS.iter();
    let Some(operation) = operations.find(|operation| operation.is(method, path)) else {
        return false;
    };
    let decoded = operation.body.is_none_or(|wanted| (wanted.decode)(body));
    decoded && Filters::parse(query, operation.filters).is_ok()
}

fn unusable(failure: Failure) -> OpenIdentityError {
    match failure {
        Failure::Fault(source) => OpenIdentityError::Accounts(source),
        refusal @ (Failure::Refusal(..) | Failure::PutOff(_)) => {
            OpenIdentityError::Accounts(Box::new(refusal))
        }
    }
}

fn system_clock() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
