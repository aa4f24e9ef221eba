use super::*;
use crate::http::attributes::{Noun, Rule, Shown};

/// Case, method, path, body, status, type: what Neutron answered to an administrator. `NET` is a network, `NONE` is none.
#[rustfmt::skip]
const GENERIC: &[(&str, &str, &str, &str, u16, &str)] = &[
    ("404 net", "GET", "networks/NONE", "", 404, "NetworkNotFound"),
    ("unknown collection", "GET", "nothings", "", 404, "HTTPNotFound"),
    ("bad json", "POST", "networks", "{", 400, "HTTPBadRequest"),
    ("no resource key", "POST", "networks", r#"{"name": "x"}"#, 400, "HTTPBadRequest"),
    ("unknown attribute", "POST", "networks", r#"{"network": {"bogus": 1}}"#, 400, "HTTPBadRequest"),
    ("read only attribute", "POST", "networks", r#"{"network": {"status": "ACTIVE"}}"#, 400, "HTTPBadRequest"),
    ("put id", "PUT", "networks/NET", r#"{"network": {"id": "x"}}"#, 400, "HTTPBadRequest"),
    ("bad filter", "GET", "networks?bogus=1", "", 400, "HTTPBadRequest"),
    ("bad sort key", "GET", "networks?sort_key=bogus&sort_dir=asc", "", 400, "HTTPBadRequest"),
    ("sort key without dir", "GET", "networks?sort_key=name", "", 400, "HTTPBadRequest"),
    ("bad limit", "GET", "networks?limit=x", "", 400, "BadRequest"),
    ("bad marker", "GET", "networks?limit=1&marker=NONE", "", 404, "NetworkNotFound"),
    ("method", "PATCH", "networks/NET", "", 405, "HTTPMethodNotAllowed"),
    ("method", "POST", "networks/NET", "", 405, "HTTPMethodNotAllowed"),
    ("long name", "POST", "networks", r#"{"network": {"name": "LONG"}}"#, 400, "HTTPBadRequest"),
    ("bulk", "POST", "networks", r#"{"networks": [{"name": "a"}, {"name": "b"}]}"#, 201, ""),
    ("bulk empty", "POST", "networks", r#"{"networks": []}"#, 400, "HTTPBadRequest"),
    ("delete twice", "DELETE", "networks/NONE", "", 404, "NetworkNotFound"),
    ("quota bad", "PUT", "quotas/p", r#"{"quota": {"network": "x"}}"#, 400, "HTTPBadRequest"),
    ("quota neg", "PUT", "quotas/p", r#"{"quota": {"network": -2}}"#, 400, "HTTPBadRequest"),
    ("tag put", "PUT", "networks/NET/tags/x", "", 201, ""),
    ("tag get", "GET", "networks/NET/tags/x", "", 204, ""),
    ("tag get missing", "GET", "networks/NET/tags/y", "", 404, "TagNotFound"),
    ("tag del missing", "DELETE", "networks/NET/tags/y", "", 404, "TagNotFound"),
    ("tags put", "PUT", "networks/NET/tags", r#"{"tags": ["a", "b"]}"#, 200, ""),
    ("tags post", "POST", "networks/NET/tags", r#"{"tags": ["c"]}"#, 200, ""),
    ("tags bad", "PUT", "networks/NET/tags", r#"{"tags": "a"}"#, 400, "InvalidInput"),
    ("tags bad", "PUT", "networks/NET/tags", r#"{"tags": [1]}"#, 400, "InvalidInput"),
    ("tags bad", "POST", "networks/NET/tags", r#"{"tags": ["a", "a"]}"#, 400, "InvalidInput"),
    ("tags bad", "PUT", "networks/NET/tags", r#"{}"#, 400, "InvalidInput"),
    ("tags no json", "PUT", "networks/NET/tags", "a", 400, "HTTPBadRequest"),
    ("twice the same member", "POST", "networks", r#"{"network": {"name": "a", "name": "b"}}"#, 400, "HTTPBadRequest"),
    ("twice the object", "PUT", "networks/NET", r#"{"network": {}, "network": {"name": "b"}}"#, 400, "HTTPBadRequest"),
    ("tags filter", "GET", "networks?tags=a,b", "", 200, ""),
    ("tags del", "DELETE", "networks/NET/tags", "", 204, ""),
    ("tags on unknown", "PUT", "networks/NONE/tags", r#"{"tags": ["a"]}"#, 404, "NetworkNotFound"),
];

#[tokio::test]
async fn the_generic_answers_are_neutrons() {
    let cloud = Cloud::new().await;
    let network = cloud.network("admin").await;
    let none = uuid::Uuid::from_u128(9).to_string();
    for (case, method, path, body, status, kind) in GENERIC {
        let path = path.replace("NET", &network).replace("NONE", &none);
        let path = format!("/v2.0/{path}");
        let body = body.replace("LONG", &"x".repeat(256));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = cloud.call("admin", method, &path, &[], body).await;
        answer.check(case, *status, kind);
    }
}

/// Attribute, a value that the first network has and the second has not, as filters say it; `-`: none finds it.
#[rustfmt::skip]
const FILTERS: &[(&str, &str, &str)] = &[
    ("admin_state_up", "False", "True"),
    ("description", "one", ""),
    ("mtu", "1400", "9000"),
    ("name", "a", "b"),
    ("not-tags", "green", "red"),
    ("not-tags-any", "green,blue", "red,blue"),
    ("provider:network_type", "vxlan", "flat"),
    ("provider:physical_network", "-", "lab"),
    ("provider:segmentation_id", "77", "-"),
    ("revision_number", "3", "2"),
    ("shared", "true", "0"),
    ("tags", "red", "green"),
    ("tags-any", "red,blue", "green,blue"),
];

#[tokio::test]
async fn every_filter_of_networks_tells_two_apart() {
    let cloud = Cloud::new().await;
    let one = json!({"network": {"name": "a", "description": "one", "admin_state_up": false, "mtu": 1400,
        "shared": true, "provider:network_type": "vxlan", "provider:segmentation_id": 77}});
    let one = cloud.post("admin", "networks", one).await.made("network");
    let two = json!({"network": {"name": "b", "provider:network_type": "flat", "provider:physical_network": "lab"}});
    let two = cloud.post("admin", "networks", two).await.made("network");
    let red = format!("networks/{one}/tags/red");
    cloud
        .put("admin", &red, Json::Null)
        .await
        .check("tag", 201, "");
    let green = format!("networks/{two}/tags/green");
    cloud
        .put("admin", &green, Json::Null)
        .await
        .check("tag", 201, "");
    let path = format!("networks/{one}/tags/old");
    cloud
        .put("admin", &path, Json::Null)
        .await
        .check("tag", 201, "");
    for (name, of_one, of_two) in FILTERS {
        for (value, expected) in [(of_one, &one), (of_two, &two)] {
            if *value == "-" {
                continue;
            }
            let path = format!("networks?{name}={value}");
            let found = cloud.get("admin", &path).await;
            let ids = found.ids("networks");
            assert_eq!(ids, [expected], "{path}");
        }
    }
}

/// What both have, or neither.
const SAME: [&str; 5] = [
    "id",
    "project_id",
    "status",
    "router:external",
    "is_default",
];

/// Attribute, what Neutron's table of networks says: settable at creation, updatable, visible, filter, sort key; and what
/// is so here where it differs.
#[rustfmt::skip]
const ACCESS: &[(&str, &str, &str)] = &[
    ("admin_state_up", "CUVFS", ""),
    ("availability_zone_hints", "C-V-S", ""),
    ("created_at", "--V--", ""),
    ("description", "CUVF-", ""),
    ("id", "--VFS", ""),
    ("ipv4_address_scope", "--V--", ""),
    ("ipv6_address_scope", "--V--", ""),
    ("is_default", "CUVF-", ""),
    ("l2_adjacency", "--V--", ""),
    ("mtu", "CUVFS", ""),
    ("name", "CUVFS", ""),
    ("not-tags", "---F-", ""),
    ("not-tags-any", "---F-", ""),
    ("port_security_enabled", "CUV--", ""),
    ("project_id", "C-VFS", ""),
    ("provider:network_type", "CUVF-", ""),
    ("provider:physical_network", "CUVF-", ""),
    ("provider:segmentation_id", "CUVF-", ""),
    ("revision_number", "--VF-", ""),
    ("router:external", "CUVF-", ""),
    // Refused whatever it says: its extension is not listed.
    ("segments", "CUV--", "CU---"),
    ("shared", "CUVF-", ""),
    ("status", "--VFS", ""),
    ("subnets", "--V--", ""),
    ("tags", "--VF-", ""),
    ("tags-any", "---F-", ""),
    ("updated_at", "--V--", ""),
];

/// The same of subnets.
#[rustfmt::skip]
const SUBNETS: &[(&str, &str, &str)] = &[
    ("allocation_pools", "CUV--", ""),
    ("cidr", "C-VFS", ""),
    ("created_at", "--V--", ""),
    ("description", "CUVF-", ""),
    ("dns_nameservers", "CUV--", ""),
    ("dns_publish_fixed_ip", "CUV--", ""),
    ("enable_dhcp", "CUVFS", ""),
    ("gateway_ip", "CUVFS", ""),
    ("host_routes", "CUV--", ""),
    ("id", "--VFS", ""),
    ("ip_version", "C-VFS", ""),
    ("ipv6_address_mode", "C-VFS", ""),
    ("ipv6_ra_mode", "C-VFS", ""),
    ("name", "CUVFS", ""),
    ("network_id", "C-VFS", ""),
    ("not-tags", "---F-", ""),
    ("not-tags-any", "---F-", ""),
    ("prefixlen", "C----", ""),
    ("project_id", "C-VFS", ""),
    ("revision_number", "--VF-", ""),
    ("router:external", "--VF-", ""),
    ("segment_id", "CUVFS", ""),
    ("service_types", "CUV--", ""),
    ("shared", "---F-", ""),
    ("subnetpool_id", "C-VFS", ""),
    ("tags", "--VF-", ""),
    ("tags-any", "---F-", ""),
    ("updated_at", "--V--", ""),
    ("use_default_subnetpool", "C----", ""),
];

/// The same of ports.
#[rustfmt::skip]
const PORTS: &[(&str, &str, &str)] = &[
    ("admin_state_up", "CUVFS", ""),
    ("allowed_address_pairs", "CUV--", ""),
    ("binding:host_id", "CUVF-", ""),
    ("binding:profile", "CUV--", ""),
    ("binding:vif_details", "--V--", ""),
    ("binding:vif_type", "--V--", ""),
    ("binding:vnic_type", "CUV--", ""),
    ("created_at", "--V--", ""),
    ("data_plane_status", "-UV--", ""),
    ("description", "CUVF-", ""),
    ("device_id", "CUVFS", ""),
    ("device_owner", "CUVFS", ""),
    ("device_profile", "C-V--", ""),
    ("extra_dhcp_opts", "CUV--", ""),
    ("fixed_ips", "CUVF-", ""),
    ("id", "--VFS", ""),
    ("ip_allocation", "--VFS", ""),
    ("mac_address", "CUVFS", ""),
    ("name", "CUVFS", ""),
    ("network_id", "C-VFS", ""),
    ("not-tags", "---F-", ""),
    ("not-tags-any", "---F-", ""),
    ("numa_affinity_policy", "CUV--", ""),
    ("port_security_enabled", "CUV--", ""),
    ("project_id", "C-VFS", ""),
    ("propagate_uplink_status", "CUV--", ""),
    ("qos_network_policy_id", "--V--", ""),
    ("qos_policy_id", "CUV--", ""),
    ("revision_number", "--VF-", ""),
    // Filtered by when there are groups.
    ("security_groups", "CUVF-", "CUV--"),
    ("status", "--VFS", ""),
    ("tags", "C-VF-", ""),
    ("tags-any", "---F-", ""),
    ("updated_at", "--V--", ""),
];

/// The rows of a noun against its table.
fn check_access(noun: &Noun, table: &[(&str, &str, &str)]) {
    let mut names: Vec<&str> = noun.attributes.iter().map(|row| row.name).collect();
    names.retain(|name| !name.starts_with("hextet:"));
    names.sort_unstable();
    let listed: Vec<&str> = table.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, listed, "{}", noun.name);
    for (name, neutron, here) in table {
        let row = noun.attribute(name).unwrap();
        let flag = |letter: char, holds: bool| if holds { letter } else { '-' };
        let access: String = [
            flag('C', !matches!(row.post, Rule::ReadOnly)),
            flag('U', !matches!(row.put, Rule::ReadOnly)),
            flag('V', !matches!(row.shown, Shown::Hidden | Shown::Never)),
            flag('F', row.filter.is_some()),
            flag('S', noun.sortable.contains(name)),
        ]
        .iter()
        .collect();
        let expected = if here.is_empty() { neutron } else { here };
        assert_eq!(access, **expected, "{} {name}", noun.name);
    }
}

#[test]
fn resources_have_the_attributes_of_neutrons_tables() {
    check_access(&crate::http::v2::subnets::SUBNET, SUBNETS);
    check_access(&crate::http::v2::ports::PORT, PORTS);
    let networks = &crate::http::v2::networks::NETWORK;
    check_access(networks, ACCESS);
    for (name, ..) in ACCESS {
        let filtered = FILTERS.iter().any(|(filter, ..)| filter == name) || SAME.contains(name);
        assert_eq!(
            networks.attribute(name).unwrap().filter.is_some(),
            filtered,
            "{name} is in FILTERS or SAME"
        );
    }
}

/// Every attribute that a body of Neutron's may name, of all its extensions, by noun.
#[rustfmt::skip]
const SAYABLE: [(&str, &[&str]); 3] = [
    ("network", &[
        "admin_state_up", "availability_zone_hints", "description", "dns_domain", "ha", "is_default", "mtu", "name",
        "port_security_enabled", "project_id", "provider:network_type", "provider:physical_network",
        "provider:segmentation_id", "pvlan", "qinq", "qos_policy_id", "router:external", "segments", "shared",
        "hextet:fast_dad", "tags", "tenant_id", "vlan_transparent",
    ]),
    ("subnet", &[
        "allocation_pools", "cidr", "description", "dns_nameservers", "dns_publish_fixed_ip", "enable_dhcp",
        "gateway_ip", "host_routes", "ip_version", "ipv6_address_mode", "ipv6_ra_mode", "name", "network_id",
        "prefixlen", "project_id", "segment_id", "service_types", "subnetpool_id", "tags", "tenant_id",
        "use_default_subnetpool",
    ]),
    ("port", &[
        "admin_state_up", "allowed_address_pairs", "binding:host_id", "binding:profile", "binding:vnic_type",
        "data_plane_status", "description", "device_id", "device_owner", "device_profile", "dns_domain", "dns_name",
        "extra_dhcp_opts", "fixed_ips", "hints", "mac_address", "name", "network_id", "numa_affinity_policy",
        "port_security_enabled", "project_id", "propagate_uplink_status", "pvlan_community", "pvlan_type",
        "qos_policy_id", "security_groups", "tags", "tenant_id", "trusted",
    ]),
];

#[tokio::test]
async fn what_is_accepted_is_shown_and_what_is_refused_is_named() {
    let cloud = Cloud::new().await;
    let limits = json!({"network": -1, "subnet": -1, "port": -1});
    let project = cloud.project("admin").await;
    cloud.limit(&project, limits).await.check("limits", 200, "");
    let values = [
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!(false),
        json!(true),
        json!(0),
        json!("normal"),
    ];
    let (mut taken, mut refused) = (0, 0);
    for (noun, attributes) in SAYABLE {
        let network = cloud.network("admin").await;
        let mut base = match noun {
            "network" => json!({}),
            "subnet" => json!({"network_id": network, "ip_version": 6, "cidr": "2001:db8:1::/64"}),
            _ => json!({"network_id": network}),
        };
        let collection = format!("{noun}s");
        let made = cloud.post("admin", &collection, json!({noun: base})).await;
        let member = format!("{collection}/{}", made.made(noun));
        for (number, name) in attributes.iter().enumerate() {
            for (verb, value) in [true, false]
                .iter()
                .flat_map(|new| values.iter().map(move |value| (*new, value)))
            {
                let answer = if verb {
                    if noun == "subnet" {
                        base["cidr"] = json!(format!("2001:db8:{:x}::/64", 0x100 + number));
                    }
                    let mut asked = base.clone();
                    asked[name] = value.clone();
                    cloud.post("admin", &collection, json!({noun: asked})).await
                } else {
                    cloud
                        .put("admin", &member, json!({noun: {*name: value}}))
                        .await
                };
                let why = format!("{noun} {name} {value}: {answer:?}");
                if answer.status.is_success() {
                    taken += 1;
                    assert!(answer.body[noun].get(*name).is_some(), "{why}");
                    if verb {
                        let id = answer.made(noun);
                        cloud
                            .delete("admin", &format!("{collection}/{id}"))
                            .await
                            .check(&why, 204, "");
                    }
                } else {
                    refused += 1;
                    let told = match *name {
                        "tenant_id" => "project_id",
                        // What is missing beside it is said.
                        "provider:physical_network" | "provider:segmentation_id" => "network",
                        name => name,
                    };
                    let bare = name.rsplit(':').next().unwrap();
                    let told = [told, bare]
                        .iter()
                        .any(|name| answer.message().contains(name));
                    assert!(told, "{why}");
                }
            }
        }
    }
    assert!(taken > 100 && refused > 500, "{taken} {refused}");
}
