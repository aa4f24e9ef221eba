//! `extra_dhcp_opts`: what real clients are told of it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ipv4::{Client, dual_stack};
use crate::support::{Cloud, Namespace, until};

const ASKS4: &str = "\
request subnet-mask, routers, domain-name-servers, domain-name, domain-search, host-name,
        tftp-server-name, bootfile-name, ntp-servers;
";
const ASKS6: &str = "\
request dhcp6.name-servers, dhcp6.bootfile-url, dhcp6.sntp-servers;
";

fn option(name: &str, value: &str, version: u8) -> Value {
    json!({ "opt_name": name, "opt_value": value, "ip_version": version })
}

pub fn check(told: &BTreeMap<String, String>, wanted: &[(&str, &str)]) {
    for (name, wanted) in wanted {
        assert_eq!(
            told.get(*name).map(String::as_str),
            Some(*wanted),
            "{name}: {told:?}"
        );
    }
}

#[test]
fn a_ports_own_options_reach_real_clients_of_both_families() {
    let cloud = Cloud::new();
    let network = dual_stack(
        &cloud,
        json!({ "cidr": "10.0.0.0/24", "dns_nameservers": ["192.0.2.53"] }),
    );
    let stateful = "dhcpv6-stateful";
    let subnet = json!({ "network_id": network, "ip_version": 6, "cidr": "2001:db8:2::/64",
        "ipv6_ra_mode": stateful, "ipv6_address_mode": stateful });
    cloud.create("subnet", subnet);
    let options = json!([
        option("bootfile-name", "pxelinux.0", 4),
        option("tftp-server", "boot.example.org", 4),
        option("server-ip-address", "192.0.2.69", 4),
        option("ntp-server", "192.0.2.123,192.0.2.124", 4),
        option("domain-search", "a.example.org,example.org", 4),
        option("router", "10.0.0.9", 4),
        option("test_option_1", "nobody is told", 4),
        option("bootfile-url", "tftp://[2001:db8::69]/x.efi", 6),
        option("sntp-server", "2001:db8::123", 6),
    ]);
    let fixed = json!([{ "ip_address": "10.0.0.5" }, { "ip_address": "2001:db8:2::5" }]);
    let port = json!({ "network_id": network, "name": "one", "fixed_ips": fixed,
        "extra_dhcp_opts": options });
    let id = cloud.create("port", port)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let guest = Namespace::new("one");
    cloud.done(&["port", "attach", "one", "--netns", &guest.name]);

    let dhclient = Client::dhclient(&cloud, &guest, "-4", ASKS4);
    let told = dhclient.told("BOUND");
    let wanted = [
        ("new_ip_address", "10.0.0.5"),
        ("new_host_name", "host-10-0-0-5"),
        ("new_bootfile_name", "pxelinux.0"),
        ("new_filename", "pxelinux.0"),
        ("new_tftp_server_name", "boot.example.org"),
        ("new_server_name", "boot.example.org"),
        ("new_next_server", "192.0.2.69"),
        ("new_ntp_servers", "192.0.2.123 192.0.2.124"),
        ("new_domain_search", "a.example.org. example.org."),
        ("new_routers", "10.0.0.9"),
        ("new_domain_name_servers", "192.0.2.53"),
    ];
    check(&told, &wanted);
    drop(dhclient);
    let shown = cloud.done(&["port", "show", "one"]);
    assert!(
        shown.contains("! unknown-dhcp-option: The guest is not told of 'test_option_1'"),
        "{shown}"
    );

    let dhclient = Client::dhclient(&cloud, &guest, "-6", ASKS6);
    let told = dhclient.told("BOUND6");
    let wanted = [
        ("new_ip6_address", "2001:db8:2::5"),
        ("new_dhcp6_bootfile_url", "tftp://[2001:db8::69]/x.efi"),
        ("new_dhcp6_sntp_servers", "2001:db8::123"),
    ];
    check(&told, &wanted);
    drop(dhclient);

    // A change is in the next answer.
    let change = json!([option("bootfile-name", "pxelinux.77", 4)]);
    let change = json!({ "port": { "extra_dhcp_opts": change } });
    cloud.api("PUT", &format!("ports/{id}"), Some(change));
    let told = until("the host tells of the change", || {
        let dhclient = Client::dhclient(&cloud, &guest, "-4", ASKS4);
        let told = dhclient.told("REBOOT");
        (told["new_bootfile_name"] == "pxelinux.77").then_some(told)
    });
    check(&told, &[("new_filename", "pxelinux.77")]);
}
