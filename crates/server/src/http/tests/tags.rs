use super::listing::one_of_each;
use super::*;

impl Cloud {
    async fn tags(&self, path: &str) -> String {
        let answer = self.get("demo", &format!("{path}/tags")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let tags = answer.body["tags"].as_array().unwrap();
        let tags: Vec<&str> = tags.iter().map(|tag| tag.as_str().unwrap()).collect();
        tags.join(" ")
    }

    async fn revision(&self, path: &str, noun: &str) -> u64 {
        let answer = self.get("demo", path).await;
        answer.body[noun]["revision_number"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn tags_are_replaced_added_and_taken_away_and_raise_the_revision() {
    let (cloud, nouns) = one_of_each().await;
    for (noun, id) in &nouns {
        let path = format!("{noun}s/{id}");
        let tags = format!("{path}/tags");
        assert_eq!(cloud.tags(&path).await, "");
        let mut revision = cloud.revision(&path, noun).await;
        let mut raised = async || {
            let now = cloud.revision(&path, noun).await;
            let raised = now > revision;
            revision = now;
            raised
        };
        let both = json!({"tags": ["b", "a"]});
        let answer = cloud.put("demo", &tags, both.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &json!({"tags": ["a", "b"]}))
        );
        assert!(raised().await);
        cloud.put("demo", &tags, both).await.check("same", 200, "");
        assert!(!raised().await, "nothing changed");
        let answer = cloud.post("demo", &tags, json!({"tags": ["c", "a"]})).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &json!({"tags": ["a", "b", "c"]}))
        );
        assert!(raised().await);
        let one = format!("{tags}/d.json");
        cloud
            .get("demo", &one)
            .await
            .check("GET", 404, "TagNotFound");
        cloud
            .put("demo", &one, json!({}))
            .await
            .check("PUT", 201, "");
        assert!(raised().await);
        cloud.get("demo", &one).await.check("GET", 204, "");
        assert_eq!(cloud.tags(&path).await, "a b c d.json");
        let shown = cloud.get("demo", &path).await;
        assert_eq!(shown.body[noun]["tags"], json!(["a", "b", "c", "d.json"]));
        cloud.delete("demo", &one).await.check("DELETE", 204, "");
        assert!(raised().await);
        cloud
            .delete("demo", &one)
            .await
            .check("again", 404, "TagNotFound");
        cloud.delete("demo", &tags).await.check("all", 204, "");
        assert!(raised().await);
        assert_eq!(cloud.tags(&path).await, "");
    }
}

#[tokio::test]
async fn tags_of_what_is_not_there_or_not_the_callers_are_404_and_readers_read() {
    let (cloud, nouns) = one_of_each().await;
    let none = uuid::Uuid::from_u128(9).to_string();
    for ((noun, id), kind) in
        nouns
            .iter()
            .zip(["NetworkNotFound", "SubnetNotFound", "PortNotFound"])
    {
        let set = json!({"tags": ["a"]});
        for (who, id) in [("demo", none.as_str()), ("demo", "none"), ("other", id)] {
            let tags = format!("{noun}s/{id}/tags");
            let one = format!("{tags}/a");
            cloud.get(who, &tags).await.check(who, 404, kind);
            cloud.get(who, &one).await.check(who, 404, kind);
            cloud
                .put(who, &tags, set.clone())
                .await
                .check(who, 404, kind);
            cloud
                .post(who, &tags, set.clone())
                .await
                .check(who, 404, kind);
            cloud.put(who, &one, json!({})).await.check(who, 404, kind);
            cloud.delete(who, &one).await.check(who, 404, kind);
            cloud.delete(who, &tags).await.check(who, 404, kind);
        }
        let tags = format!("{noun}s/{id}/tags");
        cloud.get("rita", &tags).await.check("reader", 200, "");
        cloud
            .put("rita", &tags, set)
            .await
            .check("reader", 403, "PolicyNotAuthorized");
    }
    cloud
        .get("demo", &format!("routers/{none}/tags"))
        .await
        .check("no such collection", 404, "HTTPNotFound");
}

#[tokio::test]
async fn tags_are_bounded_and_unique() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let tags = format!("networks/{id}/tags");
    let many = |count: usize| (0..count).map(|tag| tag.to_string()).collect::<Vec<_>>();
    for (why, body, status, kind) in [
        ("fifty", json!({"tags": many(50)}), 200, ""),
        ("more", json!({"tags": many(51)}), 400, "BadRequest"),
        ("twice", json!({"tags": ["a", "a"]}), 400, "InvalidInput"),
        (
            "long",
            json!({"tags": ["x".repeat(256)]}),
            400,
            "InvalidInput",
        ),
        ("empty", json!({"tags": [""]}), 400, "InvalidInput"),
        ("no text", json!({"tags": [1]}), 400, "InvalidInput"),
        ("no list", json!({"tags": "a"}), 400, "InvalidInput"),
        ("no tags", json!({}), 400, "InvalidInput"),
        (
            "more than tags",
            json!({"tags": [], "x": 1}),
            400,
            "HTTPBadRequest",
        ),
    ] {
        cloud
            .put("demo", &tags, body)
            .await
            .check(why, status, kind);
    }
    cloud
        .put("demo", &format!("{tags}/more"), json!({}))
        .await
        .check("one more", 400, "BadRequest");
    cloud
        .put("demo", &format!("{tags}/49"), json!({}))
        .await
        .check("that is there", 201, "");
    let body = json!({"network": {"tags": ["a"]}});
    cloud
        .post("demo", "networks", body)
        .await
        .check("at creation", 400, "HTTPBadRequest");
    let port = cloud.port("demo", &id, json!({"tags": ["b", "a"]})).await;
    assert_eq!(port.body["port"]["tags"], json!(["a", "b"]));
    cloud
        .port("demo", &id, json!({"tags": many(51)}))
        .await
        .check("port", 400, "BadRequest");
    let path = format!("ports/{}", port.made("port"));
    cloud
        .put("demo", &path, json!({"port": {"tags": []}}))
        .await
        .check("PUT", 400, "HTTPBadRequest");
    let headers = [("if-match", "revision_number=77")];
    let path = format!("/v2.0/{path}/tags");
    cloud
        .call("demo", Method::DELETE, &path, &headers, String::new())
        .await
        .check("stale", 412, "RevisionNumberConstraintFailed");
}

#[tokio::test]
async fn the_four_filters_by_tags() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    for (name, tags) in [
        ("none", json!([])),
        ("r", json!(["red"])),
        ("rb", json!(["red", "blue"])),
        ("g", json!(["green"])),
    ] {
        cloud
            .port("demo", &network, json!({"name": name, "tags": tags}))
            .await
            .made("port");
    }
    for (query, expected) in [
        ("tags=red", "r rb"),
        ("tags=red,blue", "rb"),
        ("tags=red&tags=blue", "rb"),
        ("tags-any=green,blue", "g rb"),
        ("not-tags=red,blue", "g none r"),
        ("not-tags-any=red,blue", "g none"),
        ("tags=red&not-tags=blue", "r"),
        ("tags-any=red,green&name=g", "g"),
    ] {
        let path = format!("ports?sort_key=name&sort_dir=asc&{query}");
        let answer = cloud.get("demo", &path).await;
        let ports = answer.body["ports"].as_array().unwrap();
        let names: Vec<&str> = ports
            .iter()
            .map(|port| port["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
}
