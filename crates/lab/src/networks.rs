//! The networks of the lab and who is on them.

use crate::guest::Client;

/// A network with one subnet.
#[derive(Clone, Copy, Debug)]
pub struct NetworkSpec {
    /// Its name, and the first part of its guests' names.
    pub name: &'static str,
    /// The subnet's prefix.
    pub cidr: &'static str,
    /// `ipv6_ra_mode` and `ipv6_address_mode`.
    pub mode: &'static str,
    /// The network's MTU, where it is not the cloud's default.
    pub mtu: Option<u32>,
    /// The guests, each pinging the next and the last the first.
    pub guests: &'static [Client],
}

/// The name servers of every subnet: Alibaba's public ones, as ZStack's guide has them.
pub const DNS_SERVERS: [&str; 2] = ["2400:3200::1", "2400:3200:baba::1"];

/// Every mode that hosts serve, each with the clients that can use it. A kernel alone gets no address where DHCPv6
/// assigns them, and `dhclient -6` none where it does not.
pub const ALL: [NetworkSpec; 4] = [
    NetworkSpec {
        name: "slaac",
        cidr: "2001:db8:1::/64",
        mode: "slaac",
        mtu: None,
        guests: &[Client::Kernel, Client::Kernel, Client::Dhcpcd],
    },
    NetworkSpec {
        name: "stateless",
        cidr: "2001:db8:2::/64",
        mode: "dhcpv6-stateless",
        mtu: Some(1400),
        guests: &[Client::Kernel, Client::DhclientStateless, Client::Dhcpcd],
    },
    NetworkSpec {
        name: "stateful",
        cidr: "2001:db8:3::/64",
        mode: "dhcpv6-stateful",
        mtu: Some(1280),
        guests: &[Client::Dhclient, Client::Dhclient, Client::Dhcpcd],
    },
    // The subnet of ZStack's guide, whose guests ended with a /64 or without a route to their neighbours.
    NetworkSpec {
        name: "zstack",
        cidr: "2024:8:6:86:1::/96",
        mode: "dhcpv6-stateful",
        mtu: None,
        guests: &[Client::Dhclient, Client::Dhcpcd],
    },
];

/// A network that is quick to plug and whose guests keep what a fault does to them: nothing but a renewal repairs it.
pub const FOR_FAULTS: [NetworkSpec; 1] = [NetworkSpec {
    name: "faults",
    cidr: "2024:8:6:86:1::/96",
    mode: "dhcpv6-stateful",
    mtu: None,
    guests: &[Client::Dhclient, Client::Dhclient, Client::Dhclient],
}];
