//! Who holds which role where.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::operations::OF_ASSIGNMENTS;
use super::{admin, answer, base_url};
use crate::identity::error::Failure;
use crate::identity::query::Filters;
use crate::identity::records::{Assignment, Project, User};
use crate::identity::role::{Role, effective};
use crate::identity::{Identity, accounts, body};

/// `GET /v3/projects/{p}/users/{u}/roles`: as granted.
pub async fn grants(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path((project_id, user_id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_grants").await?;
    let granted = identity
        .directory(|directory| {
            let known = directory.get::<Project>(&project_id)?.is_some()
                && directory.get::<User>(&user_id)?.is_some();
            Ok::<_, Failure>(if known {
                Some(directory.granted(&project_id, &user_id)?)
            } else {
                None
            })
        })
        .await?
        .ok_or_else(|| {
            Failure::not_found("project and user", &format!("{project_id}, {user_id}"))
        })?;
    let base = base_url(&identity, &headers);
    let shown = granted
        .into_iter()
        .map(|role| body::role(&base, role))
        .collect();
    let path = format!("projects/{project_id}/users/{user_id}/roles");
    Ok(answer(StatusCode::OK, &body::list(&base, &path, shown)))
}

/// `PUT /v3/projects/{p}/users/{u}/roles/{r}`.
pub async fn grant(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path((project_id, user_id, role_id)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    admin(&identity, &headers, "identity:create_grant").await?;
    let role = find_role(&role_id)?;
    accounts::grant(identity.store(), project_id, user_id, role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET` and `HEAD /v3/projects/{p}/users/{u}/roles/{r}`: 204 if granted, else 404.
pub async fn check_grant(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path((project_id, user_id, role_id)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    admin(&identity, &headers, "identity:check_grant").await?;
    let role = find_role(&role_id)?;
    let granted = identity
        .directory(|directory| directory.granted(&project_id, &user_id))
        .await?;
    if granted.contains(&role) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Failure::not_found("role assignment with role", &role_id))
}

/// `DELETE /v3/projects/{p}/users/{u}/roles/{r}`.
pub async fn ungrant(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path((project_id, user_id, role_id)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    admin(&identity, &headers, "identity:revoke_grant").await?;
    let role = find_role(&role_id)?;
    accounts::ungrant(identity.store(), project_id, user_id, role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v3/role_assignments`: as granted, or with `effective` what that comes to.
pub async fn role_assignments(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_role_assignments").await?;
    let filters = Filters::parse(query.as_deref(), OF_ASSIGNMENTS)?;
    let (whole, names) = (filters.flag("effective"), filters.flag("include_names"));
    let base = base_url(&identity, &headers);
    let shown = identity
        .directory(|directory| {
            let mut shown = Vec::new();
            for grant in directory.all::<Assignment>()? {
                let passes = filters.pass("user.id", &grant.user_id)
                    && filters.pass("scope.project.id", &grant.project_id);
                let project = directory
                    .get::<Project>(&grant.project_id)?
                    .filter(|_| passes);
                let (Some(project), Some(user)) = (project, directory.get::<User>(&grant.user_id)?)
                else {
                    continue;
                };
                let roles = if whole {
                    effective(&grant.roles)
                } else {
                    grant.roles
                };
                for role in roles
                    .into_iter()
                    .filter(|role| filters.pass("role.id", role.id()))
                {
                    shown.push(body::role_assignment(&base, (&project, &user), role, names));
                }
            }
            Ok::<_, Failure>(shown)
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, "role_assignments", shown),
    ))
}

fn find_role(id: &str) -> Result<Role, Failure> {
    Role::from_id(id).ok_or_else(|| Failure::not_found("role", id))
}
