//! Frames with names.

/// A frame with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its name.
    pub name: &'static str,
    /// The same in words.
    pub words: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// Every example.
pub const EXAMPLES: [Example; 16] = [
    example(
        "rs",
        "ipv6 src=link-local dst=all-routers hop-limit=255 icmpv6 type=133 ll-option",
        "a Router Solicitation",
    ),
    example(
        "ns",
        "ipv6 src=own dst=service hop-limit=255 icmpv6 type=135 target=service ll-option",
        "a Neighbor Solicitation for the service",
    ),
    example(
        "ns-dad",
        "ipv6 src=any hop-limit=255 icmpv6 type=135 target=own",
        "a duplicate address check",
    ),
    example(
        "na",
        "ipv6 src=own dst=all-nodes hop-limit=255 icmpv6 type=136 target=own ll-option",
        "a Neighbor Advertisement",
    ),
    example(
        "ra",
        "ipv6 src=link-local dst=all-nodes hop-limit=255 icmpv6 type=134 ll-option",
        "a Router Advertisement, which guests do not send",
    ),
    example(
        "redirect",
        "ipv6 src=link-local dst=all-nodes hop-limit=255 icmpv6 type=137 target=own",
        "a Redirect, which guests do not send",
    ),
    example(
        "mld-report",
        "ipv6 src=link-local dst=ff02::16 hop-limit=1 hop-by-hop icmpv6 type=143",
        "an MLDv2 report",
    ),
    example(
        "echo",
        "ipv6 src=own dst=service icmpv6 type=128",
        "an ICMPv6 echo request",
    ),
    example(
        "echo4",
        "ipv4 src=own dst=service icmp type=8",
        "an ICMP echo request",
    ),
    example(
        "dhcpv6-solicit",
        "ipv6 src=link-local dst=ff02::1:2 dhcpv6 sport=546 dport=547 type=1",
        "a DHCPv6 Solicit",
    ),
    example(
        "dhcpv6-information-request",
        "ipv6 src=link-local dst=ff02::1:2 dhcpv6 sport=546 dport=547 type=11",
        "a DHCPv6 Information-request",
    ),
    example(
        "dhcpv6-advertise",
        "ipv6 src=link-local dst=all-nodes dhcpv6 sport=547 dport=546 type=2",
        "a DHCPv6 server's message, which guests do not send",
    ),
    example(
        "dhcpv4-discover",
        "ipv4 src=any dst=all-nodes dhcpv4 sport=68 dport=67",
        "a DHCPDISCOVER",
    ),
    example(
        "dhcpv4-offer",
        "ipv4 src=own dst=all-nodes dhcpv4 sport=67 dport=68",
        "a DHCPv4 server's message, which guests do not send",
    ),
    example(
        "arp",
        "arp src=own target=service",
        "an ARP request for the service",
    ),
    example(
        "spoofed",
        "ipv6 src=2001:db8:bad::1 dst=all-nodes udp sport=9 dport=9",
        "a datagram from an address that is not the port's",
    ),
];

const fn example(name: &'static str, words: &'static str, about: &'static str) -> Example {
    Example { name, words, about }
}

pub(super) fn find(name: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.name == name)
}

pub(super) fn names() -> String {
    EXAMPLES.map(|example| example.name).join(", ")
}
