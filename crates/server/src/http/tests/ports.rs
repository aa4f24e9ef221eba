use super::*;

const MAC: &str = "fa:16:3e:00:00:01";
const EUI64: &str = "2001:db8:1:0:f816:3eff:fe00:1";

/// A network of three subnets: SLAAC, stateful, and one without modes.
struct Wired {
    cloud: Cloud,
    network: String,
    slaac: String,
    stateful: String,
}

impl Wired {
    async fn new() -> Self {
        let cloud = Cloud::new().await;
        let network = cloud.network("demo").await;
        let slaac = cloud
            .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
            .await;
        let stateful = cloud
            .subnet("demo", &network, "2001:db8:2::/64", Some("dhcpv6-stateful"))
            .await;
        cloud
            .subnet("demo", &network, "2001:db8:3::/96", None)
            .await;
        Self {
            cloud,
            network,
            slaac,
            stateful,
        }
    }

    async fn port(&self, more: Json) -> Answer {
        self.cloud.port("demo", &self.network, more).await
    }
}

/// Why, what is added to a plain port, status, type. STATEFUL and FOREIGN stand for ids.
#[rustfmt::skip]
const OBSERVED: &[(&str, &str, u16, &str)] = &[
    ("another address of the SLAAC subnet", r#"{"fixed_ips": [{"ip_address": "2001:db8:1::7"}]}"#, 400, "AllocationOnAutoAddressSubnet"),
    ("the EUI-64 address of another port", r#"{"fixed_ips": [{"ip_address": "2001:db8:1:0:f816:3eff:fe00:1"}]}"#, 409, "IpAddressAlreadyAllocated"),
    ("a MAC of the network", r#"{"mac_address": "FA-16-3E-00-00-01"}"#, 409, "MacAddressInUse"),
    ("no MAC", r#"{"mac_address": "x"}"#, 400, "HTTPBadRequest"),
    ("a group MAC", r#"{"mac_address": "01:00:5e:00:00:01"}"#, 400, "HTTPBadRequest"),
    ("the service's MAC", r#"{"mac_address": "02:68:78:00:00:01"}"#, 400, "HTTPBadRequest"),
    ("in no subnet", r#"{"fixed_ips": [{"ip_address": "2001:db8:8::7"}]}"#, 400, "InvalidIpForNetwork"),
    ("IPv4", r#"{"fixed_ips": [{"ip_address": "10.0.0.7"}]}"#, 400, "InvalidIpForNetwork"),
    ("in another subnet than named", r#"{"fixed_ips": [{"ip_address": "2001:db8:3::7", "subnet_id": "STATEFUL"}]}"#, 400, "InvalidIpForSubnet"),
    ("taken", r#"{"fixed_ips": [{"ip_address": "2001:db8:2::77"}]}"#, 409, "IpAddressAlreadyAllocated"),
    ("unknown subnet", r#"{"fixed_ips": [{"subnet_id": "00000000-0000-4000-8000-000000000009"}]}"#, 404, "SubnetNotFound"),
    ("a subnet of another network", r#"{"fixed_ips": [{"subnet_id": "FOREIGN"}]}"#, 400, "InvalidInput"),
    ("an entry that is none", r#"{"fixed_ips": [{"address": "x"}]}"#, 400, "HTTPBadRequest"),
    ("security groups", r#"{"security_groups": ["00000000-0000-4000-8000-000000000009"]}"#, 400, "HTTPBadRequest"),
    ("no security groups", r#"{"security_groups": []}"#, 201, ""),
    ("address pairs", r#"{"allowed_address_pairs": [{"ip_address": "2001:db8:9::9"}]}"#, 400, "HTTPBadRequest"),
    ("no port security", r#"{"port_security_enabled": false}"#, 201, ""),
    ("no port security, nor a word on security groups", r#"{"port_security_enabled": false, "security_groups": []}"#, 201, ""),
    ("vnic_type", r#"{"binding:vnic_type": "x"}"#, 400, "HTTPBadRequest"),
    ("vnic_type null", r#"{"binding:vnic_type": null}"#, 400, "HTTPBadRequest"),
    ("vnic_type normal", r#"{"binding:vnic_type": "normal"}"#, 201, ""),
    ("vnic_type of a kind that no host carries", r#"{"binding:vnic_type": "direct"}"#, 201, ""),
    ("a DHCP option of another form", r#"{"extra_dhcp_opts": [{"opt_name": "23", "opt_value": "x"}]}"#, 400, "InvalidInput"),
    ("unknown network", r#"{"network_id": "00000000-0000-4000-8000-000000000009"}"#, 404, "NetworkNotFound"),
];

#[tokio::test]
async fn observed_answers_case_by_case() {
    let wired = Wired::new().await;
    let elsewhere = wired.cloud.network("demo").await;
    let foreign = wired
        .cloud
        .subnet("demo", &elsewhere, "2001:db8:9::/64", None)
        .await;
    let taken = json!({"fixed_ips": [{"ip_address": "2001:db8:2::77"}], "mac_address": MAC});
    wired.port(taken).await.made("port");
    for (why, more, status, kind) in OBSERVED {
        let more = more
            .replace("STATEFUL", &wired.stateful)
            .replace("FOREIGN", &foreign);
        let more = serde_json::from_str(&more).unwrap();
        wired.port(more).await.check(why, *status, kind);
    }
    let own = json!({"mac_address": "fa:16:3e:00:00:02"});
    let own = wired.port(own).await.made("port");
    for (address, status, kind) in [
        ("2001:db8:1::7", 400, "AllocationOnAutoAddressSubnet"),
        (
            "2001:db8:1:0:f816:3eff:fe00:1",
            409,
            "IpAddressAlreadyAllocated",
        ),
        ("2001:db8:1:0:f816:3eff:fe00:2", 200, ""),
    ] {
        let change = json!({"port": {"fixed_ips": [{"ip_address": address}]}});
        let path = format!("ports/{own}");
        let changed = wired.cloud.put("demo", &path, change).await;
        changed.check(address, status, kind);
    }
    let missing = wired.cloud.post("demo", "ports", json!({"port": {}})).await;
    missing.check("no network", 400, "HTTPBadRequest");
    assert!(
        missing
            .message()
            .contains("Required attribute 'network_id'")
    );
}

#[tokio::test]
async fn a_port_gets_one_pooled_address_and_its_eui64_ones() {
    let wired = Wired::new().await;
    let made = wired.port(json!({"mac_address": MAC})).await;
    let port = &made.body["port"];
    let got = addresses(port);
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[0].starts_with("2001:db8:2::"), "{got:?}");
    assert_eq!(got[1], EUI64);
    for (name, expected) in [
        ("status", json!("DOWN")),
        ("admin_state_up", json!(true)),
        ("device_id", json!("")),
        ("device_owner", json!("")),
        ("security_groups", json!([])),
        ("allowed_address_pairs", json!([])),
        ("extra_dhcp_opts", json!([])),
        ("port_security_enabled", json!(true)),
        ("ip_allocation", json!("immediate")),
        ("binding:vnic_type", json!("normal")),
        ("revision_number", json!(1)),
        ("tags", json!([])),
    ] {
        assert_eq!(port[name], expected, "{name}");
    }
    for hidden in ["binding:host_id", "binding:vif_type", "number", "bound_at"] {
        assert!(port.get(hidden).is_none(), "{hidden}");
    }
    let id = port["id"].as_str().unwrap();
    let shown = wired.cloud.get("admin", &format!("ports/{id}")).await;
    let port = &shown.body["port"];
    assert_eq!(port["binding:host_id"], "");
    assert_eq!(port["binding:vif_type"], "unbound");
    assert_eq!(port["binding:profile"], json!({}));
    assert!(port.get("number").is_none());
}

#[tokio::test]
async fn fixed_ips_say_which_and_the_eui64_address_comes_anyway() {
    let wired = Wired::new().await;
    let (slaac, stateful) = (&wired.slaac, &wired.stateful);
    for (asked, expected) in [
        (json!([]), vec!["2001:db8:1:"]),
        (json!([{"subnet_id": slaac}]), vec!["2001:db8:1:"]),
        (
            json!([{"subnet_id": stateful}, {"subnet_id": stateful}]),
            vec!["2001:db8:2:", "2001:db8:2:", "2001:db8:1:"],
        ),
        (
            json!([{"ip_address": "2001:db8:3::5"}]),
            vec!["2001:db8:3::5", "2001:db8:1:"],
        ),
        (
            json!([{"ip_address": "2001:db8:2::5", "subnet_id": stateful}]),
            vec!["2001:db8:2::5", "2001:db8:1:"],
        ),
        (
            json!([{"ip_address": "2001:db8:2::"}]),
            vec!["2001:db8:2::", "2001:db8:1:"],
        ),
    ] {
        let made = wired.port(json!({"fixed_ips": asked})).await;
        made.made("port");
        let got = addresses(&made.body["port"]);
        assert_eq!(got.len(), expected.len(), "{asked}: {got:?}");
        for (address, prefix) in got.iter().zip(expected) {
            assert!(address.starts_with(prefix), "{asked}: {got:?}");
        }
    }
    let own = json!({"mac_address": MAC, "fixed_ips": [{"ip_address": EUI64}]});
    let made = wired.port(own).await;
    assert_eq!(addresses(&made.body["port"]), [EUI64]);
    let owned =
        json!({"device_owner": "compute:nova", "fixed_ips": [{"ip_address": "2001:db8:3::"}]});
    wired
        .port(owned)
        .await
        .check("network address", 400, "InvalidIpForSubnet");
}

#[tokio::test]
async fn a_pool_is_used_up_to_its_last_address() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    cloud
        .subnet("demo", &network, "2001:db8:8::/126", None)
        .await;
    let mut got = Vec::new();
    for _ in 0..2 {
        let made = cloud.port("demo", &network, json!({})).await;
        got.push(addresses(&made.body["port"])[0].to_owned());
    }
    got.sort();
    assert_eq!(got, ["2001:db8:8::2", "2001:db8:8::3"]);
    cloud.port("demo", &network, json!({})).await.check(
        "exhausted",
        409,
        "IpAddressGenerationFailure",
    );
    let found = cloud
        .get("demo", "ports?fixed_ips=ip_address=2001:db8:8::2")
        .await;
    let id = found.ids("ports")[0].to_owned();
    cloud
        .delete("demo", &format!("ports/{id}"))
        .await
        .check("", 204, "");
    let made = cloud.port("demo", &network, json!({})).await;
    assert_eq!(addresses(&made.body["port"]), ["2001:db8:8::2"]);
}

#[tokio::test]
async fn ports_of_bulk_have_addresses_and_macs_of_their_own() {
    let wired = Wired::new().await;
    let ports: Vec<Json> = (0..50)
        .map(|_| json!({"network_id": wired.network}))
        .collect();
    let made = wired
        .cloud
        .post("demo", "ports", json!({"ports": ports}))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let ports = made.body["ports"].as_array().unwrap();
    let unique = |values: Vec<String>| {
        values
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert_eq!(
        unique(
            ports
                .iter()
                .map(|port| port["mac_address"].to_string())
                .collect()
        ),
        50
    );
    let all = ports
        .iter()
        .flat_map(addresses)
        .map(str::to_owned)
        .collect();
    assert_eq!(unique(all), 100);
}

#[tokio::test]
async fn ports_are_found_by_address_and_subnet() {
    let wired = Wired::new().await;
    let asked = json!({"mac_address": MAC, "fixed_ips": [{"ip_address": "2001:db8:2::5"}], "device_id": "vm"});
    let id = wired.port(asked).await.made("port");
    wired.port(json!({})).await.made("port");
    let (slaac, stateful) = (&wired.slaac, &wired.stateful);
    for (query, expected) in [
        ("fixed_ips=ip_address=2001:db8:2:0::5".to_owned(), 1),
        (
            format!("fixed_ips=ip_address%3D2001:db8:2::5&fixed_ips=subnet_id%3D{stateful}"),
            1,
        ),
        (
            format!("fixed_ips=ip_address=2001:db8:2::5&fixed_ips=subnet_id={slaac}"),
            0,
        ),
        (format!("fixed_ips=subnet_id={slaac}"), 2),
        ("mac_address=FA:16:3E:00:00:01".to_owned(), 1),
        ("device_id=vm".to_owned(), 1),
        ("device_id=".to_owned(), 1),
        (format!("network_id={}", wired.network), 2),
        (format!("id={id}&status=DOWN"), 1),
    ] {
        let found = wired.cloud.get("demo", &format!("ports?{query}")).await;
        assert_eq!(found.ids("ports").len(), expected, "{query}");
    }
}

#[tokio::test]
async fn an_update_of_fixed_ips_replaces_all_but_the_eui64_address() {
    let wired = Wired::new().await;
    let asked = json!({"mac_address": MAC, "fixed_ips": [{"ip_address": "2001:db8:2::5"}]});
    let id = wired.port(asked).await.made("port");
    let path = format!("ports/{id}");
    let (slaac, stateful) = (&wired.slaac, &wired.stateful);
    for (asked, expected) in [
        (
            json!([{"ip_address": "2001:db8:3::7"}]),
            vec!["2001:db8:3::7", EUI64],
        ),
        (
            json!([{"ip_address": "2001:db8:3::7"}, {"ip_address": "2001:db8:2::5"}]),
            vec!["2001:db8:3::7", "2001:db8:2::5", EUI64],
        ),
        (
            json!([{"subnet_id": stateful}]),
            vec!["2001:db8:2::5", EUI64],
        ),
        (json!([]), vec![EUI64]),
        (json!([{"subnet_id": slaac, "delete_subnet": true}]), vec![]),
        (json!([{"subnet_id": slaac}]), vec![EUI64]),
    ] {
        let answer = wired
            .cloud
            .put("demo", &path, json!({"port": {"fixed_ips": asked}}))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(addresses(&answer.body["port"]), expected, "{asked}");
    }
    // What was given back is to be had again.
    let again =
        json!({"fixed_ips": [{"ip_address": "2001:db8:2::5"}, {"ip_address": "2001:db8:3::7"}]});
    wired.port(again).await.made("port");
}

#[tokio::test]
async fn a_new_mac_moves_the_eui64_address_unless_the_port_is_bound() {
    let wired = Wired::new().await;
    let id = wired.port(json!({"mac_address": MAC})).await.made("port");
    let path = format!("ports/{id}");
    let pooled = wired.cloud.get("demo", &path).await;
    let pooled = addresses(&pooled.body["port"])[0].to_owned();
    let change = json!({"port": {"mac_address": "fa:16:3e:00:00:02"}});
    let denied = wired.cloud.put("demo", &path, change.clone()).await;
    denied.check("a member", 403, "PolicyNotAuthorized");
    let answer = wired.cloud.put("max", &path, change.clone()).await;
    assert_eq!(
        addresses(&answer.body["port"]),
        [&pooled, "2001:db8:1:0:f816:3eff:fe00:2"]
    );
    wired.port(json!({"mac_address": MAC})).await.made("port");
    let bind = json!({"port": {"binding:host_id": "h1"}});
    wired
        .cloud
        .put("admin", &path, bind)
        .await
        .check("bind", 200, "");
    let change = json!({"port": {"mac_address": "fa:16:3e:00:00:03"}});
    wired
        .cloud
        .put("max", &path, change)
        .await
        .check("bound", 409, "PortBound");
}
