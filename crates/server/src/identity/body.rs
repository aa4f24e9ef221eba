//! Answers' bodies, as Keystone v3 writes them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::directory::Session;
use super::records::{Credential, DOMAIN_ID, DOMAIN_NAME, Project, SigningKey, User};
use super::role::Role;
use super::secret::Secret;

/// The only region.
const REGION: &str = "RegionOne";

/// The version of Keystone's API that this is modelled on.
const API_VERSION: &str = "v3.14";

/// A service of the catalogue.
#[derive(Clone, Copy)]
struct Service {
    id: &'static str,
    kind: &'static str,
    name: &'static str,
    /// What comes after the server's address.
    path: &'static str,
    /// The first 31 digits of its endpoints' ids; the last says the interface.
    endpoint: &'static str,
}

/// All services. The network URL has no version: clients add `/v2.0`.
const SERVICES: [Service; 2] = [
    Service {
        id: "6865787465740000000000000000c001",
        kind: "identity",
        name: "keystone",
        path: "/identity",
        endpoint: "6865787465740000000000000000e01",
    },
    Service {
        id: "6865787465740000000000000000c002",
        kind: "network",
        name: "neutron",
        path: "",
        endpoint: "6865787465740000000000000000e02",
    },
];

/// The three interfaces, which all are the same address.
const INTERFACES: [&str; 3] = ["admin", "internal", "public"];

/// A list with its links, which have no further page.
pub fn list(base: &str, collection: &str, items: Vec<Json>) -> Json {
    let own = format!("{base}/identity/v3/{collection}");
    let name = collection.rsplit('/').next().unwrap_or(collection);
    json!({name: items, "links": {"next": null, "self": own, "previous": null}})
}

/// The one version's description.
pub fn version(base: &str) -> Json {
    json!({
        "id": API_VERSION,
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

/// The token that these claims are, as shown to its bearer.
pub fn token(base: &str, session: &Session, with_catalog: bool) -> Json {
    let Session {
        claims,
        user,
        project,
        roles,
        credential,
    } = session;
    let mut token = json!({
        "methods": claims.methods,
        "user": {"id": user.id, "name": user.name, "domain": domain_ref(), "password_expires_at": null},
        "audit_ids": claims.audit_ids(),
        "expires_at": moment(claims.exp),
        "issued_at": moment(claims.iat),
    });
    if let (Some(project), Some(members)) = (project, token.as_object_mut()) {
        let shown = json!({"id": project.id, "name": project.name, "domain": domain_ref()});
        members.insert("project".to_owned(), shown);
        members.insert("is_domain".to_owned(), json!(false));
        members.insert("roles".to_owned(), role_refs(roles));
        if with_catalog {
            members.insert("catalog".to_owned(), catalog(base));
        }
        if let Some(credential) = credential {
            let shown = json!({
                "id": credential.id, "name": credential.name, "restricted": !credential.unrestricted,
            });
            members.insert("application_credential".to_owned(), shown);
        }
    }
    json!({"token": token})
}

/// The catalogue: every service with its endpoints.
pub fn catalog(base: &str) -> Json {
    let services = SERVICES.iter().map(|service| {
        let endpoints: Vec<Json> = (0..INTERFACES.len()).map(|index| catalog_endpoint(base, *service, index)).collect();
        json!({"id": service.id, "type": service.kind, "name": service.name, "endpoints": endpoints})
    });
    services.collect()
}

/// Every service, as a resource.
pub fn services(base: &str) -> Vec<Json> {
    let shown = |service: &Service| {
        json!({
            "id": service.id, "type": service.kind, "name": service.name, "description": "", "enabled": true,
            "links": {"self": format!("{base}/identity/v3/services/{}", service.id)},
        })
    };
    SERVICES.iter().map(shown).collect()
}

/// Every endpoint, as a resource.
pub fn endpoints(base: &str) -> Vec<Json> {
    let mut all = Vec::new();
    for service in SERVICES {
        for index in 0..INTERFACES.len() {
            let mut endpoint = catalog_endpoint(base, service, index);
            let link = format!(
                "{base}/identity/v3/endpoints/{}",
                endpoint_id(service, index)
            );
            if let Some(members) = endpoint.as_object_mut() {
                members.insert("service_id".to_owned(), json!(service.id));
                members.insert("enabled".to_owned(), json!(true));
                members.insert("links".to_owned(), json!({"self": link}));
            }
            all.push(endpoint);
        }
    }
    all
}

/// A project.
pub fn project(base: &str, project: &Project) -> Json {
    json!({
        "id": project.id, "name": project.name, "domain_id": DOMAIN_ID, "description": project.description,
        "enabled": project.enabled, "parent_id": DOMAIN_ID, "is_domain": false, "tags": [], "options": {},
        "links": {"self": format!("{base}/identity/v3/projects/{}", project.id)},
    })
}

/// A user, without the password's hash.
pub fn user(base: &str, user: &User) -> Json {
    json!({
        "id": user.id, "name": user.name, "domain_id": DOMAIN_ID, "description": user.description,
        "email": user.email, "default_project_id": user.default_project_id, "enabled": user.enabled,
        "password_expires_at": null, "options": {},
        "links": {"self": format!("{base}/identity/v3/users/{}", user.id)},
    })
}

/// An application credential; with its secret in the answer to its making alone.
pub fn credential(base: &str, credential: &Credential, secret: Option<&Secret>) -> Json {
    let Credential { id, user_id, .. } = credential;
    let link = format!("{base}/identity/v3/users/{user_id}/application_credentials/{id}");
    let mut shown = json!({
        "id": id, "name": credential.name, "description": credential.description, "user_id": user_id,
        "project_id": credential.project_id, "roles": role_refs(&credential.roles),
        "expires_at": credential.expires_at.map(moment), "unrestricted": credential.unrestricted,
        "links": {"self": link},
    });
    if let (Some(secret), Some(members)) = (secret, shown.as_object_mut()) {
        members.insert("secret".to_owned(), json!(secret.expose()));
    }
    shown
}

/// A key that signs tokens, and how many earlier ones still verify.
pub fn key(key: &SigningKey, verifying: usize) -> Json {
    json!({"id": key.id, "earlier_keys": verifying})
}

/// The region.
pub fn region(base: &str) -> Json {
    json!({
        "id": REGION, "description": "", "parent_region_id": null,
        "links": {"self": format!("{base}/identity/v3/regions/{REGION}")},
    })
}

/// A role.
pub fn role(base: &str, role: Role) -> Json {
    json!({
        "id": role.id(), "name": role.name(), "domain_id": null, "description": null, "options": {},
        "links": {"self": format!("{base}/identity/v3/roles/{}", role.id())},
    })
}

/// The domain.
pub fn domain(base: &str) -> Json {
    json!({
        "id": DOMAIN_ID, "name": DOMAIN_NAME, "description": "The only domain", "enabled": true, "tags": [],
        "options": {}, "links": {"self": format!("{base}/identity/v3/domains/{DOMAIN_ID}")},
    })
}

/// One role of one user in one project; with the names, if asked for.
pub fn role_assignment(
    base: &str,
    (project, user): (&Project, &User),
    role: Role,
    names: bool,
) -> Json {
    let link = format!(
        "{base}/identity/v3/projects/{}/users/{}/roles/{}",
        project.id,
        user.id,
        role.id()
    );
    let (project, user, role) = if names {
        (
            json!({"id": project.id, "name": project.name, "domain": domain_ref()}),
            json!({"id": user.id, "name": user.name, "domain": domain_ref()}),
            json!({"id": role.id(), "name": role.name()}),
        )
    } else {
        (
            json!({"id": project.id}),
            json!({"id": user.id}),
            json!({"id": role.id()}),
        )
    };
    json!({"scope": {"project": project}, "user": user, "role": role, "links": {"assignment": link}})
}

fn domain_ref() -> Json {
    json!({"id": DOMAIN_ID, "name": DOMAIN_NAME})
}

fn role_refs(roles: &BTreeSet<Role>) -> Json {
    roles
        .iter()
        .map(|role| json!({"id": role.id(), "name": role.name()}))
        .collect()
}

fn catalog_endpoint(base: &str, service: Service, index: usize) -> Json {
    json!({
        "id": endpoint_id(service, index), "interface": INTERFACES[index], "region": REGION, "region_id": REGION,
        "url": format!("{base}{}", service.path),
    })
}

fn endpoint_id(service: Service, index: usize) -> String {
    format!("{}{index}", service.endpoint)
}

/// Keystone's form of a moment: UTC with six digits of fraction.
fn moment(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
}
