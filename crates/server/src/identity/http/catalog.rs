//! The lists that are the same in every cloud: services, endpoints, roles, the domain.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};

use super::operations::{OF_DOMAINS, OF_ENDPOINTS, OF_NAMES, OF_SERVICES};
use super::{admin, answer, base_url, caller};
use crate::identity::error::Failure;
use crate::identity::query::Filters;
use crate::identity::records::{DOMAIN_ID, DOMAIN_NAME};
use crate::identity::role::Role;
use crate::identity::{Identity, body};

/// `GET /v3/services`.
pub async fn services(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_services").await?;
    let filters = Filters::parse(query.as_deref(), OF_SERVICES)?;
    let base = base_url(&identity, &headers);
    let shown = filtered(body::services(&base), &filters, OF_SERVICES);
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
    let filters = Filters::parse(query.as_deref(), OF_ENDPOINTS)?;
    let base = base_url(&identity, &headers);
    let shown = filtered(body::endpoints(&base), &filters, OF_ENDPOINTS);
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

/// `GET /v3/regions`: to everybody, as the catalogue names it.
pub async fn regions(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    caller(&identity, &headers).await?;
    Filters::parse(query.as_deref(), &[])?;
    let base = base_url(&identity, &headers);
    let shown = vec![body::region(&base)];
    Ok(answer(StatusCode::OK, &body::list(&base, "regions", shown)))
}

/// `GET /v3/regions/{id}`.
pub async fn region(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    caller(&identity, &headers).await?;
    let regions = vec![body::region(&base_url(&identity, &headers))];
    one(regions, "region", &id)
}

/// `GET /v3/domains`.
pub async fn domains(
    State(identity): State<Identity>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    admin(&identity, &headers, "identity:list_domains").await?;
    let filters = Filters::parse(query.as_deref(), OF_DOMAINS)?;
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
    let filters = Filters::parse(query.as_deref(), OF_NAMES)?;
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
