//! What a link sent, and what it left unanswered, by reason.

use std::collections::BTreeMap;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every reason.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The name that reports and logs use.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }
    };
}

reasons!(
    /// Why a frame of the guest got no answer, or an answer or event was not delivered.
    DropReason {
        /// Port or network administratively down.
        AdminDown = "admin_down",
        /// Not parseable as Ethernet II and IPv6 within the bounds, nor as a whole IPv4 datagram.
        Frame = "frame",
        /// A fragment: neither Neighbor Discovery nor DHCP is taken from fragments (RFC 6980 §5).
        Fragment = "fragment",
        /// Neither ICMPv6 nor UDP to a DHCP server's port.
        NotServed = "not_served",
        /// Neighbor Discovery that RFC 4861 §6.1, §7.1 tells to discard.
        NdpInvalid = "ndp_invalid",
        /// The Neighbor Discovery checksum is wrong.
        NdpChecksum = "ndp_checksum",
        /// Router Advertisement, Redirect or another message that guests do not send.
        NdpNotGuests = "ndp_not_guests",
        /// The source address is none of the port's.
        NdpSource = "ndp_source",
        /// The guest claims an address that another port or the service holds.
        AddressConflict = "address_conflict",
        /// The port has as many addresses of its own as it may learn: a further one was refused.
        LearnedFull = "learned_full",
        /// From an address that was not checked for duplicates: the guest is asked for it first.
        Unproven = "unproven",
        /// A solicitation for an address that nobody is known to hold.
        NdpUnknownTarget = "ndp_unknown_target",
        /// A solicitation for an address of the port itself.
        NdpOwnTarget = "ndp_own_target",
        /// A Neighbor Advertisement: nothing here depends on one.
        NdpAdvert = "ndp_advert",
        /// A Router Solicitation where there is nothing to advertise.
        RaOff = "ra_off",
        /// Longer than any client's message, cut short, or an identifier twice (RFC 9915 §8, §16, §21.1).
        Dhcpv6Malformed = "dhcpv6_malformed",
        /// A message that servers do not receive (RFC 9915 §16).
        Dhcpv6NotForServers = "dhcpv6_not_for_servers",
        /// No Client Identifier, or one that is no DUID (RFC 9915 §16.2 to §16.9).
        Dhcpv6ClientId = "dhcpv6_client_id",
        /// No valid Server Identifier where one must be, or one where none may be (RFC 9915 §16.2 to §16.9).
        Dhcpv6ServerId = "dhcpv6_server_id",
        /// An Information-request with an identity association (RFC 9915 §16.12).
        Dhcpv6UnwantedIa = "dhcpv6_unwanted_ia",
        /// From nobody: there is no address to answer to.
        Dhcpv6Source = "dhcpv6_source",
        /// A relay's message: a port's link has none (RFC 9915 §19).
        Dhcpv6Relayed = "dhcpv6_relayed",
        /// Sent to the server's own address, and none of the messages that are told to use multicast instead.
        Dhcpv6Unicast = "dhcpv6_unicast",
        /// Meant for another server.
        Dhcpv6OtherServer = "dhcpv6_other_server",
        /// The network leaves this message to another server.
        Dhcpv6Silence = "dhcpv6_silence",
        /// A Confirm with no address to judge (RFC 9915 §18.3.3).
        Dhcpv6NothingToConfirm = "dhcpv6_nothing_to_confirm",
        /// A client that follows a Reconfigure did not: eight of them had no answer (RFC 9915 §18.3.11).
        Dhcpv6NotReconfigured = "dhcpv6_not_reconfigured",
        /// DHCPv6 is off on every subnet of the network.
        Dhcpv6Off = "dhcpv6_off",
        /// Not valid as RFC 2131 has it.
        Dhcpv4Invalid = "dhcpv4_invalid",
        /// A relay agent's message.
        Dhcpv4Relayed = "dhcpv4_relayed",
        /// Meant for another server.
        Dhcpv4OtherServer = "dhcpv4_other_server",
        /// Questions about an address that is not the port's, which a refusal does not answer.
        Dhcpv4ForeignAddress = "dhcpv4_foreign_address",
        /// The port has no address of an IPv4 subnet with DHCP.
        Dhcpv4Off = "dhcpv4_off",
        /// An option had no room in an answer of the size that the client takes; the answer was sent without it.
        Dhcpv4NoRoom = "dhcpv4_no_room",
        /// The same of DHCPv6: options of the port's own, where the link's MTU leaves no room for them.
        Dhcpv6NoRoom = "dhcpv6_no_room",
        /// The queue of frames was full: the newest was not queued.
        TransmitsFull = "transmits_full",
        /// The queue of events was full: the newest was not queued, an address not learned.
        EventsFull = "events_full",
    }
);

reasons!(
    /// What was sent to the guest.
    Sent {
        /// Router Advertisement on the guest's first frame, or when it was administratively let in.
        RaFirst = "ra_first",
        /// Router Advertisement that answers a solicitation.
        RaSolicited = "ra_solicited",
        /// Periodic Router Advertisement, multicast.
        RaPeriodic = "ra_periodic",
        /// Router Advertisement because what it says changed.
        RaChange = "ra_change",
        /// Router Advertisement that takes everything back (RFC 4861 §6.2.5).
        RaFinal = "ra_final",
        /// DHCPv6 Advertise.
        Dhcpv6Advertise = "dhcpv6_advertise",
        /// DHCPv6 Reply.
        Dhcpv6Reply = "dhcpv6_reply",
        /// DHCPv6 Reply that tells a client to use multicast.
        Dhcpv6UseMulticast = "dhcpv6_use_multicast",
        /// DHCPv6 Reconfigure: the client is to ask again.
        Dhcpv6Reconfigure = "dhcpv6_reconfigure",
        /// DHCPOFFER.
        Dhcpv4Offer = "dhcpv4_offer",
        /// DHCPACK.
        Dhcpv4Ack = "dhcpv4_ack",
        /// DHCPNAK.
        Dhcpv4Nak = "dhcpv4_nak",
        /// Neighbor Advertisement that names a neighbour or the service.
        NaSolicited = "na_solicited",
        /// Neighbor Advertisement that makes a duplicate address check fail.
        NaDefence = "na_defence",
        /// Neighbor Advertisement, unasked: a neighbour's address is at another MAC.
        NaMoved = "na_moved",
        /// The same in IPv4: an ARP announcement.
        ArpMoved = "arp_moved",
        /// MLD query: which groups the guest listens to.
        MldQuery = "mld_query",
        /// Neighbor Solicitation that asks the guest whether it has an address.
        NsTest = "ns_test",
    }
);

/// A link's counters since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames, answers and events dropped, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Frames queued for the guest, by kind.
    pub sent: BTreeMap<Sent, u64>,
}

impl LinkCounters {
    pub(crate) fn drop(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    pub(crate) fn sent(&mut self, kind: Sent) {
        *self.sent.entry(kind).or_default() += 1;
    }

    /// Takes in what another one counted.
    pub fn add(&mut self, other: &LinkCounters) {
        for (reason, count) in &other.dropped {
            *self.dropped.entry(*reason).or_default() += count;
        }
        for (kind, count) in &other.sent {
            *self.sent.entry(*kind).or_default() += count;
        }
    }

    /// How often frames were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(&reason).copied().unwrap_or(0)
    }
}
