//! The DHCPv6 side of a link.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use hextet_core::mac::Mac;
use hextet_wire::dhcpv6::{self, Discard, ServerMessage, ServerMessageKind};
use hextet_wire::frame::{Envelope, Packet, Udp};

use super::Link;
use crate::counters::{DropReason, Sent};
use crate::dhcpv6::Given;
use crate::event::LinkEvent;
use crate::history::{Exchange, Note};
use crate::reconfigure::{Due, Reconfigurable};

/// Bytes of an IPv6 and a UDP header.
const HEADERS_BYTES: usize = 48;
/// Hop limit of DHCPv6 datagrams, which never leave the link.
const DHCPV6_HOP_LIMIT: u8 = 64;

impl Link {
    pub(super) fn handle_dhcpv6(&mut self, packet: &Packet<'_>, udp: Udp<'_>, now: Instant) {
        let mut heard = "message";
        let (outcome, addresses) = match self.answer_dhcpv6(packet, udp, &mut heard) {
            Ok((kind, addresses)) => (Ok(Some(kind)), addresses),
            Err(reason) => {
                self.counters.drop(reason);
                (Err(reason), Vec::new())
            }
        };
        let exchange = Exchange::new(heard, outcome, addresses.into_iter().map(IpAddr::V6));
        self.history.note(Note::Dhcpv6(exchange), now);
    }

    /// What was answered, with which addresses.
    ///
    /// # Errors
    /// Why there is no answer.
    fn answer_dhcpv6(
        &mut self,
        packet: &Packet<'_>,
        udp: Udp<'_>,
        heard: &mut &'static str,
    ) -> Result<(Sent, Vec<Ipv6Addr>), DropReason> {
        let envelope = &packet.envelope;
        let plan = self.plan.dhcpv6.as_ref().ok_or(DropReason::Dhcpv6Off)?;
        if envelope.source.is_unspecified() {
            return Err(DropReason::Dhcpv6Source);
        }
        let message = dhcpv6::parse(udp.data).map_err(reason)?;
        *heard = message.name();
        if let Some(duid) = message.client() {
            self.history.client(duid);
        }
        if envelope.destination != dhcpv6::ALL_DHCP_RELAY_AGENTS_AND_SERVERS {
            let reply = crate::dhcpv6::unicast(plan, &message)?;
            self.send_dhcpv6(&reply, envelope, Sent::Dhcpv6UseMulticast);
            return Ok((Sent::Dhcpv6UseMulticast, Vec::new()));
        }
        let mut answer = crate::dhcpv6::answer(plan, &message)?;
        let from = (envelope.mac_source, envelope.source);
        let before = self.reconfigurer.client().cloned();
        self.reconfigurer
            .handle_answer(plan, &message, from, &mut answer.message);
        let kind = match answer.message.kind {
            ServerMessageKind::Advertise => Sent::Dhcpv6Advertise,
            ServerMessageKind::Reply => Sent::Dhcpv6Reply,
        };
        self.send_dhcpv6(&answer.message, envelope, kind);
        match answer.noted {
            Some(given) if given.is_empty() => {}
            Some(Given::Released(addresses)) => self.event(LinkEvent::Released { addresses }),
            Some(Given::Declined(addresses)) => self.event(LinkEvent::Declined { addresses }),
            None => {}
        }
        self.tell_reconfigurable(before.as_ref());
        let ias = answer.message.ias.iter().flat_map(|ia| &ia.addresses);
        let given = ias.filter(|given| given.valid_lifetime_s > 0);
        Ok((kind, given.map(|given| given.address).collect()))
    }

    /// Tells the client that something changed, when it is due.
    pub(super) fn poll_reconfigure(&mut self, now: Instant) {
        let Some(plan) = &self.plan.dhcpv6 else {
            return;
        };
        match self.reconfigurer.poll(plan, now) {
            None => {}
            Some(Due::Send(client, datagram)) => {
                self.history.note(Note::Reconfigured(client.kind), now);
                let to = (client.mac, client.address);
                self.send_datagram(&datagram, to, Sent::Dhcpv6Reconfigure);
            }
            Some(Due::GivenUp) => self.counters.drop(DropReason::Dhcpv6NotReconfigured),
        }
    }

    /// Tells the agent who may be reconfigured, if that changed.
    pub(super) fn tell_reconfigurable(&mut self, before: Option<&Reconfigurable>) {
        let client = self.reconfigurer.client();
        if client != before {
            let client = client.cloned().map(Box::new);
            self.event(LinkEvent::Reconfigurable { client });
        }
    }

    /// To whoever sent the message in this envelope.
    fn send_dhcpv6(&mut self, message: &ServerMessage, to: &Envelope, kind: Sent) {
        let room = (self.plan.mtu as usize).saturating_sub(HEADERS_BYTES);
        let (data, left_out) = message.emit_within(room);
        for _ in 0..left_out {
            self.counters.drop(DropReason::Dhcpv6NoRoom);
        }
        self.send_datagram(&data, (to.mac_source, to.source), kind);
    }

    fn send_datagram(&mut self, data: &[u8], to: (Mac, Ipv6Addr), kind: Sent) {
        let envelope = Envelope {
            mac_destination: to.0,
            mac_source: self.plan.service_mac(),
            source: self.plan.service_link_local(),
            destination: to.1,
            hop_limit: DHCPV6_HOP_LIMIT,
        };
        let frame = envelope.udp(Udp {
            source_port: dhcpv6::SERVER_PORT,
            destination_port: dhcpv6::CLIENT_PORT,
            data,
        });
        self.transmit(frame, kind);
    }
}

fn reason(discard: Discard) -> DropReason {
    match discard {
        Discard::TooLong(_) | Discard::Malformed | Discard::Repeated => DropReason::Dhcpv6Malformed,
        Discard::Relayed => DropReason::Dhcpv6Relayed,
        Discard::NotForServers(_) => DropReason::Dhcpv6NotForServers,
        Discard::ClientId => DropReason::Dhcpv6ClientId,
        Discard::ServerId | Discard::UnwantedServerId => DropReason::Dhcpv6ServerId,
        Discard::UnwantedIa => DropReason::Dhcpv6UnwantedIa,
    }
}
