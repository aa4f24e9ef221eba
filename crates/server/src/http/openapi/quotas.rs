//! The paths of quotas.

use serde_json::{Map, Value as Json, json};

use super::nouns::taken;
use super::{Operation, in_path, list_of, wrapped};
use crate::http::convert;
use crate::http::v2::quotas::{FLAGS, KINDS, LIMIT_MAX, UNLIMITED, limit as asked_limit};

/// Adds them.
pub(super) fn describe(paths: &mut Map<String, Json>) {
    let limits = json!({"type": "object", "properties": each(&limit()), "required": KINDS});
    paths.insert("/v2.0/quotas".to_owned(), collection(&limits));
    for word in ["project", "tenant"] {
        let whose = json!({"type": "object", "properties": {
            "project_id": {"type": "string"}, "tenant_id": {"type": "string"},
        }, "required": ["project_id", "tenant_id"], "additionalProperties": false});
        let whose = Operation::new(
            "Which project the caller's is",
            200,
            Some(wrapped(word, whose)),
        );
        paths.insert(format!("/v2.0/quotas/{word}"), json!({"get": whose.json()}));
    }
    paths.insert("/v2.0/quotas/{project}".to_owned(), member(&limits));
    let detail = json!({
        "type": "object",
        "properties": {"limit": limit(), "used": {"type": "integer", "minimum": 0}, "reserved": {"const": 0}},
        "required": ["limit", "used", "reserved"],
        "additionalProperties": false,
    });
    let details = json!({"type": "object", "properties": each(&detail), "required": KINDS});
    for (word, summary, schema) in [
        (
            "default",
            "The limits of a project without its own",
            &limits,
        ),
        (
            "details",
            "A project's limits, and what it uses of them",
            &details,
        ),
    ] {
        let read = of_a_project(summary, 200, Some(quota(schema)), &[403]);
        paths.insert(
            format!("/v2.0/quotas/{{project}}/{word}"),
            json!({"get": read.json()}),
        );
    }
}

fn collection(limits: &Json) -> Json {
    let list = Operation {
        errors: &[403],
        ..Operation::new(
            "Projects with limits of their own",
            200,
            Some(list_of("quotas", limits.clone())),
        )
    };
    let make = Operation {
        body: Some(json!({})),
        ..Operation::new("Is not offered: PUT sets limits", 501, None)
    };
    let mut make = make.json();
    make["operationId"] = json!("quota_create_not_offered");
    make["responses"]["501"] = json!({"$ref": "#/components/responses/Error"});
    json!({"get": list.json(), "post": make})
}

fn member(limits: &Json) -> Json {
    let mut asked = each(&taken(|value| {
        asked_limit("", value)
            .map(Json::from)
            .map_err(|_| String::new())
    }));
    for flag in FLAGS {
        asked.insert(flag.to_owned(), taken(convert::boolean));
    }
    let asked = json!({"type": "object", "properties": asked, "additionalProperties": false});
    let set = Operation {
        body: Some(quota(&asked)),
        ..of_a_project(
            "Sets a project's limits",
            200,
            Some(quota(limits)),
            &[403, 409],
        )
    };
    json!({
        "get": of_a_project("A project's limits", 200, Some(quota(limits)), &[403]).json(),
        "put": set.json(),
        "delete": of_a_project("Takes a project's own limits away", 204, None, &[403, 404]).json(),
    })
}

fn of_a_project(
    summary: &str,
    status: u16,
    answer: Option<Json>,
    errors: &'static [u16],
) -> Operation {
    // A project of that id there need not be.
    let id = json!({"type": "string", "maxLength": 255, "pattern": "^[^/\\u0000]+$"});
    Operation {
        parameters: vec![in_path("project", id)],
        errors,
        ..Operation::new(summary, status, answer)
    }
}

fn limit() -> Json {
    json!({"type": "integer", "minimum": UNLIMITED, "maximum": LIMIT_MAX})
}

/// A property for each kind that is limited.
fn each(schema: &Json) -> Map<String, Json> {
    let kinds = KINDS.iter();
    kinds
        .map(|kind| ((*kind).to_owned(), schema.clone()))
        .collect()
}

fn quota(schema: &Json) -> Json {
    wrapped("quota", schema.clone())
}
