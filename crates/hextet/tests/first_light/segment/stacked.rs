//! NICs that the kernel makes of others: a VLAN's, a bond. These tests want a kernel with bonding, 8021q and bridge, and run in
//! the kernel lane.

use super::*;
use crate::support::{Stream, echoes};

/// VLAN 100 of `phys0`; behind it a trunk.
const VLAN: Wire = Wire {
    nic: "phys0.100",
    lay: |host, outside| {
        let peer = format!("peer name trunk netns {}", outside.name);
        host.ip(&format!("link add phys0 type veth {peer}"));
        host.ip("link add link phys0 name phys0.100 type vlan id 100");
        outside.ip("link add link trunk name eth0 type vlan id 100");
        for link in ["phys0", "phys0.100"] {
            host.ip(&format!("link set {link} up"));
        }
        for link in ["trunk", "eth0"] {
            outside.ip(&format!("link set {link} up"));
        }
    },
};

/// Two links to a switch, of which one is in use.
const BOND: Wire = Wire {
    nic: "bond0",
    lay: |host, outside| {
        outside.ip("link add eth0 type bridge");
        host.ip("link add bond0 type bond mode active-backup miimon 20");
        for number in [0, 1] {
            let peer = format!("peer name port{number} netns {}", outside.name);
            host.ip(&format!("link add phys{number} type veth {peer}"));
            host.ip(&format!("link set phys{number} master bond0"));
            outside.ip(&format!("link set port{number} master eth0 up"));
        }
        host.ip("link set bond0 up");
        outside.ip("link set eth0 up");
    },
};

fn stacked(wire: &Wire) -> Segment {
    let modes = json!({ "ipv6_address_mode": "slaac" });
    Segment::on(wire, Cloud::by_clsact(), modes, "")
}

#[test]
fn a_vlan_of_a_nic_leads_to_a_segment_and_no_tag_passes() {
    let mut segment = stacked(&VLAN);
    let (one, ..) = reach_each_other(&mut segment);
    let outside = &segment.outside;
    // The trunk's other VLAN, and that number behind the segment's own tag.
    outside.ip("link add link trunk name other type vlan id 200");
    outside.ip("link add link eth0 name inner type vlan id 200");
    outside.ip("link set other up");
    outside.ip("link set inner up");
    for (name, id) in [("own", 100), ("other", 200)] {
        one.ip(&format!("link add link eth0 name {name} type vlan id {id}"));
        one.ip(&format!("link set {name} up"));
    }
    only_the_last_is_heard(outside, &["trunk", "other", "inner", "eth0"], &one);
    only_the_last_is_heard(&one, &["own", "other", "eth0"], outside);
    for link in ["own", "other"] {
        assert_eq!(received(&one, link), 0, "{link}");
    }
    assert_eq!(received(outside, "other") + received(outside, "inner"), 0);
}

/// All nodes on each of these links are asked for an echo.
fn only_the_last_is_heard(from: &Namespace, links: &[&str], by: &Namespace) {
    let before = echoes(by);
    for link in links {
        until("a link's address may be used", || {
            echoed(from, link).then_some(())
        });
    }
    until("the last is heard", || (echoes(by) > before).then_some(()));
    assert_eq!(echoes(by), before + 1);
}

/// Whether somebody answers there: who asks does.
fn echoed(from: &Namespace, link: &str) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-6", "-c1", "-W1", &format!("ff02::1%{link}")]);
    from.succeeds(&mut ping)
}

/// Packets that came in by a link.
fn received(namespace: &Namespace, link: &str) -> u64 {
    let shown = shown(namespace, &["ip", "-s", "-j", "link", "show", "dev", link]);
    shown[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

fn shown(namespace: &Namespace, words: &[&str]) -> Value {
    let output = namespace.output(Command::new(words[0]).args(&words[1..]));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_bond_leads_to_a_segment_by_whichever_of_its_links() {
    let mut segment = stacked(&BOND);
    let (one, address, host) = reach_each_other(&mut segment);
    let router = ROUTER.parse().unwrap();
    let (cloud, outside) = (&segment.cloud, &segment.outside);
    let mac = one.links_seen()[0].mac.to_string();
    let active = || {
        let bond = shown(&cloud.host, &["ip", "-d", "-j", "link", "show", "bond0"]);
        let active = &bond[0]["linkinfo"]["info_data"]["active_slave"];
        active.as_str().map(|name| name.replace("phys", "port"))
    };
    // Where the switch looks for the guest.
    let found = || {
        let learned = shown(outside, &["bridge", "-j", "fdb", "show", "br", "eth0"]);
        let mut learned = learned.as_array().unwrap().iter();
        let entry = learned.find(|entry| entry["mac"] == mac.as_str())?;
        entry["ifname"].as_str().map(str::to_owned)
    };
    let first = until("a link is in use", active);
    let second = if first == "port0" { "port1" } else { "port0" };
    reaches(outside, address);
    assert_eq!(found().as_ref(), Some(&first));

    let inwards = Stream::start(outside, &one, address);
    let outwards = Stream::start(&one, outside, router);
    outside.ip(&format!("link set {first} down"));
    until("the other is in use", || {
        (active()? == second).then_some(())
    });
    inwards.flows_on();
    outwards.flows_on();
    reaches(&cloud.host, router);
    reaches(outside, host);
    inwards.end_whole();
    outwards.end_whole();
    outside.ip(&format!("link set {first} up"));
    assert_eq!(found().as_deref(), Some(second));

    // Both links are well: only who announces itself is found by the one that is taken into use.
    let back = first.replace("port", "phys");
    until("an operator's change", || {
        let change = ["ip", "link", "set", "bond0", "type", "bond", "active_slave"];
        let mut command = Command::new(change[0]);
        command.args(&change[1..]).arg(&back);
        let done = cloud.host.succeeds(&mut command);
        (done && active()? == first).then_some(())
    });
    until("the guest is found there", || {
        (found()? == first).then_some(())
    });
    reaches(outside, address);
    let said = "guests were announced on a physical segment";
    assert!(cloud.log_text().contains(said));
}
