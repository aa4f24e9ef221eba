//! Documents as a caller sees them: slices of their text, and what is spliced in.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use hextet_store::Document;
use serde_json::{Map, Value as Json};

use super::attributes::{Noun, Shown};

/// The documents beside a noun's, by id, as far as there are some.
pub(super) type Besides = BTreeMap<Arc<str>, Arc<Document>>;

/// A resource's document, and the one beside it.
type Pair<'a> = (&'a Document, Option<&'a Document>);

/// One resource, as `{"name":{…}}`.
pub(super) fn one(
    noun: &Noun,
    document: &Document,
    beside: Option<&Document>,
    fields: &[String],
    admin: bool,
) -> String {
    let mut text = format!("{{\"{}\":", noun.name);
    push(noun, (document, beside), fields, admin, &mut text);
    text.push('}');
    text
}

/// Many resources with nothing beside them, as `{"collection":[…]}`.
pub(super) fn many<'a>(
    noun: &'static Noun,
    documents: impl Iterator<Item = &'a Document>,
    admin: bool,
) -> String {
    let mut text = String::new();
    Many::new(noun, documents, Vec::new(), admin, &[]).push(&mut text, usize::MAX);
    text
}

/// Many resources as text that is made part by part: a reader that is slow holds up no more than that.
pub(super) struct Many<I> {
    noun: &'static Noun,
    documents: I,
    besides: Besides,
    fields: Vec<String>,
    admin: bool,
    /// What stands before the next document.
    before: &'static str,
    /// What comes after the last, until it came.
    end: Option<String>,
}

impl<I: Iterator<Item: Deref<Target = Document>>> Many<I> {
    /// As `{"collection":[…]}`, with the links to the pages beside, if it is one.
    pub fn new(
        noun: &'static Noun,
        documents: I,
        fields: Vec<String>,
        admin: bool,
        links: &[Json],
    ) -> Self {
        let mut end = "]".to_owned();
        if !links.is_empty() {
            let links = Json::Array(links.to_vec());
            end.push_str(&format!(",\"{}_links\":{links}", noun.collection));
        }
        end.push('}');
        Self {
            noun,
            documents,
            besides: Besides::new(),
            fields,
            admin,
            before: "",
            end: Some(end),
        }
    }

    /// The same with these documents beside.
    pub fn with(self, besides: Besides) -> Self {
        Self { besides, ..self }
    }

    /// Adds what comes next, until the text has so many bytes or is whole.
    pub fn push(&mut self, text: &mut String, bytes: usize) {
        if self.before.is_empty() {
            text.push_str(&format!("{{\"{}\":", self.noun.collection));
            self.before = "[";
        }
        while text.len() < bytes {
            let Some(document) = self.documents.next() else {
                if self.before == "[" {
                    text.push('[');
                }
                text.push_str(&self.end.take().unwrap_or_default());
                return;
            };
            text.push_str(std::mem::replace(&mut self.before, ","));
            let beside = self.besides.get(&document.id).map(AsRef::as_ref);
            let pair = (&*document, beside);
            push(self.noun, pair, &self.fields, self.admin, text);
        }
    }

    /// Whether all of it came.
    pub fn is_whole(&self) -> bool {
        self.end.is_none()
    }
}

fn push(noun: &Noun, pair: Pair<'_>, fields: &[String], admin: bool, text: &mut String) {
    match fields.is_empty() {
        true => object(noun, pair, admin, text),
        false => text.push_str(&only(&members(noun, pair, admin), fields)),
    }
}

fn object(noun: &Noun, (document, beside): Pair<'_>, admin: bool, text: &mut String) {
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
    push_beside(noun, beside, admin, text);
    text.push('}');
}

/// The members of the document beside.
fn push_beside(noun: &Noun, document: Option<&Document>, admin: bool, text: &mut String) {
    let Some(beside) = &noun.beside else {
        return;
    };
    text.push(',');
    let slice = match (document, admin) {
        (Some(document), true) => document.admin(),
        (Some(document), false) => document.public(),
        (None, _) => {
            text.push_str(beside.none);
            if admin {
                text.push_str(beside.none_admin);
            }
            return;
        }
    };
    // Without the brace that opens it.
    text.push_str(slice.strip_prefix('{').unwrap_or(slice));
}

fn members(noun: &Noun, pair: Pair<'_>, admin: bool) -> Map<String, Json> {
    let mut text = String::new();
    object(noun, pair, admin, &mut text);
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
