//! Tokens, and the lists that are the same in every cloud: catalogue, roles, the domain.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};

use super::super::body;
use super::super::directory::Session;
use super::super::error::Failure;
use super::super::login::log_in;
use super::super::query::Filters;
use super::super::records::{DOMAIN_ID, DOMAIN_NAME, Revocation};
use super::super::request::{self, AuthBody};
use super::super::role::Role;
use super::super::secret::Secret;
use super::super::{Identity, accounts};
use super::{Octets, X_SUBJECT_TOKEN, admin, answer, base_url, caller};

/// `POST /v3/auth/tokens`: logs in.
pub async fn issue(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    let filters = Filters::parse(query.as_deref(), &["nocatalog"])?;
    let AuthBody { auth } = request::parse(&body)?;
    let issued = log_in(&identity, auth).await?;
    let with_catalog = filters.get("nocatalog").is_none();
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
    let filters = Filters::parse(query.as_deref(), &["nocatalog"])?;
    let (token, session) = subject(&identity, &headers, "identity:validate_token").await?;
    let with_catalog = filters.get("nocatalog").is_none();
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
        audit_id: session.claims.jti,
        expires_at: session.claims.exp,
    };
    accounts::revoke(identity.store(), revocation, identity.now_ms() / 1000).await?;
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

/// `GET /v3/services`.
pub async fn services(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_services").await?;
    let filters = Filters::parse(query.as_deref(), &["name", "type"])?;
    let base = base_url(&identity, &headers);
    let shown = filtered(body::services(&base), &filters, &["name", "type"]);
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, "services", shown),
    ))
}

/// `GET /v3/services/{id}`.
pub async fn service(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:get_service").await?;
    one(
        body::services(&base_url(&identity, &headers)),
        "service",
        &id,
    )
}

/// `GET /v3/endpoints`.
pub async fn endpoints(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_endpoints").await?;
    let known = ["interface", "region_id", "service_id"];
    let filters = Filters::parse(query.as_deref(), &known)?;
    let base = base_url(&identity, &headers);
    let shown = filtered(body::endpoints(&base), &filters, &known);
    Ok(answer(
        StatusCode::OK,
        &body::list(&base, "endpoints", shown),
    ))
}

/// `GET /v3/endpoints/{id}`.
pub async fn endpoint(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:get_endpoint").await?;
    one(
        body::endpoints(&base_url(&identity, &headers)),
        "endpoint",
        &id,
    )
}

/// `GET /v3/domains`.
pub async fn domains(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_domains").await?;
    let filters = Filters::parse(query.as_deref(), &["name", "enabled"])?;
    let base = base_url(&identity, &headers);
    let passes = filters.pass("name", DOMAIN_NAME) && filters.pass_bool("enabled", true);
    let shown = if passes {
        vec![body::domain(&base)]
    } else {
        Vec::new()
    };
    Ok(answer(StatusCode::OK, &body::list(&base, "domains", shown)))
}

/// `GET /v3/domains/{id}`: to everybody, as everybody is in it.
pub async fn domain(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    caller(&identity, &headers).await?;
    if id != DOMAIN_ID {
        return Err(Failure::not_found("domain", &id));
    }
    Ok(answer(
        StatusCode::OK,
        &json!({"domain": body::domain(&base_url(&identity, &headers))}),
    ))
}

/// `GET /v3/roles`.
pub async fn roles(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_roles").await?;
    let filters = Filters::parse(query.as_deref(), &["name"])?;
    let base = base_url(&identity, &headers);
    let passing = Role::ALL
        .into_iter()
        .filter(|role| filters.pass("name", role.name()));
    let shown = passing.map(|role| body::role(&base, role)).collect();
    Ok(answer(StatusCode::OK, &body::list(&base, "roles", shown)))
}

/// `GET /v3/roles/{id}`.
pub async fn role(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:get_role").await?;
    let role = Role::from_id(&id).ok_or_else(|| Failure::not_found("role", &id))?;
    Ok(answer(
        StatusCode::OK,
        &json!({"role": body::role(&base_url(&identity, &headers), role)}),
    ))
}

/// The token that a request is about, and its session. Another user's token is shown and revoked to administrators and
/// services alone; one that opens nothing is 404 (as with Keystone).
async fn subject(
    identity: &Identity,
    headers: &HeaderMap,
    rule: &str,
) -> Result<(Secret, Session), Failure> {
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
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(())
}

fn filtered(items: Vec<Json>, filters: &Filters, names: &[&str]) -> Vec<Json> {
    let passes = |item: &Json| {
        names.iter().all(|name| {
            filters.pass(
                name,
                item.get(name).and_then(Json::as_str).unwrap_or_default(),
            )
        })
    };
    items.into_iter().filter(passes).collect()
}

fn one(items: Vec<Json>, noun: &str, id: &str) -> Result<Response, Failure> {
    let found = items
        .into_iter()
        .find(|item| item.get("id").and_then(Json::as_str) == Some(id));
    let found = found.ok_or_else(|| Failure::not_found(noun, id))?;
    Ok(answer(StatusCode::OK, &json!({noun: found})).into_response())
}
