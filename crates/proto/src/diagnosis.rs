//! What is wrong with a port, in words that say what to do: from the plan, what happened on the link, and what its host
//! knows besides. Pure; names and words are for people, nothing acts on them.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hextet_core::ids::PortId;
use hextet_core::link::{LinkPlan, RaPlan};

use crate::history::{History, Note, ProbeResult, Topic};
use crate::link::Link;

/// How long a guest that was heard has for believing an advertisement: MAX_RTR_SOLICITATIONS times
/// RTR_SOLICITATION_INTERVAL (RFC 4861 §10), and its own checks.
pub const BELIEVES_WITHIN: Duration = Duration::from_secs(15);
/// Solicitations after an answer that say that it was not believed; one may be a lost frame.
const UNHEEDED_MAX: u32 = 2;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $harmful:literal;)*) => {
        /// What can be wrong with a port.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Problem {
            $($(#[$doc])* $name,)*
        }

        impl Problem {
            /// Every one.
            pub const ALL: &'static [Problem] = &[$(Problem::$name),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Problem::$name => $text,)*
                }
            }

            /// Whether the guest lacks something because of it; else it is worth knowing.
            pub fn is_harmful(self) -> bool {
                match self {
                    $(Problem::$name => $harmful,)*
                }
            }
        }
    };
}

problems! {
    /// The host cannot carry the port.
    HostDown = "host-down", true;
    /// Administratively down.
    AdminDown = "admin-down", true;
    /// Nothing was heard of the guest.
    GuestSilent = "guest-silent", true;
    /// The guest sends from another MAC.
    WrongMac = "wrong-mac", true;
    /// The guest uses up what it may show to the agent.
    Flood = "flood", true;
    /// Nobody advertises.
    NoRouterAdvertisement = "no-ra", true;
    /// The guest does not believe what is advertised.
    RaIgnored = "ra-ignored", true;
    /// The guest forms other addresses than it was given.
    OtherAddress = "other-address", false;
    /// The client has its address as a /128, and no route to its neighbours.
    Prefix128 = "prefix-128", true;
    /// The client takes its longer prefix for a /64.
    Prefix64 = "prefix-64", true;
    /// The advertisement sends to DHCPv6, and no client asks.
    NoDhcpv6Client = "no-dhcpv6-client", true;
    /// The DHCPv6 client gets no answer.
    Dhcpv6Unanswered = "dhcpv6-unanswered", true;
    /// The DHCPv4 client gets no answer.
    Dhcpv4Unanswered = "dhcpv4-unanswered", true;
    /// DHCP options of names that are nobody's.
    UnknownDhcpOption = "unknown-dhcp-option", true;
    /// The guest checks an address that another holds.
    AddressConflict = "address-conflict", true;
    /// The guest's MTU is not the network's.
    MtuMismatch = "mtu-mismatch", true;
    /// The guest sends from addresses that are not its own.
    ForeignSource = "foreign-source", true;
    /// Another router's advertisement contradicts the subnet.
    WrongFlags = "wrong-flags", true;
    /// Two guests show one DUID.
    ClonedDuid = "cloned-duid", false;
    /// Two guests form one interface identifier.
    ClonedSecret = "cloned-secret", false;
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub problem: Problem,
    /// What was seen, and what to do.
    pub words: String,
}

/// What the link itself does not know.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Why the host cannot carry the port.
    pub down: Option<String>,
    /// Other ports of the host whose DHCPv6 clients show the same DUID.
    pub same_duid: Vec<PortId>,
    /// Addresses that this guest and another port's formed.
    pub same_address: Vec<(Ipv6Addr, PortId)>,
    /// The MTU of the host's end, bytes; `None`: not known.
    pub link_mtu: Option<u32>,
    /// The MTU of the guest's end, bytes; `None`: not known, as of a tap.
    pub guest_mtu: Option<u32>,
    /// Frames of the guest that were larger than the network's MTU.
    pub too_big: u64,
    /// Frames that the guest's end of the link did not take.
    pub refused_by_guest: u64,
    /// Frames from a MAC that is not the port's.
    pub other_mac: u64,
    /// Frames from addresses that are not the port's.
    pub foreign_source: u64,
    /// Frames for the agent beyond the port's budget.
    pub over_budget: u64,
    /// Another router on the segment is heard.
    pub router_heard: bool,
    /// What another router on the segment says that the subnet does not.
    pub contradictions: Vec<String>,
    /// Names among its `extra_dhcp_opts` that are no option's.
    pub unknown_options: Vec<String>,
}

/// What is wrong, the most likely cause of the rest first; empty when nothing is.
pub fn diagnose(link: &Link, around: &Around, now: Instant) -> Vec<Finding> {
    let (plan, history) = (link.plan(), link.history());
    let mut findings = Vec::new();
    let mut find = |problem, words: String| findings.push(Finding { problem, words });
    if let Some(why) = &around.down {
        find(
            Problem::HostDown,
            format!("This host does not carry the port: {why}."),
        );
    }
    if !plan.admin_state_up {
        find(
            Problem::AdminDown,
            "The port or its network is administratively down: everything is dropped. \
             `openstack port set --enable`, `openstack network set --enable`."
                .to_owned(),
        );
        return findings;
    }
    silence(plan, history, around, &mut find);
    advertisement(plan, history, around, now, &mut find);
    dhcp(plan, history, now, &mut find);
    for name in &around.unknown_options {
        find(
            Problem::UnknownDhcpOption,
            format!(
                "The guest is not told of '{name}' among extra_dhcp_opts: no DHCP option has this name. \
                 Give dnsmasq's name, ISC's, or a number."
            ),
        );
    }
    addresses(history, around, &mut find);
    mtu(plan, around, &mut find);
    for text in &around.contradictions {
        find(Problem::WrongFlags, text.clone());
    }
    findings
}

/// One sentence about all of it.
pub fn verdict(findings: &[Finding]) -> String {
    let mut harmful = findings.iter().filter(|found| found.problem.is_harmful());
    match (harmful.next(), harmful.count()) {
        (Some(first), 0) => first.words.clone(),
        (Some(first), more) => format!("{} ({more} more below)", first.words),
        (None, _) if findings.is_empty() => "Nothing is wrong that this host can see.".to_owned(),
        (None, _) => "It works; something is worth knowing.".to_owned(),
    }
}

/// Whether a guest that asks for this address takes the prefix of one of its addresses for a /64 (old dhclient does,
/// whatever the subnet's length).
pub(crate) fn is_beyond_prefix(plan: &LinkPlan, target: Ipv6Addr) -> bool {
    let prefixes = || plan.ra.iter().flat_map(|ra| &ra.prefixes);
    let is_in = |address: Ipv6Addr| prefixes().any(|known| known.prefix.contains(&address));
    let half = |address: Ipv6Addr| address.to_bits() >> 64;
    let longer = |address: Ipv6Addr| {
        prefixes().any(|known| known.prefix.contains(&address) && known.prefix.prefix_len() > 64)
    };
    !is_in(target)
        && plan
            .addresses
            .iter()
            .any(|own| half(*own) == half(target) && longer(*own))
}

fn silence(
    plan: &LinkPlan,
    history: &History,
    around: &Around,
    find: &mut impl FnMut(Problem, String),
) {
    if around.other_mac > 0 {
        find(
            Problem::WrongMac,
            format!(
                "{} frames came from another MAC than the port's, {}, and were dropped: give the guest's interface \
                 that MAC.",
                around.other_mac, plan.mac
            ),
        );
    }
    let heard = history.heard().is_some() || history.resumed();
    if !heard && around.down.is_none() {
        find(
            Problem::GuestSilent,
            "Nothing was heard of the guest since its link came up: is it running, and is its interface up?".to_owned(),
        );
    }
    if around.over_budget > 0 {
        find(
            Problem::Flood,
            format!(
                "The guest sent {} more solicitations or DHCP messages than it may show to the agent: these got no \
                 answer. Something in it asks in a loop.",
                around.over_budget
            ),
        );
    }
}

fn advertisement(
    plan: &LinkPlan,
    history: &History,
    around: &Around,
    now: Instant,
    find: &mut impl FnMut(Problem, String),
) {
    let solicited = history.count(Topic::RouterSolicit);
    let Some(ra) = &plan.ra else {
        if solicited > 0 && !around.router_heard {
            find(
                Problem::NoRouterAdvertisement,
                format!(
                    "The guest solicited a router {solicited} times, and Hextet advertises no subnet of its network: \
                     a router on the physical segment must (ipv6_ra_mode unset), or the network lacks a subnet with \
                     ipv6_ra_mode."
                ),
            );
        }
        return;
    };
    let Some(why) = unbelieved(plan, ra, history, now) else {
        return;
    };
    if let Some(formed) = history.formed()
        && ra
            .prefixes
            .iter()
            .any(|known| known.prefix.contains(&formed))
    {
        find(
            Problem::OtherAddress,
            format!(
                "The guest formed {formed} besides or instead of the address that the API gave it: it uses privacy or \
                 opaque addresses. They are learned where nobody else has them; set its address generation to eui64 \
                 where the API's address must be the one."
            ),
        );
        return;
    }
    find(
        Problem::RaIgnored,
        format!(
            "The guest ignores Router Advertisements: {why}. In the guest: accept_ra must be 1, or 2 where it forwards; \
             accept_ra_pinfo and autoconf 1; no filter may drop ICMPv6 type 134."
        ),
    );
    if given(history) {
        find(
            Problem::Prefix128,
            "Its DHCPv6 client has the address as a /128, and without the advertisement no route to its neighbours: \
             DHCPv6 carries no prefix length."
                .to_owned(),
        );
    }
}

/// Why the guest does not seem to believe what is advertised; `None` where it does, or it is too early to say, or this
/// process did not see it.
fn unbelieved(
    plan: &LinkPlan,
    ra: &RaPlan,
    history: &History,
    now: Instant,
) -> Option<&'static str> {
    if history.unheeded() >= UNHEEDED_MAX {
        return Some("it solicits again though it was answered");
    }
    let heard = history.heard()?;
    if now.saturating_duration_since(heard) < BELIEVES_WITHIN {
        return None;
    }
    let own_prefix = |address: &Ipv6Addr| {
        let mut prefixes = ra.prefixes.iter();
        prefixes.any(|known| {
            known.autonomous && known.valid_lifetime_s > 0 && known.prefix.contains(address)
        })
    };
    let mut expected = plan
        .addresses
        .iter()
        .filter(|own| own_prefix(own))
        .peekable();
    let forms = expected.peek().is_some();
    if forms && !expected.any(|own| history.confirmed(*own)) {
        return Some(if history.answered().is_some() {
            "it was answered and does not form its address"
        } else {
            "it never solicited a router and does not form its address"
        });
    }
    if !forms && history.count(Topic::RouterSolicit) == 0 {
        return Some("it never solicited a router");
    }
    None
}

/// Whether a DHCPv6 client was given an address.
fn given(history: &History) -> bool {
    matches!(
        history.last().get(&Topic::Dhcpv6).map(|last| &last.note),
        Some(Note::Dhcpv6(exchange)) if exchange.outcome.is_ok() && !exchange.addresses.is_empty()
    )
}

fn dhcp(plan: &LinkPlan, history: &History, now: Instant, find: &mut impl FnMut(Problem, String)) {
    let managed = plan.ra.as_ref().is_some_and(|ra| ra.managed);
    let early = history
        .heard()
        .is_none_or(|heard| now.saturating_duration_since(heard) < BELIEVES_WITHIN);
    if managed && !early && history.count(Topic::Dhcpv6) == 0 {
        find(
            Problem::NoDhcpv6Client,
            "The advertisement sends the guest to DHCPv6 (M), and no client asks: start one in the guest, on this \
             interface."
                .to_owned(),
        );
    }
    for (topic, problem) in [
        (Topic::Dhcpv6, Problem::Dhcpv6Unanswered),
        (Topic::Dhcpv4, Problem::Dhcpv4Unanswered),
    ] {
        let Some(last) = history.last().get(&topic) else {
            continue;
        };
        let (Note::Dhcpv6(exchange) | Note::Dhcpv4(exchange)) = &last.note else {
            continue;
        };
        if let Err(reason) = exchange.outcome {
            find(
                problem,
                format!(
                    "The guest's last {} message ({}) got no answer: {}.",
                    topic.name(),
                    exchange.message,
                    reason.name()
                ),
            );
        }
    }
    if let Some(target) = history.beyond() {
        find(
            Problem::Prefix64,
            format!(
                "The guest asks for {target}, which is outside its subnet and inside the same /64: its client takes the \
                 prefix for a /64 (dhclient before 4.3.6). Use `dhclient -6 --address-prefix-len 128`, or a newer client."
            ),
        );
    }
}

fn addresses(history: &History, around: &Around, find: &mut impl FnMut(Problem, String)) {
    if let Some(Note::Probed {
        address,
        claim: ProbeResult::Held { holder },
    }) = history.last().get(&Topic::Probe).map(|last| &last.note)
    {
        let holder = holder.map_or("the network's service or its segment".to_owned(), |id| {
            format!("port {id}")
        });
        find(
            Problem::AddressConflict,
            format!(
                "The guest wants to use {address}, which {holder} holds: its check was made to fail."
            ),
        );
    }
    if around.foreign_source > 0 {
        find(
            Problem::ForeignSource,
            format!(
                "{} frames came from addresses that are not the port's and were dropped: give the port these addresses \
                 (fixed_ips), or take them off the guest.",
                around.foreign_source
            ),
        );
    }
    if !around.same_duid.is_empty() {
        find(
            Problem::ClonedDuid,
            format!(
                "Its DHCPv6 client shows the same DUID as that of {}: the guests are clones. Harmless here, where a \
                 lease is the port's; to mend it give each its own machine-id or DUID file.",
                ports(around.same_duid.iter())
            ),
        );
    }
    for (address, other) in &around.same_address {
        find(
            Problem::ClonedSecret,
            format!(
                "The guests of this port and of port {other} formed the same {address}: clones with one stable-privacy \
                 secret. It works towards the network and not between the two; give each its own secret \
                 (stable_secret, NetworkManager's secret_key), or use eui64."
            ),
        );
    }
}

fn mtu(plan: &LinkPlan, around: &Around, find: &mut impl FnMut(Problem, String)) {
    let wanted = plan.mtu;
    if let Some(seen) = around.link_mtu.filter(|seen| *seen != wanted) {
        find(
            Problem::MtuMismatch,
            format!("The host's end of the link has MTU {seen}, the network {wanted}."),
        );
    }
    if let Some(seen) = around.guest_mtu.filter(|seen| *seen != wanted) {
        // Those that came before its interface was up are among them, so without another MTU they are no finding.
        let lost = match around.refused_by_guest {
            frames if frames > 0 && seen < wanted => format!(" It did not take {frames} frames."),
            _ => String::new(),
        };
        find(
            Problem::MtuMismatch,
            format!(
                "The guest's interface has MTU {seen}, the network {wanted}: set it to {wanted}.{lost}"
            ),
        );
    }
    if around.too_big > 0 {
        find(
            Problem::MtuMismatch,
            format!(
                "{} frames of the guest were larger than the network's MTU and were dropped: set the guest's interface \
                 to {wanted}.",
                around.too_big
            ),
        );
    }
}

fn ports<'a>(ids: impl Iterator<Item = &'a PortId>) -> String {
    let names: Vec<String> = ids.map(|id| format!("port {id}")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
