//! The attributes of subnets and ports that have a rule of their own, and the values that are refused.

use hextet_core::plan::compile::compile;

use super::*;

/// Noun, verb, who, what is said, status, type. A PUT is sent to a resource of project demo.
#[rustfmt::skip]
const SAID: &[(&str, &str, &str, &str, u16, &str)] = &[
    ("subnet", "POST", "admin", r#"{"service_types": ["compute:nova", "network:dhcp"]}"#, 201, ""),
    // Neutron has a policy of it for administrators alone, and does not enforce it.
    ("subnet", "POST", "demo", r#"{"service_types": ["compute:nova"]}"#, 201, ""),
    ("subnet", "POST", "admin", r#"{"service_types": ["test:type_1"]}"#, 201, ""),
    ("subnet", "POST", "admin", r#"{"service_types": [""]}"#, 400, "HTTPBadRequest"),
    ("subnet", "POST", "admin", r#"{"service_types": [1]}"#, 400, "HTTPBadRequest"),
    ("subnet", "POST", "admin", r#"{"service_types": ["compute:nova", "compute:nova"]}"#, 400, "HTTPBadRequest"),
    ("subnet", "PUT", "admin", r#"{"service_types": ["compute:nova"]}"#, 200, ""),
    ("subnet", "PUT", "demo", r#"{"service_types": []}"#, 200, ""),
    ("subnet", "POST", "demo", r#"{"segment_id": null}"#, 201, ""),
    ("subnet", "POST", "admin", r#"{"segment_id": "00000000-0000-4000-8000-000000000009"}"#, 400, "HTTPBadRequest"),
    ("subnet", "PUT", "demo", r#"{"segment_id": null}"#, 403, "PolicyNotAuthorized"),
    ("subnet", "PUT", "admin", r#"{"segment_id": null}"#, 200, ""),
    ("subnet", "POST", "demo", r#"{"dns_publish_fixed_ip": false}"#, 201, ""),
    ("subnet", "POST", "demo", r#"{"dns_publish_fixed_ip": true}"#, 400, "HTTPBadRequest"),
    ("subnet", "POST", "demo", r#"{"router:external": false}"#, 400, "HTTPBadRequest"),
    ("subnet", "POST", "demo", r#"{"shared": false}"#, 400, "HTTPBadRequest"),
    ("subnet", "PUT", "demo", r#"{"subnetpool_id": null}"#, 400, "HTTPBadRequest"),
    ("subnet", "PUT", "demo", r#"{"prefixlen": 64}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "nova", r#"{"binding:profile": {"pci_slot": "0000:03:00.0"}}"#, 201, ""),
    ("port", "POST", "nova", r#"{"binding:profile": null}"#, 201, ""),
    ("port", "POST", "nova", r#"{"binding:profile": []}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"binding:profile": {}}"#, 403, "PolicyNotAuthorized"),
    ("port", "POST", "demo", r#"{"binding:vnic_type": "normal"}"#, 201, ""),
    ("port", "POST", "demo", r#"{"binding:vnic_type": "direct"}"#, 201, ""),
    ("port", "PUT", "demo", r#"{"binding:vnic_type": "baremetal"}"#, 200, ""),
    ("port", "PUT", "demo", r#"{"binding:vnic_type": "Normal"}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "admin", r#"{"binding:vif_type": "tap"}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "admin", r#"{"binding:vif_details": {}}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "admin", r#"{"data_plane_status": "ACTIVE"}"#, 400, "HTTPBadRequest"),
    ("port", "PUT", "admin", r#"{"data_plane_status": "DOWN"}"#, 200, ""),
    ("port", "PUT", "admin", r#"{"data_plane_status": null}"#, 200, ""),
    ("port", "PUT", "admin", r#"{"data_plane_status": "BROKEN"}"#, 400, "HTTPBadRequest"),
    ("port", "PUT", "demo", r#"{"data_plane_status": "ACTIVE"}"#, 403, "PolicyNotAuthorized"),
    ("port", "POST", "demo", r#"{"propagate_uplink_status": true}"#, 201, ""),
    ("port", "POST", "demo", r#"{"propagate_uplink_status": false}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"dns_name": "", "dns_domain": ""}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"dns_name": "web"}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"dns_domain": "example.org."}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"dns_assignment": []}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"qos_policy_id": null}"#, 201, ""),
    ("port", "POST", "demo", r#"{"qos_policy_id": "00000000-0000-4000-8000-000000000009"}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"qos_network_policy_id": null}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"device_profile": null, "numa_affinity_policy": null}"#, 201, ""),
    ("port", "POST", "demo", r#"{"device_profile": "gpu"}"#, 400, "HTTPBadRequest"),
    ("port", "PUT", "demo", r#"{"device_profile": null}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"numa_affinity_policy": "required"}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"hints": null, "trusted": null}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "admin", r#"{"hints": {"openvswitch": {}}}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "admin", r#"{"trusted": false}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "admin", r#"{"trusted": true}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"security_groups": []}"#, 201, ""),
    ("port", "POST", "demo", r#"{"security_groups": ["00000000-0000-4000-8000-000000000009"]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"allowed_address_pairs": [{"ip_address": "2001:db8::/64"}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "boot", "opt_value": "x"}]}"#, 201, ""),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "lease-time", "opt_value": "60"}]}"#, 400, "InvalidInput"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "x"}]}"#, 400, "InvalidInput"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "51", "opt_value": "60"}]}"#, 400, "InvalidInput"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}, {"opt_name": "26", "opt_value": "1400"}]}"#, 400, "InvalidInput"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}, {"opt_name": "mtu", "opt_value": "1400"}]}"#, 400, "InvalidInput"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu"}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_value": "1400"}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "", "opt_value": "x"}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": ""}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": 1400}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "a\nb"}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 5}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "tag": "x"}]}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": {"mtu": "1400"}}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": null}"#, 201, ""),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "router", "opt_value": ""}]}"#, 201, ""),
    ("port", "POST", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "bootfile-url", "opt_value": "tftp://[2001:db8::1]/x", "ip_version": "6"}]}"#, 201, ""),
    ("port", "PUT", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "boot", "opt_value": null}]}"#, 200, ""),
    ("port", "PUT", "demo", r#"{"extra_dhcp_opts": [{"opt_name": "150", "opt_value": "no address"}]}"#, 400, "InvalidInput"),
    ("port", "POST", "demo", r#"{"port_security_enabled": false}"#, 201, ""),
    ("port", "POST", "demo", r#"{"port_security_enabled": "False"}"#, 201, ""),
    ("port", "POST", "demo", r#"{"port_security_enabled": null}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"port_security_enabled": "shut"}"#, 400, "HTTPBadRequest"),
    ("port", "PUT", "demo", r#"{"port_security_enabled": false}"#, 200, ""),
    ("port", "PUT", "nova", r#"{"port_security_enabled": false}"#, 200, ""),
    ("port", "POST", "demo", r#"{"ip_allocation": "none"}"#, 400, "HTTPBadRequest"),
    ("port", "POST", "demo", r#"{"mac_address": null}"#, 201, ""),
    ("port", "POST", "demo", r#"{"status": "ACTIVE"}"#, 400, "HTTPBadRequest"),
    ("port", "PUT", "demo", r#"{"network_id": "00000000-0000-4000-8000-000000000009"}"#, 400, "HTTPBadRequest"),
    ("port", "PUT", "demo", r#"{"tags": ["x"]}"#, 400, "HTTPBadRequest"),
];

#[tokio::test]
async fn each_attribute_is_taken_or_refused_by_name() {
    let cloud = Cloud::new().await;
    for (noun, verb, who, said, status, kind) in SAID {
        let why = format!("{verb} {noun} {who} {said}");
        let network = cloud.network("demo").await;
        let mut body: Json = serde_json::from_str(said).unwrap();
        let said = body.as_object_mut().unwrap();
        let names: Vec<String> = said.keys().cloned().collect();
        let base = match *noun {
            "subnet" => {
                json!({"network_id": network, "ip_version": 6, "cidr": "2001:db8:1::/64"})
            }
            _ => json!({"network_id": network}),
        };
        let collection = format!("{noun}s");
        let answer = match *verb {
            "POST" => {
                said.extend(base.as_object().unwrap().clone());
                cloud.post(who, &collection, json!({*noun: body})).await
            }
            _ => {
                let made = cloud.post("demo", &collection, json!({*noun: base})).await;
                let path = format!("{collection}/{}", made.made(noun));
                cloud.put(who, &path, json!({*noun: body})).await
            }
        };
        answer.check(&why, *status, kind);
        if *status >= 400 {
            let named = names.iter().any(|name| answer.message().contains(name));
            assert!(named, "{why}: {}", answer.message());
        }
    }
}

#[tokio::test]
async fn ports_show_what_neutron_shows() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let made = cloud.port("demo", &network, json!({})).await;
    let path = format!("ports/{}", made.made("port"));
    let shown = cloud.get("admin", &path).await;
    for (name, expected, public) in [
        ("ip_allocation", json!("immediate"), true),
        ("data_plane_status", Json::Null, true),
        ("propagate_uplink_status", json!(true), true),
        ("qos_policy_id", Json::Null, true),
        ("qos_network_policy_id", Json::Null, true),
        ("device_profile", Json::Null, true),
        ("numa_affinity_policy", Json::Null, true),
        ("binding:vnic_type", json!("normal"), true),
        ("binding:vif_type", json!("unbound"), false),
        ("binding:vif_details", json!({}), false),
        ("binding:profile", json!({}), false),
        ("binding:host_id", json!(""), false),
    ] {
        let member = |answer: &Answer| answer.body["port"].get(name).cloned();
        assert_eq!(member(&shown), Some(expected.clone()), "{name}");
        assert_eq!(member(&made).is_some(), public, "{name} to a member");
    }
    for unlisted in [
        "dns_name",
        "dns_domain",
        "dns_assignment",
        "hints",
        "trusted",
    ] {
        assert!(shown.body["port"].get(unlisted).is_none(), "{unlisted}");
    }
    let bound = json!({"port": {"binding:host_id": "h1", "binding:profile": {"a": 1}}});
    let bound = cloud.put("nova", &path, bound).await;
    let port = &bound.body["port"];
    assert_eq!(port["binding:vif_type"], "tap");
    assert_eq!(port["binding:vif_details"], json!({"port_filter": true}));
    assert_eq!(port["binding:profile"], json!({"a": 1}));
    let long = json!({"port": {"binding:profile": {"a": "x".repeat(4096)}}});
    let long = cloud.put("nova", &path, long).await;
    long.check("long profile", 400, "HTTPBadRequest");
    let monitored = json!({"port": {"data_plane_status": "DOWN"}});
    let monitored = cloud.put("admin", &path, monitored).await;
    let revision = port["revision_number"].as_u64().unwrap();
    assert_eq!(monitored.body["port"]["data_plane_status"], "DOWN");
    assert_eq!(monitored.body["port"]["revision_number"], revision + 1);
    let demo = cloud.get("demo", &path).await;
    assert!(demo.body["port"].get("binding:profile").is_none());
    assert_eq!(demo.body["port"]["data_plane_status"], "DOWN");
}

#[tokio::test]
async fn ip_allocation_says_whether_addresses_were_asked_for() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    cloud
        .subnet("demo", &network, "2001:db8:2::/64", None)
        .await;
    let none = cloud.port("demo", &network, json!({"fixed_ips": []})).await;
    assert_eq!(none.body["port"]["ip_allocation"], "none");
    assert_eq!(addresses(&none.body["port"]).len(), 1, "its EUI-64 address");
    let some = cloud.port("demo", &network, json!({})).await;
    assert_eq!(some.body["port"]["ip_allocation"], "immediate");
    let (none, some) = (none.made("port"), some.made("port"));
    for (query, expected) in [
        ("ip_allocation=none", vec![&none]),
        ("ip_allocation=immediate", vec![&some]),
        ("sort_key=ip_allocation&sort_dir=asc", vec![&some, &none]),
        ("sort_key=ip_allocation&sort_dir=desc", vec![&none, &some]),
    ] {
        let found = cloud.get("demo", &format!("ports?{query}")).await;
        assert_eq!(found.ids("ports"), expected, "{query}");
    }
    let address = json!({"port": {"fixed_ips": [{"ip_address": "2001:db8:2::7"}]}});
    let given = cloud.put("demo", &format!("ports/{none}"), address).await;
    assert_eq!(given.body["port"]["ip_allocation"], "immediate");
    let away = json!({"port": {"fixed_ips": []}});
    let away = cloud.put("demo", &format!("ports/{none}"), away).await;
    assert_eq!(away.body["port"]["ip_allocation"], "none");
}

#[tokio::test]
async fn a_subnet_kept_for_some_ports_gives_others_nothing() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let subnet = |cidr: &str, modes: Option<&str>, service_types: Json| {
        json!({"subnet": {
            "network_id": network, "ip_version": 6, "cidr": cidr, "service_types": service_types,
            "ipv6_ra_mode": modes, "ipv6_address_mode": modes,
        }})
    };
    let kept = subnet("2001:db8:1::/64", None, json!(["compute:nova"]));
    let kept = cloud.post("admin", "subnets", kept).await;
    assert_eq!(
        kept.body["subnet"]["service_types"],
        json!(["compute:nova"])
    );
    let kept = kept.made("subnet");
    cloud.port("demo", &network, json!({})).await.check(
        "none left",
        409,
        "IpAddressGenerationFailureNoMatchingSubnet",
    );
    let plain = cloud
        .subnet("demo", &network, "2001:db8:2::/64", None)
        .await;
    let holds = |answer: &Answer| answer.body["port"]["fixed_ips"][0]["subnet_id"].clone();
    let other = cloud.port("demo", &network, json!({})).await;
    assert_eq!(holds(&other), *plain);
    let nova = json!({"device_owner": "compute:nova"});
    let nova = cloud.port("demo", &network, nova).await;
    assert_eq!(holds(&nova), *kept, "before the others");
    let named = json!({"fixed_ips": [{"subnet_id": kept}]});
    let named = cloud.port("demo", &network, named).await;
    named.check("named", 400, "InvalidInput");
    let slaac = subnet("2001:db8:3::/64", Some("slaac"), json!(["compute:nova"]));
    cloud.post("admin", "subnets", slaac).await.made("subnet");
    for (port, expected) in [(other, 1), (nova, 2)] {
        let path = format!("ports/{}", port.made("port"));
        let shown = cloud.get("demo", &path).await;
        assert_eq!(addresses(&shown.body["port"]).len(), expected);
    }
}

#[tokio::test]
async fn a_generated_mac_begins_as_the_configuration_says() {
    let mut cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    for (base, begins) in [
        ("02:11:22:00:00:00", "02:11:22:"),
        ("02:11:22:33:00:00", "02:11:22:33:"),
    ] {
        let api = ApiConfig {
            base_mac: BaseMac::new(base.parse().unwrap()).unwrap(),
            ..cloud.state.api.as_ref().clone()
        };
        cloud.router = router(AppState {
            api: Arc::new(api),
            ..cloud.state.clone()
        });
        let two = json!({"ports": [{"network_id": network}, {"network_id": network}]});
        let made = cloud.post("demo", "ports", two).await;
        let ports = made.body["ports"].as_array().unwrap();
        assert_eq!(ports.len(), 2, "{made:?}");
        for port in ports {
            let mac = port["mac_address"].as_str().unwrap();
            assert!(mac.starts_with(begins), "{mac}");
        }
    }
}

#[tokio::test]
async fn a_mac_is_generated_anew_when_it_is_set_to_null() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    let made = cloud.port("demo", &network, json!({})).await;
    let path = format!("ports/{}", made.made("port"));
    let null = json!({"port": {"mac_address": null}});
    let denied = cloud.put("demo", &path, null.clone()).await;
    denied.check("a member", 403, "PolicyNotAuthorized");
    let after = cloud.put("max", &path, null).await;
    let (before, after) = (&made.body["port"], &after.body["port"]);
    assert_ne!(before["mac_address"], after["mac_address"]);
    let mac: hextet_core::mac::Mac = after["mac_address"].as_str().unwrap().parse().unwrap();
    assert!(mac.to_string().starts_with("fa:16:3e:"), "{mac}");
    let formed = mac.eui64("2001:db8:1::/64".parse().unwrap()).to_string();
    assert_eq!(addresses(after), [formed]);
    let again = json!({"mac_address": before["mac_address"]});
    cloud.port("demo", &network, again).await.made("port");
}

#[tokio::test]
async fn pools_may_leave_addresses_outside_that_are_handed_out() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let subnet = cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    let asked = json!({"fixed_ips": [{"ip_address": "2001:db8:1::99"}]});
    let port = cloud.port("demo", &network, asked).await.made("port");
    let path = format!("subnets/{subnet}");
    let pools = json!([{"start": "2001:db8:1::10", "end": "2001:db8:1::10"}]);
    let patch = json!({"subnet": {"allocation_pools": pools}});
    let answer = cloud.put("demo", &path, patch).await;
    answer.check("outside", 200, "");
    let shown = cloud.get("demo", &format!("ports/{port}")).await;
    assert_eq!(addresses(&shown.body["port"]), ["2001:db8:1::99"]);
    let next = cloud.port("demo", &network, json!({})).await;
    assert_eq!(addresses(&next.body["port"]), ["2001:db8:1::10"]);
    for (why, patch, status, kind) in [
        (
            "gateway into the pool",
            json!({"gateway_ip": "2001:db8:1::10"}),
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (
            "pool and gateway at once",
            json!({"gateway_ip": "2001:db8:1::10", "allocation_pools": [{"start": "2001:db8:1::20", "end": "2001:db8:1::2f"}]}),
            200,
            "",
        ),
        (
            "pool over the gateway",
            json!({"allocation_pools": pools}),
            409,
            "GatewayConflictWithAllocationPools",
        ),
        ("no pools", json!({"allocation_pools": []}), 200, ""),
    ] {
        let answer = cloud.put("demo", &path, json!({"subnet": patch})).await;
        answer.check(why, status, kind);
    }
    cloud.port("demo", &network, json!({})).await.check(
        "no pool",
        409,
        "IpAddressGenerationFailure",
    );
}

/// Ports of project demo: one that is bound, one that asked for no address, one of the service, one of a router.
async fn ports_of_all_kinds(cloud: &Cloud, network: &str) -> Vec<String> {
    let mut ports = Vec::new();
    for more in [
        json!({}),
        json!({"fixed_ips": []}),
        json!({"device_owner": "network:dhcp"}),
        json!({"device_owner": "network:router_interface"}),
    ] {
        ports.push(cloud.port("demo", network, more).await.made("port"));
    }
    let bind = json!({"port": {"binding:host_id": "h1"}});
    let path = format!("ports/{}", ports[0]);
    cloud.put("nova", &path, bind).await.check("bind", 200, "");
    ports
}

#[tokio::test]
async fn all_ports_get_an_address_of_a_later_subnet_where_their_network_says_so() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let shown = cloud.get("demo", &format!("networks/{network}")).await;
    let attribute = "hextet:address_policy";
    assert_eq!(shown.body["network"][attribute], "new-ports");
    let ports = ports_of_all_kinds(&cloud, &network).await;
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    let counts = async || {
        let mut counts = Vec::new();
        for port in &ports {
            let shown = cloud.get("demo", &format!("ports/{port}")).await;
            let port = &shown.body["port"];
            counts.push((addresses(port).len(), port["revision_number"].clone()));
        }
        counts
    };
    let first = counts().await;
    assert!(first.iter().all(|(count, _)| *count == 0), "{first:?}");
    let path = format!("networks/{network}");
    let all = json!({"network": {attribute: "all-ports"}});
    let set = cloud.put("demo", &path, all.clone()).await;
    assert_eq!(set.body["network"][attribute], "all-ports");
    assert_eq!(counts().await, first, "what there is already stays");
    for (cidr, mode) in [
        ("2001:db8:2::/64", Some("dhcpv6-stateful")),
        ("2001:db8:3::/64", Some("slaac")),
    ] {
        let before = revision(&cloud).await;
        cloud.subnet("demo", &network, cidr, mode).await;
        assert_eq!(revision(&cloud).await, before + 1, "one transaction");
    }
    let ipv4 = json!({"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"}});
    cloud.post("demo", "subnets", ipv4).await.made("subnet");
    let after = counts().await;
    let held: Vec<usize> = after.iter().map(|(count, _)| *count).collect();
    assert_eq!(
        held,
        [3, 3, 1, 0],
        "a service's port has its EUI-64 address"
    );
    let bound = cloud.get("demo", &format!("ports/{}", ports[0])).await;
    let planned = cloud.store.read(|model| {
        let id = ports[0].parse().unwrap();
        let plan = compile(
            model.snapshot(),
            &HostId("h1".to_owned()),
            model.generation(),
        );
        let port = plan.port(id).unwrap();
        let addresses = port.fixed_ips.iter();
        addresses
            .map(|fixed| fixed.ip_address.to_string())
            .collect::<Vec<_>>()
    });
    assert_eq!(planned.await.unwrap(), addresses(&bound.body["port"]));
    for (value, status) in [("new-ports", 200), ("some-ports", 400), ("", 400)] {
        let body = json!({"network": {attribute: value}});
        let answer = cloud.put("demo", &path, body).await;
        let kind = if status == 400 { "HTTPBadRequest" } else { "" };
        answer.check(value, status, kind);
    }
    let made = cloud.post("demo", "networks", all).await.made("network");
    let query = "networks?hextet:address_policy=all-ports";
    assert_eq!(cloud.get("demo", query).await.ids("networks"), [&made]);
    let denied = json!({"network": {attribute: "new-ports"}});
    let denied = cloud.put("rita", &path, denied).await;
    denied.check("a reader", 403, "PolicyNotAuthorized");
}

#[tokio::test]
async fn a_later_subnet_with_too_few_addresses_is_refused_whole() {
    let cloud = Cloud::new().await;
    let asked = json!({"network": {"hextet:address_policy": "all-ports"}});
    let network = cloud.post("demo", "networks", asked).await.made("network");
    for _ in 0..3 {
        cloud.port("demo", &network, json!({})).await.made("port");
    }
    let subnet = |last: &str| {
        json!({"subnet": {
            "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24",
            "allocation_pools": [{"start": "10.0.0.10", "end": last}],
        }})
    };
    let before = revision(&cloud).await;
    let few = cloud.post("demo", "subnets", subnet("10.0.0.11")).await;
    few.check("two for three", 409, "IpAddressGenerationFailure");
    assert!(few.message().contains("have 2"), "{}", few.message());
    assert_eq!(revision(&cloud).await, before);
    let found = cloud.get("demo", "subnets").await;
    assert!(found.ids("subnets").is_empty());
    let enough = cloud.post("demo", "subnets", subnet("10.0.0.12")).await;
    enough.check("three for three", 201, "");
    let found = cloud.get("demo", "ports").await;
    let ports = found.body["ports"].as_array().unwrap();
    let mut all: Vec<&str> = ports.iter().flat_map(addresses).collect();
    all.sort_unstable();
    assert_eq!(all, ["10.0.0.10", "10.0.0.11", "10.0.0.12"]);
}

async fn revision(cloud: &Cloud) -> u64 {
    let generation = cloud.store.read(Model::generation).await;
    generation.unwrap().revision
}
