//! Projects.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::operations::OF_PROJECTS;
use super::{Octets, admin, answer, base_url, caller};
use crate::identity::accounts::{self, new_id};
use crate::identity::error::Failure;
use crate::identity::query::Filters;
use crate::identity::records::{DOMAIN_ID, Project};
use crate::identity::{Identity, body, request};

/// `GET /v3/projects`: all to an administrator, to others those in which they hold a role. (Keystone refuses the list to
/// others; then `openstack --project NAME` and `project show NAME` fail for one's own project.)
pub async fn list_projects(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let session = caller(&identity, &headers).await?;
    let filters = Filters::parse(query.as_deref(), OF_PROJECTS)?;
    let base = base_url(&identity, &headers);
    let seen = identity
        .directory(|directory| match session.is_admin() {
            true => directory.all::<Project>(),
            false => directory.projects_of(&session.user.id),
        })
        .await?;
    let passing = seen.iter().filter(|project| {
        filters.pass("name", &project.name)
            && filters.pass("domain_id", DOMAIN_ID)
            && filters.pass("parent_id", DOMAIN_ID)
            && filters.pass_bool("enabled", project.enabled)
            && filters.pass_bool("is_domain", false)
    });
    let shown = passing
        .map(|project| body::project(&base, project))
        .collect();
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, "projects", shown),
    ))
}

/// `POST /v3/projects`.
pub async fn create_project(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:create_project").await?;
    let (name, fields) = request::new_project(&body)?;
    let project = Project {
        id: new_id(),
        name,
        description: fields.description.flatten().unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        logins_from: 0,
    };
    let project = accounts::create_project(identity.store(), project).await?;
    Ok(answer(
        StatusCode::CREATED,
        &json!({"project": body::project(&base_url(&identity, &headers), &project)}),
    ))
}

/// `GET /v3/projects/{id}`: any to an administrator, to others one in which they hold a role.
pub async fn show_project(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let session = caller(&identity, &headers).await?;
    let (found, granted) = identity
        .directory(|directory| {
            let granted = directory.granted(&id, &session.user.id)?;
            Ok::<_, Failure>((directory.get::<Project>(&id)?, granted))
        })
        .await?;
    if !session.is_admin() && granted.is_empty() {
        return Err(Failure::forbidden("identity:get_project"));
    }
    let project = found.ok_or_else(|| Failure::not_found("project", &id))?;
    let shown = body::project(&base_url(&identity, &headers), &project);
    Ok(answer(StatusCode::OK, &json!({ "project": shown })))
}

/// `PATCH /v3/projects/{id}`.
pub async fn update_project(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:update_project").await?;
    let fields = request::project_change(&body)?;
    let project = accounts::update_project(identity.store(), id, fields, identity.now_ms()).await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"project": body::project(&base_url(&identity, &headers), &project)}),
    ))
}

/// `DELETE /v3/projects/{id}`.
pub async fn delete_project(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    admin(&identity, &headers, "identity:delete_project").await?;
    accounts::delete_project(identity.store(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
