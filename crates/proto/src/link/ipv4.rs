//! The IPv4 side of a link: DHCPv4. ARP is the fast path's.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use hextet_core::link::SERVICE_IPV4;
use hextet_core::mac::Mac;
use hextet_wire::dhcpv4::{self, ClientHeader, Discard, ServerMessage, ServerMessageKind};
use hextet_wire::frame::Udp;
use hextet_wire::ipv4::{self, Ipv4Envelope, Ipv4Error};

use super::Link;
use crate::counters::{DropReason, Sent};
use crate::dhcpv4::Given;
use crate::event::LinkEvent;
use crate::history::{Exchange, Note};

const BROADCAST_MAC: Mac = Mac([0xff; 6]);

impl Link {
    /// # Errors
    /// Why it is no datagram that anything could be made of.
    pub(super) fn handle_ipv4(&mut self, frame: &[u8], now: Instant) -> Result<(), DropReason> {
        let (_, udp) = ipv4::parse(frame).map_err(|error| match error {
            Ipv4Error::Fragment => DropReason::Fragment,
            Ipv4Error::NotUdp(_) => DropReason::NotServed,
            _ => DropReason::Frame,
        })?;
        if udp.destination_port != dhcpv4::SERVER_PORT {
            self.counters.drop(DropReason::NotServed);
            return Ok(());
        }
        let mut heard = "message";
        let (outcome, address) = match self.handle_dhcpv4(udp.data, &mut heard) {
            Ok((kind, address)) => (Ok(kind), address),
            Err(reason) => {
                self.counters.drop(reason);
                (Err(reason), None)
            }
        };
        let addresses = address.into_iter().map(IpAddr::V4);
        let exchange = Exchange::new(heard, outcome, addresses);
        self.history.note(Note::Dhcpv4(exchange), now);
        Ok(())
    }

    /// Wherever the datagram was sent to: a client that renews its lease may send it by a router. Returns what was
    /// answered, if anything, and with which address.
    ///
    /// # Errors
    /// Why there is no answer.
    fn handle_dhcpv4(
        &mut self,
        message: &[u8],
        heard: &mut &'static str,
    ) -> Result<(Option<Sent>, Option<Ipv4Addr>), DropReason> {
        let plan = self.plan.dhcpv4.as_ref().ok_or(DropReason::Dhcpv4Off)?;
        let message = dhcpv4::parse(message).map_err(|discard| match discard {
            Discard::Relayed => DropReason::Dhcpv4Relayed,
            _ => DropReason::Dhcpv4Invalid,
        })?;
        *heard = message.question.name();
        let answer = crate::dhcpv4::answer(plan, &message)?;
        let mtu = plan.mtu;
        let said = answer
            .message
            .as_ref()
            .map(|reply| self.send_dhcpv4(reply, &message.header, mtu));
        let given = answer.message.map(|reply| reply.yiaddr);
        match answer.noted {
            Some(Given::Released(address)) => self.event(LinkEvent::Released {
                addresses: vec![IpAddr::V4(address)],
            }),
            Some(Given::Declined(address)) => self.event(LinkEvent::Declined {
                addresses: vec![IpAddr::V4(address)],
            }),
            None => {}
        }
        Ok((said, given.filter(|address| !address.is_unspecified())))
    }

    fn send_dhcpv4(&mut self, reply: &ServerMessage, client: &ClientHeader, mtu: u16) -> Sent {
        let (kind, refused) = match reply.kind {
            ServerMessageKind::Offer => (Sent::Dhcpv4Offer, false),
            ServerMessageKind::Ack => (Sent::Dhcpv4Ack, false),
            ServerMessageKind::Nak => (Sent::Dhcpv4Nak, true),
        };
        // RFC 2131 §4.1: a refusal to all, else to the address that the client has, else as it asks for.
        let (mac_destination, destination) = if refused {
            (BROADCAST_MAC, Ipv4Addr::BROADCAST)
        } else if !client.ciaddr.is_unspecified() {
            (self.plan.mac, client.ciaddr)
        } else if client.broadcast {
            (BROADCAST_MAC, Ipv4Addr::BROADCAST)
        } else {
            (self.plan.mac, reply.yiaddr)
        };
        let envelope = Ipv4Envelope {
            mac_destination,
            mac_source: self.plan.service_mac(),
            source: SERVICE_IPV4,
            destination,
        };
        let most = client
            .packet_bytes_max
            .min(mtu.max(dhcpv4::PACKET_BYTES_MIN));
        let (data, left_out) = reply.emit(most, &client.requested);
        for _ in 0..left_out {
            self.counters.drop(DropReason::Dhcpv4NoRoom);
        }
        let frame = envelope.udp(Udp {
            source_port: dhcpv4::SERVER_PORT,
            destination_port: dhcpv4::CLIENT_PORT,
            data: &data,
        });
        self.transmit(frame, kind);
        kind
    }
}
