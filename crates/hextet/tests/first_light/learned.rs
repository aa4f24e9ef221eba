//! Addresses that guests form themselves.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::Ipv6Addr;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Cloud, Flow, Namespace, pings_from, reaches, reaches_from, until};

/// Global addresses that are learned for a port (`docs/decisions/0032-learned-addresses.md`).
const LEARNED_GLOBAL_MAX: usize = 16;

/// Opaque addresses (RFC 7217) of a secret that the kernel makes up.
const OPAQUE: (&str, &str) = ("addr_gen_mode", "3");
/// The same of a secret that is given.
const OPAQUE_OF_SECRET: (&str, &str) = ("stable_secret", "2001:db8:5ec:e7::2");

/// The guest's kernel forms opaque and temporary (RFC 8981) addresses and prefers these as sources.
fn make_private(guest: &Namespace, opaque: (&str, &str)) {
    for (name, value) in [opaque, ("use_tempaddr", "2")] {
        let write = format!("echo {value} > /proc/sys/net/ipv6/conf/eth0/{name}");
        assert!(guest.succeeds(Command::new("sh").args(["-c", &write])));
    }
    guest.ip("link set eth0 up");
}

/// Waits until the guest has two global addresses, and gives them with what is promised left out.
fn own_addresses(guest: &Namespace, promised: Ipv6Addr) -> Vec<Ipv6Addr> {
    until("an opaque and a temporary address", || {
        let addresses = guest.addresses().into_iter().map(|(address, _)| address);
        let own: Vec<Ipv6Addr> = addresses.filter(|address| *address != promised).collect();
        (own.len() == 2).then_some(own)
    })
}

/// A cloud with a network and these guests on it, each with an address.
fn guests<const COUNT: usize>(
    names: [&str; COUNT],
) -> (Cloud, [(Namespace, String, Ipv6Addr); COUNT]) {
    let cloud = Cloud::new();
    let network = cloud.network();
    let guests = names.map(|name| cloud.guest(&network, name));
    for (guest, _, _) in &guests {
        until("an address", || {
            (!guest.addresses().is_empty()).then_some(())
        });
    }
    (cloud, guests)
}

#[test]
fn a_guest_with_temporary_and_opaque_addresses_reaches_and_is_reached_across_a_kill_of_the_agent() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (two, _, second) = cloud.guest(&network, "two");
    until("the neighbour's address", || {
        two.addresses().contains(&(second, 64)).then_some(())
    });
    for (name, opaque) in [("one", OPAQUE), ("three", OPAQUE_OF_SECRET)] {
        let guest = cloud.guest_with(&network, name, &["--down"]);
        make_private(&guest.0, opaque);
        keeps_connectivity(&cloud, &guest, (&two, second));
    }
}

/// The neighbour with its address reaches the guest at each that it formed, and is reached, also after a kill of the agent; a
/// flow from the temporary one loses nothing by it.
fn keeps_connectivity(
    cloud: &Cloud,
    (one, id, promised): &(Namespace, String, Ipv6Addr),
    (two, second): (&Namespace, Ipv6Addr),
) {
    let (id, promised) = (id.as_str(), *promised);
    let own = own_addresses(one, promised);
    for address in &own {
        until("learned", || cloud.learned(id, *address).then_some(()));
        reaches_from(one, *address, second);
        reaches(two, *address);
    }
    until("the API shows them, and what was promised apart", || {
        let port = cloud.api("GET", &format!("ports/{id}"), None);
        let observed = port["port"]["hextet:observed_addresses"]
            .as_array()
            .unwrap();
        let shown = |address: &Ipv6Addr| {
            let mut entries = observed.iter();
            entries.any(|entry| entry["ip_address"] == address.to_string())
        };
        let fixed = &port["port"]["fixed_ips"];
        assert_eq!(fixed.as_array().unwrap().len(), 1);
        (fixed[0]["ip_address"] == promised.to_string() && own.iter().all(shown)).then_some(())
    });
    // Without a word about the source it is the temporary one.
    reaches(one, second);

    let flow = Flow::start(one, two, second);
    cloud.kill_agent();
    for address in &own {
        assert!(cloud.learned(id, *address));
        reaches_from(one, *address, second);
        reaches(two, *address);
    }
    let (sent, arrived) = flow.end(two);
    assert_eq!(sent, arrived);
}

#[test]
fn what_a_guest_forms_while_the_host_is_unattended_is_of_use_when_the_agent_is_back() {
    let (before, meanwhile): (Ipv6Addr, Ipv6Addr) = (
        "2001:db8:1::7:1".parse().unwrap(),
        "2001:db8:1::7:2".parse().unwrap(),
    );
    let (mut cloud, [(one, id, _), (two, _, second)]) = guests(["one", "two"]);
    one.ip("addr add 2001:db8:1::7:1/64 dev eth0");
    reaches_from(&one, before, second);
    cloud.stop();
    one.ip("addr add 2001:db8:1::7:2/64 dev eth0");
    until("its check is over", || {
        let addresses = one.addresses();
        addresses.contains(&(meanwhile, 64)).then_some(())
    });
    reaches_from(&one, before, second);
    assert!(!pings_from(&one, meanwhile, second, 2), "nobody learned it");
    cloud.up();
    reaches_from(&one, meanwhile, second);
    assert!(cloud.learned(&id, before) && cloud.learned(&id, meanwhile));
    reaches(&two, meanwhile);
}

#[test]
fn a_port_learns_so_many_addresses_and_refuses_more_until_one_is_gone() {
    let (cloud, [(one, id, _), (two, _, second)]) = guests(["one", "two"]);
    let own = |number: usize| -> Ipv6Addr { format!("2001:db8:1::8:{number:x}").parse().unwrap() };
    let add = |number: usize| one.ip(&format!("addr add {}/64 dev eth0", own(number)));
    for number in 0..LEARNED_GLOBAL_MAX {
        add(number);
        until("learned", || cloud.learned(&id, own(number)).then_some(()));
    }
    let further = own(LEARNED_GLOBAL_MAX);
    add(LEARNED_GLOBAL_MAX);
    until("its check is over", || {
        one.addresses().contains(&(further, 64)).then_some(())
    });
    assert!(!pings_from(&one, further, second, 3));
    assert!(!cloud.learned(&id, further));
    until("it is counted", || {
        let listed = cloud.listed(&id);
        let mut drops = listed["drops"].as_array().unwrap().iter();
        let full = drops.find(|drop| drop["reason"] == "agent_learned_full")?;
        (full["packets"].as_u64().unwrap() >= 1).then_some(())
    });
    // Those that it has are not the worse for it.
    for number in 0..LEARNED_GLOBAL_MAX {
        assert!(cloud.learned(&id, own(number)));
    }
    reaches_from(&one, own(0), second);
    reaches(&two, own(1));
    // One that the guest gave up makes room, once it is asked for and does not answer.
    one.ip(&format!("addr del {}/64 dev eth0", own(0)));
    reaches_from(&one, further, second);
    assert!(cloud.learned(&id, further) && !cloud.learned(&id, own(0)));
}

#[test]
fn what_one_guest_has_another_cannot_take_and_both_ports_are_named() {
    let taken: Ipv6Addr = "2001:db8:1::7:1".parse().unwrap();
    let (cloud, [(one, first, _), (two, second, _), (_three, _, third)]) =
        guests(["one", "two", "three"]);
    one.ip("addr add 2001:db8:1::7:1/64 dev eth0");
    until("learned", || cloud.learned(&first, taken).then_some(()));
    two.ip("addr add 2001:db8:1::7:1/64 dev eth0");
    until("its check fails", || {
        let output = two.output(Command::new("ip").args(["-6", "addr", "show", "dev", "eth0"]));
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("dadfailed").then_some(())
    });
    // Without a check it is of no use either.
    two.ip("addr del 2001:db8:1::7:1/64 dev eth0");
    two.ip("addr add 2001:db8:1::7:1/64 dev eth0 nodad");
    assert!(!pings_from(&two, taken, third, 2));
    reaches_from(&one, taken, third);
    assert!(!cloud.learned(&second, taken));
    let listed = cloud.listed(&second);
    let conflicts: Vec<&Value> = listed["conflicts"].as_array().unwrap().iter().collect();
    let [conflict] = conflicts[..] else {
        panic!("{conflicts:?}")
    };
    assert_eq!(conflict["address"], "2001:db8:1::7:1");
    assert_eq!(conflict["holder"], first.as_str());
    assert!(conflict["claims"].as_u64().unwrap() >= 2);
    until("the API names both", || {
        let port = cloud.api("GET", &format!("ports/{second}"), None);
        let conflicts = &port["port"]["hextet:address_conflicts"];
        assert_eq!(port["port"]["hextet:observed_addresses"], json!([]));
        let expected = json!([{ "ip_address": "2001:db8:1::7:1", "port_id": first }]);
        (*conflicts == expected).then_some(())
    });
    let log = cloud.log_text();
    assert!(log.lines().any(|line| {
        line.contains("a guest claims an address that is not its own")
            && line.contains(&format!("port={second}"))
            && line.contains(&first)
    }));
}

#[test]
fn neighbours_are_told_at_once_that_another_guest_has_an_address() {
    let (cloud, [(one, first, _), (two, second, _), (three, _, _)]) =
        guests(["one", "two", "three"]);
    let moving: Ipv6Addr = "2001:db8:1::7:1".parse().unwrap();
    let known_at = |mac: &str| {
        let words = ["-6", "neigh", "show", "to", &moving.to_string()];
        let shown = three.output(Command::new("ip").args(words));
        String::from_utf8(shown.stdout).unwrap().contains(mac)
    };
    one.ip("addr add 2001:db8:1::7:1/64 dev eth0");
    until("learned", || cloud.learned(&first, moving).then_some(()));
    reaches(&three, moving);
    assert!(known_at(&cloud.mac(&first)));
    one.ip("addr del 2001:db8:1::7:1/64 dev eth0");
    until("the other guest has it", || {
        // Its check fails for as long as the first may have the address.
        let mut replace = Command::new("ip");
        replace.args(["addr", "add", "2001:db8:1::7:1/64", "dev", "eth0"]);
        two.output(&mut replace);
        let usable = || two.addresses().contains(&(moving, 64)) || dad_failed(&two);
        until("its check is over", || usable().then_some(()));
        if dad_failed(&two) {
            two.ip("addr del 2001:db8:1::7:1/64 dev eth0");
            return None;
        }
        cloud.learned(&second, moving).then_some(())
    });
    // It says nothing to the address, so it would not find out by itself.
    until("the neighbour knows where it is now", || {
        known_at(&cloud.mac(&second)).then_some(())
    });
    reaches(&three, moving);
}

fn dad_failed(guest: &Namespace) -> bool {
    let output = guest.output(Command::new("ip").args(["-6", "addr", "show", "dev", "eth0"]));
    String::from_utf8_lossy(&output.stdout).contains("dadfailed")
}

#[test]
fn an_address_whose_check_was_missed_is_learned_by_its_use() {
    let own: Ipv6Addr = "2001:db8:1::7:1".parse().unwrap();
    let (cloud, [(one, id, _), (two, _, second)]) = guests(["one", "two"]);
    one.ip("addr add 2001:db8:1::7:1/64 dev eth0 nodad");
    // It is asked for, and answers.
    reaches_from(&one, own, second);
    assert!(cloud.learned(&id, own));
    reaches(&two, own);
}
