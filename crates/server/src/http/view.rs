//! Documents as a caller sees them: slices of their text, and what is spliced in.

use hextet_store::Document;
use serde_json::{Map, Value as Json};

use super::attributes::{Noun, Shown};

/// One resource, as `{"name":{…}}`.
pub(super) fn one(noun: &Noun, document: &Document, fields: &[String], admin: bool) -> String {
    let mut text = format!("{{\"{}\":", noun.name);
    push(noun, document, fields, admin, &mut text);
    text.push('}');
    text
}

/// Many resources, as `{"collection":[…]}`, and the links to the pages beside, if it is one.
pub(super) fn many<'a>(
    noun: &Noun,
    documents: impl Iterator<Item = &'a Document>,
    fields: &[String],
    admin: bool,
    links: &[Json],
) -> String {
    let mut text = format!("{{\"{}\":[", noun.collection);
    let empty = text.len();
    for document in documents {
        if text.len() > empty {
            text.push(',');
        }
        push(noun, document, fields, admin, &mut text);
    }
    text.push(']');
    if !links.is_empty() {
        let links = Json::Array(links.to_vec());
        text.push_str(&format!(",\"{}_links\":{links}", noun.collection));
    }
    text.push('}');
    text
}

fn push(noun: &Noun, document: &Document, fields: &[String], admin: bool, text: &mut String) {
    match fields.is_empty() {
        true => object(noun, document, admin, text),
        false => text.push_str(&only(&members(noun, document, admin), fields)),
    }
}

fn object(noun: &Noun, document: &Document, admin: bool, text: &mut String) {
    text.push_str(match admin {
        true => document.admin(),
        false => document.public(),
    });
    text.push_str(",\"tenant_id\":");
    text.push_str(&Json::from(&*document.project_id).to_string());
    for attribute in noun.attributes {
        let value = match attribute.shown {
            Shown::Always(value) => value,
            Shown::Admin(value) if admin => value,
            Shown::Admin(_) | Shown::Stored | Shown::StoredAdmin | Shown::Hidden | Shown::Never => {
                continue;
            }
        };
        text.push_str(",\"");
        text.push_str(attribute.name);
        text.push_str("\":");
        text.push_str(value);
    }
    (noun.computed)(document, admin, text);
    text.push('}');
}

fn members(noun: &Noun, document: &Document, admin: bool) -> Map<String, Json> {
    let mut text = String::new();
    object(noun, document, admin, &mut text);
    serde_json::from_str(&text).unwrap_or_default()
}

/// The named members that there are.
fn only(members: &Map<String, Json>, fields: &[String]) -> String {
    let kept: Map<String, Json> = members
        .iter()
        .filter(|(name, _)| fields.contains(name))
        .map(|(name, member)| (name.clone(), member.clone()))
        .collect();
    serde_json::to_string(&kept).unwrap_or_default()
}
