//! `/v2.0/quotas`: limits are read by the project and its administrators, and set by administrators.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hextet_core::ids::ProjectId;
use hextet_core::refusal::{Refusal, RefusalKind};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Map, Value as Json, json};

use super::{deleted, text};
use crate::app::policy;
use crate::app::quotas::{self as app, Limits, QUOTA};
pub(in crate::http) use crate::app::quotas::{KINDS, LIMIT_MAX, UNLIMITED};
use crate::http::AppState;
use crate::http::body::member;
use crate::http::convert;
use crate::http::error::Problem;

/// What beside limits a request may say: whether one may be below what is used, and the other word for not.
pub(in crate::http) const FLAGS: [&str; 2] = ["force", "check_limit"];

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v2.0/quotas", get(list).post(create))
        .route("/v2.0/quotas/project", get(whose))
        .route("/v2.0/quotas/tenant", get(whose))
        .route(
            "/v2.0/quotas/{project}",
            get(show).put(update).delete(reset),
        )
        .route("/v2.0/quotas/{project}/default", get(default))
        .route("/v2.0/quotas/{project}/details", get(details))
}

/// Neutron does not offer it either: a limit is made by setting it.
async fn create(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    state.caller(&headers).await?;
    Err(Refusal::new(
        RefusalKind::HttpNotImplemented,
        "Quotas are not created: PUT /v2.0/quotas/{project} sets them.",
    )
    .into())
}

/// The projects that have limits of their own.
async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    administrator(&state, &headers, "get_quota").await?;
    let quotas: Vec<Json> = state
        .store
        .read(|model| {
            let documents = model.documents(QUOTA);
            documents
                .map(|document| {
                    let own: Limits = document.parse(QUOTA).unwrap_or_default();
                    let mut quota = json!(state.api.quotas.effective(&own));
                    quota["project_id"] = json!(document.id);
                    quota["tenant_id"] = json!(document.id);
                    quota
                })
                .collect()
        })
        .await?;
    Ok(text(StatusCode::OK, json!({"quotas": quotas}).to_string()))
}

/// Which project the caller's is, under the word that the path ends with.
async fn whose(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = state.caller(&headers).await?.project_id;
    let word = uri.path().rsplit('/').next().unwrap_or_default();
    let told = json!({word: {"project_id": id, "tenant_id": id}});
    Ok(text(StatusCode::OK, told.to_string()))
}

/// A project's limits.
async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(project): Path<String>,
) -> Result<Response, Problem> {
    let project = readable(&state, &headers, project).await?;
    let own: Limits = state
        .store
        .read(|model| {
            let document = model.document(QUOTA, &project.0)?;
            document.parse(QUOTA).ok()
        })
        .await?
        .unwrap_or_default();
    Ok(told(&state.api.quotas.effective(&own)))
}

async fn default(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(project): Path<String>,
) -> Result<Response, Problem> {
    readable(&state, &headers, project).await?;
    Ok(told(&state.api.quotas.effective(&Limits::new())))
}

async fn details(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(project): Path<String>,
) -> Result<Response, Problem> {
    let project = readable(&state, &headers, project).await?;
    let details = app::details(&state.store, state.api.quotas.clone(), project).await?;
    let quota: Map<String, Json> = details
        .into_iter()
        .map(|(kind, usage)| {
            let detail = json!({"limit": usage.limit, "used": usage.used, "reserved": 0});
            (kind, detail)
        })
        .collect();
    Ok(text(StatusCode::OK, json!({"quota": quota}).to_string()))
}

async fn update(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(project): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    administrator(&state, &headers, "update_quota").await?;
    let asked = asked(&member("quota", RefusalKind::HttpBadRequest, body).await?)?;
    let defaults = state.api.quotas.clone();
    let limits = app::set(&state.store, defaults, id(project)?, asked).await?;
    Ok(told(&limits))
}

async fn reset(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(project): Path<String>,
) -> Result<Response, Problem> {
    administrator(&state, &headers, "delete_quota").await?;
    app::reset(&state.store, id(project)?).await?;
    Ok(deleted())
}

/// Whether a body sets limits.
pub(super) async fn decode(body: Body) -> bool {
    member("quota", RefusalKind::HttpBadRequest, body)
        .await
        .and_then(|quota| asked(&quota))
        .is_ok()
}

/// The limits of a body, and whether they may be below what is used. `check_limit` is the other word for not.
fn asked(quota: &Json) -> Result<(Limits, bool), Problem> {
    let Json::Object(members) = quota else {
        return Err(Problem::bad_request("quota: an object is wanted"));
    };
    let mut limits = Limits::new();
    let (mut force, mut check) = (false, false);
    for (name, value) in members {
        let flag = || match convert::boolean(value) {
            Ok(flag) => Ok(flag == Json::Bool(true)),
            Err(why) => Err(Refusal::attribute(name, why)),
        };
        match name.as_str() {
            "force" => force = flag()?,
            "check_limit" => check = flag()?,
            name if KINDS.contains(&name) => {
                limits.insert(name.to_owned(), limit(name, value)?);
            }
            name => {
                return Err(Problem::bad_request(format!(
                    "Unrecognized attribute(s) '{name}'"
                )));
            }
        }
    }
    Ok((limits, force && !check))
}

pub(in crate::http) fn limit(name: &str, value: &Json) -> Result<i64, Refusal> {
    convert::integer(value)
        .filter(|limit| (UNLIMITED..=LIMIT_MAX).contains(limit))
        .ok_or_else(|| {
            let reason = format!("{value} is not an integer of {UNLIMITED} to {LIMIT_MAX}");
            Refusal::attribute(name, reason)
        })
}

/// The project, if the caller may read its limits.
async fn readable(
    state: &AppState,
    headers: &HeaderMap,
    project: String,
) -> Result<ProjectId, Problem> {
    let caller = state.caller(headers).await?;
    let project = id(project)?;
    match caller.can_read(&project) {
        true => Ok(project),
        false => Err(policy::forbidden("get_quota").into()),
    }
}

/// A project of that id there need not be; but it has to be one that can be stored.
fn id(project: String) -> Result<ProjectId, Problem> {
    match convert::text(&Json::String(project.clone())) {
        Ok(_) => Ok(ProjectId(project)),
        Err(why) => Err(Problem::bad_request(format!("The project's id: {why}"))),
    }
}

async fn administrator(state: &AppState, headers: &HeaderMap, rule: &str) -> Result<(), Problem> {
    match state.caller(headers).await?.is_admin() {
        true => Ok(()),
        false => Err(policy::forbidden(rule).into()),
    }
}

fn told(limits: &Limits) -> Response {
    text(StatusCode::OK, json!({"quota": limits}).to_string())
}
