//! Frames of the segment with a tag that says a priority alone (VLAN 0), as some switches put on all that they send.

use hextet_agent::kernel::Sender;
use hextet_core::mac::Mac;
use hextet_wire::frame::{ALL_NODES, Envelope, multicast_mac};

use super::servers::Ear;
use super::*;
use crate::metrics::{LISTEN, figures, frames};
use crate::support::{echo_replies, echoes};

/// The highest priority, and no VLAN.
const PRIORITY: u16 = 7 << 13;

/// Who sends, and to whom.
struct Ends {
    outside: Mac,
    guest: Mac,
    address: Ipv6Addr,
}

impl Ends {
    /// Of the router, to the guest alone.
    fn to_guest(&self) -> Envelope {
        Envelope {
            mac_destination: self.guest,
            mac_source: self.outside,
            source: ROUTER.parse().unwrap(),
            destination: self.address,
            hop_limit: 255,
        }
    }

    /// The same to all.
    fn to_all(&self) -> Envelope {
        Envelope {
            mac_destination: multicast_mac(ALL_NODES),
            source: self.outside.link_local(),
            destination: ALL_NODES,
            ..self.to_guest()
        }
    }
}

fn echo_request(envelope: &Envelope) -> Vec<u8> {
    envelope.icmpv6(vec![128, 0, 0, 0, 0, 7, 0, 1])
}

/// An advertisement of a router that leads nowhere, and of a prefix for SLAAC.
fn advert(envelope: &Envelope) -> Vec<u8> {
    let prefix: Ipv6Addr = "2001:db8:bad::".parse().unwrap();
    let day = [0, 1, 0x51, 0x80];
    let head = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let of_prefix = [&[3, 4, 64, 0xc0][..], &day, &day, &[0; 4]].concat();
    envelope.icmpv6([&head[..], &of_prefix, &prefix.octets()].concat())
}

/// The frame with these tags (TPID, TCI).
fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|(tpid, tci)| [*tpid, *tci]);
    let tags: Vec<u8> = tags.flat_map(u16::to_be_bytes).collect();
    [&frame[..12], &tags, &frame[12..]].concat()
}

#[test]
fn a_tag_that_says_a_priority_alone_is_seen_through_and_no_other_is() {
    let modes = json!({ "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" });
    let segment = Segment::with(modes, &format!("metrics_listen = \"{LISTEN}\"\n"));
    let (cloud, outside) = (&segment.cloud, &segment.outside);
    let (one, id, address) = cloud.guest(&segment.network, "one");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    reaches(outside, address);
    let seen = outside.links_seen();
    let eth0 = seen.iter().find(|link| link.name == "eth0").unwrap();
    let ends = Ends {
        outside: eth0.mac,
        guest: cloud.mac(&id).parse().unwrap(),
        address,
    };
    let sender = netns::inside(&outside.path, Sender::new).unwrap().unwrap();
    let send = |frame: &[u8], tags: &[(u16, u16)]| {
        sender.send(eth0.ifindex, &tagged(frame, tags)).unwrap();
    };
    let counted = |kind: &str, verdict: &str| {
        let name = frames(kind, verdict);
        figures(cloud).get(&name).copied().unwrap_or(0.0)
    };
    let ear = Ear::open(cloud, &one, ends.outside);

    // To the guest alone, which answers without a tag.
    let asked = echo_request(&ends.to_guest());
    let (before, answered) = (echoes(&one), echo_replies(outside));
    send(&asked, &[(0x8100, PRIORITY)]);
    until("the answer", || {
        (echo_replies(outside) > answered).then_some(())
    });
    assert_eq!(echoes(&one), before + 1);

    // To all: the host hears it, too.
    let (guests, hosts) = (echoes(&one), echoes(&cloud.host));
    send(&echo_request(&ends.to_all()), &[(0x8100, PRIORITY)]);
    until("the guest and the host", || {
        (echoes(&one) > guests && echoes(&cloud.host) > hosts).then_some(())
    });

    // What is behind it is judged as what is behind none.
    for (frame, kind, verdict) in [
        (advert(&ends.to_all()), "consumed", "segment_router"),
        (
            echo_request(&Envelope {
                mac_source: ends.guest,
                ..ends.to_guest()
            }),
            "drop",
            "segment_spoofed",
        ),
    ] {
        let before = counted(kind, verdict);
        send(&frame, &[(0x8100, PRIORITY)]);
        until(verdict, || (counted(kind, verdict) > before).then_some(()));
    }

    // A VLAN's, a service provider's, and what is tagged twice are the host's.
    let before = echoes(&one);
    let others: [&[(u16, u16)]; 4] = [
        &[(0x8100, 5)],
        &[(0x8100, PRIORITY | 5)],
        &[(0x88a8, PRIORITY)],
        &[(0x8100, PRIORITY), (0x8100, PRIORITY)],
    ];
    for tags in others {
        let passed = counted("passed", "host");
        send(&asked, tags);
        until("it is left to the host", || {
            (counted("passed", "host") > passed).then_some(())
        });
    }
    send(&asked, &[(0x8100, 0)]);
    until("the last is heard", || {
        (echoes(&one) > before).then_some(())
    });
    assert_eq!(echoes(&one), before + 1);
    let mut shown = Command::new("ip");
    let shown = one.output(shown.args(["-6", "address", "show", "dev", "eth0"]));
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(!shown.contains("2001:db8:bad:"), "{shown}");

    let heard = until("each of the three", || {
        let heard = std::fs::read_to_string(&ear.heard).unwrap();
        (heard.matches("echo request").count() >= 3).then_some(heard)
    });
    assert!(!heard.contains("vlan"), "no tag reaches a guest: {heard}");
}
