//! `/` and `/v2.0`: which versions, which collections; a module for each noun.

pub(super) mod availability;
mod decode;
mod extensions;
pub(super) mod networks;
pub(super) mod ports;
pub(super) mod quotas;
mod resource;
pub(super) mod subnets;
mod tags;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

pub(super) use decode::decode;
pub(super) use tags::{TAG_CHARS_MAX, is_taggable};

use super::AppState;
use super::attributes::Noun;
use super::body::text;
use super::error::Problem;

/// The nouns that are resources of their own.
pub(super) const NOUNS: [&Noun; 3] = [&networks::NETWORK, &subnets::SUBNET, &ports::PORT];

/// Everything that answers here.
pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/", get(versions))
        .route("/v2.0", get(resources))
        .merge(availability::router())
        .merge(extensions::router())
        .merge(resource::router::<networks::Networks>())
        .merge(resource::router::<subnets::Subnets>())
        .merge(resource::router::<ports::Ports>())
        .merge(quotas::router())
        .merge(tags::router())
        .route_layer(from_fn(refuse_query))
}

/// Whether a path's GET reads its query: the lists of resources, and one of them.
fn reads_query(method: &Method, path: &str) -> bool {
    let mut steps = path.split('/').skip(2);
    let collection = steps.next().unwrap_or_default();
    let nouns = NOUNS.into_iter().chain([&availability::AVAILABILITY]);
    let of_a_noun = nouns.map(Noun::path).any(|path| path == collection);
    let of_tags = steps.nth(1).is_some();
    matches!(*method, Method::GET | Method::HEAD) && of_a_noun && !of_tags
}

/// Refuses a query where nothing would read it.
async fn refuse_query(request: Request, next: Next) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let read = reads_query(request.method(), request.uri().path());
    match form_urlencoded::parse(query.as_bytes()).next() {
        Some((name, _)) if !read => Err(Problem::bad_request(format!(
            "'{name}': parameters belong to lists of resources, and 'fields' to what shows one"
        ))),
        _ => Ok(next.run(request).await),
    }
}

/// Needs no token: clients look here before they have one.
async fn versions(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let href = format!("{}/v2.0/", state.base_url(&headers));
    let version = json!({
        "id": "v2.0",
        "status": "CURRENT",
        "links": [{"href": href, "rel": "self"}],
    });
    text(StatusCode::OK, json!({"versions": [version]}).to_string())
}

async fn resources(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    state.caller(&headers).await?;
    let base = state.base_url(&headers);
    let nouns = NOUNS.iter().map(|noun| (noun.name, noun.collection));
    let others = [
        ("extension", "extensions"),
        ("network_ip_availability", "network_ip_availabilities"),
        ("quota", "quotas"),
    ];
    let resources: Vec<_> = nouns
        .chain(others)
        .map(|(name, collection)| {
            let href = format!("{base}/v2.0/{}", collection.replace('_', "-"));
            json!({"name": name, "collection": collection, "links": [{"rel": "self", "href": href}]})
        })
        .collect();
    Ok(text(
        StatusCode::OK,
        json!({"resources": resources}).to_string(),
    ))
}

/// The answer to a deletion.
fn deleted() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An id in a path. What is no id names nothing.
fn id<T: std::str::FromStr>(noun: &Noun, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| unknown(noun, text))
}

fn unknown(noun: &Noun, id: &str) -> Problem {
    Problem::Refused(noun.rules.unknown(id))
}
