//! What guests do to each other, and what they are told.

use std::net::Ipv6Addr;
use std::process::Command;

use hextet_agent::ledger::{Found, Ledger};
use serde_json::json;

use crate::support::{
    Cloud, Flow, Namespace, echoes, last_pass, pings, reaches, reaches_from, until,
};

/// The sixteen rows of the mode table.
const MODES: &str = include_str!("../../../core/specs/ipv6_modes.tsv");

#[test]
fn of_two_clones_the_first_holds_the_link_local_and_both_have_their_own_addresses() {
    let clone: Ipv6Addr = "fe80::1234".parse().unwrap();
    let cloud = Cloud::new();
    let network = cloud.network();
    let (three, _, third) = cloud.guest(&network, "three");
    let mut clones = Vec::new();
    for name in ["one", "two"] {
        let (guest, id, address) = cloud.guest_with(&network, name, &["--down"]);
        guest.ip("link set eth0 addrgenmode none");
        guest.ip("link set eth0 up");
        guest.ip("addr add fe80::1234/64 dev eth0 nodad");
        until("its own address", || {
            guest.addresses().contains(&(address, 64)).then_some(())
        });
        let router = guest.succeeds(Command::new("rdisc6").args(["-1", "eth0"]));
        assert!(router, "who asks with the address is heard with it");
        until("learned", || cloud.learned(&id, clone).then_some(()));
        clones.push((guest, id, address));
    }
    let [(one, first, _), (two, second, address)] = &clones[..] else {
        unreachable!("two clones")
    };
    until("both ports are named", || {
        let log = cloud.log_text();
        let mut lines = log.lines();
        lines
            .any(|line| {
                line.contains("two guests use one link-local address")
                    && line.contains(&format!("port={second}"))
                    && line.contains(&format!("other={first}"))
            })
            .then_some(())
    });
    reaches(&three, clone);
    reaches(&three, *address);
    let before = (echoes(one), echoes(two));
    pings(&three, clone, 3);
    until("all three reach the first", || {
        (echoes(one) == before.0 + 3).then_some(())
    });
    assert_eq!(echoes(two), before.1);

    // Who came second is heard with it by the host alone.
    let heard = echoes(&three);
    let mut ping = Command::new("ping");
    ping.args(["-6", "-c", "3", "-i", "0.2", "-W", "1"]);
    ping.args(["-I", "eth0", "-I", "fe80::1234", &third.to_string()]);
    assert!(!two.succeeds(&mut ping));
    let listed = cloud.listed(second);
    let mut drops = listed["drops"].as_array().unwrap().iter();
    let local = drops.find(|drop| drop["reason"] == "source_local_only");
    assert!(local.is_some(), "{listed}");
    assert_eq!(echoes(&three), heard);
}

#[test]
fn clones_of_one_secret_share_a_link_local_address_without_harm_and_no_other() {
    let secret = "net.ipv6.conf.eth0.stable_secret=2001:db8:5ec:e7::3";
    let cloud = Cloud::new();
    let network = cloud.network();
    let (three, _, third) = cloud.guest(&network, "three");
    until("the neighbour's address", || {
        three.addresses().contains(&(third, 64)).then_some(())
    });
    let formed = |guest: &Namespace| {
        let words = "-6 -o addr show dev eth0 scope link -tentative";
        let shown = guest.output(Command::new("ip").args(words.split(' ')));
        let text = String::from_utf8(shown.stdout).unwrap();
        let (_, link_local) = text.split_once("inet6 ")?;
        let link_local: Ipv6Addr = link_local.split('/').next()?.parse().unwrap();
        let (address, _) = *guest.addresses().first()?;
        Some((link_local, address))
    };
    let mut clones = Vec::new();
    for name in ["one", "two"] {
        let (guest, id, promised) = cloud.guest_set(&network, name, &[secret]);
        let (link_local, address) = until("what it forms", || formed(&guest));
        assert_ne!(address, promised);
        for own in [link_local, address] {
            until("learned", || cloud.learned(&id, own).then_some(()));
        }
        reaches_from(&guest, address, third);
        reaches(&three, address);
        clones.push((guest, id, link_local, address));
    }
    let [(_, first, shared, address), (_, second, same, another)] = &clones[..] else {
        unreachable!("two clones")
    };
    assert_eq!(shared, same, "a clone forms the same");
    assert_ne!(address, another, "what it could not have it did not keep");
    reaches(&three, *shared);
    let port = until("the API names both ports", || {
        let port = cloud.api("GET", &format!("ports/{second}"), None);
        let conflicts = port["port"]["hextet:address_conflicts"].as_array().unwrap();
        (conflicts.len() == 2).then_some(port)
    });
    for own in [shared, address] {
        let conflict = json!({ "ip_address": own.to_string(), "port_id": first });
        let conflicts = port["port"]["hextet:address_conflicts"].as_array().unwrap();
        assert!(conflicts.contains(&conflict), "{conflict} of {conflicts:?}");
    }
}

#[test]
fn a_learned_link_local_survives_a_kill_of_the_agent() {
    let learned: Ipv6Addr = "fe80::77".parse().unwrap();
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, _) = cloud.guest(&network, "one");
    let (two, _, _) = cloud.guest(&network, "two");
    one.ip("addr add fe80::77/64 dev eth0");
    reaches(&two, learned);
    let config = cloud.agent_config();
    until("it is on disk", || {
        let ledger = Ledger::open(&config.state_dir).unwrap();
        let Found::State(state) = ledger.read().unwrap() else {
            panic!("a ledger that can be read")
        };
        let mut addresses = state.learned.iter().map(|known| known.address);
        addresses.any(|address| address == learned).then_some(())
    });
    cloud.kill_agent();
    assert!(cloud.learned(&id, learned));
    reaches(&two, learned);
}

#[test]
fn an_address_that_a_guest_takes_for_itself_is_of_no_use_and_counted() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    reaches(&one, second);
    let spoofed = |cloud: &Cloud| {
        let listed = cloud.listed(&id);
        let drops = listed["drops"].as_array().unwrap().iter();
        let mut spoofed = drops.filter(|drop| drop["reason"] == "source_spoofed");
        spoofed
            .next()
            .map_or(0, |drop| drop["packets"].as_u64().unwrap())
    };
    assert_eq!(spoofed(&cloud), 0);
    let before = echoes(&two);
    one.ip("addr add 2001:db8:9::bad/64 dev eth0 nodad");
    let mut ping = Command::new("ping");
    ping.args([
        "-6",
        "-c",
        "2",
        "-i",
        "0.2",
        "-W",
        "1",
        "-I",
        "2001:db8:9::bad",
    ]);
    assert!(!one.succeeds(ping.arg(second.to_string())));
    assert_eq!(echoes(&two), before);
    assert_eq!(spoofed(&cloud), 2);
}

#[test]
fn port_security_is_switched_off_and_on_under_traffic() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    until("both addresses", || {
        let has = one.addresses().contains(&(address, 64));
        (has && two.addresses().contains(&(second, 64))).then_some(())
    });
    reaches(&one, second);
    // Before there is an address that it could take for its source.
    let flow = Flow::start(&one, &two, second);
    one.ip("addr add 2001:db8:9::bad/64 dev eth0 nodad");
    // Whether a forged echo request gets to the other guest; the answer has nowhere to go.
    let forged = || {
        let before = echoes(&two);
        let mut ping = Command::new("ping");
        ping.args(["-6", "-c", "1", "-W", "1", "-I", "2001:db8:9::bad"]);
        one.output(ping.arg(second.to_string()));
        echoes(&two) > before
    };
    for _ in 0..2 {
        for enabled in [true, false] {
            let body = json!({ "port": { "port_security_enabled": enabled } });
            let shown = cloud.api("PUT", &format!("ports/{id}"), Some(body));
            assert_eq!(shown["port"]["port_security_enabled"], enabled);
            let what = format!("port security {enabled}");
            until(&what, || (forged() != enabled).then_some(()));
        }
    }
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
}

#[test]
fn every_mode_that_we_advertise_is_seen_by_a_guest_with_its_flags() {
    let cloud = Cloud::new();
    let mut seen = 0;
    for row in MODES.lines().filter(|line| !line.starts_with(['#', 'r'])) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [
            ra_mode,
            address_mode,
            "ok",
            "us",
            autonomous,
            managed,
            other,
            ..,
        ] = columns[..]
        else {
            continue;
        };
        seen += 1;
        let network = cloud.create("network", json!({ "name": row }));
        let network = network["id"].as_str().unwrap();
        let mut subnet = json!({ "network_id": network, "ip_version": 6,
            "cidr": format!("2001:db8:{seen}::/64"), "ipv6_ra_mode": ra_mode });
        if address_mode != "-" {
            subnet["ipv6_address_mode"] = json!(address_mode);
        }
        cloud.create("subnet", subnet);
        let (guest, _, _) = cloud.guest(network, &format!("g{seen}"));
        let text = until("an advertisement", || {
            let mut rdisc = Command::new("rdisc6");
            let output = guest.output(rdisc.args(["-1", "eth0"]));
            let text = String::from_utf8(output.stdout).unwrap();
            text.contains("Prefix").then_some(text)
        });
        for (field, expected) in [
            ("Stateful address conf.", managed),
            ("Stateful other conf.", other),
            ("Autonomous address conf.", autonomous),
            ("On-link", "1"),
        ] {
            let line = text.lines().find(|line| line.trim().starts_with(field));
            let value = line.and_then(|line| line.split(':').nth(1)).unwrap().trim();
            let expected = if expected == "1" { "Yes" } else { "No" };
            assert_eq!(
                value, expected,
                "{field} of {ra_mode} {address_mode}:\n{text}"
            );
        }
        assert!(text.contains(&format!("2001:db8:{seen}::/64")), "{text}");
    }
    assert_eq!(seen, 6, "rows of the table whose sender we are");
}

#[test]
fn neighbours_are_told_at_once_that_an_address_is_at_another_mac() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, one_id, own) = cloud.guest(&network, "one");
    let (_two, two, _) = cloud.guest(&network, "two");
    let (_three, three, _) = cloud.guest(&network, "three");
    for subnet in [
        json!({ "network_id": network, "ip_version": 4, "cidr": "10.8.0.0/24" }),
        json!({ "network_id": network, "ip_version": 6, "cidr": "2001:db8:2::/64",
                "ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful" }),
    ] {
        cloud.create("subnet", subnet);
    }
    let set = |port: &str, addresses: &[&str]| {
        let fixed = addresses
            .iter()
            .map(|address| json!({ "ip_address": address }));
        let body = json!({ "port": { "fixed_ips": fixed.collect::<Vec<_>>() } });
        cloud.api("PUT", &format!("ports/{port}"), Some(body));
    };
    let moving = ["10.8.0.50", "2001:db8:2::50"];
    set(&one_id, &["10.8.0.9"]);
    set(&two, &moving);
    until("the address that it pings from", || {
        one.addresses().contains(&(own, 64)).then_some(())
    });
    one.ip("addr add 10.8.0.9/24 dev eth0");
    let known = |address: &str| {
        let shown = one.output(Command::new("ip").args(["neigh", "show", "to", address]));
        String::from_utf8(shown.stdout).unwrap()
    };
    let (before, after) = (cloud.mac(&two), cloud.mac(&three));
    for address in moving {
        // Nobody answers it, but a question for the address comes first.
        until("the guest knows who has it", || {
            one.output(Command::new("ping").args(["-c", "1", "-W", "1", address]));
            known(address).contains(&before).then_some(())
        });
    }
    set(&two, &[]);
    set(&three, &moving);
    for address in moving {
        until("the guest knows who has it now", || {
            known(address).contains(&after).then_some(())
        });
    }
}

#[test]
fn a_change_of_one_port_is_brought_about_by_a_look_at_that_port_alone() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    let (two, _, _) = cloud.guest(&network, "two");
    reaches(&two, address);
    let alone = |what: &str| {
        let log = cloud.log_text();
        assert!(last_pass(&log).ends_with("ports=1"), "{what}: {log}");
    };
    let path = format!("ports/{id}");
    let set_up = |up: bool| {
        let body = json!({ "port": { "admin_state_up": up } });
        cloud.api("PUT", &path, Some(body));
    };
    set_up(false);
    until("it is cut off", || (!pings(&two, address, 1)).then_some(()));
    alone("set down");
    set_up(true);
    reaches(&two, address);
    alone("set up");
    cloud.api("DELETE", &path, None);
    until("its link is gone", || one.links().is_empty().then_some(()));
    alone("deleted");
    let port = cloud.create("port", json!({ "network_id": network, "name": "three" }));
    let attach = ["port", "attach", "three", "--netns", &one.name];
    cloud.done(&attach);
    let again = port["fixed_ips"][0]["ip_address"].as_str().unwrap();
    reaches(&two, again.parse().unwrap());
    alone("another in its place");
}
