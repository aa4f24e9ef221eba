//! Users.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::operations::OF_USERS;
use super::{Octets, admin, answer, base_url, own_or_admin};
use crate::identity::accounts::{self, NewPassword, new_id};
use crate::identity::error::Failure;
use crate::identity::query::Filters;
use crate::identity::records::{DOMAIN_ID, User};
use crate::identity::secret::Secret;
use crate::identity::throttle::Source;
use crate::identity::{Identity, body, login, request};

/// `GET /v3/users`.
pub async fn list_users(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_users").await?;
    let filters = Filters::parse(query.as_deref(), OF_USERS)?;
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
    source: Source,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:create_user").await?;
    let (name, mut fields) = request::new_user(&body)?;
    let password_hash = hash(&identity, source, fields.password.take().flatten()).await?;
    let user = User {
        id: new_id(),
        name,
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
    source: Source,
    Path(id): Path<String>,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:update_user").await?;
    let mut fields = request::user_change(&body)?;
    let password = match fields.password.take() {
        Some(password) => Some(new_password(&identity, source, password).await?),
        None => None,
    };
    let user =
        accounts::update_user(identity.store(), id, fields, password, identity.now_ms()).await?;
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

/// `POST /v3/users/{id}/password`: one's own, with the old one as proof.
pub async fn change_password(
    State(identity): State<Identity>,
    source: Source,
    Path(id): Path<String>,
    Octets(body): Octets,
) -> Result<StatusCode, Failure> {
    let change = request::new_password(&body)?;
    login::prove(&identity, source, &id, change.original_password).await?;
    let password = new_password(&identity, source, Some(change.password)).await?;
    accounts::change_password(identity.store(), id, password).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn find_user(identity: &Identity, id: &str) -> Result<User, Failure> {
    let found = identity
        .directory(|directory| directory.get::<User>(id))
        .await?;
    found.ok_or_else(|| Failure::not_found("user", id))
}

async fn hash(
    identity: &Identity,
    source: Source,
    password: Option<Secret>,
) -> Result<Option<String>, Failure> {
    let Some(password) = password else {
        return Ok(None);
    };
    let _place = identity.hasher().admit(source)?;
    Ok(Some(identity.hasher().hash(password).await?))
}

/// The moment is taken after the hash, so that no login under the old password lies behind it.
async fn new_password(
    identity: &Identity,
    source: Source,
    password: Option<Secret>,
) -> Result<NewPassword, Failure> {
    let hash = hash(identity, source, password).await?;
    Ok(NewPassword {
        hash,
        logins_from: identity.now_ms().saturating_add(1),
    })
}
