//! `/openapi.json`: networking and identity as OpenAPI 3.1 tells them, made from the tables that the API itself runs by.
//!
//! Needs no token, as the versions at `/` do not: it says what any server of this version can do, and nothing of this one.

mod identity;
mod nouns;
mod quotas;
mod schema;

use std::sync::LazyLock;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::body::text;
use super::v2::NOUNS;
use super::v2::availability::AVAILABILITY;

/// It is the same for as long as the server runs.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document.
pub(super) async fn show() -> Response {
    text(StatusCode::OK, TEXT.clone())
}

/// An operation in the making.
struct Operation {
    summary: String,
    parameters: Vec<Json>,
    body: Option<Json>,
    /// The status of success, and the schema of its body if it has one.
    success: (u16, Option<Json>),
    /// What else may be answered, beyond what every request may meet.
    errors: &'static [u16],
    /// Whether it asks for a token.
    open: bool,
    /// How errors are told.
    told: &'static str,
}

/// What any request may meet at the edge, and what one with a body may besides.
const EDGE: [u16; 5] = [400, 414, 417, 431, 503];
const EDGE_OF_BODIES: [u16; 3] = [408, 413, 415];

impl Operation {
    fn new(summary: impl Into<String>, status: u16, answer: Option<Json>) -> Self {
        Self {
            summary: summary.into(),
            parameters: Vec::new(),
            body: None,
            success: (status, answer),
            errors: &[],
            open: false,
            told: "Error",
        }
    }

    fn json(self) -> Json {
        let (status, answer) = self.success;
        let mut done = json!({"description": "Done", "headers": {
            "X-Openstack-Request-Id": {"schema": {"type": "string", "pattern": "^req-[0-9a-f-]{36}$"}, "required": true},
        }});
        if let Some(schema) = answer {
            done["content"] = json!({"application/json": {"schema": schema}});
        }
        let mut responses = Map::new();
        responses.insert(status.to_string(), done);
        let body_errors = self.body.iter().flat_map(|_| EDGE_OF_BODIES);
        let unauthorized = (!self.open).then_some(401);
        let errors = EDGE.into_iter().chain(body_errors).chain(unauthorized);
        for error in errors.chain(self.errors.iter().copied()) {
            let told = match error {
                401 => "Unauthorized",
                _ => self.told,
            };
            let told = format!("#/components/responses/{told}");
            responses.insert(error.to_string(), json!({"$ref": told}));
        }
        let mut operation = json!({
            "summary": self.summary, "parameters": self.parameters, "responses": responses,
        });
        if self.open {
            operation["security"] = json!([]);
        }
        if let Some(schema) = self.body {
            let content = json!({"application/json": {"schema": schema}});
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        operation
    }
}

/// A parameter in the path.
fn in_path(name: &str, schema: Json) -> Json {
    json!({"name": name, "in": "path", "required": true, "schema": schema})
}

fn id() -> Json {
    in_path("id", json!({"type": "string", "format": "uuid"}))
}

/// The document, whole.
fn document() -> Json {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for noun in NOUNS {
        nouns::describe(noun, &mut paths, &mut schemas);
    }
    nouns::describe_read_only(&AVAILABILITY, &mut paths, &mut schemas);
    others(&mut paths);
    quotas::describe(&mut paths);
    identity::describe(&mut paths, &mut schemas);
    let (error, unauthorized, identity_error) = errors();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hextet",
            "summary": "OpenStack Networking v2.0 and Identity v3, as far as this server has them",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Error": error, "Unauthorized": unauthorized, "IdentityError": identity_error},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    })
}

/// The bodies of errors: networking's, identity's for who is not let in, and identity's.
fn errors() -> (Json, Json, Json) {
    let told = |description: &str, name: &str, inner: Json| {
        let schema = json!({
            "type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": false,
        });
        json!({"description": description, "content": {"application/json": {"schema": schema}}})
    };
    let neutron = json!({
        "type": "object",
        "properties": {
            "type": {"type": "string", "minLength": 1},
            "message": {"type": "string", "minLength": 1},
            "detail": {"const": ""},
        },
        "required": ["type", "message", "detail"],
        "additionalProperties": false,
    });
    let keystone = |code: Json, title: Json| {
        json!({
            "type": "object",
            "properties": {"code": code, "title": title, "message": {"type": "string", "minLength": 1}},
            "required": ["code", "title", "message"],
            "additionalProperties": false,
        })
    };
    let unauthorized = keystone(json!({"const": 401}), json!({"const": "Unauthorized"}));
    let any = keystone(json!({"type": "integer"}), json!({"type": "string"}));
    (
        told("Why not", "NeutronError", neutron),
        told("No token, or none that holds", "error", unauthorized),
        told("Why not", "error", any),
    )
}

/// An object whose one member this is.
fn wrapped(name: &str, schema: Json) -> Json {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}

fn list_of(name: &str, schema: Json) -> Json {
    wrapped(name, json!({"type": "array", "items": schema}))
}

/// Versions, collections, extensions, health.
fn others(paths: &mut Map<String, Json>) {
    let open = |summary, answer| Operation {
        open: true,
        ..Operation::new(summary, 200, Some(answer))
    };
    let object = || json!({"type": "object"});
    let get = |operation: Operation| json!({"get": operation.json()});
    let health = wrapped_pair("status", json!({"enum": ["ok", "unavailable"]}), "parts");
    let mut healthz = get(open("Whether the server works", health.clone()));
    healthz["get"]["responses"]["503"] = json!({
        "description": "What does not work",
        "content": {"application/json": {"schema": {"anyOf": [health, {"type": "object", "required": ["NeutronError"]}]}}},
    });
    let extension = json!({
        "type": "object",
        "properties": {
            "alias": {"type": "string"}, "name": {"type": "string"}, "description": {"type": "string"},
            "updated": {"type": "string"}, "links": {"const": []},
        },
        "required": ["alias", "name", "description", "updated", "links"],
        "additionalProperties": false,
    });
    let mut one = Operation::new(
        "An extension",
        200,
        Some(wrapped("extension", extension.clone())),
    );
    one.parameters = vec![in_path("alias", json!({"type": "string", "minLength": 1}))];
    one.errors = &[404];
    let document = get(open("This document", object()));
    for (path, item) in [
        (
            "/",
            get(open("The versions", list_of("versions", object()))),
        ),
        ("/healthz", healthz),
        ("/openapi.json", document),
        (
            "/v2.0",
            get(Operation::new(
                "The collections",
                200,
                Some(list_of("resources", object())),
            )),
        ),
        (
            "/v2.0/extensions",
            get(Operation::new(
                "What works",
                200,
                Some(list_of("extensions", extension)),
            )),
        ),
        ("/v2.0/extensions/{alias}", get(one)),
    ] {
        paths.insert(path.to_owned(), item);
    }
}

fn wrapped_pair(name: &str, schema: Json, other: &str) -> Json {
    let mut pair = wrapped(name, schema);
    pair["properties"][other] =
        json!({"type": "object", "additionalProperties": {"type": "string"}});
    pair["required"] = json!([name, other]);
    pair
}

#[cfg(test)]
mod tests;
