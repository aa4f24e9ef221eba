use super::*;
use serde_json::json;

const LIFETIMES: Lifetimes = Lifetimes {
    valid_s: 5400,
    preferred_s: 2700,
};

#[test]
fn a_slaac_subnet_promises_a_and_neither_m_nor_o() {
    let promise = one("slaac", "2001:db8:1::/64", "2001:db8:1:0:f816:3eff:fe00:1");
    let prefix: Ipv6Net = "2001:db8:1::/64".parse().unwrap();
    assert_eq!(promise.autonomous, [prefix]);
    assert_eq!(promise.on_link, [prefix]);
    assert!(!promise.managed && !promise.other);
    assert_eq!(promise.mtu, 1430);
    assert_eq!(
        promise.link_local,
        "fe80::f816:3eff:fe00:1".parse::<Ipv6Addr>().unwrap()
    );
}

#[test]
fn a_stateful_subnet_promises_m_and_o_and_its_true_length() {
    let promise = one("dhcpv6-stateful", "2024:8:6:86:1::/96", "2024:8:6:86:1::7");
    assert!(promise.managed && promise.other && promise.autonomous.is_empty());
    assert_eq!(promise.on_link[0].prefix_len(), 96);
}

#[test]
fn a_subnet_that_nobody_advertises_promises_no_more_than_the_address() {
    let subnet = json!({ "cidr": "2001:db8::/64", "ipv6_ra_mode": null, "ipv6_address_mode": null,
                         "dns_nameservers": ["2400:3200::1"] });
    let promise = of(&[subnet], "2001:db8::9");
    assert_eq!(promise.addresses.len(), 1);
    assert!(promise.on_link.is_empty() && promise.dns.is_empty());
}

#[test]
fn name_servers_are_the_union_without_the_unspecified_one() {
    let subnet = |cidr: &str, servers: &[&str]| json!({ "cidr": cidr, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "dns_nameservers": servers });
    let subnets = [
        subnet("2001:db8:1::/64", &["2001:db8::53", "::"]),
        subnet("2001:db8:2::/64", &["2001:db8::54", "2001:db8::53"]),
    ];
    let promise = of(&subnets, "2001:db8:1:0:f816:3eff:fe00:1");
    let wanted: [Ipv6Addr; 2] = [
        "2001:db8::53".parse().unwrap(),
        "2001:db8::54".parse().unwrap(),
    ];
    assert_eq!(promise.dns, wanted);
    // Without an address of the second, A is promised for the first only.
    assert_eq!(promise.autonomous.len(), 1);
}

#[test]
fn addresses_that_a_guest_formed_are_read_without_its_link_local_ones() {
    let seen = |address: &str| json!({ "ip_address": address, "since": "2026-11-21T20:00:00Z" });
    let port = json!({ "hextet:observed_addresses": [seen("fe80::7"), seen("2001:db8:1::7")] });
    let expected: [Ipv6Addr; 1] = ["2001:db8:1::7".parse().unwrap()];
    assert_eq!(formed(&port).unwrap(), expected);
    assert!(formed(&json!({})).is_err());
}

#[test]
fn an_answer_that_lacks_something_is_refused() {
    let port = json!({ "mac_address": "fa:16:3e:00:00:01" });
    let error = promised(
        "a",
        "b",
        &port,
        &json!({ "mtu": 1430 }),
        &[],
        LIFETIMES,
        RouteHabit::Classless,
    );
    assert!(error.unwrap_err().to_string().contains("fixed_ips"));
}

#[test]
fn lifetimes_are_the_configured_ones_or_their_defaults() {
    let text = "listen = \"[::1]:9696\"\n[lifetimes]\nvalid_s = 900\n";
    let lifetimes = Lifetimes::from_server_toml(text).unwrap();
    assert_eq!((lifetimes.valid_s, lifetimes.preferred_s), (900, 2700));
    assert!(Lifetimes::from_server_toml("[lifetimes]\nvalid_s = \"long\"\n").is_err());
}

fn one(mode: &str, cidr: &str, address: &str) -> Promised {
    let subnet = json!({ "cidr": cidr, "ipv6_ra_mode": mode, "ipv6_address_mode": mode,
                         "dns_nameservers": ["2400:3200::1"] });
    of(&[subnet], address)
}

fn of(subnets: &[Value], address: &str) -> Promised {
    let port =
        json!({ "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{ "ip_address": address }] });
    promised(
        "a",
        "b",
        &port,
        &json!({ "mtu": 1430 }),
        subnets,
        LIFETIMES,
        RouteHabit::Classless,
    )
    .unwrap()
}
