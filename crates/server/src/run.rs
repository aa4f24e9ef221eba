//! The server's life: open, listen, serve, stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hextet_store::{OpenError, Store, StoreConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::app::claims;
use crate::app::reports::{self, Reported};
use crate::config::ServerConfig;
use crate::feed::{self, FeedError, Hosts, Takers};
use crate::http::{
    self, ApiConfig, AppState, Bounds, Lanes, ListTurns, Metrics, Site, Tls, TlsError,
};
use crate::identity::{
    self, Bootstrap, BootstrapError, Identity, IdentityConfig, OpenIdentityError, Recovered, Secret,
};

/// How long requests under way may take to end once the server is told to stop. Well below the time after which a
/// supervisor kills (`hextet up` waits 10 s), so that the database is closed in peace.
const GRACE: Duration = Duration::from_secs(5);

/// Most connections of those who read the metrics.
const METRICS_CONNECTIONS_MAX: usize = 64;

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The first accounts.
    #[error("the first accounts cannot be had")]
    Accounts(#[from] BootstrapError),
    /// Identity.
    #[error("identity cannot be set up")]
    Identity(#[from] OpenIdentityError),
    /// The certificate.
    #[error("HTTPS cannot be served")]
    Tls(#[from] TlsError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The threads that serve.
    #[error("cannot start the threads of the API")]
    Lanes(#[source] std::io::Error),
    /// The feed.
    #[error("the feed failed")]
    Feed(#[from] FeedError),
    /// A task ended that should not have.
    #[error("a task of the server was lost")]
    Task(#[from] tokio::task::JoinError),
}

/// Runs until `shutdown`. Returns once requests under way have ended and the database is closed.
///
/// # Errors
/// With what cannot be opened, or what failed while serving.
pub async fn run(
    config: ServerConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let mut shutdown = Box::pin(shutdown);
    // A database that is away is waited for; who asks for an end does not wait with it.
    let store = tokio::select! {
        store = open(&config) => store?,
        () = &mut shutdown => {
            info!("server stopped before its database was there");
            return Ok(());
        }
    };
    let served = serve(&config, store.clone(), shutdown).await;
    store.close().await;
    info!("server stopped");
    served
}

/// Makes an administrator in the database of a server that is stopped.
///
/// # Errors
/// When the database cannot be opened, which is so while a server has it, or fails.
pub async fn recover_administrator(
    config: &ServerConfig,
    user: String,
    password: Secret,
) -> Result<Recovered, RunError> {
    let store = open(config).await?;
    let recovered = identity::recover_administrator(&store, user, password).await;
    store.close().await;
    Ok(recovered?)
}

async fn open(config: &ServerConfig) -> Result<Store, RunError> {
    let store_config = StoreConfig::of(config.database.clone(), config.settings.clone());
    Ok(Store::open(store_config).await?)
}

async fn serve(
    config: &ServerConfig,
    store: Store,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let failed = |source| RunError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let state = state(config, store.clone(), address).await?;
    let tls = config.tls.clone();
    let tls = tls.map(|tls| Tls::open(tls, state.metrics.clone()));
    let tls = tls.transpose()?;
    let bound = feed::bind(&config.feed).await?;
    info!(%address, https = tls.is_some(), feed = %bound.address, "server listens");

    let (stop, stopped) = watch::channel(false);
    // What ends with the server, and may be cut off.
    let mut beside = JoinSet::new();
    if let Some(tls) = &tls {
        beside.spawn(tls.clone().follow());
    }
    if let Some(listen) = config.metrics_listen {
        let metrics = metrics(listen, &state).await?;
        beside.spawn(metrics);
    }
    let takers = takers(store.clone(), state.reported.clone());
    let feed = bound.serve(store, takers, state.hosts.clone(), told(stopped.clone()));
    let mut feed = tokio::spawn(feed);
    let site = Site {
        bounds: state.api.bounds,
        metrics: state.metrics.clone(),
        tls,
        access_log: state.api.access_log,
        lanes: Lanes::start().map_err(RunError::Lanes)?,
        router: http::router(state),
    };
    let mut api = tokio::spawn(http::serve(listener, site, told(stopped)));
    let ended = tokio::select! {
        () = shutdown => None,
        ended = &mut feed => Some(ended.map_err(RunError::from).and_then(|ended| Ok(ended?))),
        ended = &mut api => Some(ended.map_err(RunError::from)),
    };
    // Receivers that are gone need not be told.
    let _ = stop.send(true);
    if let Some(ended) = ended {
        feed.abort();
        api.abort();
        return ended;
    }
    let both = async {
        let (feed, api) = tokio::join!(&mut feed, &mut api);
        feed??;
        Ok(api?)
    };
    match tokio::time::timeout(GRACE, both).await {
        Ok(ended) => ended,
        Err(_) => {
            warn!("requests under way were cut off");
            feed.abort();
            api.abort();
            Ok(())
        }
    }
}

/// Returns when the server is to stop.
async fn told(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone says the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Listens for whoever reads the metrics.
async fn metrics(
    listen: SocketAddr,
    state: &AppState,
) -> Result<impl Future<Output = ()> + use<>, RunError> {
    let failed = |source| RunError::Listen {
        address: listen,
        source,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    info!(%address, "metrics listen");
    let site = Site {
        router: http::metrics_router(state.clone()),
        tls: None,
        bounds: Bounds {
            connections: METRICS_CONNECTIONS_MAX,
            ..state.api.bounds
        },
        // Connections of readers are not of interest.
        metrics: Metrics::default(),
        access_log: state.api.access_log,
        lanes: Lanes::here(),
    };
    Ok(http::serve(listener, site, std::future::pending()))
}

async fn state(
    config: &ServerConfig,
    store: Store,
    address: SocketAddr,
) -> Result<AppState, RunError> {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let listen_url = format!("{scheme}://{address}");
    let accounts: PathBuf = config.accounts.clone();
    // A second server on a database writes no file of passwords that open nothing.
    let bootstrap = match Identity::has_administrator(&store).await? {
        true => None,
        false => Some(tokio::task::spawn_blocking(move || Bootstrap::ensure(&accounts)).await??),
    };
    let identity_config = IdentityConfig {
        token_lifetime: config.token_lifetime,
        public_url: config.public_url.clone(),
        listen_url: listen_url.clone(),
    };
    let identity = Identity::open(store.clone(), identity_config, bootstrap.as_ref()).await?;
    Ok(AppState {
        store,
        identity,
        reported: Reported::default(),
        api: Arc::new(ApiConfig {
            underlay: Arc::new(config.underlay.clone()),
            base_mac: config.base_mac,
            public_url: config.public_url.clone(),
            listen_url,
            quotas: Arc::new(config.quotas.clone()),
            bounds: Bounds::default(),
            access_log: config.access_log,
        }),
        hosts: Hosts::default(),
        metrics: Metrics::default(),
        lists: ListTurns::default(),
    })
}

/// Where the feed brings what hosts report and claim.
fn takers(store: Store, reported: Reported) -> Takers {
    let claimed = store.clone();
    Takers {
        reports: Arc::new(move |host, report| {
            let (store, reported) = (store.clone(), reported.clone());
            Box::pin(async move { reports::report(&store, &reported, host, report).await })
        }),
        claims: Arc::new(move |host, ports| {
            let store = claimed.clone();
            Box::pin(async move {
                let done = claims::claim(&store, host, ports).await;
                done.map_err(|_| tonic::Status::unavailable("the database failed"))
            })
        }),
    }
}
