use std::collections::BTreeSet;

use super::*;

/// A POST's provider attributes by the administrator, status, type, and what is shown of them.
#[rustfmt::skip]
const ASKED: &[(&str, u16, &str, &str)] = &[
    (r#"{}"#, 201, "", r#"["vxlan", null, 1430]"#),
    (r#"{"provider:network_type": "vxlan"}"#, 201, "", r#"["vxlan", null, 1430]"#),
    (r#"{"provider:network_type": "vxlan", "provider:physical_network": null}"#, 201, "", r#"["vxlan", null, 1430]"#),
    (r#"{"provider:network_type": "vxlan", "provider:segmentation_id": 77}"#, 201, "", r#"["vxlan", null, 1430]"#),
    (r#"{"provider:network_type": "vxlan", "provider:segmentation_id": "77"}"#, 409, "TunnelIdInUse", ""),
    (r#"{"provider:network_type": "vxlan", "provider:segmentation_id": 16777216}"#, 400, "InvalidInput", ""),
    (r#"{"provider:network_type": "vxlan", "provider:segmentation_id": "x"}"#, 400, "HTTPBadRequest", ""),
    (r#"{"provider:segmentation_id": 78}"#, 400, "InvalidInput", ""),
    (r#"{"provider:network_type": "flat"}"#, 400, "InvalidInput", ""),
    (r#"{"provider:network_type": "flat", "provider:physical_network": "attic"}"#, 400, "InvalidInput", ""),
    (r#"{"provider:network_type": "flat", "provider:physical_network": "lab", "mtu": 9001}"#, 400, "InvalidInput", ""),
    (r#"{"provider:network_type": "flat", "provider:physical_network": "lab"}"#, 201, "", r#"["flat", "lab", 9000]"#),
    (r#"{"provider:network_type": "flat", "provider:physical_network": "lab"}"#, 409, "FlatNetworkInUse", ""),
    (r#"{"provider:network_type": "flat", "provider:physical_network": "office", "mtu": 1500}"#, 201, "", r#"["flat", "office", 1500]"#),
    (r#"{"provider:network_type": "vlan", "provider:physical_network": "lab", "provider:segmentation_id": 5}"#, 400, "InvalidInput", ""),
    (r#"{"provider:network_type": 5}"#, 400, "HTTPBadRequest", ""),
    (r#"{"provider:network_type": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#, 400, "HTTPBadRequest", ""),
    (r#"{"segments": [{"provider:network_type": "vxlan"}]}"#, 400, "HTTPBadRequest", ""),
];

#[tokio::test]
async fn an_administrator_says_what_carries_a_network() {
    let cloud = Cloud::new().await;
    for (asked, status, kind, expected) in ASKED {
        let body: Json = serde_json::from_str(asked).unwrap();
        let answer = cloud
            .post("admin", "networks", json!({"network": body}))
            .await;
        answer.check(asked, *status, kind);
        if *status != 201 {
            continue;
        }
        let path = format!("networks/{}", answer.made("network"));
        let shown = cloud.get("admin", &path).await;
        for network in [&answer.body["network"], &shown.body["network"]] {
            let carried = json!([
                network["provider:network_type"],
                network["provider:physical_network"],
                network["mtu"],
            ]);
            let expected: Json = serde_json::from_str(expected).unwrap();
            assert_eq!(carried, expected, "{asked}");
            let number = &network["provider:segmentation_id"];
            let given = &body["provider:segmentation_id"];
            match carried[0].as_str() {
                Some("vxlan") if given.is_u64() => assert_eq!(number, given),
                Some("vxlan") => assert!(number.is_u64(), "{asked}"),
                _ => assert!(number.is_null(), "{asked}"),
            }
        }
        let fields = "fields=provider:network_type&fields=provider:segmentation_id";
        let shown = cloud.get("admin", &format!("{path}?{fields}")).await;
        let members = shown.body["network"].as_object().unwrap();
        assert_eq!(members.len(), 2, "{shown:?}");
        for who in ["demo", "nova"] {
            let networks = cloud.get(who, "networks").await.body.to_string();
            assert!(!networks.contains("provider:"), "{who}");
        }
    }
}

#[tokio::test]
async fn what_carries_a_network_is_filtered_by_and_does_not_change() {
    let cloud = Cloud::new().await;
    let flat = json!({"provider:network_type": "flat", "provider:physical_network": "lab"});
    let flat = cloud
        .post("admin", "networks", json!({"network": flat}))
        .await
        .made("network");
    let body = json!({"provider:network_type": "vxlan", "provider:segmentation_id": 77});
    let vxlan = cloud
        .post("admin", "networks", json!({"network": body}))
        .await
        .made("network");
    for (query, expected) in [
        ("provider:network_type=flat", vec![&flat]),
        ("provider:network_type=vxlan", vec![&vxlan]),
        ("provider%3Aphysical_network=lab", vec![&flat]),
        ("provider:segmentation_id=77", vec![&vxlan]),
        (
            "provider:segmentation_id=78&provider:network_type=vxlan",
            vec![],
        ),
    ] {
        let found = cloud.get("admin", &format!("networks?{query}")).await;
        assert_eq!(found.ids("networks"), expected, "{query}");
        let found = cloud.get("demo", &format!("networks?{query}")).await;
        assert!(found.ids("networks").is_empty(), "{query}");
    }
    for (who, body, status, kind) in [
        ("admin", json!({"provider:segmentation_id": 77}), 200, ""),
        (
            "admin",
            json!({"provider:segmentation_id": 78}),
            400,
            "InvalidInput",
        ),
        (
            "admin",
            json!({"provider:network_type": "flat"}),
            400,
            "InvalidInput",
        ),
        (
            "admin",
            json!({"provider:physical_network": "lab"}),
            400,
            "InvalidInput",
        ),
    ] {
        let told = json!({"network": body});
        let answer = cloud.put(who, &format!("networks/{vxlan}"), told).await;
        answer.check(&body.to_string(), status, kind);
    }
    let own = cloud.network("demo").await;
    let told = json!({"network": {"provider:segmentation_id": 5}});
    cloud
        .put("demo", &format!("networks/{own}"), told)
        .await
        .check("a member", 403, "PolicyNotAuthorized");
    for (mtu, status, kind) in [(9000, 200, ""), (9001, 400, "InvalidInput")] {
        let told = json!({"network": {"mtu": mtu}});
        let answer = cloud.put("admin", &format!("networks/{flat}"), told).await;
        answer.check("MTU of a flat network", status, kind);
    }
}

#[tokio::test]
async fn what_a_network_had_is_free_when_it_is_gone() {
    let cloud = Cloud::new().await;
    for body in [
        json!({"provider:network_type": "flat", "provider:physical_network": "lab"}),
        json!({"provider:network_type": "vxlan", "provider:segmentation_id": 77}),
    ] {
        for _ in 0..2 {
            let answer = cloud
                .post("admin", "networks", json!({"network": body}))
                .await;
            let path = format!("networks/{}", answer.made("network"));
            cloud.delete("admin", &path).await.check("", 204, "");
        }
        let many = json!({"networks": [body, body]});
        let answer = cloud.post("admin", "networks", many).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "all or nothing");
    }
}

#[tokio::test]
async fn what_does_nothing_is_shown_as_it_is_or_refused() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let shown = cloud.get("demo", &format!("networks/{id}")).await;
    let network = &shown.body["network"];
    for (name, expected) in [
        ("l2_adjacency", json!(true)),
        ("is_default", json!(false)),
        ("ipv4_address_scope", Json::Null),
        ("ipv6_address_scope", Json::Null),
        ("availability_zone_hints", json!([])),
    ] {
        assert_eq!(network.get(name), Some(&expected), "{name}");
    }
    for name in ["qos_policy_id", "dns_domain", "ha", "segments"] {
        assert!(network.get(name).is_none(), "{name}");
    }
    for (name, neutral, other) in [
        ("router:external", json!(false), json!(true)),
        ("is_default", json!(false), json!(true)),
        ("availability_zone_hints", json!([]), json!(["nova"])),
    ] {
        let body = json!({"network": {name: neutral}});
        cloud
            .post("demo", "networks", body)
            .await
            .check(name, 201, "");
        let body = json!({"network": {name: other}});
        let answer = cloud.post("admin", "networks", body).await;
        answer.check(name, 400, "HTTPBadRequest");
        assert!(answer.message().contains("is allowed"), "{answer:?}");
    }
    for (name, neutral) in [
        ("dns_domain", json!("")),
        ("qos_policy_id", Json::Null),
        ("ha", json!(false)),
    ] {
        let body = json!({"network": {name: neutral}});
        let answer = cloud.post("admin", "networks", body).await;
        answer.check(name, 400, "HTTPBadRequest");
        assert!(answer.message().contains(name), "{answer:?}");
    }
    let found = cloud.get("demo", "networks?is_default=true").await;
    assert!(found.ids("networks").is_empty());
    let found = cloud.get("demo", "networks?is_default=False&id=").await;
    assert!(found.ids("networks").is_empty());
}

#[tokio::test]
async fn when_all_numbers_are_used_networks_are_refused_until_one_is_free() {
    let mut cloud = Cloud::new().await;
    let underlay = Underlay {
        vni_range: 7..=8,
        ..cloud.state.api.underlay.as_ref().clone()
    };
    let api = ApiConfig {
        underlay: Arc::new(underlay),
        ..cloud.state.api.as_ref().clone()
    };
    cloud.router = router(AppState {
        api: Arc::new(api),
        ..cloud.state.clone()
    });
    let plain = json!({"network": {}});
    let first = cloud.post("admin", "networks", plain.clone()).await;
    let two = json!({"networks": [{}, {}]});
    let refused = cloud.post("admin", "networks", two).await;
    refused.check("one is left for two", 503, "NoNetworkAvailable");
    let second = cloud.post("admin", "networks", plain.clone()).await;
    let number = |answer: &Answer| answer.body["network"]["provider:segmentation_id"].as_u64();
    let numbers = BTreeSet::from([number(&first), number(&second)]);
    assert_eq!(numbers, BTreeSet::from([Some(7), Some(8)]));
    let flat =
        json!({"network": {"provider:network_type": "flat", "provider:physical_network": "lab"}});
    for (who, body) in [
        ("admin", plain.clone()),
        ("demo", plain.clone()),
        ("admin", flat),
    ] {
        let refused = cloud.post(who, "networks", body).await;
        refused.check("none is left", 503, "NoNetworkAvailable");
    }
    let outside =
        json!({"network": {"provider:network_type": "vxlan", "provider:segmentation_id": 9}});
    let outside = cloud.post("admin", "networks", outside).await;
    outside.check("asked for", 201, "");
    let path = format!("networks/{}", first.made("network"));
    cloud.delete("admin", &path).await.check("freed", 204, "");
    let again = cloud.post("demo", "networks", plain).await;
    again.check("the freed one", 201, "");
}
