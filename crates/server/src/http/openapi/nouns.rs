//! A noun's paths and schemas, from its table.

use serde_json::{Map, Value as Json, json};

use super::schema::{IPV4, IPV6, described, samples};
use super::{Operation, id, in_path, list_of, wrapped};
use crate::app::BULK_MAX;
use crate::http::attributes::{Attribute, Convert, Filter, Noun, Rule, Shown, Verb};
use crate::http::convert;
use crate::http::v2::{TAG_CHARS_MAX, is_taggable};

/// Adds what a noun has.
pub(super) fn describe(
    noun: &Noun,
    paths: &mut Map<String, Json>,
    schemas: &mut Map<String, Json>,
) {
    schemas.insert(format!("{}_whole", noun.name), whole(noun));
    schemas.insert(noun.name.to_owned(), part(noun));
    schemas.insert(format!("{}_create", noun.name), request(noun, Verb::Post));
    schemas.insert(format!("{}_update", noun.name), request(noun, Verb::Put));
    let path = format!("/v2.0/{}", noun.path());
    let member_path = format!("{path}/{{id}}");
    paths.insert(path, collection(noun));
    paths.insert(member_path.clone(), member(noun));
    if is_taggable(noun) {
        tags(noun, &member_path, paths);
    }
}

fn schema(noun: &Noun, suffix: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{}{suffix}", noun.name)})
}

fn collection(noun: &Noun) -> Json {
    let link = json!({
        "type": "object",
        "properties": {"rel": {"enum": ["next", "previous"]}, "href": {"type": "string", "format": "uri"}},
        "required": ["rel", "href"],
        "additionalProperties": false,
    });
    let many = json!({
        "type": "object",
        "properties": {
            noun.collection: {"type": "array", "items": schema(noun, "")},
            format!("{}_links", noun.collection): {"type": "array", "items": link},
        },
        "required": [noun.collection],
        "additionalProperties": false,
    });
    let list = Operation {
        parameters: parameters(noun),
        errors: &[404],
        ..Operation::new(format!("Lists {}", noun.path()), 200, Some(many))
    };
    let one = |schema| wrapped(noun.name, schema);
    let mut bulk = list_of(noun.collection, schema(noun, "_create"));
    bulk["properties"][noun.collection]["minItems"] = json!(1);
    bulk["properties"][noun.collection]["maxItems"] = json!(BULK_MAX);
    let whole = || schema(noun, "_whole");
    let made = json!({"anyOf": [one(whole()), list_of(noun.collection, whole())]});
    let create = Operation {
        body: Some(json!({"anyOf": [one(schema(noun, "_create")), bulk]})),
        errors: &[403, 404, 409],
        ..Operation::new(
            format!("Makes one of the {} or several, all or none", noun.path()),
            201,
            Some(made),
        )
    };
    json!({"get": list.json(), "post": create.json()})
}

fn member(noun: &Noun) -> Json {
    let one = |suffix| wrapped(noun.name, schema(noun, suffix));
    let show = Operation {
        parameters: vec![id(), fields()],
        errors: &[404],
        ..Operation::new(format!("Shows a {}", noun.name), 200, Some(one("")))
    };
    let update = Operation {
        parameters: vec![id(), if_match()],
        body: Some(one("_update")),
        errors: &[403, 404, 409, 412],
        ..Operation::new(format!("Changes a {}", noun.name), 200, Some(one("_whole")))
    };
    let delete = Operation {
        parameters: vec![id(), if_match()],
        errors: &[403, 404, 409, 412],
        ..Operation::new(format!("Deletes a {}", noun.name), 204, None)
    };
    json!({"get": show.json(), "put": update.json(), "delete": delete.json()})
}

/// Adds a noun that is only read, whose members go beyond its table.
pub(super) fn describe_read_only(
    noun: &Noun,
    paths: &mut Map<String, Json>,
    schemas: &mut Map<String, Json>,
) {
    let mut shown = part(noun);
    shown["additionalProperties"] = json!(true);
    schemas.insert(noun.name.to_owned(), shown);
    let path = format!("/v2.0/{}", noun.path());
    let member_path = format!("{path}/{{id}}");
    let get = |item: Json| json!({"get": item["get"]});
    paths.insert(path, get(collection(noun)));
    paths.insert(member_path, get(member(noun)));
}

/// The tags of a noun's resources.
fn tags(noun: &Noun, member: &str, paths: &mut Map<String, Json>) {
    let tag = json!({"type": "string", "minLength": 1, "maxLength": TAG_CHARS_MAX});
    let tags = || wrapped("tags", taken(convert::tags));
    let operation = |summary: &str, status, answer| Operation {
        parameters: vec![id()],
        errors: &[403, 404, 409, 412],
        ..Operation::new(format!("{summary} of a {}", noun.name), status, answer)
    };
    let changed = |summary| Operation {
        body: Some(tags()),
        ..operation(summary, 200, Some(tags()))
    };
    let item = json!({
        "get": operation("Lists the tags", 200, Some(tags())).json(),
        "put": changed("Replaces the tags").json(),
        "post": changed("Adds to the tags").json(),
        "delete": operation("Deletes all tags", 204, None).json(),
    });
    paths.insert(format!("{member}/tags"), item);
    // A slash would end the tag.
    let mut tag = tag;
    tag["pattern"] = json!("^[^/]+$");
    let on_one = |summary, status| {
        let mut operation = operation(summary, status, None);
        operation.parameters.push(in_path("tag", tag.clone()));
        operation.json()
    };
    let item = json!({
        "get": on_one("Whether this is among the tags", 204),
        "put": on_one("Adds one to the tags", 201),
        "delete": on_one("Deletes one from the tags", 204),
    });
    paths.insert(format!("{member}/tags/{{tag}}"), item);
}

/// The object of a request.
fn request(noun: &Noun, verb: Verb) -> Json {
    let mut properties = Map::new();
    for attribute in noun.attributes {
        let rule = match verb {
            Verb::Post => attribute.post,
            Verb::Put => attribute.put,
        };
        let schema = match rule {
            // What is taken and never shown is refused further on, with another type.
            Rule::Takes(_) if attribute.shown == Shown::Never => continue,
            Rule::Takes(convert) => taken(convert),
            Rule::Only(texts) => match texts {
                [] => continue,
                texts => {
                    json!({"enum": texts.iter().map(|text| constant(text)).collect::<Vec<_>>()})
                }
            },
            Rule::ReadOnly => continue,
        };
        if attribute.name == "project_id" {
            properties.insert("tenant_id".to_owned(), schema.clone());
        }
        properties.insert(attribute.name.to_owned(), schema);
    }
    let required = match verb {
        Verb::Post => noun.required,
        Verb::Put => &[],
    };
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// A resource as a creation or a change answers it: with everything.
fn whole(noun: &Noun) -> Json {
    let mut schema = part(noun);
    let always =
        |attribute: &&Attribute| matches!(attribute.shown, Shown::Stored | Shown::Always(_));
    let names = noun
        .attributes
        .iter()
        .filter(always)
        .map(|attribute| attribute.name);
    schema["required"] = json!(names.chain(["tenant_id"]).collect::<Vec<_>>());
    schema
}

/// A resource as lists and shows answer it, which may be asked for a part.
fn part(noun: &Noun) -> Json {
    let mut properties = Map::new();
    for attribute in noun.attributes {
        let schema = match attribute.shown {
            Shown::Stored | Shown::StoredAdmin => match attribute.post {
                Rule::Takes(convert) => given(convert),
                Rule::Only(_) | Rule::ReadOnly => json!({}),
            },
            Shown::Always(text) | Shown::Admin(text) => json!({"const": constant(text)}),
            Shown::Hidden | Shown::Never => continue,
        };
        properties.insert(attribute.name.to_owned(), schema);
    }
    properties.insert("tenant_id".to_owned(), json!({"type": "string"}));
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

pub(super) fn taken(convert: Convert) -> Json {
    described(&|value| convert(value).is_ok()).unwrap_or(json!({}))
}

/// What a converter makes of what it takes, by its types; what was never said may be null.
fn given(convert: Convert) -> Json {
    let mut types = vec!["null"];
    for made in samples().filter_map(|sample| convert(&sample).ok()) {
        let kind = match made {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "integer",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        };
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    json!({"type": types})
}

fn constant(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

/// What a list can be asked for.
fn parameters(noun: &Noun) -> Vec<Json> {
    let query = |name: &str, schema: Json| json!({"name": name, "in": "query", "schema": schema});
    let many = |name: &str, items: Json| {
        let schema = json!({"type": "array", "items": items});
        json!({"name": name, "in": "query", "style": "form", "explode": true, "schema": schema})
    };
    let filters = noun.attributes.iter().filter_map(|attribute| {
        let items = filtered_by(attribute.filter?);
        Some(many(attribute.name, items))
    });
    let mut parameters: Vec<Json> = filters.collect();
    parameters.extend([
        many("tenant_id", json!({"type": "string"})),
        fields(),
        many("sort_key", json!({"enum": noun.sortable})),
        many("sort_dir", json!({"enum": ["asc", "desc"]})),
        query(
            "limit",
            json!({"type": "integer", "minimum": 0, "maximum": usize::MAX}),
        ),
        query("marker", json!({"type": "string", "format": "uuid"})),
        query("page_reverse", json!({"type": "boolean"})),
    ]);
    if noun.attribute("updated_at").is_some() {
        let time = json!({"type": "string", "format": "date-time"});
        parameters.push(query("changed_since", time));
    }
    parameters
}

/// The values of a filter.
fn filtered_by(filter: Filter) -> Json {
    match filter {
        Filter::Text | Filter::Tags(_) => json!({"type": "string"}),
        Filter::OneOf(words) | Filter::AnyItem(words) => json!({"enum": words}),
        Filter::Number => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
        Filter::Boolean => json!({"enum": ["True", "true", "1", "False", "false", "0"]}),
        Filter::Id | Filter::Address | Filter::Prefix | Filter::Mac => {
            let takes = |value: &Json| {
                let text = value.as_str();
                text.is_some_and(|text| filter.wanted("", text).is_ok())
            };
            described(&takes).unwrap_or(json!({}))
        }
        Filter::FixedIps => json!({"anyOf": [
            {"type": "string", "pattern": format!("^ip_address=({IPV4}|{IPV6})$")},
            {"type": "string", "pattern": "^ip_address_substr=.*$"},
            {"type": "string", "pattern": "^subnet_id=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        ]}),
    }
}

fn fields() -> Json {
    json!({
        "name": "fields", "in": "query", "style": "form", "explode": true,
        "schema": {"type": "array", "items": {"type": "string"}},
    })
}

fn if_match() -> Json {
    let schema = json!({"type": "string", "pattern": "^revision_number=[0-9]{1,18}$"});
    json!({"name": "If-Match", "in": "header", "schema": schema})
}
