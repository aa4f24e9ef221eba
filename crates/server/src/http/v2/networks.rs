//! `/v2.0/networks`.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hextet_core::ids::{NetworkId, ProjectId};
use hextet_core::refusal::RefusalKind;
use hextet_core::snapshot::Snapshot;
use hextet_store::{Document, Model};
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::app::networks::{self as app, NetworkPatch, NewNetwork};
use crate::app::policy;
use crate::http::AppState;
use crate::http::attributes::{
    Attribute, Filter, Noun, Rule, Shown, TagRule, fixed, neutral, read_only, rendered, tag_filter,
    writable,
};
use crate::http::body::{Posted, if_match, posted, put};
use crate::http::convert;
use crate::http::error::Problem;
use crate::identity::Caller;

const FALSE: &[&str] = &["false"];
const NULL: &[&str] = &["null"];
const EMPTY_TEXT: &[&str] = &["\"\""];
const EMPTY_LIST: &[&str] = &["[]"];

pub(in crate::http) const NETWORK: Noun = Noun {
    name: "network",
    collection: "networks",
    kind: hextet_store::NETWORK,
    not_found: ("Network", RefusalKind::NetworkNotFound),
    required: &[],
    attributes: ATTRIBUTES,
    sortable: &[
        "admin_state_up",
        "availability_zone_hints",
        "id",
        "mtu",
        "name",
        "project_id",
        "status",
    ],
    computed: |_, _, _| {},
    member,
};

const ATTRIBUTES: &[Attribute] = &[
    read_only("id", Some(Filter::Text)),
    writable("name", convert::text, Filter::Text),
    writable("description", convert::text, Filter::Text),
    fixed("project_id", convert::text, Filter::Text),
    writable("admin_state_up", convert::boolean, Filter::Boolean),
    read_only("status", Some(Filter::Text)),
    read_only("subnets", None),
    writable("mtu", convert::non_negative, Filter::Text),
    read_only("revision_number", Some(Filter::Text)),
    read_only("created_at", None),
    read_only("updated_at", None),
    Attribute {
        name: "provider:segmentation_id",
        post: Rule::Only(&[]),
        put: Rule::Only(&[]),
        shown: Shown::StoredAdmin,
        filter: Some(Filter::Text),
    },
    neutral(
        "provider:network_type",
        &["\"vxlan\""],
        Shown::Admin("\"vxlan\""),
        Some(Filter::Text),
    ),
    neutral(
        "provider:physical_network",
        NULL,
        Shown::Admin("null"),
        Some(Filter::Text),
    ),
    neutral(
        "shared",
        FALSE,
        Shown::Always("false"),
        Some(Filter::Boolean),
    ),
    neutral(
        "router:external",
        FALSE,
        Shown::Always("false"),
        Some(Filter::Boolean),
    ),
    neutral("is_default", FALSE, Shown::Never, None),
    neutral(
        "port_security_enabled",
        &["true"],
        Shown::Always("true"),
        None,
    ),
    neutral("dns_domain", EMPTY_TEXT, Shown::Never, None),
    neutral("qos_policy_id", NULL, Shown::Never, None),
    neutral(
        "availability_zone_hints",
        EMPTY_LIST,
        Shown::Always("[]"),
        None,
    ),
    read_only("tags", Some(Filter::Tags(TagRule::All))),
    tag_filter("tags-any", TagRule::Any),
    tag_filter("not-tags", TagRule::NotAll),
    tag_filter("not-tags-any", TagRule::NotAny),
];

/// A POST's object after the table's check.
#[derive(Deserialize)]
struct Post {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    project_id: Option<ProjectId>,
    admin_state_up: Option<bool>,
    mtu: Option<u32>,
}

/// A PUT's object after the table's check.
#[derive(Deserialize)]
struct Put {
    name: Option<String>,
    description: Option<String>,
    admin_state_up: Option<bool>,
    mtu: Option<u32>,
}

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v2.0/networks", get(list).post(create))
        .route("/v2.0/networks/{id}", get(show).put(update).delete(delete))
}

fn member(snapshot: &Snapshot, id: &str, name: &str) -> Json {
    let id = id.parse().ok().map(NetworkId);
    let Some(network) = id.and_then(|id| snapshot.network(id)) else {
        return Json::Null;
    };
    match name {
        "id" => json!(network.id),
        "name" => json!(network.name),
        "tags" => json!(network.tags),
        "updated_at" => json!(network.updated_at),
        "project_id" => json!(network.project_id),
        "admin_state_up" => json!(network.admin_state_up),
        "status" => json!(network.status),
        name => rendered(network, name),
    }
}

pub(super) fn sees(_: &Model, caller: &Caller, document: &Document) -> bool {
    policy::sees(caller, &ProjectId(document.project_id.to_string()))
}

async fn list(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    super::list(&NETWORK, sees, &state, &headers, &uri).await
}

async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    super::show(&NETWORK, sees, &state, &headers, (&uri, &id)).await
}

async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers).await?;
    let Posted { objects, bulk } = posted::<Post>(&NETWORK, &caller, body).await?;
    let asked = objects.into_iter().map(|post| NewNetwork {
        project_id: post.project_id,
        name: post.name,
        description: post.description,
        admin_state_up: post.admin_state_up.unwrap_or(true),
        mtu: post.mtu,
    });
    let made = app::create(&state.store, &caller, asked.collect(), state.api.mtu_max).await?;
    Ok(super::created(&NETWORK, &caller, &made, bulk))
}

async fn update(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers).await?;
    let id = super::id(&NETWORK, &id)?;
    let put: Put = put(&NETWORK, &caller, body).await?;
    let patch = NetworkPatch {
        name: put.name,
        description: put.description,
        admin_state_up: put.admin_state_up,
        mtu: put.mtu,
    };
    let context = (state.api.mtu_max, state.reported.clone());
    let document = app::update(
        &state.store,
        &caller,
        id,
        patch,
        if_match(&headers)?,
        context,
    )
    .await?;
    Ok(super::updated(&NETWORK, &caller, &document))
}

async fn delete(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers).await?;
    let id = super::id(&NETWORK, &id)?;
    app::delete(&state.store, &caller, id, if_match(&headers)?).await?;
    Ok(super::deleted())
}
