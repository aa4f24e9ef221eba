//! What the server counts, and how Prometheus reads it.
//!
//! Every label has a bounded set of values: routes are templates of paths, never paths; refusals are named by
//! [`Bound`](super::bounds::Bound).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hextet_core::port::PortStatus;
use http::{Method, StatusCode, header};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::AppState;

/// Upper ends of the classes of durations, seconds.
const SECONDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// What a reader is told that it gets.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

/// Of a figure that is there or not.
type Unlabelled = [(&'static str, &'static str); 0];

/// All figures. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<Answered, Histogram, fn() -> Histogram>,
    refused: Family<Refused, Counter>,
    under_way: Gauge,
    connections: Gauge,
    accepted: Counter,
    evicted: Counter,
    /// None without HTTPS.
    certificate_until: Family<Unlabelled, Gauge>,
    certificates_refused: Counter,
    looked: Looked,
}

/// Figures that others keep, and that are looked at when they are read.
#[derive(Debug, Default)]
struct Looked {
    revision: Gauge,
    ports: Family<Status, Gauge>,
    commits: Counter,
    commits_failed: Counter,
    commit_time: Counter<f64, AtomicU64>,
    writes: Counter,
    statements: Counter,
    round_trips: Counter,
    redo_damaged: Counter,
    writes_waiting: Gauge,
    hosts: Gauge,
    hosts_behind: Gauge,
    hosts_behind_max: Gauge,
    hosts_lagged: Counter,
    logins: Family<Outcome, Counter>,
    memory: Gauge,
    files: Gauge,
    started: Gauge<f64, AtomicU64>,
}

/// A request that is under way for as long as this is kept.
#[derive(Debug)]
pub(super) struct UnderWay(Gauge);

/// A connection that is open for as long as this is kept.
#[derive(Debug)]
pub(super) struct Open(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let inner = Inner {
            registry: Registry::default(),
            requests: Family::new_with_constructor(
                (|| Histogram::new(SECONDS)) as fn() -> Histogram,
            ),
            refused: Family::default(),
            under_way: Gauge::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            evicted: Counter::default(),
            certificate_until: Family::default(),
            certificates_refused: Counter::default(),
            looked: Looked::default(),
        };
        Self {
            inner: Arc::new(inner.registered()),
        }
    }
}

impl Inner {
    /// With every figure in the registry.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "hextet_http_request_duration",
            "Requests by the template of their path, method and class of status, and how long they took",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "hextet_http_refused",
            "Requests that met a bound of the edge, by which",
            self.refused.clone(),
        );
        registry.register(
            "hextet_http_requests_under_way",
            "Requests that have no answer yet",
            self.under_way.clone(),
        );
        registry.register(
            "hextet_http_connections",
            "Open connections",
            self.connections.clone(),
        );
        registry.register(
            "hextet_http_connections_accepted",
            "Connections that were accepted",
            self.accepted.clone(),
        );
        registry.register(
            "hextet_http_connections_evicted",
            "Idle connections that were closed because another needed the place",
            self.evicted.clone(),
        );
        registry.register_with_unit(
            "hextet_certificate_expiry_timestamp",
            "When the certificate expires that HTTPS shows, since 1970-01-01T00:00Z",
            Unit::Seconds,
            self.certificate_until.clone(),
        );
        registry.register(
            "hextet_certificates_refused",
            "Certificates and keys that did not take the place of those that HTTPS shows: unreadable, not fitting, expired or not valid yet",
            self.certificates_refused.clone(),
        );
        self.looked.register(registry);
        self
    }
}

impl Looked {
    fn register(&self, registry: &mut Registry) {
        self.register_gauges(registry);
        self.register_counters(registry);
        registry.register_with_unit(
            "hextet_store_commit",
            "What commits took together, their writes included",
            Unit::Seconds,
            self.commit_time.clone(),
        );
        registry.register("hextet_ports", "Ports by their status", self.ports.clone());
        registry.register(
            "hextet_feed_lagged",
            "How often an agent's stream fell behind the change log and looked at everything",
            self.hosts_lagged.clone(),
        );
        registry.register(
            "hextet_logins",
            "Logins by how they ended: ok, failed, put_off (told to come back, unjudged); the damped of the first two waited for their turn",
            self.logins.clone(),
        );
        registry.register_with_unit(
            "process_resident_memory",
            "Resident memory",
            Unit::Bytes,
            self.memory.clone(),
        );
        registry.register(
            "process_open_fds",
            "Open file descriptors",
            self.files.clone(),
        );
        registry.register_with_unit(
            "process_start_time",
            "When the server was started, since 1970-01-01T00:00Z",
            Unit::Seconds,
            self.started.clone(),
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.started.set(now.unwrap_or_default().as_secs_f64());
    }

    fn register_gauges(&self, registry: &mut Registry) {
        let gauges = [
            (
                "hextet_model_revision",
                "The newest revision of the change log that the model holds",
                &self.revision,
            ),
            (
                "hextet_store_writes_waiting",
                "Writes that wait for the store's writer",
                &self.writes_waiting,
            ),
            (
                "hextet_feed_hosts",
                "Hosts whose agents are connected",
                &self.hosts,
            ),
            (
                "hextet_feed_hosts_behind",
                "Connected hosts that were told of a revision and have not reported it",
                &self.hosts_behind,
            ),
            (
                "hextet_feed_revisions_behind_max",
                "Most revisions that a connected host is behind",
                &self.hosts_behind_max,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        let counters = [
            (
                "hextet_store_commits",
                "Commits of this server, each of a group of writes",
                &self.commits,
            ),
            (
                "hextet_store_commits_failed",
                "Groups of writes that the database lost or could not take",
                &self.commits_failed,
            ),
            (
                "hextet_store_writes",
                "Writes that were carried out or refused in commits",
                &self.writes,
            ),
            (
                "hextet_store_statements",
                "Statements of writes, without those that begin and end transactions",
                &self.statements,
            ),
            (
                "hextet_store_round_trips",
                "How often a writer waited for an answer of PostgreSQL; none on SQLite",
                &self.round_trips,
            ),
            (
                "hextet_store_redo_damaged",
                "Whether this start found the redo file missing, cut short or damaged, so that writes are lost",
                &self.redo_damaged,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }

    /// Takes the figures of this moment.
    async fn look(&self, state: &AppState) {
        // Of a database that is away there are no figures; the last ones stay.
        let read = state.store.read(|model| {
            let ports = model.snapshot().ports();
            let active = ports.filter(|port| port.status == PortStatus::Active);
            (
                model.generation().revision,
                active.count(),
                model.snapshot().ports().count(),
            )
        });
        if let Ok((revision, active, all)) = read.await {
            self.revision.set(gauge(revision));
            let status = |status| self.ports.get_or_create_owned(&Status { status });
            status("ACTIVE").set(gauge(active));
            status("DOWN").set(gauge(all - active));
        }
        let stats = state.store.stats();
        advance(&self.commits, stats.commits);
        advance(&self.commits_failed, stats.failed);
        advance(&self.writes, stats.writes);
        advance(&self.statements, stats.statements);
        advance(&self.round_trips, stats.round_trips);
        advance(&self.redo_damaged, stats.redo_damaged);
        let time = stats.time.as_secs_f64() - self.commit_time.get();
        self.commit_time.inc_by(time.max(0.0));
        self.writes_waiting.set(gauge(stats.queue));
        let seen = state.hosts.seen();
        self.hosts.set(gauge(seen.connected));
        self.hosts_behind.set(gauge(seen.behind));
        self.hosts_behind_max.set(gauge(seen.behind_max));
        advance(&self.hosts_lagged, seen.lagged);
        let logins = state.identity.logins();
        for (outcome, count) in [
            ("ok", logins.ok),
            ("failed", logins.failed),
            ("damped", logins.damped),
            ("put_off", logins.put_off),
        ] {
            advance(
                &self.logins.get_or_create_owned(&Outcome { outcome }),
                count,
            );
        }
        // Where there is no such file there is no figure.
        if let Some(bytes) = resident_bytes() {
            self.memory.set(gauge(bytes));
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            self.files.set(gauge(files.count()));
        }
    }
}

/// `/metrics`, for a listener of its own: it asks for no token.
pub fn metrics_router(state: AppState) -> Router {
    Router::new().route("/metrics", get(show)).with_state(state)
}

async fn show(State(state): State<AppState>) -> Response {
    let metrics = state.metrics.clone();
    metrics.inner.looked.look(&state).await;
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn gauge(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Takes a counter up to a count that somebody else keeps.
fn advance(counter: &Counter, count: u64) {
    counter.inner().fetch_max(count, Ordering::Relaxed);
}

/// What the kernel says of this process (proc(5), `VmRSS`), bytes.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

impl Metrics {
    /// A request begins.
    pub(super) fn begin(&self) -> UnderWay {
        self.inner.under_way.inc();
        UnderWay(self.inner.under_way.clone())
    }

    /// A request has its answer.
    pub(super) fn count_request(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let labels = Answered {
            route: route.to_owned(),
            method: known(method),
            status: class(status),
        };
        let histogram = self.inner.requests.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
    }

    /// A request met a bound.
    pub(super) fn count_refused(&self, reason: &'static str) {
        self.inner.refused.get_or_create(&Refused { reason }).inc();
    }

    /// A connection was accepted.
    pub(super) fn open(&self) -> Open {
        self.inner.accepted.inc();
        self.inner.connections.inc();
        Open(self.inner.connections.clone())
    }

    /// A connection lost its place.
    pub(super) fn count_evicted(&self) {
        self.inner.evicted.inc();
    }

    /// HTTPS shows a certificate until then, Unix time in seconds.
    pub(super) fn certificate_shown(&self, until: i64) {
        self.inner.certificate_until.get_or_create(&[]).set(until);
    }

    /// Another one did not take its place.
    pub(super) fn count_certificate_refused(&self) {
        self.inner.certificates_refused.inc();
    }

    /// All figures in the text format of Prometheus (OpenMetrics 1.0).
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.inner.registry)?;
        Ok(text)
    }
}

/// The methods that HTTP knows; clients may make up others.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
