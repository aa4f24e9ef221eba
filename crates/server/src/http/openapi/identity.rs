//! Identity's paths and schemas, from its table of operations.

use serde_json::{Map, Value as Json, json};

use super::schema::around;
use super::{Operation, in_path, list_of, wrapped};
use crate::identity::{self, Answer, FLAG_VALUES, FLAGS, OPERATIONS, RequestBody, Role, example};

/// Adds them.
pub(super) fn describe(paths: &mut Map<String, Json>, schemas: &mut Map<String, Json>) {
    for operation in OPERATIONS {
        if let Answer::One(noun) | Answer::Many(noun, _) = operation.answer {
            schemas.insert(format!("identity_{noun}"), shown(noun));
        }
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = told(operation).json();
    }
}

fn told(operation: &identity::Operation) -> Operation {
    let steps = operation.path.split('/');
    let names = steps.filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    let id = json!({"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"});
    let mut parameters: Vec<Json> = names.map(|name| in_path(name, id.clone())).collect();
    parameters.extend(operation.filters.iter().map(|name| filter(name)));
    if operation.path.ends_with("/auth/tokens") && operation.method != "post" {
        let schema = json!({"type": "string", "minLength": 1});
        parameters.push(json!({
            "name": "X-Subject-Token", "in": "header", "required": true, "schema": schema,
        }));
    }
    Operation {
        parameters,
        body: operation.body.as_ref().map(body),
        errors: operation.errors,
        open: operation.open,
        told: "IdentityError",
        ..Operation::new(
            operation.summary,
            operation.success,
            answer(operation.answer),
        )
    }
}

fn filter(name: &str) -> Json {
    if FLAGS.contains(&name) {
        let schema = json!({"enum": FLAG_VALUES});
        return json!({"name": name, "in": "query", "allowEmptyValue": true, "schema": schema});
    }
    json!({"name": name, "in": "query", "schema": {"type": "string"}})
}

fn answer(answer: Answer) -> Option<Json> {
    let schema = |noun: &str| json!({"$ref": format!("#/components/schemas/identity_{noun}")});
    Some(match answer {
        Answer::Empty => return None,
        Answer::One(noun) => wrapped(noun, schema(noun)),
        Answer::Many(noun, name) => {
            let mut list = list_of(name, schema(noun));
            list["properties"]["links"] =
                shape(&json!({"self": "", "next": null, "previous": null}));
            list["required"] = json!([name, "links"]);
            list
        }
        Answer::With(member) => json!({"type": "object", "required": [member]}),
    })
}

/// How a resource is shown.
fn shown(noun: &str) -> Json {
    let example = example(noun);
    let mut schema = shape(&example);
    match noun {
        // In the answer to its making alone.
        "application_credential" => schema["properties"]["secret"] = json!({"type": "string"}),
        // With names, if they are asked for.
        "role_assignment" => {
            let members = example.as_object().into_iter().flat_map(Map::keys);
            let properties: Map<String, Json> = members
                .map(|name| (name.clone(), json!({"type": "object"})))
                .collect();
            schema["properties"] = json!(properties);
        }
        // What it has depends on what it is for.
        "token" => return json!({"type": "object", "required": ["methods", "user", "expires_at"]}),
        _ => {}
    }
    schema
}

/// What is like an example: null may be anything.
fn shape(example: &Json) -> Json {
    match example {
        Json::Null => json!({}),
        Json::Bool(_) => json!({"type": "boolean"}),
        Json::Number(_) => json!({"type": "integer"}),
        Json::String(_) => json!({"type": "string"}),
        Json::Array(_) => json!({"type": "array"}),
        Json::Object(members) => {
            let properties: Map<String, Json> = members
                .iter()
                .map(|(name, member)| (name.clone(), shape(member)))
                .collect();
            let required: Vec<&String> = members.keys().collect();
            json!({
                "type": "object", "properties": properties, "required": required,
                "additionalProperties": false,
            })
        }
    }
}

/// What a decoder takes: it is asked, member by member.
fn body(wanted: &RequestBody) -> Json {
    if wanted.member == "auth" {
        return wrapped("auth", login());
    }
    let takes = |object: &Json| {
        let body = json!({wanted.member: object});
        (wanted.decode)(body.to_string().as_bytes())
    };
    let sample: Map<String, Json> = serde_json::from_str(wanted.sample).unwrap_or_default();
    let asked = (wanted.names)().iter().copied();
    let asked: Vec<&str> = asked
        .filter(|name| *name != "roles" && *name != "expires_at")
        .collect();
    let mut object = around(&takes, &asked, &sample).unwrap_or(json!({}));
    if wanted.member == "application_credential" {
        object["properties"]["roles"] = roles();
        object["properties"]["expires_at"] = json!({"anyOf": [{"type": "null"}, {
            "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{6})?Z?$",
        }]});
    }
    wrapped(wanted.member, object)
}

/// Roles, each by id or by name.
fn roles() -> Json {
    let by = |name: &str, values: Vec<&str>| {
        json!({
            "type": "object", "properties": {name: {"enum": values}, "domain_id": {"type": "null"}},
            "required": [name], "additionalProperties": false,
        })
    };
    let by_id = by("id", Role::ALL.iter().map(|role| role.id()).collect());
    let by_name = by("name", Role::ALL.iter().map(|role| role.name()).collect());
    let list = json!({"type": "array", "items": {"anyOf": [by_id, by_name]}});
    json!({"anyOf": [{"type": "null"}, list]})
}

/// A login, by each method.
fn login() -> Json {
    let text = || json!({"type": "string", "minLength": 1});
    let object = |properties: Json, required: &[&str]| {
        json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        })
    };
    let domain = {
        let mut domain = object(
            json!({"id": {"enum": ["default"]}, "name": {"enum": ["Default"]}}),
            &[],
        );
        domain["minProperties"] = json!(1);
        domain
    };
    // By id, or by name and domain; a password belongs to who logs in by one.
    let named = |password: bool| {
        let with = |mut properties: Json, mut needed: Vec<&str>| {
            properties["domain"] = domain.clone();
            if password {
                properties["password"] = text();
                needed.push("password");
            }
            object(properties, &needed)
        };
        json!({"anyOf": [
            with(json!({"id": text()}), vec!["id"]),
            with(json!({"name": text()}), vec!["name", "domain"]),
        ]})
    };
    let secret = json!({"anyOf": [
        object(json!({"id": text(), "secret": text()}), &["id", "secret"]),
        object(
            json!({"name": text(), "user": named(false), "secret": text()}),
            &["name", "user", "secret"],
        ),
    ]});
    let proofs = [
        ("password", object(json!({"user": named(true)}), &["user"])),
        ("token", object(json!({"id": text()}), &["id"])),
        ("application_credential", secret),
    ];
    let methods = proofs.map(|(method, proof)| {
        let said =
            json!({"type": "array", "items": {"const": method}, "minItems": 1, "maxItems": 1});
        object(
            json!({"methods": said, method: proof}),
            &["methods", method],
        )
    });
    let scope = json!({"anyOf": [
        {"const": "unscoped"}, object(json!({"project": named(false)}), &["project"]),
    ]});
    object(
        json!({"identity": {"anyOf": methods}, "scope": scope}),
        &["identity"],
    )
}
