//! HTTP in, HTTP out: the path to its handler, the token to its caller, errors to their bodies.

mod attributes;
mod bare;
mod body;
mod bounds;
mod convert;
mod decode;
mod error;
mod filter;
mod frame;
mod health;
mod intake;
mod json;
mod lanes;
mod list;
mod metrics;
mod openapi;
mod pace;
mod parts;
mod query;
mod serve;
mod tls;
mod v2;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::routing::get;
use http::{HeaderMap, HeaderName, Uri, header};

use crate::app::quotas::Defaults;
use crate::app::reports::Reported;
use crate::app::{self, Ask};
use crate::feed::Hosts;
use crate::identity::{self, AuthenticateError, Caller, Identity};
use error::Problem;
use frame::Edge;
use hextet_core::mac::BaseMac;
use hextet_core::provider::Underlay;
use hextet_store::Store;

pub use bounds::Bounds;
pub(crate) use bounds::not_text;
pub use decode::decode;
pub(crate) use frame::tell_caller;
pub use lanes::Lanes;
pub use list::Turns as ListTurns;
pub use metrics::{Metrics, metrics_router};
pub use serve::{Site, serve};
pub use tls::{Tls, TlsConfig, TlsError};

/// The caller's token.
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The cloud's memory.
    pub store: Store,
    /// Who calls.
    pub identity: Identity,
    /// What hosts said of their ports.
    pub reported: Reported,
    /// What of the configuration the API depends on.
    pub api: Arc<ApiConfig>,
    /// Which hosts follow the feed.
    pub hosts: Hosts,
    /// What is counted.
    pub metrics: Metrics,
    /// Whose turn it is to look through many documents.
    pub lists: ListTurns,
}

/// What of the configuration the API depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// What networks can be made of.
    pub underlay: Arc<Underlay>,
    /// How generated MACs begin.
    pub base_mac: BaseMac,
    /// The address that clients know this server by, without a slash at the end; by default what each calls.
    pub public_url: Option<String>,
    /// The address that is listened on, for clients that name none.
    pub listen_url: String,
    /// How much a project may have that has no limits of its own.
    pub quotas: Arc<Defaults>,
    /// What clients may cost.
    pub bounds: Bounds,
    /// Whether each request has its line in the log.
    pub access_log: bool,
}

/// Every path of the server.
pub fn router(state: AppState) -> Router {
    let edge = Edge::new(
        state.api.bounds,
        state.identity.clone(),
        state.metrics.clone(),
        state.api.access_log,
    );
    let api = v2::router()
        .route("/healthz", get(health::show))
        .route("/openapi.json", get(openapi::show))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state.clone())
        .merge(identity::router(state.identity))
        .route_layer(from_fn(frame::tell_route));
    Router::new()
        .fallback_service(api)
        .layer(from_fn_with_state(edge, frame::frame))
        // Outermost: the edge knows paths by their plain form.
        .layer(map_request(normalise))
}

/// A slash at the end and the suffix `.json` mean nothing, and are taken off before the path is looked at. But a tag may
/// end as it likes. Identity answers without its prefix, too.
async fn normalise(mut request: Request) -> Request {
    let path = request.uri().path();
    let mut plain = path.trim_end_matches('/');
    if plain.starts_with("/v2.0/") && !plain.contains("/tags/") {
        plain = plain.strip_suffix(".json").unwrap_or(plain);
    }
    let short = plain == "/v3" || plain.starts_with("/v3/");
    if plain != path || short {
        let plain = match plain {
            "" => "/".to_owned(),
            // Clients that are given the server's address alone look for identity there.
            plain if short => format!("/identity{plain}"),
            plain => plain.to_owned(),
        };
        let text = match request.uri().query() {
            Some(query) => format!("{plain}?{query}"),
            None => plain,
        };
        if let Ok(uri) = text.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

async fn unknown_path() -> Problem {
    Problem::unknown_path()
}

async fn wrong_method() -> Problem {
    Problem::wrong_method()
}

impl AppState {
    /// What a caller asks for now.
    fn ask<T>(&self, caller: Caller, what: T) -> Ask<T> {
        Ask {
            caller,
            now: app::now(),
            underlay: self.api.underlay.clone(),
            base_mac: self.api.base_mac,
            reported: self.reported.clone(),
            quotas: self.api.quotas.clone(),
            what,
        }
    }

    /// Who makes the request.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let unauthorized = || Problem::Unauthorized(format!("{}/identity", self.base_url(headers)));
        let token = headers
            .get(X_AUTH_TOKEN)
            .and_then(|token| token.to_str().ok())
            .ok_or_else(unauthorized)?;
        let caller = self
            .identity
            .authenticate(token)
            .await
            .map_err(|error| match error {
                AuthenticateError::Unauthorized(_) => unauthorized(),
                AuthenticateError::Accounts(error) => Problem::from(error),
            })?;
        tell_caller(&caller.user_id, Some(caller.project_id.0.as_str()));
        Ok(caller)
    }

    fn base_url(&self, headers: &HeaderMap) -> String {
        base_url(
            self.api.public_url.as_deref(),
            &self.api.listen_url,
            headers,
        )
    }
}

/// The address under which a client knows us: what is configured, else what it called, else what we listen on.
pub(crate) fn base_url(public: Option<&str>, listen: &str, headers: &HeaderMap) -> String {
    if let Some(url) = public {
        return url.to_owned();
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    // Everybody comes by the scheme that we listen with.
    let scheme = listen.split("://").next().unwrap_or("http");
    match authority.filter(|authority| !authority.as_str().contains('@')) {
        Some(authority) => format!("{scheme}://{authority}"),
        None => listen.to_owned(),
    }
}

#[cfg(test)]
mod tests;
