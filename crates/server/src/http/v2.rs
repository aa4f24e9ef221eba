//! `/` and `/v2.0`: which versions, which collections; a module for each noun.

mod extensions;
pub(super) mod networks;
pub(super) mod ports;
mod quotas;
pub(super) mod subnets;
mod tags;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use hextet_core::refusal::RefusalKind;
use hextet_store::Document;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;

use super::AppState;
use super::attributes::Noun;
use super::body::text;
use super::error::Problem;
use super::list::{self, Listing};
use super::query::Query;
use super::view;
use crate::app::{self, policy};
use crate::identity::Caller;

/// Everything that answers here.
pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/", get(versions))
        .route("/v2.0", get(resources))
        .merge(extensions::router())
        .merge(networks::router())
        .merge(subnets::router())
        .merge(ports::router())
        .merge(quotas::router())
        .merge(tags::router())
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
    let nouns = [&networks::NETWORK, &subnets::SUBNET, &ports::PORT];
    let mut resources: Vec<_> = nouns
        .iter()
        .map(|noun| (noun.name, noun.collection))
        .collect();
    resources.extend([("extension", "extensions"), ("quota", "quotas")]);
    let resources: Vec<_> = resources
        .into_iter()
        .map(|(name, collection)| {
            let href = format!("{base}/v2.0/{collection}");
            json!({"name": name, "collection": collection, "links": [{"rel": "self", "href": href}]})
        })
        .collect();
    Ok(text(
        StatusCode::OK,
        json!({"resources": resources}).to_string(),
    ))
}

/// Whether the caller sees a document. A network is seen by its project, what stands on it by its own and the network's.
type Sees = fn(&hextet_store::Model, &Caller, &Document) -> bool;

/// A list.
async fn list(
    noun: &Noun,
    sees: Sees,
    state: &AppState,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Problem> {
    let caller = state.caller(headers).await?;
    let query = Query::parse(noun, uri.query())?;
    let admin = policy::sees_all(&caller);
    let documents = state
        .store
        .read(|model| {
            let listing = Listing {
                noun,
                model,
                query: &query,
                admin,
            };
            let (name, kind) = noun.not_found;
            listing.select(
                |document| sees(model, &caller, document),
                |id| app::not_found(kind, name, id),
            )
        })
        .await??;
    let links = match &query.page {
        None => Vec::new(),
        Some(page) => {
            let url = format!("{}/v2.0/{}", state.base_url(headers), noun.collection);
            list::links(&url, uri.query(), page, &documents)
        }
    };
    let documents = documents.iter().map(std::convert::AsRef::as_ref);
    Ok(text(
        StatusCode::OK,
        view::many(noun, documents, &query.fields, admin, &links),
    ))
}

/// One resource.
async fn show(
    noun: &Noun,
    sees: Sees,
    state: &AppState,
    headers: &HeaderMap,
    (uri, id): (&Uri, &str),
) -> Result<Response, Problem> {
    let caller = state.caller(headers).await?;
    let query = Query::parse_fields(noun, uri.query())?;
    let document = state
        .store
        .read(|model| {
            let document = model.document(noun.kind, id)?;
            sees(model, &caller, document).then(|| document.clone())
        })
        .await?
        .ok_or_else(|| unknown(noun, id))?;
    let admin = policy::sees_all(&caller);
    Ok(text(
        StatusCode::OK,
        view::one(noun, &document, &query.fields, admin),
    ))
}

/// The answer to a creation.
fn created(noun: &Noun, caller: &Caller, documents: &[Document], bulk: bool) -> Response {
    let admin = policy::sees_all(caller);
    let body = match documents {
        [document] if !bulk => view::one(noun, document, &[], admin),
        documents => view::many(noun, documents.iter(), &[], admin, &[]),
    };
    text(StatusCode::CREATED, body)
}

/// The answer to an update.
fn updated(noun: &Noun, caller: &Caller, document: &Document) -> Response {
    let admin = policy::sees_all(caller);
    text(StatusCode::OK, view::one(noun, document, &[], admin))
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
    let (name, kind): (&str, RefusalKind) = noun.not_found;
    Problem::Refused(app::not_found(kind, name, id))
}
