//! The attribute tables: what each resource takes, shows and filters by. Neutron's names, defaults and messages.

use std::sync::Arc;

use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::snapshot::Snapshot;
use hextet_store::{Document, Model};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::app::Said;
use crate::app::policy::{self, Allowed, Demand, Guard, Rules, Target, When};
use crate::identity::Caller;

pub(super) use super::filter::{Filter, TagRule};
use super::view::Besides;

/// Checks a value and puts it in its canonical form, or says why it cannot.
pub(super) type Convert = fn(&Json) -> Result<Json, String>;

/// POST or PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Put,
}

/// What a request may say about an attribute.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// A value.
    Takes(Convert),
    /// One of these JSON texts, which is what holds anyway: clients send it, and anything else would do nothing.
    Only(&'static [&'static str]),
    /// Nothing.
    ReadOnly,
}

/// How an attribute is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is in the document, in the one beside, or made by [`Noun::computed`].
    Stored,
    /// The same, to administrators and services.
    StoredAdmin,
    /// This JSON text.
    Always(&'static str),
    /// This JSON text, to administrators and services.
    Admin(&'static str),
    /// Not at all, but filtered by.
    Hidden,
    /// Not at all.
    Never,
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(super) struct Attribute {
    pub name: &'static str,
    pub post: Rule,
    pub put: Rule,
    pub shown: Shown,
    pub filter: Option<Filter>,
    /// What saying it demands beyond the right to make or change the resource.
    pub guards: &'static [Guard],
}

impl Attribute {
    /// The same row with guards.
    pub(super) const fn guarded(self, guards: &'static [Guard]) -> Self {
        Attribute { guards, ..self }
    }
}

/// A resource of the API.
pub(super) struct Noun {
    /// The key of one.
    pub name: &'static str,
    /// The key of many.
    pub collection: &'static str,
    /// The kind of its documents.
    pub kind: &'static str,
    /// Who makes, sees, changes and deletes one.
    pub rules: &'static Rules,
    /// Who sees the attributes that not everybody does.
    pub insiders: Allowed,
    /// What a POST cannot do without.
    pub required: &'static [&'static str],
    /// Its table.
    pub attributes: &'static [Attribute],
    /// What lists may be sorted by.
    pub sortable: &'static [&'static str],
    /// What the rules are judged about; `None` where there is no such resource.
    pub target: for<'a> fn(snapshot: &'a Snapshot, id: &str) -> Option<Target<'a>>,
    /// Members that follow from the document, each as `,"name":value`.
    pub computed: fn(document: &Document, admin: bool, text: &mut String),
    /// What is stored beside it.
    pub beside: Option<Beside>,
    /// A stored member of the resource of this id, without parsing its document.
    pub member: fn(snapshot: &Snapshot, id: &str, name: &str) -> Json,
}

/// A document of the same id beside that of a noun, whose members are shown with its own.
#[derive(Clone, Copy)]
pub(super) struct Beside {
    /// The kind of these documents.
    pub kind: &'static str,
    /// The public members where there is none.
    pub none: &'static str,
    /// And what only administrators and services see, with its comma.
    pub none_admin: &'static str,
}

/// A guard that lets the same in for POST and PUT.
pub(super) const fn guard(name: &'static str, when: When, allowed: Allowed) -> Guard {
    Guard {
        name,
        when,
        create: allowed,
        update: allowed,
    }
}

/// A row that is stored, taken by POST and PUT, and filtered by.
pub(super) const fn writable(name: &'static str, convert: Convert, filter: Filter) -> Attribute {
    Attribute {
        name,
        post: Rule::Takes(convert),
        put: Rule::Takes(convert),
        shown: Shown::Stored,
        filter: Some(filter),
        guards: &[],
    }
}

/// A row that is stored and taken by POST alone.
pub(super) const fn fixed(name: &'static str, convert: Convert, filter: Filter) -> Attribute {
    Attribute {
        name,
        post: Rule::Takes(convert),
        put: Rule::ReadOnly,
        shown: Shown::Stored,
        filter: Some(filter),
        guards: &[],
    }
}

/// A row that is stored and taken by no request.
pub(super) const fn read_only(name: &'static str, filter: Option<Filter>) -> Attribute {
    Attribute {
        name,
        post: Rule::ReadOnly,
        put: Rule::ReadOnly,
        shown: Shown::Stored,
        filter,
        guards: &[],
    }
}

/// A row of an attribute that does nothing: one value holds, is shown, and may be said.
pub(super) const fn neutral(
    name: &'static str,
    only: &'static [&'static str],
    shown: Shown,
    filter: Option<Filter>,
) -> Attribute {
    Attribute {
        name,
        post: Rule::Only(only),
        put: Rule::Only(only),
        shown,
        filter,
        guards: &[],
    }
}

/// A filter by tags that is no attribute.
pub(super) const fn tag_filter(name: &'static str, rule: TagRule) -> Attribute {
    Attribute {
        name,
        post: Rule::ReadOnly,
        put: Rule::ReadOnly,
        shown: Shown::Never,
        filter: Some(Filter::Tags(rule)),
        guards: &[],
    }
}

impl Noun {
    /// The name of its collection in paths.
    pub(super) fn path(&self) -> String {
        self.collection.replace('_', "-")
    }

    /// The row of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// An attribute of a resource as its reader sees it: what is hidden or not there is null.
    pub(super) fn value(&self, snapshot: &Snapshot, id: &str, name: &str, admin: bool) -> Json {
        let Some(attribute) = self.attribute(name) else {
            return Json::Null;
        };
        match attribute.shown {
            Shown::Stored | Shown::Hidden => (self.member)(snapshot, id, name),
            Shown::StoredAdmin if admin => (self.member)(snapshot, id, name),
            Shown::Always(text) => serde_json::from_str(text).unwrap_or_default(),
            Shown::Admin(text) if admin => serde_json::from_str(text).unwrap_or_default(),
            Shown::Admin(_) | Shown::StoredAdmin | Shown::Never => Json::Null,
        }
    }

    /// Whether the caller sees a document.
    pub(super) fn sees(&self, model: &Model, caller: &Caller, document: &Document) -> bool {
        let read = self.rules.read;
        policy::allows(read, caller)
            || (self.target)(model.snapshot(), &document.id)
                .is_some_and(|target| policy::allows_to(read, caller, &target))
    }

    /// The document beside the one of this id, if there is one.
    pub(super) fn beside(&self, model: &Model, id: &str) -> Option<Arc<Document>> {
        let beside = self.beside?;
        model.document(beside.kind, id).cloned()
    }

    /// The documents beside these.
    pub(super) fn besides(&self, model: &Model, documents: &[Arc<Document>]) -> Besides {
        if self.beside.is_none() {
            return Besides::new();
        }
        let beside = |document: &Arc<Document>| {
            Some((document.id.clone(), self.beside(model, &document.id)?))
        };
        documents.iter().filter_map(beside).collect()
    }

    /// Puts a request's members in their canonical form, and tells what saying them demands.
    pub(super) fn check(
        &self,
        verb: Verb,
        mut members: Map<String, Json>,
    ) -> Result<Said<Map<String, Json>>, Refusal> {
        unite_project(verb, &mut members)?;
        let unknown: Vec<&str> = members
            .keys()
            .map(String::as_str)
            .filter(|name| self.attribute(name).is_none())
            .collect();
        if !unknown.is_empty() {
            return Err(bad(format!(
                "Unrecognized attribute(s) '{}'",
                unknown.join(", ")
            )));
        }
        if verb == Verb::Post {
            for name in self.required {
                if !members.contains_key(*name) {
                    return Err(bad(format!(
                        "Failed to parse request. Required attribute '{name}' not specified"
                    )));
                }
            }
        }
        let mut said = Said {
            what: Map::new(),
            demands: Vec::new(),
        };
        for (name, value) in members {
            let attribute = self
                .attribute(&name)
                .expect("unknown names were refused above");
            let rule = match verb {
                Verb::Post => attribute.post,
                Verb::Put => attribute.put,
            };
            match rule {
                Rule::Takes(convert) => {
                    let value = convert(&value).map_err(|why| Refusal::attribute(&name, why))?;
                    said.demands.extend(self.demands(verb, attribute, &value));
                    said.what.insert(name, value);
                }
                Rule::Only(only) => {
                    let mut demands: Vec<Demand> = self.demands(verb, attribute, &value).collect();
                    if let Err(refusal) = check_neutral(&name, &value, only) {
                        let judged_later = demands.first_mut().ok_or_else(|| refusal.clone())?;
                        judged_later.unsupported = Some(refusal);
                    }
                    said.demands.extend(demands);
                }
                Rule::ReadOnly => return Err(read_only_refusal(verb, &name)),
            }
        }
        Ok(said)
    }

    fn demands(
        &self,
        verb: Verb,
        attribute: &'static Attribute,
        value: &Json,
    ) -> impl Iterator<Item = Demand> {
        let new = verb == Verb::Post;
        let guards = attribute.guards.iter();
        guards.filter_map(move |guard| guard.demand(self.rules.noun, value, new))
    }
}

/// A member of a stored resource, by its rendering: for those that are seldom asked for.
pub(super) fn rendered(resource: &impl Serialize, name: &str) -> Json {
    match serde_json::to_value(resource) {
        Ok(Json::Object(mut members)) => members.remove(name).unwrap_or_default(),
        _ => Json::Null,
    }
}

/// `tenant_id` and `project_id` are one attribute.
fn unite_project(verb: Verb, members: &mut Map<String, Json>) -> Result<(), Refusal> {
    let Some(tenant) = members.remove("tenant_id") else {
        return Ok(());
    };
    if verb == Verb::Put {
        return Err(read_only_refusal(verb, "tenant_id"));
    }
    if members
        .get("project_id")
        .is_some_and(|project| *project != tenant)
    {
        return Err(bad("'project_id' and 'tenant_id' do not match"));
    }
    members.insert("project_id".to_owned(), tenant);
    Ok(())
}

fn check_neutral(name: &str, value: &Json, only: &[&str]) -> Result<(), Refusal> {
    let said = value.to_string();
    if only.contains(&said.as_str()) {
        return Ok(());
    }
    let allowed = match only {
        [] => "leave it out".to_owned(),
        only => format!("{} is allowed", only.join(" or ")),
    };
    Err(Refusal::attribute(
        name,
        format_args!("'{said}' is not supported; {allowed}"),
    ))
}

fn read_only_refusal(verb: Verb, name: &str) -> Refusal {
    bad(match verb {
        Verb::Post => format!("Attribute '{name}' not allowed in POST"),
        Verb::Put => format!("Cannot update read-only attribute {name}"),
    })
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::HttpBadRequest, message)
}
