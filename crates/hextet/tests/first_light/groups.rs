//! Multicast groups that guests listen to.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::{Ipv6Addr, UdpSocket};

use hextet_agent::kernel::fastpath::Sizes;
use hextet_agent::kernel::{ListenerRow, MapOp, links, netns};
use serde_json::Value;

use crate::support::{Cloud, Flow, Namespace, until};
use crate::survival::beside;

const GROUP: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 7);
/// Multicast that a guest may get besides the flow: Router Advertisements and questions about its groups.
const OTHERS_MAX: u64 = 200;

/// A program of the guest's that listens to the group for as long as it has the socket.
fn listen(guest: &Namespace) -> UdpSocket {
    let socket = netns::inside(&guest.path, || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let eth0 = links::index("eth0").unwrap();
        socket.join_multicast_v6(&GROUP, eth0).unwrap();
        socket
    });
    socket.unwrap()
}

/// What its host says that a port's guest listens to.
fn listens_to(cloud: &Cloud, port: &str) -> String {
    let shown = cloud.done(&["port", "show", port, "-f", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["installed"]["listens to"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_group_reaches_who_listens_and_nobody_else_whatever_becomes_of_the_agent() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, first) = cloud.guest(&network, "one");
    let (two, listener, second) = cloud.guest(&network, "two");
    let (three, other, third) = cloud.guest(&network, "three");
    for (guest, address) in [(&one, first), (&two, second), (&three, third)] {
        until("its address", || {
            guest.addresses().contains(&(address, 64)).then_some(())
        });
    }
    let joined = listen(&two);
    // The next agent asks at once who listens to what; the first one would wait for half a minute.
    cloud.kill_agent();
    until("the listener is known", || {
        (listens_to(&cloud, &listener).contains(&GROUP.to_string())).then_some(())
    });
    until("what the other listens to is known", || {
        (!listens_to(&cloud, &other).starts_with("every group")).then_some(())
    });
    until("the other is sent no more", || {
        let before = three.multicast_packets();
        let flow = Flow::start(&one, &two, GROUP);
        until("some", || (flow.sent() > 1_000).then_some(()));
        let (sent, arrived) = flow.end(&two);
        assert_eq!(sent, arrived);
        (three.multicast_packets() - before < OTHERS_MAX).then_some(())
    });

    let before = three.multicast_packets();
    let flow = Flow::start(&one, &two, GROUP);
    for _ in 0..2 {
        cloud.kill_agent();
        assert!(listens_to(&cloud, &listener).contains(&GROUP.to_string()));
        let enough = flow.sent() + 10_000;
        until("a flow worth its name", || {
            (flow.sent() > enough).then_some(())
        });
    }
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
    let heard = three.multicast_packets() - before;
    assert!(heard < OTHERS_MAX, "{heard} of {sent}");

    // What nobody noted is asked for.
    let fastpath = beside(&cloud, Sizes::default());
    let rows = fastpath.dump().unwrap();
    let anew = rows.listeners.keys();
    let anew = anew.map(|port| MapOp::SetListener(*port, ListenerRow::default()));
    let anew: Vec<MapOp> = anew.collect();
    // An answer to what was asked before may still come.
    until("nothing is noted of it", || {
        fastpath.apply(&anew).unwrap();
        (!listens_to(&cloud, &listener).contains(&GROUP.to_string())).then_some(())
    });
    cloud.kill_agent();
    until("the listener is known again", || {
        (listens_to(&cloud, &listener).contains(&GROUP.to_string())).then_some(())
    });

    drop(joined);
    until("who left is not listed", || {
        (!listens_to(&cloud, &listener).contains(&GROUP.to_string())).then_some(())
    });
}
