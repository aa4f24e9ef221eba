//! Application credentials: made by their user alone, seen and deleted by administrators too.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::operations::OF_NAMES;
use super::{Octets, answer, base_url, own_or_admin};
use crate::identity::accounts::{self, new_id};
use crate::identity::directory::Session;
use crate::identity::error::Failure;
use crate::identity::query::Filters;
use crate::identity::records::Credential;
use crate::identity::request::{self, Asked};
use crate::identity::secret::Secret;
use crate::identity::throttle::Source;
use crate::identity::{Identity, body};

/// `GET /v3/users/{u}/application_credentials`.
pub async fn list(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(user_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let rule = "identity:list_application_credentials";
    own_or_admin(&identity, &headers, &user_id, rule).await?;
    let filters = Filters::parse(query.as_deref(), OF_NAMES)?;
    super::users::find_user(&identity, &user_id).await?;
    let base = base_url(&identity, &headers);
    let found = identity
        .directory(|directory| directory.credentials_of(&user_id))
        .await?;
    let passing = found
        .iter()
        .filter(|credential| filters.pass("name", &credential.name));
    let shown = passing
        .map(|credential| body::credential(&base, credential, None))
        .collect();
    let path = format!("users/{user_id}/application_credentials");
    Ok(answer(StatusCode::OK, &body::list(&base, &path, shown)))
}

/// `GET /v3/users/{u}/application_credentials/{id}`.
pub async fn show(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path((user_id, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let rule = "identity:get_application_credential";
    own_or_admin(&identity, &headers, &user_id, rule).await?;
    let found: Option<Credential> = identity.directory(|directory| directory.get(&id)).await?;
    let credential = found
        .filter(|credential| credential.user_id == user_id)
        .ok_or_else(|| Failure::not_found("application credential", &id))?;
    let shown = body::credential(&base_url(&identity, &headers), &credential, None);
    Ok(answer(
        StatusCode::OK,
        &json!({"application_credential": shown}),
    ))
}

/// `POST /v3/users/{u}/application_credentials`: for oneself, in the token's project. The answer alone has the secret.
pub async fn create(
    State(identity): State<Identity>,
    headers: HeaderMap,
    source: Source,
    Path(user_id): Path<String>,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    let rule = "identity:create_application_credential";
    let session = super::caller(&identity, &headers).await?;
    if session.user.id != user_id {
        return Err(Failure::forbidden(rule));
    }
    unrestricted(&session, rule)?;
    let now = identity.now_ms() / 1000;
    let Asked {
        mut wanted,
        roles,
        expires_at,
    } = request::new_credential(&body, now)?;
    let Some(project) = &session.project else {
        return Err(Failure::bad_request(
            "An application credential is for a project: log in to one.",
        ));
    };
    if wanted
        .project_id
        .as_ref()
        .is_some_and(|id| *id != project.id)
    {
        return Err(Failure::bad_request(
            "project_id: the token's project alone is allowed.",
        ));
    }
    let roles = roles.unwrap_or_else(|| session.roles.clone());
    if let Some(role) = roles.iter().find(|role| !session.roles.contains(role)) {
        return Err(Failure::bad_request(format!(
            "roles: you do not hold {role} in this project."
        )));
    }
    let secret = wanted.secret.take().unwrap_or_else(Secret::random);
    let place = identity.hasher().admit(source)?;
    let secret_hash = identity.hasher().hash(secret.clone()).await?;
    drop(place);
    let credential = Credential {
        id: new_id(),
        name: wanted.name,
        description: wanted.description.unwrap_or_default(),
        user_id,
        project_id: project.id.clone(),
        roles,
        expires_at,
        unrestricted: wanted.unrestricted.unwrap_or(false),
        secret_hash,
    };
    let made = accounts::create_credential(identity.store(), credential).await?;
    let shown = body::credential(&base_url(&identity, &headers), &made, Some(&secret));
    let mut response = answer(
        StatusCode::CREATED,
        &json!({"application_credential": shown}),
    );
    super::not_kept(&mut response);
    Ok(response)
}

/// `DELETE /v3/users/{u}/application_credentials/{id}`: its tokens open nothing from then on.
pub async fn delete(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path((user_id, id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let rule = "identity:delete_application_credential";
    let session = own_or_admin(&identity, &headers, &user_id, rule).await?;
    unrestricted(&session, rule)?;
    accounts::delete_credential(identity.store(), user_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A credential's token handles credentials only if that was said when it was made.
fn unrestricted(session: &Session, rule: &str) -> Result<(), Failure> {
    match &session.credential {
        Some(credential) if !credential.unrestricted => Err(Failure::forbidden(rule)),
        _ => Ok(()),
    }
}
