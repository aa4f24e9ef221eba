//! Every operation, once: the router is made of this table, and so are the document at `/openapi.json`, the table of roles
//! and the fuzz target.

mod table;

use std::collections::BTreeSet;

use axum::Router;
use axum::routing::MethodRouter;
use serde_json::Value as Json;

use crate::identity::records::{Credential, Project, SigningKey, User};
use crate::identity::role::Role;
use crate::identity::{Identity, body};

pub use table::OPERATIONS;

/// An operation.
pub struct Operation {
    /// In small letters.
    pub method: &'static str,
    /// With its parameters in braces.
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    handler: fn() -> MethodRouter<Identity>,
    /// What its query may name.
    pub filters: &'static [&'static str],
    /// The body that it wants.
    pub body: Option<RequestBody>,
    /// The status of success.
    pub success: u16,
    /// What comes with it.
    pub answer: Answer,
    /// The statuses of refusals beyond those that any request may meet.
    pub errors: &'static [u16],
    /// Whether it asks for a token.
    pub open: bool,
}

/// A body: an object with one member.
#[derive(Clone, Copy)]
pub struct RequestBody {
    /// The member's name.
    pub member: &'static str,
    /// A small value of it that does, as JSON.
    pub sample: &'static str,
    /// The names of all its members.
    pub names: fn() -> &'static [&'static str],
    /// Whether a body can be used, as far as can be told without accounts.
    pub decode: fn(&[u8]) -> bool,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is none.
    Empty,
    /// One of this noun.
    One(&'static str),
    /// A list of the noun, under the name of the list.
    Many(&'static str, &'static str),
    /// An object with this member, and others.
    With(&'static str),
}

/// Filters of lists, each of which its handler knows.
pub const OF_SERVICES: &[&str] = &["name", "type"];
pub const OF_ENDPOINTS: &[&str] = &["interface", "region_id", "service_id"];
pub const OF_DOMAINS: &[&str] = &["name", "enabled"];
pub const OF_NAMES: &[&str] = &["name"];
pub const OF_PROJECTS: &[&str] = &["name", "domain_id", "parent_id", "enabled", "is_domain"];
pub const OF_USERS: &[&str] = &["name", "domain_id", "enabled"];
pub const OF_ASSIGNMENTS: &[&str] = &[
    "user.id",
    "scope.project.id",
    "role.id",
    "effective",
    "include_names",
];
pub const OF_TOKENS: &[&str] = &["nocatalog"];

impl Operation {
    /// Adds its route.
    pub fn route(&self, router: Router<Identity>) -> Router<Identity> {
        router.route(self.path, (self.handler)())
    }

    /// Whether this is the operation of a method and a path.
    pub fn is(&self, method: &str, path: &str) -> bool {
        let (steps, given) = (self.path.split('/'), path.split('/'));
        let same = |(step, given): (&str, &str)| step == given || step.starts_with('{');
        self.method.eq_ignore_ascii_case(method)
            && steps.clone().count() == given.clone().count()
            && steps.zip(given).all(same)
    }
}

/// How a resource is shown, by an example.
pub fn example(noun: &str) -> Json {
    let project = Project {
        id: "x".to_owned(),
        name: "x".to_owned(),
        description: String::new(),
        enabled: true,
        logins_from: 0,
    };
    let user = User {
        id: "x".to_owned(),
        name: "x".to_owned(),
        description: String::new(),
        email: None,
        default_project_id: None,
        enabled: true,
        password_hash: None,
        logins_from: 0,
    };
    let credential = Credential {
        id: "x".to_owned(),
        name: "x".to_owned(),
        description: String::new(),
        user_id: "x".to_owned(),
        project_id: "x".to_owned(),
        roles: BTreeSet::from([Role::Member]),
        expires_at: None,
        unrestricted: false,
        secret_hash: String::new(),
    };
    let first = |mut all: Vec<Json>| all.pop().unwrap_or_default();
    match noun {
        "region" => body::region(""),
        "domain" => body::domain(""),
        "role" => body::role("", Role::Member),
        "service" => first(body::services("")),
        "endpoint" => first(body::endpoints("")),
        "version" => body::version(""),
        "project" => body::project("", &project),
        "user" => body::user("", &user),
        "application_credential" => body::credential("", &credential, None),
        "role_assignment" => body::role_assignment("", (&project, &user), Role::Member, false),
        "token_key" => body::key(&SigningKey::random("x"), 0),
        _ => Json::Null,
    }
}
