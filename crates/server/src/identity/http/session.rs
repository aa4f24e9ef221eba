//! Tokens, and what a login opens.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::operations::OF_TOKENS;
use super::{Octets, X_SUBJECT_TOKEN, answer, base_url, caller, not_kept};
use crate::identity::directory::Session;
use crate::identity::error::Failure;
use crate::identity::login::log_in;
use crate::identity::query::Filters;
use crate::identity::records::Revocation;
use crate::identity::role::Role;
use crate::identity::secret::Secret;
use crate::identity::throttle::Source;
use crate::identity::{Identity, accounts, body, request};

/// `POST /v3/auth/tokens`: logs in.
pub async fn issue(
    State(identity): State<Identity>,
    headers: HeaderMap,
    source: Source,
    RawQuery(query): RawQuery,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    let filters = Filters::parse(query.as_deref(), OF_TOKENS)?;
    let issued = log_in(&identity, source, request::login(&body)?).await?;
    let with_catalog = !filters.flag("nocatalog");
    let body = body::token(
        &base_url(&identity, &headers),
        &issued.session,
        with_catalog,
    );
    let mut response = answer(StatusCode::CREATED, &body);
    set_subject(&mut response, &issued.token)?;
    Ok(response)
}

/// `GET` and `HEAD /v3/auth/tokens`: what a token is; one's own, or any to an administrator.
pub async fn show(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let filters = Filters::parse(query.as_deref(), OF_TOKENS)?;
    let (token, session) = subject(&identity, &headers, "identity:validate_token").await?;
    let with_catalog = !filters.flag("nocatalog");
    let body = body::token(&base_url(&identity, &headers), &session, with_catalog);
    let mut response = answer(StatusCode::OK, &body);
    set_subject(&mut response, &token)?;
    Ok(response)
}

/// `DELETE /v3/auth/tokens`: gives a token back.
pub async fn revoke(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    let (_, session) = subject(&identity, &headers, "identity:revoke_token").await?;
    let revocation = Revocation {
        audit_id: session.claims.jti.clone(),
        expires_at: session.claims.exp,
    };
    let (user_id, now) = (session.user.id.clone(), identity.now_ms());
    accounts::revoke(identity.store(), revocation, user_id, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v3/auth/catalog`.
pub async fn catalog(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let session = caller(&identity, &headers).await?;
    let base = base_url(&identity, &headers);
    let catalog = if session.project.is_some() {
        body::catalog(&base)
    } else {
        json!([])
    };
    let link = format!("{base}/identity/v3/auth/catalog");
    let links = json!({"next": null, "self": link, "previous": null});
    Ok(answer(
        StatusCode::OK,
        &json!({"catalog": catalog, "links": links}),
    ))
}

/// `GET /v3/auth/projects`: where the caller could log in to.
pub async fn projects(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let session = caller(&identity, &headers).await?;
    let base = base_url(&identity, &headers);
    let found = identity
        .directory(|directory| directory.projects_of(&session.user.id))
        .await?;
    let shown = found
        .iter()
        .map(|project| body::project(&base, project))
        .collect();
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, "auth/projects", shown),
    ))
}

/// `GET /v3/auth/domains`: domains in which the caller holds a role, of which there are none.
pub async fn domains(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    caller(&identity, &headers).await?;
    let base = base_url(&identity, &headers);
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, "auth/domains", Vec::new()),
    ))
}

/// The token that a request is about, and its session. Another user's token is shown and revoked to administrators and
/// services alone; one that opens nothing is 404 (as with Keystone).
async fn subject(
    identity: &Identity,
    headers: &HeaderMap,
    rule: &str,
) -> Result<(Secret, Arc<Session>), Failure> {
    let own = caller(identity, headers).await?;
    let token = headers
        .get(X_SUBJECT_TOKEN)
        .and_then(|value| value.to_str().ok());
    let token =
        token.ok_or_else(|| Failure::bad_request("The header X-Subject-Token is missing."))?;
    let found = identity.session(token).await?;
    let session = match found {
        Some(session) if session.user.id == own.user.id => session,
        _ if !own.is_admin() && !own.roles.contains(&Role::Service) => {
            return Err(Failure::forbidden(rule));
        }
        Some(session) => session,
        None => {
            let message = "Could not find the token that X-Subject-Token holds.";
            return Err(Failure::Refusal(StatusCode::NOT_FOUND, message.to_owned()));
        }
    };
    Ok((Secret::new(token.to_owned()), session))
}

fn set_subject(response: &mut Response, token: &Secret) -> Result<(), Failure> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(Failure::fault)?;
    // Layers that log headers leave a sensitive one out.
    value.set_sensitive(true);
    response.headers_mut().insert(X_SUBJECT_TOKEN, value);
    not_kept(response);
    Ok(())
}
