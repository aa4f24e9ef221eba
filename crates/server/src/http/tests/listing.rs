use super::*;
use crate::http::filter::Filter;

/// A cloud with one network, subnet and port of project demo, and their paths.
pub(super) async fn one_of_each() -> (Cloud, [(&'static str, String); 3]) {
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

/// A cloud with networks of these names and MTUs; the names of a list.
async fn networks(of: &[(&str, u32)]) -> Cloud {
    let cloud = Cloud::new().await;
    for (name, mtu) in of {
        let network = json!({"network": {"name": name, "mtu": mtu}});
        cloud
            .post("demo", "networks", network)
            .await
            .made("network");
    }
    cloud
}

fn names(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let networks = answer.body["networks"].as_array().unwrap();
    let names: Vec<&str> = networks
        .iter()
        .map(|network| network["name"].as_str().unwrap())
        .collect();
    names.join(" ")
}

/// The path and the query of a link of a list, as [`Cloud::get`] takes it; `None` where there is none.
fn link(answer: &Answer, rel: &str) -> Option<String> {
    let links = answer.body["networks_links"].as_array()?;
    let link = links.iter().find(|link| link["rel"] == rel)?;
    let href = link["href"].as_str().unwrap();
    let path = href.strip_prefix("http://[::1]:9696/v2.0/");
    Some(path.unwrap_or_else(|| panic!("{href}")).to_owned())
}

#[tokio::test]
async fn a_list_is_sorted_by_its_keys_in_their_order() {
    let cloud = networks(&[("b", 1300), ("a", 1300), ("c", 1280)]).await;
    for (query, expected) in [
        ("sort_key=name&sort_dir=asc", "a b c"),
        ("sort_key=name&sort_dir=desc", "c b a"),
        (
            "sort_key=mtu&sort_dir=asc&sort_key=name&sort_dir=asc",
            "c a b",
        ),
        (
            "sort_key=mtu&sort_key=name&sort_dir=desc&sort_dir=desc",
            "b a c",
        ),
        (
            "sort_key=tenant_id&sort_dir=asc&sort_key=name&sort_dir=desc",
            "c b a",
        ),
        ("sort_key=name&sort_dir=desc&mtu=1300&fields=name", "b a"),
    ] {
        let answer = cloud.get("demo", &format!("networks?{query}")).await;
        assert_eq!(names(&answer), expected, "{query}");
        assert!(answer.body.get("networks_links").is_none());
    }
    let by_id = cloud
        .get("demo", "networks?sort_key=id&sort_dir=desc")
        .await;
    let ids = by_id.ids("networks");
    assert!(ids.is_sorted_by(|one, other| one > other), "{ids:?}");
}

#[tokio::test]
async fn every_key_that_sorts_is_taken_and_no_other() {
    let (cloud, _) = one_of_each().await;
    for noun in crate::http::v2::NOUNS {
        for attribute in noun.attributes {
            let name = attribute.name;
            let path = format!("{}?sort_key={name}&sort_dir=asc", noun.collection);
            let status = match noun.sortable.contains(&name) {
                true => 200,
                false => 400,
            };
            let answer = cloud.get("admin", &path).await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
        }
        let known = |name: &&&str| noun.attribute(name).is_none();
        assert_eq!(noun.sortable.iter().find(known), None);
    }
    for query in [
        "sort_key=name",
        "sort_dir=asc",
        "sort_key=name&sort_dir=up",
        "sort_key=name&sort_key=id&sort_dir=asc",
        "sort_key=binding:host_id&sort_dir=asc",
        "limit=1&page_reverse=perhaps",
    ] {
        let answer = cloud.get("demo", &format!("ports?{query}")).await;
        answer.check(query, 400, "HTTPBadRequest");
    }
}

#[tokio::test]
async fn pages_follow_each_other_both_ways() {
    let made = [
        ("d", 1300),
        ("a", 1300),
        ("c", 1300),
        ("e", 1300),
        ("b", 1300),
    ];
    let cloud = networks(&made).await;
    let mut path = "networks?sort_key=name&sort_dir=asc&limit=2&fields=name&fields=id".to_owned();
    for expected in ["a b", "c d", "e"] {
        let page = cloud.get("demo", &path).await;
        assert_eq!(names(&page), expected);
        let previous = link(&page, "previous").unwrap();
        assert!(previous.ends_with("&page_reverse=True"), "{previous}");
        match link(&page, "next") {
            Some(next) => {
                let last = page.ids("networks")[1].to_owned();
                let kept = "networks?sort_key=name&sort_dir=asc&limit=2&fields=name&fields=id";
                assert_eq!(next, format!("{kept}&marker={last}"));
                path = next;
            }
            None => {
                assert_eq!(expected, "e");
                path = previous;
            }
        }
    }
    let page = cloud.get("demo", &path).await;
    assert_eq!(names(&page), "c d", "the page before");
    let page = cloud.get("demo", &link(&page, "previous").unwrap()).await;
    assert_eq!(names(&page), "a b");
    let page = cloud.get("demo", &link(&page, "previous").unwrap()).await;
    assert_eq!(names(&page), "");
    assert!(link(&page, "previous").is_none() && link(&page, "next").is_some());
}

#[tokio::test]
async fn pages_without_a_sort_key_go_by_id_and_marker_and_limit_are_judged() {
    let cloud = networks(&[("a", 1300), ("b", 1300), ("c", 1300)]).await;
    let all = cloud.get("demo", "networks?limit=0").await;
    assert!(all.body.get("networks_links").is_none());
    let all = all.ids("networks");
    let mut seen = Vec::new();
    let mut path = Some("networks?limit=1".to_owned());
    while let Some(next) = path {
        let page = cloud.get("demo", &next).await;
        seen.extend(page.ids("networks").into_iter().map(str::to_owned));
        path = link(&page, "next");
    }
    assert_eq!(seen, all);
    let last = cloud
        .get("demo", "networks?limit=2&page_reverse=True")
        .await;
    assert_eq!(last.ids("networks"), all[1..]);
    assert!(link(&last, "next").is_some() && link(&last, "previous").is_some());
    for limit in ["-1", "x", ""] {
        let answer = cloud.get("demo", &format!("networks?limit={limit}")).await;
        answer.check(limit, 400, "BadRequest");
    }
    let path = format!("networks?limit=1&marker={}", all[0]);
    cloud
        .get("other", &path)
        .await
        .check("another's", 404, "NetworkNotFound");
    cloud
        .get("demo", "networks?limit=1&marker=none")
        .await
        .check("unknown", 404, "NetworkNotFound");
    let path = format!("networks/{}?limit=1", all[0]);
    cloud
        .get("demo", &path)
        .await
        .check("one resource", 400, "HTTPBadRequest");
}

#[tokio::test]
async fn changed_since_leaves_out_what_changed_before() {
    let (cloud, nouns) = one_of_each().await;
    for (noun, id) in &nouns {
        let collection = format!("{noun}s");
        let shown = cloud.get("demo", &format!("{collection}/{id}")).await;
        let updated = shown.body[noun]["updated_at"].as_str().unwrap().to_owned();
        let time: jiff::Timestamp = updated.parse().unwrap();
        let at = |offset: i64| (time + jiff::SignedDuration::from_millis(offset)).to_string();
        for (since, there) in [
            (updated.clone(), true),
            (updated.trim_end_matches('Z').to_owned(), true),
            ("2001-02-03".to_owned(), true),
            (at(-1), true),
            (at(1), false),
            (at(1000), false),
        ] {
            let path = format!("{collection}?changed_since={since}");
            let found = cloud.get("demo", &path).await;
            let found = found.ids(&collection) == [id.as_str()];
            assert_eq!(found, there, "{path}");
        }
        for since in ["", "1234", "yesterday", "2026-13-01T00:00:00Z"] {
            let path = format!("{collection}?changed_since={since}");
            cloud
                .get("demo", &path)
                .await
                .check(&path, 400, "InvalidInput");
        }
    }
}

#[tokio::test]
async fn what_is_the_same_for_all_is_filtered_by_too() {
    let (cloud, nouns) = one_of_each().await;
    for (noun, _) in &nouns[..2] {
        let collection = format!("{noun}s");
        for (query, count) in [
            ("shared=false", 1),
            ("shared=True", 0),
            ("router:external=0", 1),
            ("router:external=1", 0),
        ] {
            let path = format!("{collection}?{query}");
            let found = cloud.get("demo", &path).await;
            assert_eq!(found.ids(&collection).len(), count, "{path}");
        }
    }
    let subnet = cloud.get("demo", &format!("subnets/{}", nouns[1].1)).await;
    assert_eq!(subnet.body["subnet"]["router:external"], false);
    assert!(subnet.body["subnet"].get("shared").is_none());
}

#[tokio::test]
async fn ports_are_found_by_a_part_of_an_address() {
    let (cloud, nouns) = one_of_each().await;
    let fixed = json!({"fixed_ips": [{"ip_address": "2001:db8:1::abc:7"}], "name": "abc"});
    let id = cloud.port("demo", &nouns[0].1, fixed).await.made("port");
    let subnet = &nouns[1].1;
    // Addresses that are chosen end in one group, so that no part with a colon behind a digit is of one by chance.
    for (query, there) in [
        ("fixed_ips=ip_address_substr=abc:7".to_owned(), true),
        ("fixed_ips=ip_address_substr=ABC:7".to_owned(), true),
        ("fixed_ips=ip_address_substr=abd:7".to_owned(), false),
        (
            "fixed_ips=ip_address_substr=abd:7&fixed_ips=ip_address_substr=::abc:".to_owned(),
            true,
        ),
        (
            format!("fixed_ips=ip_address_substr=abc:7&fixed_ips=subnet_id={subnet}"),
            true,
        ),
        (
            format!(
                "fixed_ips=ip_address_substr=abc:7&fixed_ips=subnet_id={}",
                nouns[0].1
            ),
            false,
        ),
    ] {
        let found = cloud.get("demo", &format!("ports?{query}")).await;
        assert_eq!(found.ids("ports") == [id.as_str()], there, "{query}");
    }
}

/// Values that no resource can have in an attribute of this filter.
fn impossible(filter: Filter) -> &'static [&'static str] {
    match filter {
        Filter::Text | Filter::Tags(_) => &[],
        Filter::Id => &["x", "", "3f2504e0"],
        Filter::OneOf(_) | Filter::AnyItem(_) => &["x", "", "ACTIVE,DOWN"],
        Filter::Number => &["abc", "", "-1", "1e3"],
        Filter::Boolean => &["maybe", "", "2", "yes"],
        Filter::Address => &["x", "", "2001:db8::/64"],
        Filter::Prefix => &["x", "", "2001:db8::", "2001:db8::/129"],
        Filter::Mac => &["x", "", "fa:16:3e:0:0"],
        Filter::FixedIps => &[
            "x",
            "",
            "ip=::1",
            "ip_address=x",
            "subnet_id=x",
            "2001:db8::1",
        ],
    }
}

#[tokio::test]
async fn a_filter_by_what_cannot_be_is_refused_with_what_can() {
    let (cloud, _) = one_of_each().await;
    let mut refused = 0;
    let nouns = crate::http::v2::NOUNS.into_iter();
    for noun in nouns.chain([&crate::http::v2::availability::AVAILABILITY]) {
        for attribute in noun.attributes {
            let Some(filter) = attribute.filter else {
                continue;
            };
            for value in impossible(filter) {
                let path = format!("{}?{}={value}", noun.path(), attribute.name);
                let answer = cloud.get("admin", &path).await;
                answer.check(&path, 400, "InvalidInput");
                let told = format!("filter {}: '{value}' is not ", attribute.name);
                assert!(answer.message().contains(&told), "{}", answer.message());
                refused += 1;
            }
        }
    }
    assert!(refused > 80, "{refused}");
    let answer = cloud.get("demo", "ports?status=up").await;
    let told = "'up' is not one of ACTIVE, BUILD, DOWN, ERROR, N/A";
    assert!(answer.message().contains(told), "{}", answer.message());
    // An id that is none is nobody's: clients look up by it what can be a name, too.
    assert!(
        cloud
            .get("demo", "ports?id=x")
            .await
            .ids("ports")
            .is_empty()
    );
}

#[tokio::test]
async fn a_marker_alone_asks_for_what_comes_after_it() {
    let cloud = networks(&[("a", 1300), ("b", 1300), ("c", 1300)]).await;
    let by_name = "networks?sort_key=name&sort_dir=asc";
    let all = cloud.get("demo", by_name).await;
    let marker = all.ids("networks")[1].to_owned();
    for (query, expected) in [
        (format!("{by_name}&marker={marker}"), "c"),
        (format!("{by_name}&marker={marker}&limit=0"), "c"),
        (format!("{by_name}&marker={marker}&page_reverse=True"), "a"),
    ] {
        let answer = cloud.get("demo", &query).await;
        assert_eq!(names(&answer), expected, "{query}");
        assert!(answer.body.get("networks_links").is_none(), "{query}");
    }
    let unknown = cloud.get("demo", "networks?marker=x").await;
    unknown.check("no marker", 404, "NetworkNotFound");
}

#[tokio::test]
async fn a_whole_number_may_have_a_point() {
    let cloud = Cloud::new().await;
    for (mtu, status) in [
        ("1400.0", 201),
        ("14e2", 201),
        ("1400.5", 400),
        ("1e300", 400),
        ("-1.0", 400),
    ] {
        let body = format!("{{\"network\": {{\"mtu\": {mtu}}}}}");
        let answer = cloud
            .call("demo", Method::POST, "/v2.0/networks", &[], body)
            .await;
        let kind = if status == 400 { "HTTPBadRequest" } else { "" };
        answer.check(mtu, status, kind);
    }
}

#[tokio::test]
async fn a_parameter_that_is_no_text_is_refused_by_name() {
    let cloud = Cloud::new().await;
    let token = [("x-auth-token", cloud.tokens["admin"].as_str())];
    for (path, name) in [
        ("/v2.0/networks?tags=%ff", "tags"),
        ("/v2.0/networks?name=a&description=%c3%28", "description"),
        ("/v2.0/ports?fields=%80", "fields"),
        ("/v2.0/ports?a%ff=b", "a%ff"),
        ("/identity/v3/projects?name=%ff", "name"),
    ] {
        let answer = cloud.send(Method::GET, path, &token, String::new()).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let told = answer.body.to_string();
        assert!(told.contains(name) && told.contains("no text"), "{told}");
    }
    for path in [
        "/v2.0/networks?name=%C3%A4+%2B",
        "/v2.0/networks?name=100%",
        "/identity/v3/projects?name=%c3%a4",
    ] {
        let answer = cloud.send(Method::GET, path, &token, String::new()).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}
