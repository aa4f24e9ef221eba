//! The table.

use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::{
    Answer, OF_ASSIGNMENTS, OF_DOMAINS, OF_ENDPOINTS, OF_NAMES, OF_PROJECTS, OF_SERVICES,
    OF_TOKENS, OF_USERS, Operation, RequestBody,
};
use crate::identity::http::{
    catalog, credentials, grants, keys, projects, session, users, version, versions,
};
use crate::identity::request::{self, fields_of};

const PLAIN: Operation = Operation {
    method: "get",
    path: "",
    summary: "",
    handler: MethodRouter::new,
    filters: &[],
    body: None,
    success: 200,
    answer: Answer::Empty,
    errors: &[403, 404],
    open: false,
};

const LOGIN: RequestBody = RequestBody {
    member: "auth",
    sample: r#"{"identity": {"methods": ["token"], "token": {"id": "x"}}}"#,
    names: fields_of::<request::Auth>,
    decode: |body| request::login(body).is_ok(),
};
const KEY: RequestBody = RequestBody {
    member: "token_key",
    sample: "{}",
    names: fields_of::<request::NewKey>,
    decode: |body| request::new_key(body).is_ok(),
};
const NEW_PROJECT: RequestBody = RequestBody {
    sample: r#"{"name": "x"}"#,
    decode: |body| request::new_project(body).is_ok(),
    ..PROJECT
};
const PROJECT: RequestBody = RequestBody {
    member: "project",
    sample: "{}",
    names: fields_of::<request::ProjectFields>,
    decode: |body| request::project_change(body).is_ok(),
};
const NEW_USER: RequestBody = RequestBody {
    sample: r#"{"name": "x"}"#,
    decode: |body| request::new_user(body).is_ok(),
    ..USER
};
const USER: RequestBody = RequestBody {
    member: "user",
    sample: "{}",
    names: fields_of::<request::UserFields>,
    decode: |body| request::user_change(body).is_ok(),
};
const PASSWORD: RequestBody = RequestBody {
    member: "user",
    sample: r#"{"original_password": "x", "password": "x"}"#,
    names: fields_of::<request::ChangePassword>,
    decode: |body| request::new_password(body).is_ok(),
};
const CREDENTIAL: RequestBody = RequestBody {
    member: "application_credential",
    sample: r#"{"name": "x"}"#,
    names: fields_of::<request::NewCredential>,
    decode: |body| request::new_credential(body, 0).is_ok(),
};

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/identity",
        summary: "The versions of identity",
        handler: || get(versions),
        success: 300,
        answer: Answer::With("versions"),
        errors: &[],
        open: true,
        ..PLAIN
    },
    Operation {
        path: "/identity/v3",
        summary: "The version",
        handler: || get(version),
        answer: Answer::One("version"),
        errors: &[],
        open: true,
        ..PLAIN
    },
    Operation {
        method: "post",
        path: "/identity/v3/auth/tokens",
        summary: "Logs in",
        handler: || post(session::issue),
        filters: OF_TOKENS,
        body: Some(LOGIN),
        success: 201,
        answer: Answer::One("token"),
        errors: &[401, 429],
        open: true,
    },
    Operation {
        path: "/identity/v3/auth/tokens",
        summary: "What a token is",
        handler: || get(session::show).head(session::show),
        filters: OF_TOKENS,
        answer: Answer::One("token"),
        ..PLAIN
    },
    Operation {
        method: "delete",
        path: "/identity/v3/auth/tokens",
        summary: "Gives a token back",
        handler: || delete(session::revoke),
        success: 204,
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/auth/catalog",
        summary: "The catalogue of the caller's project",
        handler: || get(session::catalog),
        answer: Answer::With("catalog"),
        errors: &[],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/auth/projects",
        summary: "Where the caller could log in to",
        handler: || get(session::projects),
        answer: Answer::Many("project", "projects"),
        errors: &[],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/auth/domains",
        summary: "Domains in which the caller has a role: none",
        handler: || get(session::domains),
        answer: Answer::Many("domain", "domains"),
        errors: &[],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/services",
        summary: "Lists services",
        handler: || get(catalog::services),
        filters: OF_SERVICES,
        answer: Answer::Many("service", "services"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/services/{id}",
        summary: "Shows a service",
        handler: || get(catalog::service),
        answer: Answer::One("service"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/endpoints",
        summary: "Lists endpoints",
        handler: || get(catalog::endpoints),
        filters: OF_ENDPOINTS,
        answer: Answer::Many("endpoint", "endpoints"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/endpoints/{id}",
        summary: "Shows an endpoint",
        handler: || get(catalog::endpoint),
        answer: Answer::One("endpoint"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/regions",
        summary: "Lists regions",
        handler: || get(catalog::regions),
        answer: Answer::Many("region", "regions"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/regions/{id}",
        summary: "Shows a region",
        handler: || get(catalog::region),
        answer: Answer::One("region"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/domains",
        summary: "Lists domains",
        handler: || get(catalog::domains),
        filters: OF_DOMAINS,
        answer: Answer::Many("domain", "domains"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/domains/{id}",
        summary: "Shows a domain",
        handler: || get(catalog::domain),
        answer: Answer::One("domain"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/roles",
        summary: "Lists roles",
        handler: || get(catalog::roles),
        filters: OF_NAMES,
        answer: Answer::Many("role", "roles"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/roles/{id}",
        summary: "Shows a role",
        handler: || get(catalog::role),
        answer: Answer::One("role"),
        ..PLAIN
    },
    Operation {
        method: "post",
        path: "/identity/v3/hextet/token_keys",
        summary: "Makes a new key that signs tokens",
        handler: || post(keys::rotate),
        body: Some(KEY),
        success: 201,
        answer: Answer::One("token_key"),
        errors: &[403, 409],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/projects",
        summary: "Lists projects",
        handler: || get(projects::list_projects),
        filters: OF_PROJECTS,
        answer: Answer::Many("project", "projects"),
        ..PLAIN
    },
    Operation {
        method: "post",
        path: "/identity/v3/projects",
        summary: "Makes a project",
        handler: || post(projects::create_project),
        body: Some(NEW_PROJECT),
        success: 201,
        answer: Answer::One("project"),
        errors: &[403, 409],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/projects/{id}",
        summary: "Shows a project",
        handler: || get(projects::show_project),
        answer: Answer::One("project"),
        ..PLAIN
    },
    Operation {
        method: "patch",
        path: "/identity/v3/projects/{id}",
        summary: "Changes a project",
        handler: || patch(projects::update_project),
        body: Some(PROJECT),
        answer: Answer::One("project"),
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        method: "delete",
        path: "/identity/v3/projects/{id}",
        summary: "Deletes a project",
        handler: || delete(projects::delete_project),
        success: 204,
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/projects/{project}/users/{user}/roles",
        summary: "Lists the roles of a user in a project",
        handler: || get(grants::grants),
        answer: Answer::Many("role", "roles"),
        ..PLAIN
    },
    Operation {
        method: "put",
        path: "/identity/v3/projects/{project}/users/{user}/roles/{role}",
        summary: "Gives a user a role in a project",
        handler: || put(grants::grant),
        success: 204,
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/projects/{project}/users/{user}/roles/{role}",
        summary: "Whether a user has a role in a project",
        handler: || get(grants::check_grant).head(grants::check_grant),
        success: 204,
        ..PLAIN
    },
    Operation {
        method: "delete",
        path: "/identity/v3/projects/{project}/users/{user}/roles/{role}",
        summary: "Takes a role in a project from a user",
        handler: || delete(grants::ungrant),
        success: 204,
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/users",
        summary: "Lists users",
        handler: || get(users::list_users),
        filters: OF_USERS,
        answer: Answer::Many("user", "users"),
        ..PLAIN
    },
    Operation {
        method: "post",
        path: "/identity/v3/users",
        summary: "Makes a user",
        handler: || post(users::create_user),
        body: Some(NEW_USER),
        success: 201,
        answer: Answer::One("user"),
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/users/{id}",
        summary: "Shows a user",
        handler: || get(users::show_user),
        answer: Answer::One("user"),
        ..PLAIN
    },
    Operation {
        method: "patch",
        path: "/identity/v3/users/{id}",
        summary: "Changes a user",
        handler: || patch(users::update_user),
        body: Some(USER),
        answer: Answer::One("user"),
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        method: "delete",
        path: "/identity/v3/users/{id}",
        summary: "Deletes a user",
        handler: || delete(users::delete_user),
        success: 204,
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        method: "post",
        path: "/identity/v3/users/{id}/password",
        summary: "Changes the caller's password; the old one is the proof",
        handler: || post(users::change_password),
        body: Some(PASSWORD),
        success: 204,
        errors: &[401, 429],
        open: true,
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/users/{id}/projects",
        summary: "Lists where a user can log in to",
        handler: || get(users::user_projects),
        answer: Answer::Many("project", "projects"),
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/users/{user}/application_credentials",
        summary: "Lists a user's application credentials",
        handler: || get(credentials::list),
        filters: OF_NAMES,
        answer: Answer::Many("application_credential", "application_credentials"),
        ..PLAIN
    },
    Operation {
        method: "post",
        path: "/identity/v3/users/{user}/application_credentials",
        summary: "Makes an application credential",
        handler: || post(credentials::create),
        body: Some(CREDENTIAL),
        success: 201,
        answer: Answer::One("application_credential"),
        errors: &[403, 404, 409],
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/users/{user}/application_credentials/{id}",
        summary: "Shows an application credential",
        handler: || get(credentials::show),
        answer: Answer::One("application_credential"),
        ..PLAIN
    },
    Operation {
        method: "delete",
        path: "/identity/v3/users/{user}/application_credentials/{id}",
        summary: "Deletes an application credential",
        handler: || delete(credentials::delete),
        success: 204,
        ..PLAIN
    },
    Operation {
        path: "/identity/v3/role_assignments",
        summary: "Lists who has which role where",
        handler: || get(grants::role_assignments),
        filters: OF_ASSIGNMENTS,
        answer: Answer::Many("role_assignment", "role_assignments"),
        ..PLAIN
    },
];
