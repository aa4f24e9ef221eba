use super::*;

impl Cloud {
    async fn subnet4(&self, network: &str, cidr: &str, more: Json) -> Answer {
        let mut subnet = json!({"network_id": network, "ip_version": 4, "cidr": cidr});
        if let (Json::Object(subnet), Json::Object(more)) = (&mut subnet, more) {
            subnet.extend(more);
        }
        self.post("demo", "subnets", json!({"subnet": subnet}))
            .await
    }
}

/// Why, what is added to 10.0.0.0/24, status, type.
#[rustfmt::skip]
const RULES: &[(&str, &str, u16, &str)] = &[
    ("plain", r#"{}"#, 201, ""),
    ("host bits", r#"{"cidr": "10.0.0.7/24"}"#, 201, ""),
    ("an IPv6 prefix", r#"{"cidr": "2001:db8::/64"}"#, 400, "InvalidInput"),
    ("modes", r#"{"ipv6_ra_mode": "slaac"}"#, 400, "InvalidInput"),
    ("modes null", r#"{"ipv6_ra_mode": null, "ipv6_address_mode": null}"#, 201, ""),
    ("/31", r#"{"cidr": "10.0.0.0/31"}"#, 400, "InvalidInput"),
    ("/31 without DHCP", r#"{"cidr": "10.0.0.0/31", "enable_dhcp": false}"#, 201, ""),
    ("/32 without DHCP", r#"{"cidr": "10.0.0.0/32", "enable_dhcp": false}"#, 201, ""),
    ("from 0.0.0.0", r#"{"cidr": "0.0.0.0/24"}"#, 400, "InvalidInput"),
    ("everything", r#"{"cidr": "0.0.0.0/0"}"#, 400, "InvalidInput"),
    ("multicast", r#"{"cidr": "224.0.0.0/24"}"#, 400, "InvalidInput"),
    ("loopback", r#"{"cidr": "127.0.0.0/24"}"#, 400, "InvalidInput"),
    ("no length", r#"{"cidr": "10.0.0.0"}"#, 400, "HTTPBadRequest"),
    ("octets with leading zeros", r#"{"cidr": "010.0.0.0/24"}"#, 400, "HTTPBadRequest"),
    ("the broadcast address as gateway", r#"{"gateway_ip": "10.0.0.255"}"#, 400, "InvalidInput"),
    ("an IPv6 gateway", r#"{"gateway_ip": "fe80::1"}"#, 400, "InvalidInput"),
    ("no gateway", r#"{"gateway_ip": null}"#, 201, ""),
    ("gateway in a pool", r#"{"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}"#, 409, "GatewayConflictWithAllocationPools"),
    ("pool outside", r#"{"allocation_pools": [{"start": "10.0.1.1", "end": "10.0.1.9"}]}"#, 400, "OutOfBoundsAllocationPool"),
    ("pool of the other family", r#"{"allocation_pools": [{"start": "2001:db8::1", "end": "2001:db8::9"}]}"#, 400, "InvalidAllocationPool"),
    ("pools overlap", r#"{"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9"}, {"start": "10.0.0.9", "end": "10.0.0.10"}]}"#, 409, "OverlappingAllocationPools"),
    ("an IPv6 name server", r#"{"dns_nameservers": ["2001:db8::53"]}"#, 400, "InvalidInput"),
    ("no name servers are announced", r#"{"dns_nameservers": ["0.0.0.0"]}"#, 201, ""),
    ("a route", r#"{"host_routes": [{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}]}"#, 201, ""),
    ("a route of the other family", r#"{"host_routes": [{"destination": "2001:db8::/64", "nexthop": "10.0.0.9"}]}"#, 400, "InvalidInput"),
    ("a route to a host with bits behind", r#"{"host_routes": [{"destination": "192.0.2.1/24", "nexthop": "10.0.0.9"}]}"#, 400, "HTTPBadRequest"),
];

#[tokio::test]
async fn ipv4_rules_case_by_case() {
    let cloud = Cloud::new().await;
    for (why, more, status, kind) in RULES {
        let network = cloud.network("demo").await;
        let more = serde_json::from_str(more).unwrap();
        let answer = cloud.subnet4(&network, "10.0.0.0/24", more).await;
        answer.check(why, *status, kind);
    }
    let network = cloud.network("demo").await;
    let routes: Vec<Json> = (0..21)
        .map(|n| json!({"destination": format!("192.0.2.{n}/32"), "nexthop": "10.0.0.9"}))
        .collect();
    let many = json!({"host_routes": routes});
    let answer = cloud.subnet4(&network, "10.0.0.0/24", many).await;
    answer.check("21 routes", 400, "HostRoutesExhausted");
}

#[tokio::test]
async fn an_ipv4_subnet_is_shown_with_its_defaults_and_changed() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let made = cloud.subnet4(&network, "10.0.0.0/24", json!({})).await;
    let id = made.made("subnet");
    for (name, expected) in [
        ("ip_version", json!(4)),
        ("cidr", json!("10.0.0.0/24")),
        ("gateway_ip", json!("10.0.0.1")),
        (
            "allocation_pools",
            json!([{"start": "10.0.0.2", "end": "10.0.0.254"}]),
        ),
        ("enable_dhcp", json!(true)),
        ("ipv6_ra_mode", Json::Null),
        ("ipv6_address_mode", Json::Null),
        ("host_routes", json!([])),
        ("dns_nameservers", json!([])),
    ] {
        assert_eq!(made.body["subnet"][name], expected, "{name}");
    }
    let routes = json!([{"destination": "0.0.0.0/0", "nexthop": "10.0.0.9"}]);
    for patch in [
        json!({"host_routes": routes, "dns_nameservers": ["192.0.2.53"]}),
        json!({"gateway_ip": "10.0.0.9", "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.20"}]}),
        json!({"enable_dhcp": false}),
        json!({"host_routes": []}),
    ] {
        let path = format!("subnets/{id}");
        let answer = cloud
            .put("demo", &path, json!({"subnet": patch.clone()}))
            .await;
        for (name, value) in patch.as_object().unwrap() {
            assert_eq!(answer.body["subnet"][name], *value, "{answer:?}");
        }
    }
    let overlap = cloud.subnet4(&network, "10.0.0.128/25", json!({})).await;
    overlap.check("overlap", 400, "InvalidInput");
    for query in ["ip_version=4", "cidr=10.0.0.0/24", "gateway_ip=10.0.0.9"] {
        let found = cloud.get("demo", &format!("subnets?{query}")).await;
        assert_eq!(found.ids("subnets"), [&id], "{query}");
    }
}

#[tokio::test]
async fn a_port_gets_an_address_of_each_family_and_its_eui64_ones() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    // One address to give.
    let small = json!({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.5"}]});
    let small = cloud.subnet4(&network, "10.0.0.0/24", small).await;
    cloud.subnet4(&network, "10.0.1.0/24", json!({})).await;
    for (cidr, mode) in [
        ("2001:db8:1::/64", Some("slaac")),
        ("2001:db8:2::/64", Some("dhcpv6-stateful")),
        ("2001:db8:3::/64", None),
    ] {
        cloud.subnet("demo", &network, cidr, mode).await;
    }
    let starts = |answer: &Answer| -> Vec<String> {
        let addresses = addresses(&answer.body["port"]);
        let groups = addresses
            .iter()
            .map(|address| match address.rsplit_once('.') {
                Some((net, _)) => net.to_owned(),
                None => address.split(':').take(3).collect::<Vec<_>>().join(":"),
            });
        groups.collect()
    };
    let first = cloud.port("demo", &network, json!({})).await;
    assert_eq!(starts(&first), ["10.0.0", "2001:db8:2", "2001:db8:1"]);
    assert_eq!(addresses(&first.body["port"])[0], "10.0.0.5");
    let second = cloud.port("demo", &network, json!({})).await;
    assert_eq!(
        starts(&second),
        ["10.0.1", "2001:db8:2", "2001:db8:1"],
        "the first with room"
    );
    let both =
        json!({"fixed_ips": [{"ip_address": "10.0.1.77"}, {"ip_address": "2001:db8:3::77"}]});
    let third = cloud.port("demo", &network, both.clone()).await;
    assert_eq!(
        addresses(&third.body["port"])[..2],
        ["10.0.1.77", "2001:db8:3::77"]
    );
    let again = cloud.port("demo", &network, both).await;
    again.check("taken", 409, "IpAddressAlreadyAllocated");
    let id = small.made("subnet");
    let full = json!({"fixed_ips": [{"subnet_id": id}]});
    let full = cloud.port("demo", &network, full).await;
    full.check("full", 409, "IpAddressGenerationFailure");
    for (address, kind) in [
        ("10.0.0.0", "InvalidIpForSubnet"),
        ("10.0.0.255", "InvalidIpForSubnet"),
        ("10.0.2.1", "InvalidIpForNetwork"),
    ] {
        let asked = json!({"fixed_ips": [{"ip_address": address}]});
        let answer = cloud.port("demo", &network, asked).await;
        answer.check(address, 400, kind);
    }
    let in_use = cloud.delete("demo", &format!("subnets/{id}")).await;
    in_use.check("in use", 409, "SubnetInUse");
    let outside = json!({"fixed_ips": [{"ip_address": "10.0.0.200"}]});
    let outside = cloud.port("demo", &network, outside).await;
    outside.check("outside the pools", 201, "");
    let found = cloud
        .get("demo", "ports?fixed_ips=ip_address=10.0.0.200")
        .await;
    assert_eq!(found.ids("ports").len(), 1);
}

#[tokio::test]
async fn an_ipv4_subnet_added_later_does_not_reach_the_ports_that_there_are() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    cloud
        .subnet4(&network, "10.0.0.0/24", json!({}))
        .await
        .made("subnet");
    let shown = cloud.get("demo", &format!("ports/{port}")).await;
    assert!(addresses(&shown.body["port"]).is_empty());
    assert_eq!(shown.body["port"]["revision_number"], 1);
}

#[tokio::test]
async fn the_mtu_is_held_against_the_families_that_a_network_has() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    cloud
        .subnet4(&network, "10.0.0.0/24", json!({}))
        .await
        .made("subnet");
    let path = format!("networks/{network}");
    let mtu = |mtu: u32| json!({"network": {"mtu": mtu}});
    let below = cloud.put("demo", &path, mtu(67)).await;
    below.check("67", 409, "NetworkMTUSubnetConflict");
    let small = cloud.put("demo", &path, mtu(1279)).await;
    small.check("1279 with IPv4", 200, "");
    let subnet =
        json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}});
    let subnet = cloud.post("demo", "subnets", subnet).await;
    subnet.check("IPv6 on 1279", 409, "NetworkMTUSubnetConflict");
    cloud
        .put("demo", &path, mtu(1280))
        .await
        .check("1280", 200, "");
    cloud.subnet("demo", &network, "2001:db8::/64", None).await;
    let small = cloud.put("demo", &path, mtu(1279)).await;
    small.check("1279 with IPv6", 409, "NetworkMTUSubnetConflict");
}

/// What enumerated a pool would not come back from the first of these.
#[tokio::test]
async fn a_pool_of_2_to_the_64_costs_what_one_of_four_does() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let mut subnets = Vec::new();
    for cidr in [
        "2001:db8:1::/64",
        "2001:db8:2::/96",
        "2001:db8:3::/126",
        "fd00::/8",
    ] {
        subnets.push(cloud.subnet("demo", &network, cidr, None).await);
    }
    for cidr in ["10.0.0.0/8", "192.0.2.0/29"] {
        let made = cloud.subnet4(&network, cidr, json!({})).await;
        subnets.push(made.made("subnet"));
    }
    for _ in 0..2 {
        for subnet in &subnets {
            let asked = json!({"fixed_ips": [{"subnet_id": subnet}]});
            let made = cloud.port("demo", &network, asked).await;
            assert_eq!(addresses(&made.body["port"]).len(), 1, "{made:?}");
        }
    }
}
