//! Documents as a caller sees them: slices of their text, and what is spliced in.

use std::sync::Arc;

use hextet_store::Document;
use serde_json::{Map, Value as Json};

use super::attributes::{Noun, Shown};
use super::query::Query;

/// One resource, as `{"name":{…}}`.
pub(super) fn one(noun: &Noun, document: &Document, query: &Query, admin: bool) -> String {
    let object = match query.fields.is_empty() {
        true => object(noun, document, admin),
        false => only(&members(noun, document, admin), &query.fields),
    };
    format!("{{\"{}\":{object}}}", noun.name)
}

/// Many resources, as `{"collection":[…]}`.
pub(super) fn many<'a>(
    noun: &Noun,
    documents: impl Iterator<Item = &'a Document>,
    query: &Query,
    admin: bool,
) -> String {
    let mut text = format!("{{\"{}\":[", noun.collection);
    let empty = text.len();
    for document in documents {
        let object = if query.is_empty() {
            object(noun, document, admin)
        } else {
            let members = members(noun, document, admin);
            if !query.passes(&members) {
                continue;
            }
            only(&members, &query.fields)
        };
        if text.len() > empty {
            text.push(',');
        }
        text.push_str(&object);
    }
    text.push_str("]}");
    text
}

/// The documents that a list's query can pass at all: by id where it names some.
pub(super) fn candidates(
    noun: &Noun,
    model: &hextet_store::Model,
    query: &Query,
) -> Vec<Arc<Document>> {
    match query.ids() {
        Some(ids) => {
            let mut ids: Vec<&String> = ids.iter().collect();
            ids.sort();
            ids.dedup();
            let found = ids
                .into_iter()
                .filter_map(|id| model.document(noun.kind, id));
            found.cloned().collect()
        }
        None => model.documents(noun.kind).cloned().collect(),
    }
}

fn object(noun: &Noun, document: &Document, admin: bool) -> String {
    let mut text = match admin {
        true => document.admin().to_owned(),
        false => document.public().to_owned(),
    };
    text.push_str(",\"tenant_id\":");
    text.push_str(&Json::from(&*document.project_id).to_string());
    for attribute in noun.attributes {
        let value = match attribute.shown {
            Shown::Always(value) => value,
            Shown::Admin(value) if admin => value,
            Shown::Admin(_) | Shown::Stored | Shown::Never => continue,
        };
        text.push_str(",\"");
        text.push_str(attribute.name);
        text.push_str("\":");
        text.push_str(value);
    }
    (noun.computed)(document, admin, &mut text);
    text.push('}');
    text
}

fn members(noun: &Noun, document: &Document, admin: bool) -> Map<String, Json> {
    serde_json::from_str(&object(noun, document, admin)).unwrap_or_default()
}

/// The named members that there are; all where none is named.
fn only(members: &Map<String, Json>, fields: &[String]) -> String {
    if fields.is_empty() {
        return serde_json::to_string(members).unwrap_or_default();
    }
    let kept: Map<String, Json> = members
        .iter()
        .filter(|(name, _)| fields.contains(name))
        .map(|(name, member)| (name.clone(), member.clone()))
        .collect();
    serde_json::to_string(&kept).unwrap_or_default()
}
