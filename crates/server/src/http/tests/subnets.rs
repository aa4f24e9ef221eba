use super::*;

/// Neutron 29's observed answers, as far as they are not about subnet pools; the rules themselves are tested where they are,
/// in `hextet_core`. Why, what is added to a plain /64 (`"-"` takes a member away), status, type.
#[rustfmt::skip]
const OBSERVED: &[(&str, &str, u16, &str)] = &[
    ("no mode", r#"{}"#, 201, ""),
    ("slaac", r#"{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}"#, 201, ""),
    ("stateful", r#"{"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}"#, 201, ""),
    ("stateless", r#"{"ipv6_ra_mode": "dhcpv6-stateless", "ipv6_address_mode": "dhcpv6-stateless"}"#, 201, ""),
    ("unequal modes", r#"{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}"#, 400, "InvalidInput"),
    ("one mode", r#"{"ipv6_address_mode": "slaac"}"#, 201, ""),
    ("/63 slaac", r#"{"ipv6_ra_mode": "slaac", "cidr": "2001:db8:1::/63"}"#, 400, "InvalidInput"),
    ("/63 stateful", r#"{"ipv6_ra_mode": "dhcpv6-stateful", "cidr": "2001:db8:1::/63"}"#, 201, ""),
    ("/127", r#"{"cidr": "2001:db8:1::/127"}"#, 400, "InvalidInput"),
    ("/127 without DHCP", r#"{"cidr": "2001:db8:1::/127", "enable_dhcp": false}"#, 201, ""),
    ("/128 without DHCP", r#"{"cidr": "2001:db8:1::/128", "enable_dhcp": false}"#, 201, ""),
    ("::/64", r#"{"cidr": "::/64"}"#, 400, "InvalidInput"),
    ("fe80::/64", r#"{"cidr": "fe80::/64"}"#, 400, "InvalidInput"),
    ("ff00::/64", r#"{"cidr": "ff00::/64"}"#, 400, "InvalidInput"),
    ("host bits", r#"{"cidr": "2001:db8::1/64"}"#, 201, ""),
    ("modes with DHCP off", r#"{"ipv6_ra_mode": "slaac", "enable_dhcp": false}"#, 400, "InvalidInput"),
    ("IPv4", r#"{"ip_version": 4, "cidr": "10.0.0.0/24"}"#, 201, ""),
    ("modes on IPv4", r#"{"ip_version": 4, "cidr": "10.0.0.0/24", "ipv6_ra_mode": "slaac"}"#, 400, "InvalidInput"),
    ("mode that is none", r#"{"ipv6_ra_mode": "x"}"#, 400, "HTTPBadRequest"),
    ("modes null", r#"{"ipv6_ra_mode": null, "ipv6_address_mode": null}"#, 201, ""),
    ("family mismatch", r#"{"cidr": "10.0.0.0/24"}"#, 400, "InvalidInput"),
    ("ip_version 5", r#"{"ip_version": 5}"#, 400, "HTTPBadRequest"),
    ("no cidr", r#"{"cidr": "-"}"#, 400, "BadRequest"),
    ("cidr and prefixlen", r#"{"prefixlen": 64}"#, 400, "BadRequest"),
    ("cidr without a length", r#"{"cidr": "2001:db8::"}"#, 400, "HTTPBadRequest"),
    ("subnet pool", r#"{"subnetpool_id": "00000000-0000-4000-8000-000000000009"}"#, 400, "HTTPBadRequest"),
    ("default subnet pool", r#"{"use_default_subnetpool": true}"#, 400, "HTTPBadRequest"),
    ("no default subnet pool", r#"{"use_default_subnetpool": false}"#, 400, "HTTPBadRequest"),
    ("gateway null", r#"{"gateway_ip": null}"#, 201, ""),
    ("gateway link-local", r#"{"gateway_ip": "fe80::1"}"#, 201, ""),
    ("gateway outside", r#"{"gateway_ip": "2001:db8:2::1"}"#, 201, ""),
    ("gateway = network", r#"{"gateway_ip": "2001:db8:1::"}"#, 201, ""),
    ("gateway IPv4", r#"{"gateway_ip": "10.0.0.1"}"#, 400, "InvalidInput"),
    ("gateway garbage", r#"{"gateway_ip": "x"}"#, 400, "HTTPBadRequest"),
    ("gateway in a pool", r#"{"allocation_pools": [{"start": "2001:db8:1::1", "end": "2001:db8:1::9"}]}"#, 409, "GatewayConflictWithAllocationPools"),
    ("pool outside", r#"{"allocation_pools": [{"start": "2001:db8:2::2", "end": "2001:db8:2::9"}]}"#, 400, "OutOfBoundsAllocationPool"),
    ("pool reversed", r#"{"allocation_pools": [{"start": "2001:db8:1::9", "end": "2001:db8:1::2"}]}"#, 400, "InvalidAllocationPool"),
    ("pool with the network address", r#"{"allocation_pools": [{"start": "2001:db8:1::", "end": "2001:db8:1::9"}]}"#, 400, "OutOfBoundsAllocationPool"),
    ("pool garbage", r#"{"allocation_pools": [{"start": "x"}]}"#, 400, "HTTPBadRequest"),
    ("pools overlap", r#"{"allocation_pools": [{"start": "2001:db8:1::2", "end": "2001:db8:1::9"}, {"start": "2001:db8:1::9", "end": "2001:db8:1::a"}]}"#, 409, "OverlappingAllocationPools"),
    ("name server IPv4", r#"{"dns_nameservers": ["8.8.8.8"]}"#, 400, "InvalidInput"),
    ("too many name servers", r#"{"dns_nameservers": ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5", "2001:db8::6"]}"#, 400, "DNSNameServersExhausted"),
    ("no name servers", r#"{"dns_nameservers": null, "host_routes": null}"#, 201, ""),
    ("neither prefix nor pool", r#"{"cidr": null}"#, 400, "BadRequest"),
    ("no list of pools", r#"{"allocation_pools": null}"#, 400, "HTTPBadRequest"),
    ("a name server twice", r#"{"dns_nameservers": ["2001:db8::1", "2001:db8::1"]}"#, 400, "HTTPBadRequest"),
    ("routes", r#"{"host_routes": [{"destination": "2001:db8:9::/64", "nexthop": "2001:db8:1::9"}]}"#, 400, "InvalidInput"),
    ("IPv4 routes", r#"{"host_routes": [{"destination": "10.0.0.0/24", "nexthop": "10.1.0.1"}]}"#, 400, "InvalidInput"),
    ("a route that is none", r#"{"host_routes": [{"destination": "10.0.0.0"}]}"#, 400, "HTTPBadRequest"),
    ("no routes", r#"{"host_routes": []}"#, 201, ""),
    ("unknown network", r#"{"network_id": "00000000-0000-4000-8000-000000000009"}"#, 404, "NetworkNotFound"),
    ("description", r#"{"description": "d"}"#, 201, ""),
];

#[tokio::test]
async fn observed_answers_case_by_case() {
    let cloud = Cloud::new().await;
    for (why, more, status, kind) in OBSERVED {
        let network = cloud.network("demo").await;
        let more = serde_json::from_str(more).unwrap();
        let answer = cloud.post("demo", "subnets", asked(&network, more)).await;
        answer.check(why, *status, kind);
    }
}

#[tokio::test]
async fn a_subnet_is_shown_with_its_defaults() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let more = merged(
        modes("slaac", "slaac"),
        json!({"dns_nameservers": ["2001:DB8::53"]}),
    );
    let answer = cloud.post("demo", "subnets", asked(&network, more)).await;
    let subnet = &answer.body["subnet"];
    for (name, expected) in [
        ("cidr", json!("2001:db8:1::/64")),
        ("ip_version", json!(6)),
        ("gateway_ip", json!("2001:db8:1::1")),
        (
            "allocation_pools",
            json!([{"start": "2001:db8:1::2", "end": "2001:db8:1:0:ffff:ffff:ffff:ffff"}]),
        ),
        ("dns_nameservers", json!(["2001:db8::53"])),
        ("enable_dhcp", json!(true)),
        ("ipv6_ra_mode", json!("slaac")),
        ("ipv6_address_mode", json!("slaac")),
        ("host_routes", json!([])),
        ("service_types", json!([])),
        ("subnetpool_id", Json::Null),
        ("tags", json!([])),
        ("revision_number", json!(0)),
    ] {
        assert_eq!(subnet[name], expected, "{name}");
    }
    assert_eq!(subnet["tenant_id"], subnet["project_id"]);
    assert!(
        subnet.get("sequence").is_none(),
        "internal members are never shown"
    );
    let shown = cloud.get("demo", &format!("networks/{network}")).await;
    assert_eq!(shown.body["network"]["subnets"], json!([subnet["id"]]));
    for query in [
        "cidr=2001:0db8:1::/64",
        "gateway_ip=2001:db8:1:0::1",
        "ip_version=6&ipv6_ra_mode=slaac&enable_dhcp=true",
    ] {
        let found = cloud.get("demo", &format!("subnets?{query}")).await;
        assert_eq!(found.ids("subnets").len(), 1, "{query}");
    }
}

#[tokio::test]
async fn prefixes_of_one_network_do_not_overlap_and_those_of_two_may() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    let again = asked(&network, json!({"cidr": "2001:db8:1::/80"}));
    cloud
        .post("demo", "subnets", again)
        .await
        .check("overlap", 400, "InvalidInput");
    let other = cloud.network("demo").await;
    cloud.subnet("demo", &other, "2001:db8:1::/64", None).await;
}

#[tokio::test]
async fn an_update_changes_what_may_change() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let id = cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    let path = format!("subnets/{id}");
    let rows: Vec<(&str, Json, u16, &str)> = vec![
        ("name", json!({"name": "s"}), 200, ""),
        (
            "name servers",
            json!({"dns_nameservers": ["2001:db8::53"]}),
            200,
            "",
        ),
        ("gateway away", json!({"gateway_ip": null}), 200, ""),
        (
            "gateway into the pools",
            json!({"gateway_ip": "2001:db8:1::9"}),
            409,
            "GatewayConflictWithAllocationPools",
        ),
        ("gateway", json!({"gateway_ip": "fe80::1"}), 200, ""),
        (
            "pools",
            json!({"allocation_pools": [{"start": "2001:db8:1::10", "end": "2001:db8:1::ff"}]}),
            200,
            "",
        ),
        (
            "modes",
            json!({"ipv6_ra_mode": "slaac"}),
            400,
            "HTTPBadRequest",
        ),
        (
            "cidr",
            json!({"cidr": "2001:db8:2::/64"}),
            400,
            "HTTPBadRequest",
        ),
        (
            "ip_version",
            json!({"ip_version": 6}),
            400,
            "HTTPBadRequest",
        ),
        (
            "network",
            json!({"network_id": network}),
            400,
            "HTTPBadRequest",
        ),
        (
            "DHCP off with modes",
            json!({"enable_dhcp": false}),
            400,
            "InvalidInput",
        ),
    ];
    for (why, patch, status, kind) in rows {
        let answer = cloud.put("demo", &path, json!({"subnet": patch})).await;
        answer.check(why, status, kind);
        if status == 200 {
            for (name, value) in patch.as_object().unwrap() {
                assert_eq!(answer.body["subnet"][name], *value, "{why}");
            }
        }
    }
}

#[tokio::test]
async fn an_auto_address_subnet_takes_its_addresses_along_and_others_wait_for_theirs() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let slaac = cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    let stateful = cloud
        .subnet("demo", &network, "2001:db8:2::/64", Some("dhcpv6-stateful"))
        .await;
    let made = cloud.port("demo", &network, json!({})).await;
    let port = made.made("port");
    assert_eq!(addresses(&made.body["port"]).len(), 2);
    cloud
        .delete("demo", &format!("subnets/{slaac}"))
        .await
        .check("slaac", 204, "");
    cloud
        .delete("demo", &format!("subnets/{stateful}"))
        .await
        .check("stateful", 409, "SubnetInUse");
    let shown = cloud.get("demo", &format!("ports/{port}")).await;
    let left = addresses(&shown.body["port"]);
    assert!(
        left.len() == 1 && left[0].starts_with("2001:db8:2::"),
        "{left:?}"
    );
    assert_eq!(shown.body["port"]["revision_number"], 2);
    cloud
        .delete("demo", &format!("ports/{port}"))
        .await
        .check("port", 204, "");
    cloud
        .delete("demo", &format!("subnets/{stateful}"))
        .await
        .check("stateful", 204, "");
}

#[tokio::test]
async fn a_slaac_subnet_added_later_gives_every_port_its_address() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let mut ports = Vec::new();
    for more in [
        json!({}),
        json!({"fixed_ips": []}),
        json!({"binding:host_id": "h1"}),
    ] {
        let more = merged(more, json!({"project_id": project(&cloud, "demo").await}));
        ports.push(cloud.port("admin", &network, more).await.made("port"));
    }
    let routed = json!({"device_owner": "network:router_interface"});
    let routed = cloud.port("demo", &network, routed).await.made("port");
    let before = cloud
        .store
        .read(|model| model.generation().revision)
        .await
        .unwrap();
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    let after = cloud
        .store
        .read(|model| model.generation().revision)
        .await
        .unwrap();
    assert_eq!(after, before + 1, "one transaction");
    for port in &ports {
        let shown = cloud.get("demo", &format!("ports/{port}")).await;
        let port = &shown.body["port"];
        let mac: hextet_core::mac::Mac = port["mac_address"].as_str().unwrap().parse().unwrap();
        let expected = mac.eui64("2001:db8:1::/64".parse().unwrap()).to_string();
        assert_eq!(addresses(port), [expected]);
        assert_eq!(port["revision_number"], 2);
    }
    let shown = cloud.get("demo", &format!("ports/{routed}")).await;
    assert_eq!(addresses(&shown.body["port"]), Vec::<&str>::new());
}

/// A subnet of /64 with more members; `"-"` takes one away.
fn asked(network: &str, more: Json) -> Json {
    let base = json!({"network_id": network, "ip_version": 6, "cidr": "2001:db8:1::/64"});
    let mut subnet = merged(base, more);
    let members = subnet.as_object_mut().unwrap();
    members.retain(|_, value| value != "-");
    json!({"subnet": subnet})
}

fn merged(mut base: Json, more: Json) -> Json {
    if let (Json::Object(base), Json::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn modes(ra: &str, address: &str) -> Json {
    json!({"ipv6_ra_mode": ra, "ipv6_address_mode": address})
}

async fn project(cloud: &Cloud, who: &str) -> String {
    let answer = cloud.post(who, "networks", json!({"network": {}})).await;
    answer.body["network"]["project_id"]
        .as_str()
        .unwrap()
        .to_owned()
}
