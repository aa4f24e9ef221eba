//! A NIC that is a bridge's port, and the bridge.

use super::*;

/// A bridge of the host with one port.
const BRIDGE: Wire = Wire {
    nic: "br0",
    lay: |host, outside| {
        (PLAIN.lay)(host, outside);
        host.ip("link add br0 type bridge");
        host.ip("link set phys0 master br0");
        host.ip("link set br0 up");
    },
};

#[test]
fn a_bridge_of_the_host_leads_to_a_segment() {
    let modes = json!({ "ipv6_address_mode": "slaac" });
    reach_each_other(&mut Segment::on(&BRIDGE, Cloud::new(), modes, ""));
}

#[test]
fn a_nic_that_becomes_a_member_of_another_link_is_let_go_and_the_other_is_named() {
    let segment = Segment::new(json!({ "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" }));
    let cloud = &segment.cloud;
    let (one, id, address) = cloud.guest(&segment.network, "one");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    let router = ROUTER.parse().unwrap();
    reaches(&one, router);
    let takes_in_all = || {
        let seen = cloud.host.links_seen();
        let nic = seen.into_iter().find(|link| link.name == "phys0");
        nic.unwrap().all_multicast
    };
    assert!(takes_in_all());

    cloud.host.ip("link add br0 type bridge");
    cloud.host.ip("link set phys0 master br0");
    until("it is said what to name", || {
        let why = "phys0 is a member of br0: name br0 in physical_networks, or a NIC that is no member of another link";
        (segment.down(&id).as_deref() == Some(why)).then_some(())
    });
    until("and told to the server", || {
        (cloud.status(&id) == "DOWN").then_some(())
    });
    until("it is as it was", || (!takes_in_all()).then_some(()));

    cloud.host.ip("link set phys0 nomaster");
    until("it leads there again", || {
        segment.down(&id).is_none().then_some(())
    });
    reaches(&one, router);
}
