use super::*;

/// A cloud with one network, subnet and port of project demo, and their paths.
async fn one_of_each() -> (Cloud, [(&'static str, String); 3]) {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let subnet = cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    let nouns = [("network", network), ("subnet", subnet), ("port", port)];
    (cloud, nouns)
}

#[tokio::test]
async fn a_description_is_kept_changed_and_filtered_by() {
    let (cloud, nouns) = one_of_each().await;
    for (noun, id) in &nouns {
        let path = format!("{noun}s/{id}");
        let shown = cloud.get("demo", &path).await;
        assert_eq!(shown.body[noun]["description"], "");
        let before = shown.body[noun]["revision_number"].as_u64().unwrap();
        let told = json!({*noun: {"description": "rack 7"}});
        let changed = cloud.put("demo", &path, told).await;
        assert_eq!(changed.body[noun]["description"], "rack 7");
        assert!(changed.body[noun]["revision_number"].as_u64().unwrap() > before);
        let found = |text: &str| format!("{noun}s?description={text}");
        let collection = format!("{noun}s");
        let answer = cloud.get("demo", &found("rack+7")).await;
        assert_eq!(answer.ids(&collection), [id]);
        assert!(
            cloud
                .get("demo", &found(""))
                .await
                .ids(&collection)
                .is_empty()
        );
        let long = json!({*noun: {"description": "x".repeat(256)}});
        cloud
            .put("demo", &path, long)
            .await
            .check(noun, 400, "HTTPBadRequest");
    }
    let told = json!({"description": "of a port"});
    let made = cloud.port("demo", &nouns[0].1, told).await;
    assert_eq!(made.body["port"]["description"], "of a port");
}
