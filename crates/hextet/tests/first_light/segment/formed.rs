//! Addresses on a physical segment that the cloud does not assign: formed by guests, or given by the operator's own server.

use super::*;
use crate::dhcpv6::Client;

/// Where the router also leads, beyond the segment.
const BEYOND: &str = "2001:db8:ee::1";
/// What the operator's server gives.
const POOL: &str = "2001:db8:aa::1000,2001:db8:aa::10ff,64,1h";

impl Segment {
    /// Waits until the port is known to have learned the address, which then reaches and is reached from outside; the API
    /// shows it, and not as assigned.
    fn serves(&self, guest: &Namespace, port: &str, address: Ipv6Addr, outside: Ipv6Addr) {
        until("learned", || {
            self.cloud.learned(port, address).then_some(())
        });
        reaches_from(guest, address, outside);
        reaches(&self.outside, address);
        until("the API shows it", || {
            let shown = self.cloud.api("GET", &format!("ports/{port}"), None);
            let has = |name: &str| {
                let mut entries = shown["port"][name].as_array().unwrap().iter();
                entries.any(|entry| entry["ip_address"] == address.to_string())
            };
            assert!(!has("fixed_ips"));
            has("hextet:observed_addresses").then_some(())
        });
    }
}

#[test]
fn beside_a_router_outside_what_a_guest_forms_is_learned_in_every_mode_that_leaves_it_to_guests() {
    // The router advertises the first two, the host the others.
    let modes = [
        ("aa", json!({ "ipv6_address_mode": "slaac" })),
        ("ab", json!({ "ipv6_address_mode": "dhcpv6-stateless" })),
        ("ac", json!({ "ipv6_ra_mode": "slaac" })),
        ("ad", json!({ "ipv6_ra_mode": "dhcpv6-stateless" })),
    ];
    let mut segment = Segment::new(modes[0].1.clone());
    for (prefix, modes) in &modes[1..] {
        let mut subnet = json!({ "network_id": segment.network, "ip_version": 6,
            "cidr": format!("2001:db8:{prefix}::/64") });
        let modes = modes.as_object().unwrap().clone();
        subnet.as_object_mut().unwrap().extend(modes);
        segment.cloud.create("subnet", subnet);
        let add = format!("address add 2001:db8:{prefix}::1/64 dev eth0 nodad");
        segment.outside.ip(&add);
    }
    segment.advertise("AdvOtherConfigFlag on; prefix 2001:db8:ab::/64 { };");
    let (one, id, _) = segment.cloud.guest_set(
        &segment.network,
        "one",
        &[
            "net.ipv6.conf.eth0.addr_gen_mode=3",
            "net.ipv6.conf.eth0.use_tempaddr=2",
        ],
    );
    let own = until("an opaque and a temporary address of each prefix", || {
        let addresses = one.addresses();
        (addresses.len() == 2 * modes.len()).then_some(addresses)
    });
    for (prefix, _) in &modes {
        let router: Ipv6Addr = format!("2001:db8:{prefix}::1").parse().unwrap();
        let of_prefix = |address: &Ipv6Addr| address.segments()[..4] == router.segments()[..4];
        let formed = own.iter().map(|(address, _)| *address).filter(of_prefix);
        let formed: Vec<Ipv6Addr> = formed.collect();
        assert_eq!(formed.len(), 2, "{prefix}: {own:?}");
        for address in formed {
            segment.serves(&one, &id, address, router);
        }
    }
    until("the router's default route", || {
        default_route(&one).contains("via fe80::").then_some(())
    });
}

#[test]
fn what_the_operators_own_server_gives_is_learned_where_only_the_advertisement_is_ours() {
    let mut segment = Segment::new(json!({ "ipv6_ra_mode": "dhcpv6-stateful" }));
    segment
        .outside
        .ip(&format!("address add {BEYOND}/128 dev lo nodad"));
    segment.advertise_prefix(
        "AdvManagedFlag on; AdvOtherConfigFlag on;",
        "AdvAutonomous off;",
    );
    let range = format!("--dhcp-range={POOL}");
    let _server = Server::start(&segment.outside, &[range]);
    let (one, id, promised) = segment.cloud.guest(&segment.network, "one");
    let _client = Client::dhclient(&segment.cloud, &one, &[]);
    let (given, length) = until("an address of the server's", || {
        one.addresses().first().copied()
    });
    assert_eq!(length, 128);
    assert_ne!(given, promised);
    let last = given.segments()[7];
    assert!((0x1000..=0x10ff).contains(&last), "{given}");
    // By the router that our advertisement names.
    until("the router's default route", || {
        default_route(&one).contains("via fe80::").then_some(())
    });
    segment.serves(&one, &id, given, BEYOND.parse().unwrap());
    reaches(&one, ROUTER.parse().unwrap());
    let problems = &segment.cloud.listed(&id)["segment_problems"];
    assert_eq!(*problems, json!([]));
    // It outlives the agent as what a guest forms does.
    segment.cloud.kill_agent();
    assert!(segment.cloud.learned(&id, given));
    reaches_from(&one, given, BEYOND.parse().unwrap());
}
