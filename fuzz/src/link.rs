//! The machines of a link behind a hostile guest.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::link::{
    Dhcpv4Lease, Dhcpv4Plan, Dhcpv6Plan, Learnable, LinkPlan, RaPlan, RaPrefix,
};
use hextet_core::mac::Mac;
use hextet_core::modes::SolicitWithoutAddress;
use hextet_core::settings::RenewalTimes;
use hextet_proto::{
    Directory, EVENTS_MAX, Holder, HolderKind, LEARNED_MAX, Link, ReconfigureSeed, TRANSMITS_MAX,
};
use hextet_wire::dhcpv6::{self, Reconfigure, ReconfigureKey};
use hextet_wire::frame;
use hextet_wire::ndp::{self, NdpMessage};
use hextet_wire::{dhcpv4, ipv4};
use ipnet::{Ipv4Net, Ipv6Net};
use uuid::Uuid;

/// Every address that ends in 7 is assigned to another port, every one that ends in 8 learned by it.
struct Neighbours;

impl Directory for Neighbours {
    fn holder(&self, _vni: Vni, address: Ipv6Addr) -> Option<Holder> {
        let kind = match address.to_bits() & 0xf {
            7 => HolderKind::Assigned,
            8 => HolderKind::Learned,
            _ => return None,
        };
        Some(Holder {
            port: Some(PortId(Uuid::from_u128(2))),
            mac: Mac([0xfa, 0x16, 0x3e, 0x44, 0x55, 0x66]),
            kind,
        })
    }
}

/// A frame from a guest, as it is and with its ICMPv6 or its IPv4 header's checksum put right; what comes out must be valid, bounded, and
/// nothing that only routers and other servers say.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor; nothing depends on which it is"
)]
pub fn link_handle_frame(bytes: &[u8]) -> bool {
    let now = Instant::now();
    let seed = ReconfigureSeed {
        secret: ReconfigureKey::new([7; 16]),
        replay: 0,
    };
    let mut link = Link::new(plan(), 1).reconfiguring(seed);
    link.handle_frame(bytes, &Neighbours, now);
    link.handle_source(bytes, &Neighbours, now);
    if let Ok(packet) = frame::parse(bytes)
        && packet.payload.len() >= 4
        && packet.next_header == frame::NEXT_HEADER_ICMPV6
    {
        let valid = packet.envelope.icmpv6(packet.payload.to_vec());
        link.handle_frame(&valid, &Neighbours, now);
    }
    if frame::ethertype(bytes) == Some(ipv4::ETHERTYPE_IPV4) {
        link.handle_frame(&crate::sealed(bytes), &Neighbours, now);
    }
    // Whoever follows a Reconfigure is told that its addresses went, and nobody else.
    let told = link.reconfigurable().cloned();
    let mut changed = plan();
    let dhcpv6 = changed.dhcpv6.as_mut();
    dhcpv6.expect("it is served").dns_servers.clear();
    link.handle_plan(changed, now);
    assert!(link.learned().count() <= LEARNED_MAX);
    let events = std::iter::from_fn(|| link.poll_event()).count();
    assert!(events <= EVENTS_MAX);
    let (mut frames, mut reconfigures) = (0, 0);
    while let Some(frame) = link.poll_transmit(now + Duration::from_secs(1)) {
        frames += 1;
        if frame::ethertype(&frame) == Some(ipv4::ETHERTYPE_IPV4) {
            let (_, udp) = ipv4::parse(&frame).expect("a link sends valid datagrams");
            dhcpv4::ServerMessage::parse(udp.data).expect("a link sends valid DHCPv4");
            continue;
        }
        let packet = frame::parse(&frame).expect("a link sends valid frames");
        assert!(packet.payload.len() <= 2048);
        if let Some(udp) = packet.udp() {
            if dhcpv6::ServerMessage::parse(udp.data).is_err() {
                let client = told.as_ref().expect("it follows a Reconfigure");
                Reconfigure::parse(udp.data, &client.key).expect("a link sends valid DHCPv6");
                reconfigures += 1;
            }
        } else {
            let message = ndp::parse(&packet).expect("a link sends valid Neighbor Discovery");
            match message {
                NdpMessage::RouterAdvert(_) | NdpMessage::NeighborAdvert(_) => {}
                NdpMessage::NeighborSolicit(solicit) => {
                    let plan = link.plan();
                    assert!(
                        plan.may_learn(solicit.target) && !plan.addresses.contains(&solicit.target)
                    );
                }
                NdpMessage::RouterSolicit(_) => panic!("a link asks for no router"),
            }
        }
    }
    assert!(frames <= TRANSMITS_MAX);
    assert_eq!(reconfigures > 0, told.is_some());
    // The first frame alone has one answer: more says that the link understood what it was told.
    frames > 1 || events > 0
}

fn plan() -> LinkPlan {
    let prefix = Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 0), 96);
    let address = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 0x17);
    let dns = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);
    LinkPlan {
        port: PortId(Uuid::from_u128(1)),
        number: PortNumber(1),
        vni: Vni(42),
        on_segment: false,
        mac: Mac([0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]),
        addresses: vec![address],
        learnable: vec![Learnable {
            prefix: Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0), 64),
            gateway_ip: None,
        }],
        mtu: 1430,
        admin_state_up: true,
        ra: Some(RaPlan {
            managed: true,
            other: true,
            router_lifetime_s: 0,
            retrans_timer_ms: 100,
            max_rtr_adv_interval_s: 600,
            mtu: 1430,
            prefixes: vec![RaPrefix {
                prefix,
                autonomous: false,
                valid_lifetime_s: 5400,
                preferred_lifetime_s: 2700,
            }],
            rdnss: vec![dns],
            dnssl: vec!["example.org".to_owned()],
            dns_lifetime_s: 1800,
        }),
        router: None,
        dhcpv6: Some(Dhcpv6Plan {
            // The server of the golden packets, so that what names it gets far.
            server_duid: Uuid::from_u128(0x6b1c_9d54_0f3e_4a77_9c11_2d3e_4f50_6172),
            addresses: vec![address],
            solicit_without_address: SolicitWithoutAddress::NoAddrsAvail,
            preferred_lifetime_s: 2700,
            times: RenewalTimes::of_preferred_lifetime(2700),
            valid_lifetime_s: 5400,
            dns_servers: vec![dns],
            dns_search: vec!["example.org".to_owned()],
            options: [(59, b"tftp://[2001:db8::69]/x.efi".to_vec())].into(),
        }),
        dhcpv4: Some(Dhcpv4Plan {
            leases: vec![Dhcpv4Lease {
                address: Ipv4Addr::new(10, 0, 0, 5),
                subnet: Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 24),
                router: Some(Ipv4Addr::new(10, 0, 0, 1)),
                routes: Vec::new(),
                dns_servers: vec![Ipv4Addr::new(192, 0, 2, 53)],
                host_name: "host-10-0-0-5".to_owned(),
            }],
            lease_time_s: 5400,
            times: RenewalTimes::of_lease(5400),
            mtu: 1430,
            dns_search: vec!["example.org".to_owned()],
            options: [(67, b"pxelinux.0".to_vec())].into(),
            boot_server: Some(Ipv4Addr::new(192, 0, 2, 69).into()),
        }),
    }
}
