//! `/v2.0/{collection}/{id}/tags`.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hextet_core::ids::{NetworkId, PortId, SubnetId};
use hextet_core::refusal::{Refusal, RefusalKind};
use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{deleted, networks, ports, subnets, text};
use crate::app::tags::{self as app, TagChange, Tagged};
use crate::app::{Change, transact};
use crate::http::AppState;
use crate::http::attributes::Noun;
use crate::http::body::{if_match, member};
use crate::http::convert;
pub(in crate::http) use crate::http::convert::TEXT_CHARS_MAX as TAG_CHARS_MAX;
use crate::http::error::Problem;

/// A noun whose resources have tags.
struct Taggable {
    noun: &'static Noun,
    resource: fn(Uuid) -> Tagged,
}

const TAGGABLE: &[Taggable] = &[
    Taggable {
        noun: &networks::NETWORK,
        resource: |id| Tagged::Network(NetworkId(id)),
    },
    Taggable {
        noun: &subnets::SUBNET,
        resource: |id| Tagged::Subnet(SubnetId(id)),
    },
    Taggable {
        noun: &ports::PORT,
        resource: |id| Tagged::Port(PortId(id)),
    },
];

/// Whether a noun's resources have tags.
pub(in crate::http) fn is_taggable(noun: &Noun) -> bool {
    TAGGABLE
        .iter()
        .any(|taggable| taggable.noun.collection == noun.collection)
}

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route(
            "/v2.0/{collection}/{id}/tags",
            get(list).put(replace).post(add).delete(clear),
        )
        .route(
            "/v2.0/{collection}/{id}/tags/{tag}",
            get(has).put(add_one).delete(remove),
        )
}

async fn list(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    Ok(told(&read(&state, &headers, &collection, &id).await?))
}

async fn has(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path((collection, id, tag)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let tags = read(&state, &headers, &collection, &id).await?;
    match tags.contains(&tag) {
        true => Ok(deleted()),
        false => Err(app::unknown(&tag).into()),
    }
}

async fn replace(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let change = async || Ok(TagChange::Replace(read_body(body).await?));
    Ok(told(&write(&state, &headers, &path, change).await?))
}

async fn add(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let change = async || Ok(TagChange::Add(read_body(body).await?));
    Ok(told(&write(&state, &headers, &path, change).await?))
}

async fn clear(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
) -> Result<Response, Problem> {
    let change = async || Ok(TagChange::Replace(BTreeSet::new()));
    write(&state, &headers, &path, change).await?;
    Ok(deleted())
}

async fn add_one(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path((collection, id, tag)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let change = async || Ok(TagChange::Add(parsed(&json!([tag]))?));
    write(&state, &headers, &(collection, id), change).await?;
    let mut response = deleted();
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

async fn remove(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path((collection, id, tag)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let change = async || Ok(TagChange::Remove(tag));
    write(&state, &headers, &(collection, id), change).await?;
    Ok(deleted())
}

/// The tags of a resource that the caller sees.
async fn read(
    state: &AppState,
    headers: &HeaderMap,
    collection: &str,
    id: &str,
) -> Result<BTreeSet<String>, Problem> {
    let caller = state.caller(headers).await?;
    let Taggable { noun, .. } = taggable(collection)?;
    let tags = state
        .store
        .read(|model| {
            let document = model.document(noun.kind, id)?;
            noun.sees(model, &caller, document)
                .then(|| (noun.member)(model.snapshot(), id, "tags"))
        })
        .await?
        .ok_or_else(|| super::unknown(noun, id))?;
    Ok(serde_json::from_value(tags).unwrap_or_default())
}

async fn write(
    state: &AppState,
    headers: &HeaderMap,
    (collection, id): &(String, String),
    change: impl AsyncFnOnce() -> Result<TagChange, Problem>,
) -> Result<BTreeSet<String>, Problem> {
    let caller = state.caller(headers).await?;
    let Taggable { noun, resource, .. } = taggable(collection)?;
    let change = Change {
        id: resource(super::id(noun, id)?),
        patch: change().await?,
        if_match: if_match(headers)?,
    };
    Ok(transact(&state.store, state.ask(caller, change), app::change).await?)
}

fn taggable(collection: &str) -> Result<&'static Taggable, Problem> {
    TAGGABLE
        .iter()
        .find(|taggable| taggable.noun.collection == collection)
        .ok_or_else(Problem::unknown_path)
}

async fn read_body(body: Body) -> Result<BTreeSet<String>, Problem> {
    Ok(parsed(
        &member("tags", RefusalKind::InvalidInput, body).await?,
    )?)
}

/// A list of tags; what is none is `InvalidInput`, which Neutron's tag service raises.
fn parsed(value: &Json) -> Result<BTreeSet<String>, Refusal> {
    let wrong = |why: String| Refusal::invalid(format!("tags: {why}"));
    let tags = convert::tags(value).map_err(wrong)?;
    serde_json::from_value(tags).map_err(|error| wrong(error.to_string()))
}

fn told(tags: &BTreeSet<String>) -> Response {
    text(StatusCode::OK, json!({"tags": tags}).to_string())
}

/// Whether a body is a list of tags.
pub(super) async fn decode(body: Body) -> bool {
    read_body(body).await.is_ok()
}
