//! What the operator configures for the whole cloud, as real clients are told it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use hextet_agent::kernel::netns;
use serde_json::json;

use crate::dhcp_options::check;
use crate::ipv4::{Client, dual_stack};
use crate::support::{Cloud, Namespace, until};

const SEARCH: &str = "dns_search = [\"a.example.org\", \"example.org\"]\n";
const TIMES: &str = "
[ra]
retrans_timer_ms = 250
[lifetimes]
preferred_s = 600
valid_s = 1200
[dhcpv6]
renew_s = 100
rebind_s = 200
[dhcpv4]
lease_s = 900
renew_s = 300
rebind_s = 400
";
const ASKS4: &str = "\
request subnet-mask, domain-name, domain-search, dhcp-lease-time, dhcp-renewal-time, dhcp-rebinding-time;
";
const ASKS6: &str = "request dhcp6.name-servers, dhcp6.domain-search;\n";
/// RETRANS_TIMER (RFC 4861 §10), ms.
const RETRANS_TIMER: u32 = 1000;

/// The Retrans Timer that the guest's kernel goes by, ms.
fn retrans_timer(guest: &Namespace) -> u32 {
    let path = "/proc/sys/net/ipv6/neigh/eth0/retrans_time_ms";
    let text = netns::inside(&guest.path, || std::fs::read_to_string(path)).unwrap();
    text.unwrap().trim().parse().unwrap()
}

/// Waits until the guest's kernel goes by this Retrans Timer, ms.
fn goes_by(guest: &Namespace, wanted: u32) {
    until(&format!("a Retrans Timer of {wanted} ms"), || {
        (retrans_timer(guest) == wanted).then_some(())
    });
}

#[test]
fn times_and_domains_of_the_operators_choice_reach_real_clients() {
    let mut cloud = Cloud::new();
    cloud.stop();
    let path = cloud.path("server.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{SEARCH}{text}{TIMES}")).unwrap();
    cloud.up();
    let network = dual_stack(&cloud, json!({ "cidr": "10.0.0.0/24" }));
    let stateful = "dhcpv6-stateful";
    let subnet = json!({ "network_id": network, "ip_version": 6, "cidr": "2001:db8:2::/64",
        "ipv6_ra_mode": stateful, "ipv6_address_mode": stateful });
    cloud.create("subnet", subnet);
    let fixed = json!([{ "ip_address": "10.0.0.5" }, { "ip_address": "2001:db8:2::5" }]);
    let port = json!({ "network_id": network, "name": "one", "fixed_ips": fixed });
    cloud.create("port", port);
    let guest = Namespace::new("one");
    cloud.done(&["port", "attach", "one", "--netns", &guest.name]);

    let search = "a.example.org. example.org.";
    let dhclient = Client::dhclient(&cloud, &guest, "-4", ASKS4);
    let told = dhclient.told("BOUND");
    let wanted = [
        ("new_ip_address", "10.0.0.5"),
        ("new_dhcp_lease_time", "900"),
        ("new_dhcp_renewal_time", "300"),
        ("new_dhcp_rebinding_time", "400"),
        ("new_domain_name", "a.example.org"),
        ("new_domain_search", search),
    ];
    check(&told, &wanted);
    drop(dhclient);

    let dhclient = Client::dhclient(&cloud, &guest, "-6", ASKS6);
    let told = dhclient.told("BOUND6");
    let wanted = [
        ("new_ip6_address", "2001:db8:2::5"),
        ("new_preferred_life", "600"),
        ("new_max_life", "1200"),
        ("new_renew", "100"),
        ("new_rebind", "200"),
        ("new_dhcp6_domain_search", search),
    ];
    check(&told, &wanted);
    drop(dhclient);

    let said = until("an advertisement", || {
        let output = guest.output(std::process::Command::new("rdisc6").args(["-1", "eth0"]));
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("Prefix").then_some(text)
    });
    let values = |field: &str| -> Vec<String> {
        let lines = said.lines().map(|line| line.split_once(':'));
        let of_field = lines.flatten().filter(|(name, _)| name.trim() == field);
        let values = of_field.map(|(_, value)| value.trim().to_owned());
        values.collect()
    };
    for (field, wanted) in [("Valid time", "1200"), ("Pref. time", "600")] {
        let seen = values(field);
        assert_eq!(seen.len(), 2, "{said}");
        let first = |value: &String| value.split(' ').next() == Some(wanted);
        assert!(seen.iter().all(first), "{said}");
    }
    assert_eq!(values("DNS search list"), ["a.example.org example.org"]);
}

#[test]
fn guests_whose_sources_are_guarded_go_by_a_short_retrans_timer_unless_their_network_is_without_it()
{
    let cloud = Cloud::new();
    let network = cloud.network();
    let (guest, id, _) = cloud.guest(&network, "one");
    let set = |path: &str, body| {
        cloud.api("PUT", path, Some(body));
    };
    let fast_dad = |on: bool| {
        let body = json!({ "network": { "hextet:fast_dad": on } });
        set(&format!("networks/{network}"), body);
    };
    goes_by(&guest, 100);
    fast_dad(false);
    goes_by(&guest, RETRANS_TIMER);
    fast_dad(true);
    goes_by(&guest, 100);
    let guarded = json!({ "port": { "port_security_enabled": false } });
    set(&format!("ports/{id}"), guarded);
    goes_by(&guest, RETRANS_TIMER);
}
