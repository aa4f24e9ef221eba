//! Identity's operations: on the caller's own user, project, token and credential, and on another's.

use std::collections::BTreeMap;

use super::*;
use crate::identity::{OPERATIONS, Operation};

/// What is the caller's own, and what is another's.
const KINDS: [&str; 2] = ["own", "foreign"];
const PASSWORD: &str = "pw";

/// A user with a role in a project of its own, logged in.
#[derive(Clone)]
struct Account {
    user: String,
    project: String,
    token: String,
}

impl Cloud {
    async fn identity(&self, token: &str, method: &str, path: &str, body: Json) -> Answer {
        let headers = [("x-auth-token", token)];
        let path = format!("/identity/v3/{path}");
        let body = match body {
            Json::Null => String::new(),
            body => body.to_string(),
        };
        self.send(method.parse().unwrap(), &path, &headers, body)
            .await
    }

    async fn role(&self, name: &str) -> String {
        let admin = &self.tokens["admin"];
        let found = self
            .identity(admin, "GET", &format!("roles?name={name}"), Json::Null)
            .await;
        found.body["roles"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A new one; of the role `none`, whom the others are tried on, too, a member.
    async fn account(&self, role: &str) -> Account {
        let admin = self.tokens["admin"].clone();
        let name = uuid::Uuid::new_v4().to_string();
        let project = json!({"project": {"name": name}});
        let project = self.identity(&admin, "POST", "projects", project).await;
        let project = project.made("project");
        let user = json!({"user": {"name": name, "password": PASSWORD}});
        let user = self
            .identity(&admin, "POST", "users", user)
            .await
            .made("user");
        let role = if role == "none" { "member" } else { role };
        let role = self.role(role).await;
        let grant = format!("projects/{project}/users/{user}/roles/{role}");
        let granted = self.identity(&admin, "PUT", &grant, Json::Null).await;
        assert_eq!(granted.status, 204, "{granted:?}");
        let login = login(&user, &project);
        let answer = self.identity("", "POST", "auth/tokens", login).await;
        let token = answer.headers.get("x-subject-token").unwrap();
        Account {
            user,
            project,
            token: token.to_str().unwrap().to_owned(),
        }
    }

    /// The path of an operation on a target, after `/identity/v3/`.
    async fn target(&self, operation: &Operation, target: &Account) -> String {
        let path = operation.path.trim_start_matches("/identity");
        let path = path.trim_start_matches('/').trim_start_matches("v3");
        let path = path.trim_start_matches('/');
        let id = match path.split('/').next().unwrap() {
            "users" if path.contains("application_credentials/{id}") => {
                let path = format!("users/{}/application_credentials", target.user);
                let asked = json!({"application_credential": {"name": uuid::Uuid::new_v4()}});
                let made = self.identity(&target.token, "POST", &path, asked).await;
                made.made("application_credential")
            }
            "users" => target.user.clone(),
            "projects" => target.project.clone(),
            "roles" => self.role("member").await,
            "domains" => "default".to_owned(),
            "regions" => "RegionOne".to_owned(),
            "services" => "6865787465740000000000000000c002".to_owned(),
            _ => "6865787465740000000000000000e022".to_owned(),
        };
        path.replace("{id}", &id)
            .replace("{project}", &target.project)
            .replace("{user}", &target.user)
            .replace("{role}", &self.role("member").await)
    }

    /// What an operation answers.
    async fn tried_identity(&self, operation: &Operation, caller: &str, on: &Account) -> String {
        let path = self.target(operation, on).await;
        let path = match operation.path {
            "/identity" => "/identity".to_owned(),
            _ => format!("/identity/v3/{path}"),
        };
        let mut headers = vec![("x-subject-token", on.token.as_str())];
        if !caller.is_empty() {
            headers.push(("x-auth-token", caller));
        }
        let body = body(operation, on);
        let method = operation.method.to_uppercase().parse().unwrap();
        let answer = self.send(method, &path, &headers, body).await;
        answer.status.as_u16().to_string()
    }
}

fn login(user: &str, project: &str) -> Json {
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"id": user, "password": PASSWORD}}},
        "scope": {"project": {"id": project}},
    }})
}

/// A body that would do, were the caller let in.
fn body(operation: &Operation, on: &Account) -> String {
    let Some(wanted) = operation.body else {
        return String::new();
    };
    if wanted.member == "auth" {
        return login(&on.user, &on.project).to_string();
    }
    let mut sample: Json = serde_json::from_str(wanted.sample).unwrap();
    if sample.get("name").is_some() {
        sample["name"] = json!(uuid::Uuid::new_v4());
    }
    if sample.get("original_password").is_some() {
        sample["original_password"] = json!(PASSWORD);
    }
    json!({wanted.member: sample}).to_string()
}

/// The rows of identity.
pub(super) async fn rows(cloud: &Cloud) -> Vec<String> {
    let mut readers: BTreeMap<&str, Account> = BTreeMap::new();
    for (role, _) in ROLES {
        readers.insert(role, cloud.account(role).await);
    }
    let other = cloud.account("member").await;
    let mut rows = Vec::new();
    for operation in OPERATIONS {
        let owned = ["/projects/{", "/users/{", "/auth/tokens"];
        let kinds = match owned.iter().any(|part| operation.path.contains(part)) {
            true => &KINDS[..],
            false => &KINDS[..1],
        };
        for kind in kinds {
            let name = operation.method.to_uppercase();
            let mut row = format!("{name} {}\t{kind}", operation.path);
            for (role, _) in ROLES {
                // A trial that changes something has a target of its own.
                let reads = operation.method == "get";
                let (caller, on) = match (*kind, reads) {
                    ("own", true) => (readers[role].clone(), readers[role].clone()),
                    ("own", false) => {
                        let fresh = cloud.account(role).await;
                        (fresh.clone(), fresh)
                    }
                    (_, true) => (readers[role].clone(), other.clone()),
                    (_, false) => (readers[role].clone(), cloud.account("member").await),
                };
                let token = if role == "none" { "" } else { &caller.token };
                let answered = cloud.tried_identity(operation, token, &on).await;
                write!(row, "\t{answered}").unwrap();
            }
            rows.push(row);
        }
    }
    rows.sort();
    rows
}
