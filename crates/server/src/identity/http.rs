//! The HTTP side: paths, who may call what, bodies. The rules of who may are Keystone's defaults.

mod catalog;
mod credentials;
mod grants;
mod keys;
mod operations;
mod projects;
mod session;
mod users;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value as Json, json};

use super::Identity;
use super::body;
use super::directory::Session;
use super::error::Failure;
use super::throttle::Source;

pub use operations::{Answer, OPERATIONS, Operation, RequestBody, example};

/// Largest request body, in octets: the largest password and names fit several times.
const BODY_BYTES_MAX: usize = 32 * 1024;

/// The caller's token.
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The token that a request is about, or that an answer brings.
const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Every path under `/identity`, absolute: merge it, do not nest it.
pub fn router(identity: Identity) -> Router {
    let operations = OPERATIONS.iter();
    operations
        .fold(Router::new(), |router, operation| operation.route(router))
        .route("/identity/", get(versions))
        .route("/identity/v3/", get(version))
        .route("/identity/{*rest}", axum::routing::any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(identity)
}

async fn versions(State(identity): State<Identity>, headers: HeaderMap) -> Response {
    let base = base_url(&identity, &headers);
    answer(
        StatusCode::MULTIPLE_CHOICES,
        &json!({"versions": {"values": [body::version(&base)]}}),
    )
}

async fn version(State(identity): State<Identity>, headers: HeaderMap) -> Response {
    let base = base_url(&identity, &headers);
    answer(StatusCode::OK, &json!({"version": body::version(&base)}))
}

async fn unknown(method: Method, uri: Uri) -> Failure {
    let message = format!(
        "{method} {} is not served by this identity service.",
        uri.path()
    );
    Failure::Refusal(StatusCode::NOT_FOUND, message)
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    Failure::Refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not allowed on {}.", uri.path()),
    )
}

/// A request's whole body; one that is too large or breaks off is refused in Keystone's form too.
struct Octets(Bytes);

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = Bytes::from_request(request, state).await;
        read.map(Octets)
            .map_err(|rejection| Failure::Refusal(rejection.status(), rejection.body_text()))
    }
}

/// A JSON answer.
fn answer(status: StatusCode, body: &Json) -> Response {
    let mut response = (status, Body::from(body.to_string())).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    response
}

/// Says that nobody may keep this answer: it holds a secret.
fn not_kept(response: &mut Response) {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

impl<S: Send + Sync> FromRequestParts<S> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let source = parts.extensions.get::<Source>();
        Ok(source.copied().unwrap_or(Source::Inside))
    }
}

/// The session of the caller's token; without one, 401.
async fn caller(identity: &Identity, headers: &HeaderMap) -> Result<Arc<Session>, Failure> {
    let token = headers
        .get(X_AUTH_TOKEN)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(Failure::unauthorized)?;
    let session = identity
        .session(token)
        .await?
        .ok_or_else(Failure::unauthorized)?;
    let project = session.project.as_ref();
    crate::http::tell_caller(&session.user.id, project.map(|project| project.id.as_str()));
    Ok(session)
}

/// The session of an administrator; without one 401 or 403.
async fn admin(
    identity: &Identity,
    headers: &HeaderMap,
    rule: &str,
) -> Result<Arc<Session>, Failure> {
    let session = caller(identity, headers).await?;
    if session.is_admin() {
        Ok(session)
    } else {
        Err(Failure::forbidden(rule))
    }
}

async fn own_or_admin(
    identity: &Identity,
    headers: &HeaderMap,
    id: &str,
    rule: &str,
) -> Result<Arc<Session>, Failure> {
    let session = caller(identity, headers).await?;
    if session.is_admin() || session.user.id == id {
        Ok(session)
    } else {
        Err(Failure::forbidden(rule))
    }
}

/// The address under which this client knows us.
fn base_url(identity: &Identity, headers: &HeaderMap) -> String {
    let config = identity.config();
    crate::http::base_url(config.public_url.as_deref(), &config.listen_url, headers)
}
