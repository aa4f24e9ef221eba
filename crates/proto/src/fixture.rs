//! What the tests of the machines share: a plan, a guest's frames, a directory.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::link::{
    Dhcpv4Lease, Dhcpv4Plan, Dhcpv6Plan, Learnable, LinkPlan, RaPlan, RaPrefix,
};
use hextet_core::mac::Mac;
use hextet_core::modes::SolicitWithoutAddress;
use hextet_core::settings::RenewalTimes;
use hextet_wire::dhcpv6::{self, ClientMessage, ServerMessage};
use hextet_wire::frame::{self, ALL_ROUTERS, Envelope, Udp, multicast_mac, solicited_node};
use hextet_wire::mld::{self, Query};
use hextet_wire::ndp::{
    self, HOP_LIMIT, NdOption, NdpMessage, NeighborSolicit, RouterAdvert, RouterSolicit,
};
use uuid::Uuid;

use crate::directory::{Directory, Holder, HolderKind};
use crate::link::Link;

pub(crate) const GUEST: Mac = Mac([0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]);
pub(crate) const OTHER: Mac = Mac([0xfa, 0x16, 0x3e, 0x44, 0x55, 0x66]);
pub(crate) const NOBODY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

pub(crate) fn port(number: u128) -> PortId {
    PortId(Uuid::from_u128(number))
}

/// An address from its text.
pub(crate) fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// An IPv4 address from its text.
pub(crate) fn ipv4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// Two subnets with an address of the port in each.
pub(crate) fn dhcpv4_plan() -> Dhcpv4Plan {
    let lease = |address, subnet: &str, router: Option<&str>| Dhcpv4Lease {
        address: ipv4(address),
        subnet: subnet.parse().unwrap(),
        router: router.map(ipv4),
        routes: vec![],
        dns_servers: vec![ipv4("192.0.2.53")],
        host_name: "host".to_owned(),
    };
    Dhcpv4Plan {
        leases: vec![
            lease("10.0.0.5", "10.0.0.0/24", Some("10.0.0.1")),
            lease("10.0.1.5", "10.0.1.0/25", None),
        ],
        lease_time_s: 5400,
        times: RenewalTimes::of_lease(5400),
        mtu: 1430,
        dns_search: vec!["example.org".to_owned()],
        options: BTreeMap::new(),
        boot_server: None,
    }
}

/// A slaac /64 and a stateful /96 with one address each, and two IPv4 subnets.
pub(crate) fn plan() -> LinkPlan {
    let prefix = |prefix: &str, autonomous| RaPrefix {
        prefix: prefix.parse().unwrap(),
        autonomous,
        valid_lifetime_s: 5400,
        preferred_lifetime_s: 2700,
    };
    LinkPlan {
        port: port(1),
        number: PortNumber(1),
        vni: Vni(42),
        on_segment: false,
        mac: GUEST,
        addresses: vec![ip("2001:db8:1::f816:3eff:fe11:2233"), ip("2001:db8:3::17")],
        learnable: vec![Learnable {
            prefix: "2001:db8:1::/64".parse().unwrap(),
            gateway_ip: Some(ip("2001:db8:1::1")),
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
            prefixes: vec![
                prefix("2001:db8:1::/64", true),
                prefix("2001:db8:3::/96", false),
            ],
            rdnss: vec![ip("2001:db8::53")],
            dnssl: vec!["example.org".to_owned()],
            dns_lifetime_s: 1800,
        }),
        router: None,
        dhcpv6: Some(Dhcpv6Plan {
            server_duid: Uuid::from_u128(7),
            addresses: vec![ip("2001:db8:3::17")],
            solicit_without_address: SolicitWithoutAddress::NoAddrsAvail,
            preferred_lifetime_s: 2700,
            times: RenewalTimes::of_preferred_lifetime(2700),
            valid_lifetime_s: 5400,
            dns_servers: vec![ip("2001:db8::53")],
            dns_search: vec!["example.org".to_owned()],
            options: BTreeMap::new(),
        }),
        dhcpv4: Some(dhcpv4_plan()),
    }
}

/// Who holds what, as a test says it.
#[derive(Default)]
pub(crate) struct Book(pub(crate) BTreeMap<Ipv6Addr, Holder>);

impl Book {
    pub(crate) fn with(mut self, address: &str, number: u128, kind: HolderKind) -> Self {
        let holder = Holder {
            port: Some(port(number)),
            mac: OTHER,
            kind,
        };
        self.0.insert(ip(address), holder);
        self
    }
}

impl Directory for Book {
    fn holder(&self, _vni: Vni, address: Ipv6Addr) -> Option<Holder> {
        self.0.get(&address).copied()
    }
}

/// A hand-turned clock's beginning: tests add to it and never look at the real one again.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn envelope(source: Ipv6Addr, destination: Ipv6Addr) -> Envelope {
    Envelope {
        mac_destination: multicast_mac(destination),
        mac_source: GUEST,
        source,
        destination,
        hop_limit: HOP_LIMIT,
    }
}

pub(crate) fn router_solicit(source: Ipv6Addr) -> Vec<u8> {
    NdpMessage::RouterSolicit(RouterSolicit { options: vec![] })
        .emit(&envelope(source, ALL_ROUTERS))
}

pub(crate) fn neighbor_solicit(source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let options = if source.is_unspecified() {
        vec![]
    } else {
        vec![NdOption::SourceLinkLayer(GUEST)]
    };
    NdpMessage::NeighborSolicit(NeighborSolicit { target, options })
        .emit(&envelope(source, solicited_node(target)))
}

/// A duplicate address check.
pub(crate) fn probe(target: &str) -> Vec<u8> {
    neighbor_solicit(NOBODY, ip(target))
}

pub(crate) fn dhcpv6(message: &ClientMessage) -> Vec<u8> {
    let all = dhcpv6::ALL_DHCP_RELAY_AGENTS_AND_SERVERS;
    envelope(GUEST.link_local(), all).udp(Udp {
        source_port: dhcpv6::CLIENT_PORT,
        destination_port: dhcpv6::SERVER_PORT,
        data: &message.emit(),
    })
}

/// Everything that a link has to send now, but its questions about groups.
pub(crate) fn drain(link: &mut Link, now: Instant) -> Vec<Vec<u8>> {
    let frames = std::iter::from_fn(|| link.poll_transmit(now));
    frames.filter(|frame| query_of(frame).is_none()).collect()
}

/// The MLD query in a frame, with its envelope.
pub(crate) fn query_of(frame: &[u8]) -> Option<(Envelope, Query)> {
    let packet = frame::parse(frame).ok()?;
    Some((packet.envelope, mld::parse(&packet).ok()?))
}

/// Neighbor Discovery in a frame, with its envelope.
pub(crate) fn ndp_of(frame: &[u8]) -> (Envelope, NdpMessage) {
    let packet = frame::parse(frame).unwrap();
    (packet.envelope, ndp::parse(&packet).unwrap())
}

/// The Router Advertisement in a frame, with its envelope.
pub(crate) fn ra_of(frame: &[u8]) -> (Envelope, RouterAdvert) {
    match ndp_of(frame) {
        (envelope, NdpMessage::RouterAdvert(advert)) => (envelope, advert),
        other => panic!("no Router Advertisement: {other:?}"),
    }
}

/// The DHCPv6 answer in a frame, with its envelope.
pub(crate) fn dhcpv6_of(frame: &[u8]) -> (Envelope, ServerMessage) {
    let packet = frame::parse(frame).unwrap();
    let udp = packet.udp().unwrap();
    assert_eq!((udp.source_port, udp.destination_port), (547, 546));
    (packet.envelope, ServerMessage::parse(udp.data).unwrap())
}
