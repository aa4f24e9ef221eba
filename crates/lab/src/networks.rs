//! The networks of the lab and who is on them.

use anyhow::{Result, bail};

use crate::client::Client;

/// A network with one IPv6 subnet, and one of IPv4 where it says so.
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
    /// The IPv4 subnet besides.
    pub ipv4: Option<Ipv4Spec>,
    /// The physical segment that it is, where it is one.
    pub physical: Option<Physical>,
    /// Options of its ports by DHCP: the API's name, the value, the IP version.
    pub options: &'static [(&'static str, &'static str, u8)],
    /// The guests, each pinging the next and the last the first.
    pub guests: &'static [Client],
}

/// A physical segment with a router.
#[derive(Clone, Copy, Debug)]
pub struct Physical {
    /// Its name, as the cloud's administrator has it.
    pub name: &'static str,
    /// Whether the router advertises to guests (`ipv6_ra_mode` is unset); else the host does, and names the router.
    pub router_advertises: bool,
    /// What the router says besides, in radvd's words.
    pub flags: &'static str,
}

/// An IPv4 subnet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Spec {
    /// Its prefix.
    pub cidr: &'static str,
    /// Whether it has a gateway, at the first address.
    pub gateway: bool,
    /// A route for its guests: destination and next hop.
    pub host_route: Option<(&'static str, &'static str)>,
}

/// The name servers of every IPv6 subnet: Alibaba's public ones, as ZStack's guide has them.
pub const DNS_SERVERS: [&str; 2] = ["2400:3200::1", "2400:3200:baba::1"];

/// The same in IPv4.
pub const DNS_SERVERS_IPV4: [&str; 2] = ["223.5.5.5", "223.6.6.6"];

const SEGMENT_GUESTS: &[Client] = &[
    Client::Kernel,
    Client::Kernel,
    Client::Dhcpcd,
    Client::Networkd,
];

const OPTIONS_IPV4: &[(&str, &str, u8)] = &[
    ("domain-search", "a.example.org,example.org", 4),
    ("ntp-server", "192.0.2.123,192.0.2.124", 4),
    ("bootfile-name", "pxelinux.0", 4),
];

/// Every mode that hosts serve, each with the clients that can use it. A kernel alone gets no address where DHCPv6
/// assigns them, and `dhclient -6` none where it does not.
pub const ALL: [NetworkSpec; 10] = [
    NetworkSpec {
        name: "slaac",
        cidr: "2001:db8:1::/64",
        mode: "slaac",
        mtu: None,
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[
            Client::Kernel,
            Client::Kernel,
            Client::Private,
            Client::Dhcpcd,
            Client::Networkd,
            Client::NetworkManager,
        ],
    },
    NetworkSpec {
        name: "stateless",
        cidr: "2001:db8:2::/64",
        mode: "dhcpv6-stateless",
        mtu: Some(1400),
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[
            Client::Kernel,
            Client::DhclientStateless,
            Client::Dhcpcd,
            Client::Networkd,
            Client::NetworkManager,
        ],
    },
    NetworkSpec {
        name: "stateful",
        cidr: "2001:db8:3::/64",
        mode: "dhcpv6-stateful",
        mtu: Some(1280),
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[
            Client::Dhclient,
            Client::Dhclient64,
            Client::Wide,
            Client::Dhcpcd,
            Client::Networkd,
            Client::NetworkManager,
        ],
    },
    // The subnet of ZStack's guide, whose guests ended with a /64 or without a route to their neighbours.
    NetworkSpec {
        name: "zstack",
        cidr: "2024:8:6:86:1::/96",
        mode: "dhcpv6-stateful",
        mtu: None,
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[
            Client::Dhclient,
            Client::Dhcpcd,
            Client::Networkd,
            Client::NetworkManager,
        ],
    },
    NetworkSpec {
        name: "dual",
        cidr: "2001:db8:4::/64",
        mode: "slaac",
        mtu: Some(1400),
        ipv4: Some(Ipv4Spec {
            cidr: "10.4.0.0/24",
            gateway: true,
            host_route: Some(("198.51.100.0/24", "10.4.0.9")),
        }),
        physical: None,
        options: &[],
        guests: &[
            Client::Dhclient4,
            Client::Udhcpc,
            Client::DhcpcdDual,
            Client::NetworkdDual,
            Client::NetworkManagerDual,
            Client::Machine,
        ],
    },
    // No way out: no router is announced, and none is invented.
    NetworkSpec {
        name: "island",
        cidr: "2001:db8:5::/64",
        mode: "slaac",
        mtu: None,
        ipv4: Some(Ipv4Spec {
            cidr: "10.5.0.0/26",
            gateway: false,
            host_route: None,
        }),
        physical: None,
        options: &[],
        guests: &[
            Client::Udhcpc,
            Client::DhcpcdDual,
            Client::NetworkdDual,
            Client::NetworkManagerDual,
        ],
    },
    // What DHCP says besides: by DHCPv6, then by DHCPv4. Where it assigns no addresses, systemd-networkd 252 takes none of it.
    NetworkSpec {
        name: "options",
        cidr: "2001:db8:c::/64",
        mode: "dhcpv6-stateful",
        mtu: None,
        ipv4: None,
        physical: None,
        options: &[
            ("domain-search", "a.example.org,example.org", 6),
            ("ntp-server", "2001:db8::7b", 6),
            ("bootfile-url", "tftp://[2001:db8::69]/x.efi", 6),
        ],
        guests: &[Client::Dhclient, Client::Dhcpcd, Client::Networkd],
    },
    NetworkSpec {
        name: "options4",
        cidr: "2001:db8:d::/64",
        mode: "slaac",
        mtu: None,
        ipv4: Some(Ipv4Spec {
            cidr: "10.7.0.0/24",
            gateway: true,
            host_route: None,
        }),
        physical: None,
        options: OPTIONS_IPV4,
        guests: &[
            Client::Dhclient4,
            Client::Udhcpc,
            Client::DhcpcdDual,
            Client::NetworkdDual,
        ],
    },
    // Two physical segments, each with a router: guests hear it on the first, and are told of it on the second.
    NetworkSpec {
        name: "segment",
        cidr: "2001:db8:7::/64",
        mode: "slaac",
        mtu: None,
        ipv4: None,
        physical: Some(Physical {
            name: "phys1",
            router_advertises: true,
            flags: "",
        }),
        options: &[],
        guests: SEGMENT_GUESTS,
    },
    NetworkSpec {
        name: "gateway",
        cidr: "2001:db8:8::/64",
        mode: "slaac",
        mtu: None,
        ipv4: None,
        physical: Some(Physical {
            name: "phys2",
            router_advertises: false,
            flags: "",
        }),
        options: &[],
        guests: SEGMENT_GUESTS,
    },
];

/// Those with these names, all of them if none is said.
///
/// # Errors
/// When one is of no network.
pub fn named(names: &[String]) -> Result<Vec<NetworkSpec>> {
    let known = || ALL.iter().map(|network| network.name);
    for name in names {
        if !known().any(|known| known == name) {
            let known: Vec<&str> = known().collect();
            bail!("no network {name}: there are {}", known.join(", "));
        }
    }
    let asked =
        |network: &NetworkSpec| names.is_empty() || names.iter().any(|name| name == network.name);
    Ok(ALL.into_iter().filter(asked).collect())
}

/// A network that is quick to plug and whose guests keep what a fault does to them: nothing but a renewal repairs it.
/// The second is for the faults of IPv4.
pub const FOR_FAULTS: [NetworkSpec; 2] = [
    NetworkSpec {
        name: "faults",
        cidr: "2024:8:6:86:1::/96",
        mode: "dhcpv6-stateful",
        mtu: None,
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[Client::Dhclient, Client::Dhclient, Client::Dhclient],
    },
    NetworkSpec {
        name: "faults4",
        cidr: "2001:db8:6::/64",
        mode: "slaac",
        mtu: None,
        ipv4: Some(Ipv4Spec {
            cidr: "10.6.0.0/24",
            gateway: true,
            host_route: None,
        }),
        physical: None,
        options: OPTIONS_IPV4,
        guests: &[Client::Dhclient4, Client::Dhclient4, Client::Dhclient4],
    },
];
