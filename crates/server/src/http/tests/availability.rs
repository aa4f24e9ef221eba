use super::*;

/// A network of demo with a /64 whose addresses are in two pools, and an IPv4 /24; three addresses of the first are used,
/// one beside the pools.
async fn used() -> (Cloud, String) {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    for subnet in [
        json!({"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64", "name": "six",
            "allocation_pools": [{"start": "2001:db8::10", "end": "2001:db8::1f"},
                {"start": "2001:db8::30", "end": "2001:db8::30"}]}),
        json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24", "name": "four"}),
    ] {
        let body = json!({"subnet": subnet});
        cloud.post("demo", "subnets", body).await.made("subnet");
    }
    for address in ["2001:db8::10", "2001:db8::30", "2001:db8::99"] {
        let fixed = json!({"fixed_ips": [{"ip_address": address}]});
        cloud.port("demo", &network, fixed).await.made("port");
    }
    (cloud, network)
}

#[tokio::test]
async fn addresses_are_counted_by_subnet_and_together() {
    let (cloud, network) = used().await;
    let path = format!("network-ip-availabilities/{network}");
    let shown = cloud.get("admin", &path).await;
    let counted = &shown.body["network_ip_availability"];
    let subnets = counted["subnet_ip_availability"].as_array().unwrap();
    let counts: Vec<_> = subnets
        .iter()
        .map(|subnet| {
            json!([
                subnet["subnet_name"],
                subnet["ip_version"],
                subnet["cidr"],
                subnet["total_ips"],
                subnet["used_ips"],
                subnet["ip_availability_details"]["used_ips_in_allocation_pool"],
            ])
        })
        .collect();
    assert_eq!(
        counts,
        [
            json!(["six", 6, "2001:db8::/64", 17, 3, 2]),
            json!(["four", 4, "10.0.0.0/24", 253, 0, 0]),
        ]
    );
    assert_eq!(counted["total_ips"], 270);
    assert_eq!(counted["used_ips"], 3);
    // More than 64 bits hold: 2^64 of the /64, and 254.
    let details = &counted["ip_availability_details"];
    assert_eq!(details["total_ips_in_subnet"], 18_446_744_073_709_551_870.0);
    assert_eq!(details["total_ips_in_allocation_pool"], 270);
    assert_eq!(counted["network_name"], "n");
    assert_eq!(counted["tenant_id"], counted["project_id"]);
    let shown = cloud.get("nova", &format!("{path}?fields=used_ips")).await;
    assert_eq!(
        shown.body,
        json!({"network_ip_availability": {"used_ips": 3}})
    );
}

#[tokio::test]
async fn networks_are_found_by_id_name_and_version() {
    let (cloud, network) = used().await;
    let empty = json!({"network": {"name": "empty"}});
    let empty = cloud.post("demo", "networks", empty).await.made("network");
    let list = async |who: &str, query: &str| {
        let path = format!("network-ip-availabilities?{query}");
        let answer = cloud.get(who, &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body["network_ip_availabilities"]
            .as_array()
            .unwrap()
            .clone()
    };
    let by_id = format!("network_id={network}");
    for (query, expected) in [
        ("network_name=n", vec![&network]),
        (by_id.as_str(), vec![&network]),
        ("network_name=empty", vec![&empty]),
        ("ip_version=6", vec![&network]),
        ("ip_version=4&network_name=n", vec![&network]),
        ("tenant_id=nobody", vec![]),
    ] {
        let found = list("admin", query).await;
        let ids: Vec<_> = found.iter().map(|counted| &counted["network_id"]).collect();
        assert_eq!(ids, expected, "{query}");
        assert!(list("demo", query).await.is_empty(), "{query}");
    }
    let four = &list("admin", "ip_version=4").await[0];
    assert_eq!(four["total_ips"], 253, "the other version is not counted");
    assert_eq!(list("admin", "").await.len(), 2);
    let page = list("admin", "limit=1&sort_key=network_id&sort_dir=desc").await;
    assert_eq!(page[0]["network_id"], *network.max(empty));
}

#[tokio::test]
async fn what_is_no_availability_is_refused() {
    let (cloud, network) = used().await;
    for (who, path, status, kind) in [
        ("demo", network.as_str(), 404, "NetworkNotFound"),
        ("admin", "none", 404, "NetworkNotFound"),
        ("admin", "?colour=red", 400, "HTTPBadRequest"),
        ("admin", "?changed_since=2020-01-01", 400, "HTTPBadRequest"),
        (
            "admin",
            "?sort_key=used_ips&sort_dir=asc",
            400,
            "HTTPBadRequest",
        ),
    ] {
        let path = match path.starts_with('?') {
            true => format!("network-ip-availabilities{path}"),
            false => format!("network-ip-availabilities/{path}"),
        };
        cloud.get(who, &path).await.check(&path, status, kind);
    }
    let body = json!({"network_ip_availability": {}});
    cloud
        .post("admin", "network-ip-availabilities", body)
        .await
        .check("POST", 405, "HTTPMethodNotAllowed");
}
