use std::collections::BTreeSet;

use super::document;

/// Every path that a router is given as a text in the sources of the networking API, and the two of each noun.
fn served() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http");
    let mut sources = vec![std::fs::read_to_string(format!("{folder}.rs")).unwrap()];
    let mut files: Vec<_> = std::fs::read_dir(format!("{folder}/v2")).unwrap().collect();
    while let Some(file) = files.pop() {
        let path = file.unwrap().path();
        match path.is_dir() {
            true => files.extend(std::fs::read_dir(path).unwrap()),
            false => sources.push(std::fs::read_to_string(path).unwrap()),
        }
    }
    sources.push(std::fs::read_to_string(format!("{folder}/v2.rs")).unwrap());
    let identity = format!("{folder}/../identity/http.rs");
    sources.push(std::fs::read_to_string(identity).unwrap());
    let mut served = BTreeSet::new();
    for source in &sources {
        for route in source.split(".route(").skip(1) {
            if let Some(path) = route.trim_start().strip_prefix('"') {
                served.insert(path.split('"').next().unwrap().to_owned());
            }
        }
    }
    for noun in super::NOUNS {
        served.insert(format!("/v2.0/{}", noun.path()));
        served.insert(format!("/v2.0/{}/{{id}}", noun.path()));
    }
    served
}

#[test]
fn every_path_that_is_served_is_told_of() {
    let document = document();
    let told: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let served = served();
    assert!(served.len() > 10, "{served:?}");
    for path in &served {
        // The same as without the slash, and what answers 404.
        if path.starts_with("/identity/") && (path.ends_with('/') || path.contains("{*")) {
            continue;
        }
        let of_a_noun = path.replace("{collection}", "networks");
        assert!(told.contains(of_a_noun.as_str()), "{path} is not told of");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let text = document.to_string();
    let mut found = 0;
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        found += 1;
    }
    assert!(found > 50, "{found}");
}

#[test]
fn every_body_of_identity_is_told_with_every_member() {
    let document = document();
    for operation in crate::identity::OPERATIONS {
        let told = &document["paths"][operation.path][operation.method];
        let content = &told["requestBody"]["content"]["application/json"]["schema"];
        let Some(wanted) = operation.body else {
            assert!(content.is_null(), "{}", operation.path);
            continue;
        };
        let sample: serde_json::Value = serde_json::from_str(wanted.sample).unwrap();
        let sample = serde_json::json!({wanted.member: sample}).to_string();
        assert!((wanted.decode)(sample.as_bytes()), "{sample}");
        let members = content["properties"][wanted.member]["properties"].as_object();
        let members: BTreeSet<&str> = members.unwrap().keys().map(String::as_str).collect();
        let names: BTreeSet<&str> = (wanted.names)().iter().copied().collect();
        assert_eq!(members, names, "{} {}", operation.method, operation.path);
    }
}
