//! The document against the server that serves it.

use super::*;

const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/// A path with something in the places of its parameters.
fn filled(path: &str) -> String {
    path.replace("{id}", ID)
        .replace("{project}", &ID.replace('-', ""))
        .replace("{user}", &ID.replace('-', ""))
        .replace("{role}", &ID.replace('-', ""))
        .replace("{tag}", "t")
        .replace("{alias}", "binding")
}

#[tokio::test]
async fn the_document_needs_no_token_and_tells_of_every_method_of_its_paths() {
    let cloud = Cloud::new().await;
    let answer = cloud
        .send(Method::GET, "/openapi.json", &[], String::new())
        .await;
    assert_eq!(answer.status, 200);
    let paths = answer.body["paths"].as_object().unwrap();
    assert!(paths.len() > 40, "{}", paths.len());
    let brew = Method::from_bytes(b"BREW").unwrap();
    for (path, item) in paths {
        // What is not offered is refused with what is.
        let refused = cloud
            .send(brew.clone(), &filled(path), &[], String::new())
            .await;
        assert_eq!(refused.status, 405, "{path}");
        let allowed = refused.headers["allow"].to_str().unwrap();
        let mut offered: Vec<String> = allowed
            .split(',')
            .map(|method| method.trim().to_lowercase())
            .collect();
        // HEAD is GET without its body.
        offered.retain(|method| method != "head");
        offered.sort_unstable();
        let mut told: Vec<&String> = item.as_object().unwrap().keys().collect();
        told.sort_unstable();
        assert_eq!(told, offered.iter().collect::<Vec<_>>(), "{path}");
    }
}

#[tokio::test]
async fn what_the_document_opens_is_open_and_nothing_else() {
    let cloud = Cloud::new().await;
    let answer = cloud
        .send(Method::GET, "/openapi.json", &[], String::new())
        .await;
    for (path, item) in answer.body["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let verb: Method = method.to_uppercase().parse().unwrap();
            let answer = cloud.send(verb, &filled(path), &[], String::new()).await;
            let open = operation["security"] == json!([]);
            assert_eq!(answer.status != 401, open, "{method} {path}: {answer:?}");
            // A proof that does not hold is 401, where no token is asked for.
            let proof = path.ends_with("/auth/tokens") || path.ends_with("/password");
            assert_eq!(
                operation["responses"]["401"].is_null(),
                open && !proof,
                "{method} {path}"
            );
        }
    }
}
