//! Every operation, by every role, on an object of its own, another's and a shared one: `roles.tsv` says what is answered.
//!
//! The operations are those of the document, so that one without a row fails. `HEXTET_UPDATE=1` writes the table anew; the
//! difference is reviewed.

mod identity;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;

/// Who asks, by account, in the order of the columns: in project demo all but the administrator and the service.
const ROLES: [(&str, &str); 6] = [
    ("admin", "admin"),
    ("manager", "max"),
    ("member", "demo"),
    ("reader", "rita"),
    ("service", "nova"),
    ("none", ""),
];
/// Whose the object is: project demo's, another's, another's that is shared or stands on what is shared.
const OBJECTS: [&str; 3] = ["own", "foreign", "shared"];
const TABLE: &str = include_str!("roles.tsv");
/// What Neutron's policies of attributes are about: who may not say it is told so before he hears that its value is supported for
/// nobody, or cannot be here. A subnet's service types stand for what Neutron has a policy of and does not enforce.
const GUARDED: [(&str, &str); 20] = [
    ("networks", r#""router:external":true"#),
    ("networks", r#""is_default":true"#),
    ("networks", r#""segments":[]"#),
    (
        "subnets",
        r#""segment_id":"00000000-0000-4000-8000-000000000009""#,
    ),
    (
        "ports",
        r#""allowed_address_pairs":[{"ip_address":"2001:db8::/64"}]"#,
    ),
    ("networks", r#""shared":true"#),
    ("networks", r#""port_security_enabled":false"#),
    ("networks", r#""provider:network_type":"vxlan""#),
    ("networks", r#""provider:physical_network":"lab""#),
    ("networks", r#""provider:segmentation_id":77"#),
    ("subnets", r#""service_types":["compute:nova"]"#),
    ("ports", r#""binding:host_id":"""#),
    ("ports", r#""binding:profile":{}"#),
    ("ports", r#""binding:vnic_type":"normal""#),
    ("ports", r#""data_plane_status":"DOWN""#),
    ("ports", r#""device_id":"x""#),
    ("ports", r#""device_owner":"network:x""#),
    ("ports", r#""fixed_ips":[{"ip_address":"2001:db8::7"}]"#),
    ("ports", r#""mac_address":"fa:16:3e:00:00:77""#),
    ("ports", r#""port_security_enabled":false"#),
];

/// What an operation is tried on.
struct Object {
    /// The network that things are made on.
    network: String,
    /// What `{id}` stands for.
    id: String,
    /// The project that owns it.
    project: String,
}

impl Cloud {
    /// A fresh object for one trial.
    async fn object(&self, collection: &str, kind: &str) -> Object {
        let (who, shared) = match kind {
            "own" => ("demo", false),
            kind => ("other", kind == "shared"),
        };
        let project = self.project(who).await;
        let body = json!({"network": {"project_id": project, "shared": shared}});
        let network = self.post("admin", "networks", body).await.made("network");
        // What stands on a shared network is a user's of it; the network's subnets are its owner's.
        let project = match (collection, kind) {
            ("ports", "shared") => self.project("demo").await,
            _ => project,
        };
        let more = match collection {
            "subnets" => json!({"subnet": {
                "network_id": network, "project_id": project, "ip_version": 6, "cidr": "2001:db8::/64",
            }}),
            "ports" => json!({"port": {"network_id": network, "project_id": project}}),
            _ => Json::Null,
        };
        let id = match collection {
            "subnets" | "ports" => {
                let noun = collection.trim_end_matches('s');
                self.post("admin", collection, more).await.made(noun)
            }
            _ => network.clone(),
        };
        if collection != "quotas" {
            let tags = json!({"tags": ["t"]});
            self.put("admin", &format!("{collection}/{id}/tags"), tags)
                .await;
        }
        Object {
            network,
            id,
            project,
        }
    }

    /// What one operation answers: its status, or of a list whether the object is in it.
    async fn tried(&self, who: &str, operation: &str, object: &Object) -> String {
        let (operation, said) = operation.split_once(" with ").unwrap_or((operation, ""));
        let (method, path) = operation.split_once(' ').unwrap();
        let method = method
            .strip_suffix('*')
            .map_or((method, false), |method| (method, true));
        let (verb, bulk) = (method.0.parse::<Method>().unwrap(), method.1);
        let filled = path
            .replace("{id}", &object.id)
            .replace("{project}", &object.project)
            .replace("{tag}", "t")
            .replace("{alias}", "binding");
        let collection = path.split('/').nth(2).unwrap_or_default();
        let body = match verb {
            Method::POST | Method::PUT => body(&verb, path, bulk, object, said),
            _ => String::new(),
        };
        let mut headers = Vec::new();
        if !who.is_empty() {
            headers.push(("x-auth-token", self.tokens[who].as_str()));
        }
        let answer = self.send(verb.clone(), &filled, &headers, body).await;
        let listed = answer.body[collection].as_array();
        match listed {
            Some(_)
                if answer.status == 200
                    && ["networks", "subnets", "ports"].contains(&collection) =>
            {
                let is_in = answer.ids(collection).contains(&object.id.as_str());
                if is_in { "in" } else { "out" }.to_owned()
            }
            _ => answer.status.as_u16().to_string(),
        }
    }
}

/// A body that would do, were the caller let in.
fn body(verb: &Method, path: &str, bulk: bool, object: &Object, said: &str) -> String {
    let collection = path.split('/').nth(2).unwrap_or_default();
    let body = if path.ends_with("/tags") {
        json!({"tags": ["u"]})
    } else if path.contains("/tags/") {
        Json::Null
    } else if collection == "quotas" {
        json!({"quota": {"port": 600}})
    } else if *verb == Method::PUT {
        let mut change = members(said);
        change.insert("description".to_owned(), json!("x"));
        json!({collection.trim_end_matches('s'): change})
    } else {
        let mut one = match collection {
            "networks" => json!({"project_id": object.project}),
            "subnets" => {
                json!({"network_id": object.network, "ip_version": 6, "cidr": "2001:db8:1::/64"})
            }
            _ => json!({"network_id": object.network}),
        };
        one.as_object_mut().unwrap().extend(members(said));
        match bulk {
            true => json!({collection: [one]}),
            false => json!({collection.trim_end_matches('s'): one}),
        }
    };
    match body {
        Json::Null => String::new(),
        body => body.to_string(),
    }
}

fn members(said: &str) -> serde_json::Map<String, Json> {
    serde_json::from_str(&format!("{{{said}}}")).unwrap()
}

/// Every operation of the document; `POST*` makes several. Those that say something guarded stand for themselves.
async fn operations(cloud: &Cloud) -> BTreeSet<String> {
    let document = cloud
        .send(Method::GET, "/openapi.json", &[], String::new())
        .await;
    let mut operations = BTreeSet::new();
    for (path, item) in document.body["paths"].as_object().unwrap() {
        // Identity's are on other objects.
        if path.starts_with("/identity") {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            if method == "POST"
                && ["/v2.0/networks", "/v2.0/subnets", "/v2.0/ports"].contains(&path.as_str())
            {
                operations.insert(format!("POST* {path}"));
            }
            operations.insert(format!("{method} {path}"));
        }
    }
    for (collection, said) in GUARDED {
        operations.insert(format!("POST /v2.0/{collection} with {said}"));
        operations.insert(format!("PUT /v2.0/{collection}/{{id}} with {said}"));
    }
    operations
}

/// The rows of one operation. Where there is no object, or it cannot be shared, there are fewer.
async fn rows(cloud: &Cloud, operation: &str) -> Vec<String> {
    let plain = operation.split(" with ").next().unwrap();
    let collection = plain.split('/').nth(2).unwrap_or_default();
    let objects: &[&str] = match collection {
        "networks" | "subnets" | "ports" => &OBJECTS,
        "quotas" if operation.contains("{project}") => &OBJECTS[..2],
        _ => &OBJECTS[..1],
    };
    let reads = operation.starts_with("GET");
    let mut rows = Vec::new();
    for kind in objects {
        let mut row = format!("{operation}\t{kind}");
        let mut object = None;
        for (_, who) in ROLES {
            // A trial that changes something has an object of its own.
            if object.is_none() || !reads {
                object = Some(cloud.object(collection, kind).await);
            }
            let object = object.as_ref().unwrap();
            let answered = cloud.tried(who, operation, object).await;
            write!(row, "\t{answered}").unwrap();
            let network = format!("networks/{}", object.network);
            if !reads {
                let ports = cloud
                    .get("admin", &format!("ports?network_id={}", object.network))
                    .await;
                for port in ports.ids("ports") {
                    cloud.delete("admin", &format!("ports/{port}")).await;
                }
                cloud.delete("admin", &network).await;
            }
        }
        rows.push(row);
    }
    rows
}

#[tokio::test]
async fn every_operation_answers_every_role_as_the_table_says() {
    let cloud = Cloud::new().await;
    cloud.state.hosts.serve(true);
    for who in ["demo", "other"] {
        let project = cloud.project(who).await;
        let limits = json!({"network": -1, "subnet": -1, "port": -1});
        cloud.limit(&project, limits).await.check("limits", 200, "");
    }
    let mut seen = Vec::new();
    for operation in operations(&cloud).await {
        seen.extend(rows(&cloud, &operation).await);
    }
    seen.extend(identity::rows(&cloud).await);
    let names = ROLES.map(|(role, _)| role).join("\t");
    let head = format!("# Every operation by role; see roles.rs.\noperation\tobject\t{names}\n");
    let text = format!("{head}{}\n", seen.join("\n"));
    if std::env::var("HEXTET_UPDATE").is_ok_and(|value| value == "1") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/tests/roles.tsv");
        std::fs::write(path, &text).unwrap();
        return;
    }
    for (seen, told) in text.lines().zip(TABLE.lines()) {
        assert_eq!(seen, told);
    }
    assert_eq!(text.lines().count(), TABLE.lines().count());
}
