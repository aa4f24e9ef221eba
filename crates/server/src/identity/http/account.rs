//! Projects, users, role assignments.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::super::Identity;
use super::super::accounts::{self, NewPassword, new_id};
use super::super::body;
use super::super::directory::Session;
use super::super::error::Failure;
use super::super::query::Filters;
use super::super::records::{Assignment, DOMAIN_ID, Project, User};
use super::super::request::{self, ChangePasswordBody, ProjectBody, UserBody};
use super::super::role::{Role, effective};
use super::super::secret::Secret;
use super::{Octets, admin, answer, base_url, caller};

/// `GET /v3/projects`: all to an administrator, to others those in which they hold a role. (Keystone refuses the list to
/// others; then `openstack --project NAME` and `project show NAME` fail for one's own project.)
pub async fn list_projects(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let session = caller(&identity, &headers).await?;
    let filters = Filters::parse(
        query.as_deref(),
        &["name", "domain_id", "parent_id", "enabled", "is_domain"],
    )?;
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
    let ProjectBody { project: fields } = request::parse(&body)?;
    fields.check()?;
    let project = Project {
        id: new_id(),
        name: fields
            .name
            .ok_or_else(|| Failure::bad_request("name: it is required."))?,
        description: fields.description.flatten().unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
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
    let ProjectBody { project: fields } = request::parse(&body)?;
    fields.check()?;
    let project = accounts::update_project(identity.store(), id, fields).await?;
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

/// `GET /v3/users`.
pub async fn list_users(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_users").await?;
    let filters = Filters::parse(query.as_deref(), &["name", "domain_id", "enabled"])?;
    let base = base_url(&identity, &headers);
    let users = identity
        .directory(|directory| directory.all::<User>())
        .await?;
    let passing = users.iter().filter(|user| {
        filters.pass("name", &user.name)
            && filters.pass("domain_id", DOMAIN_ID)
            && filters.pass_bool("enabled", user.enabled)
    });
    let shown = passing.map(|user| body::user(&base, user)).collect();
    Ok(answer(StatusCode::OK, &body::list(&base, "users", shown)))
}

/// `POST /v3/users`.
pub async fn create_user(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:create_user").await?;
    let UserBody { user: mut fields } = request::parse(&body)?;
    fields.check()?;
    let password_hash = hash(&identity, fields.password.take().flatten()).await?;
    let user = User {
        id: new_id(),
        name: fields
            .name
            .ok_or_else(|| Failure::bad_request("name: it is required."))?,
        description: fields.description.flatten().unwrap_or_default(),
        email: fields.email.flatten(),
        default_project_id: fields.default_project_id.flatten(),
        enabled: fields.enabled.unwrap_or(true),
        password_hash,
        logins_from: 0,
    };
    let user = accounts::create_user(identity.store(), user).await?;
    Ok(answer(
        StatusCode::CREATED,
        &json!({"user": body::user(&base_url(&identity, &headers), &user)}),
    ))
}

/// `GET /v3/users/{id}`: oneself, or anybody to an administrator.
pub async fn show_user(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    own_or_admin(&identity, &headers, &id, "identity:get_user").await?;
    let user = find_user(&identity, &id).await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"user": body::user(&base_url(&identity, &headers), &user)}),
    ))
}

/// `PATCH /v3/users/{id}`. A new password ends the tokens that older logins gave.
pub async fn update_user(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:update_user").await?;
    let UserBody { user: mut fields } = request::parse(&body)?;
    fields.check()?;
    let password = match fields.password.take() {
        Some(password) => Some(new_password(&identity, password).await?),
        None => None,
    };
    let user = accounts::update_user(identity.store(), id, fields, password).await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"user": body::user(&base_url(&identity, &headers), &user)}),
    ))
}

/// `DELETE /v3/users/{id}`.
pub async fn delete_user(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    admin(&identity, &headers, "identity:delete_user").await?;
    accounts::delete_user(identity.store(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v3/users/{id}/projects`: where a user can log in to; one's own, or anybody's to an administrator.
pub async fn user_projects(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    own_or_admin(&identity, &headers, &id, "identity:list_user_projects").await?;
    find_user(&identity, &id).await?;
    let base = base_url(&identity, &headers);
    let projects = identity
        .directory(|directory| directory.projects_of(&id))
        .await?;
    let shown = projects
        .iter()
        .map(|project| body::project(&base, project))
        .collect();
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, &format!("users/{id}/projects"), shown),
    ))
}

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
    let known = [
        "user.id",
        "scope.project.id",
        "role.id",
        "effective",
        "include_names",
    ];
    let filters = Filters::parse(query.as_deref(), &known)?;
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

/// `POST /v3/users/{id}/password`: one's own, with the old one as proof.
pub async fn change_password(
    State(identity): State<Identity>,
    Path(id): Path<String>,
    Octets(body): Octets,
) -> Result<StatusCode, Failure> {
    let ChangePasswordBody { user: change } = request::parse(&body)?;
    request::check_password(&change.password)?;
    super::super::login::prove(&identity, &id, change.original_password).await?;
    let password = new_password(&identity, Some(change.password)).await?;
    accounts::change_password(identity.store(), id, password).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn own_or_admin(
    identity: &Identity,
    headers: &HeaderMap,
    id: &str,
    rule: &str,
) -> Result<Session, Failure> {
    let session = caller(identity, headers).await?;
    if session.is_admin() || session.user.id == id {
        Ok(session)
    } else {
        Err(Failure::forbidden(rule))
    }
}

async fn find_user(identity: &Identity, id: &str) -> Result<User, Failure> {
    let found = identity
        .directory(|directory| directory.get::<User>(id))
        .await?;
    found.ok_or_else(|| Failure::not_found("user", id))
}

fn find_role(id: &str) -> Result<Role, Failure> {
    Role::from_id(id).ok_or_else(|| Failure::not_found("role", id))
}

async fn hash(identity: &Identity, password: Option<Secret>) -> Result<Option<String>, Failure> {
    let Some(password) = password else {
        return Ok(None);
    };
    let _place = identity.hasher().admit()?;
    Ok(Some(identity.hasher().hash(password).await?))
}

/// The moment is taken after the hash, so that no login under the old password lies behind it.
async fn new_password(
    identity: &Identity,
    password: Option<Secret>,
) -> Result<NewPassword, Failure> {
    let hash = hash(identity, password).await?;
    Ok(NewPassword {
        hash,
        logins_from: identity.now_ms().saturating_add(1),
    })
}
