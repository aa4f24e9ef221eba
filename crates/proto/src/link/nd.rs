//! Neighbor Discovery of a link, and the addresses that its guest forms by itself.

use std::net::Ipv6Addr;
use std::time::Instant;

use hextet_core::ids::PortId;
use hextet_core::mac::Mac;
use hextet_wire::arp;
use hextet_wire::frame::{self, ALL_NODES, Envelope, Packet};
use hextet_wire::ndp::{self, NdpError, NdpMessage};

use super::{EVENTS_MAX, EVENTS_RESERVED, Link};
use crate::counters::{DropReason, Sent};
use crate::directory::Directory;
use crate::event::LinkEvent;
use crate::history::{Note, ProbeResult};
use crate::learned::{Due, Noted};
use crate::nd::{self, Claim, Target};

impl Link {
    /// A frame that the fast path did not let pass, as its source is not known to be the port's though it may be: no
    /// duplicate address check was seen (RFC 6620 §3.2.3). The guest is asked for it. The frame may be cut behind its
    /// IPv6 header.
    pub fn handle_source(&mut self, frame: &[u8], directory: &dyn Directory, now: Instant) {
        if !self.plan.admin_state_up {
            return self.counters.drop(DropReason::AdminDown);
        }
        let Some(source) = frame::source(frame) else {
            return self.counters.drop(DropReason::Frame);
        };
        match nd::claim(&self.plan, source, directory) {
            Claim::Learnable(_) => {
                self.prove(source, now);
            }
            Claim::Held(holder) => self.conflict(source, holder.port),
            Claim::Own | Claim::Foreign => self.counters.drop(DropReason::NdpSource),
        }
    }

    /// The fast path saw this learned address in use.
    pub fn handle_used(&mut self, address: Ipv6Addr, now: Instant) {
        self.neighbours.refresh(address, now);
    }

    /// Another port's guest wants an address that this one holds: this one is asked whether it still does.
    pub fn handle_contest(&mut self, address: Ipv6Addr, now: Instant) {
        self.neighbours.contest(address, now);
    }

    /// Somebody on the physical segment says that this address is its own. What is learned stays, and what the plan assigns;
    /// what is not learned yet never is.
    pub fn handle_objection(&mut self, address: Ipv6Addr, now: Instant) {
        if self.neighbours.is_candidate(address) {
            self.neighbours
                .retain_candidates(|candidate| candidate != address);
            let claim = ProbeResult::Held { holder: None };
            self.history.note(Note::Probed { address, claim }, now);
            self.conflict(address, None);
        }
    }

    /// A neighbour's address (of IPv4: mapped into IPv6) is at another MAC: the guest, which may know the old one, need not
    /// wait until that fails (RFC 4861 §7.2.6, RFC 5227 §2.3). One that was not heard yet knows nobody.
    pub fn handle_moved(&mut self, address: Ipv6Addr, mac: Mac) {
        if !self.plan.admin_state_up || !self.guest_seen {
            return;
        }
        let (frame, kind) = match address.to_ipv4_mapped() {
            Some(ipv4) => {
                let service = self.plan.service_mac();
                let frame = arp::announcement(self.plan.mac, service, ipv4, mac);
                (frame, Sent::ArpMoved)
            }
            None => (nd::moved(&self.plan, address, mac), Sent::NaMoved),
        };
        self.transmit(frame, kind);
    }

    /// Who holds what has changed, or the plan: what is learned and has come to be another's, or is no guest's to take
    /// any more, is forgotten, and what is being tested tested no more.
    pub fn handle_directory(&mut self, directory: &dyn Directory) {
        let plan = &self.plan;
        self.neighbours.retain_candidates(|address| {
            matches!(nd::claim(plan, address, directory), Claim::Learnable(_))
        });
        let learned: Vec<Ipv6Addr> = self.learned().map(|(address, _)| address).collect();
        for address in learned {
            match nd::claim(&self.plan, address, directory) {
                Claim::Learnable(_) => {}
                Claim::Held(holder) => {
                    // A guest whose check still runs, as another's of the same moment, sees it fail (RFC 4862 §5.4.4).
                    if self.plan.admin_state_up {
                        let frame = nd::moved(&self.plan, address, holder.mac);
                        self.transmit(frame, Sent::NaDefence);
                    }
                    self.conflict(address, holder.port);
                }
                Claim::Own | Claim::Foreign => {
                    self.neighbours.forget(address);
                    self.events.push_back(LinkEvent::Forgotten { address });
                }
            }
        }
    }

    /// Asks the guest for addresses whose time has come, and forgets those that it did not answer for.
    pub(super) fn handle_tests(&mut self, now: Instant) {
        while self.plan.admin_state_up
            && let Some(due) = self.neighbours.poll(now)
        {
            match due {
                Due::Ask(address) => {
                    let frame = nd::question(&self.plan, address);
                    self.transmit(frame, Sent::NsTest);
                }
                Due::Gone(address) => self.events.push_back(LinkEvent::Forgotten { address }),
                Due::Proven(address, first_holder) => self.learn(address, first_holder, now),
            }
        }
    }

    pub(super) fn handle_ndp(
        &mut self,
        packet: &Packet<'_>,
        directory: &dyn Directory,
        now: Instant,
    ) {
        let message = match ndp::parse(packet) {
            Ok(message) => message,
            Err(NdpError::NotNdp) => return self.counters.drop(DropReason::NotServed),
            Err(NdpError::Checksum) => return self.counters.drop(DropReason::NdpChecksum),
            Err(_) => return self.counters.drop(DropReason::NdpInvalid),
        };
        let envelope = &packet.envelope;
        match message {
            NdpMessage::RouterSolicit(_) => self.handle_router_solicit(envelope, directory, now),
            NdpMessage::NeighborSolicit(solicit) if envelope.source.is_unspecified() => {
                self.handle_probe(envelope, &solicit, directory, now);
            }
            NdpMessage::NeighborSolicit(solicit) => {
                self.handle_neighbor_solicit(envelope, &solicit, directory, now);
            }
            NdpMessage::NeighborAdvert(advert) => {
                self.handle_neighbor_advert(advert.target, directory, now);
            }
            NdpMessage::RouterAdvert(_) => self.counters.drop(DropReason::NdpNotGuests),
        }
    }

    /// RFC 4861 §6.2.6, without its delay: the answer goes to the one who asked.
    fn handle_router_solicit(
        &mut self,
        envelope: &Envelope,
        directory: &dyn Directory,
        now: Instant,
    ) {
        let to_all = envelope.source.is_unspecified();
        if !to_all && !self.admit_source(envelope.source, directory, now) {
            return;
        }
        let adverts = self.advertiser.handle_solicit(to_all, now);
        let note = Note::Solicited {
            source: envelope.source,
            answered: !adverts.is_empty(),
        };
        self.history.note(note, now);
        if adverts.is_empty() {
            return self.counters.drop(DropReason::RaOff);
        }
        let destination = if to_all { ALL_NODES } else { envelope.source };
        self.send_adverts(
            adverts,
            envelope.mac_source,
            destination,
            Sent::RaSolicited,
            now,
        );
    }

    /// A duplicate address check (RFC 4862 §5.4.3).
    fn handle_probe(
        &mut self,
        envelope: &Envelope,
        probe: &ndp::NeighborSolicit,
        directory: &dyn Directory,
        now: Instant,
    ) {
        let claim = nd::claim(&self.plan, probe.target, directory);
        self.note_probe(probe.target, claim, now);
        match claim {
            Claim::Own => {}
            Claim::Learnable(first_holder) => self.take(probe.target, first_holder, now),
            Claim::Held(holder) => {
                let frame = nd::defence(&self.plan, envelope, probe, holder.mac);
                self.transmit(frame, Sent::NaDefence);
                self.conflict(probe.target, holder.port);
            }
            Claim::Foreign => self.counters.drop(DropReason::NdpUnknownTarget),
        }
    }

    fn handle_neighbor_solicit(
        &mut self,
        envelope: &Envelope,
        solicit: &ndp::NeighborSolicit,
        directory: &dyn Directory,
        now: Instant,
    ) {
        if !self.admit_source(envelope.source, directory, now) {
            return;
        }
        let found = nd::resolve(&self.plan, solicit.target, directory);
        self.note_question(envelope.source, solicit.target, found, now);
        match found {
            Target::Answer(mac) => {
                let frame = nd::answer(&self.plan, envelope, solicit.target, mac);
                self.transmit(frame, Sent::NaSolicited);
            }
            Target::Own => self.counters.drop(DropReason::NdpOwnTarget),
            Target::Unknown => self.counters.drop(DropReason::NdpUnknownTarget),
        }
    }

    /// Whether the guest may speak from this address; learns it on the way.
    fn admit_source(&mut self, source: Ipv6Addr, directory: &dyn Directory, now: Instant) -> bool {
        match nd::claim(&self.plan, source, directory) {
            Claim::Own => return true,
            // Whoever speaks from a link-local address has checked it, or its check was missed: no other guest can be
            // harmed, as clones are admitted towards the service alone.
            Claim::Learnable(first_holder) if source.is_unicast_link_local() => {
                if !self.neighbours.knows(source) && !self.neighbours.is_candidate(source) {
                    self.question(source);
                }
                self.take(source, first_holder, now);
                return true;
            }
            Claim::Learnable(_) => return self.prove(source, now),
            Claim::Held(holder) => self.conflict(source, holder.port),
            Claim::Foreign => {}
        }
        self.counters.drop(DropReason::NdpSource);
        false
    }

    /// Whether the address is known to be the guest's; else the guest is asked for it.
    fn prove(&mut self, address: Ipv6Addr, now: Instant) -> bool {
        if self.neighbours.knows(address) {
            self.neighbours.refresh(address, now);
            return true;
        }
        let asked = self.neighbours.is_candidate(address);
        if self.neighbours.examine(address, now) && !asked {
            self.question(address);
        }
        self.counters.drop(DropReason::Unproven);
        false
    }

    /// An answer to one of our questions proves an address; of itself it is a claim like another (RFC 4861 §7.2.6).
    fn handle_neighbor_advert(
        &mut self,
        target: Ipv6Addr,
        directory: &dyn Directory,
        now: Instant,
    ) {
        match nd::claim(&self.plan, target, directory) {
            Claim::Own => {}
            Claim::Learnable(first_holder) if self.neighbours.is_candidate(target) => {
                return self.take(target, first_holder, now);
            }
            Claim::Learnable(_) => {
                self.prove(target, now);
                return;
            }
            Claim::Held(holder) => return self.conflict(target, holder.port),
            Claim::Foreign => {}
        }
        self.counters.drop(DropReason::NdpAdvert);
    }

    /// The guest showed that it has the address: learned, where nobody else can have it; on a physical segment others may,
    /// and have [`crate::PROBATION`] to say so, whatever the guest makes of it.
    fn take(&mut self, address: Ipv6Addr, first_holder: Option<PortId>, now: Instant) {
        if !self.plan.on_segment || self.neighbours.knows(address) {
            self.learn(address, first_holder, now);
        } else if !self.neighbours.hold(address, first_holder, now) {
            self.counters.drop(DropReason::LearnedFull);
        }
    }

    fn learn(&mut self, address: Ipv6Addr, first_holder: Option<PortId>, now: Instant) {
        if self.neighbours.knows_with(address, first_holder) {
            return self.neighbours.refresh(address, now);
        }
        // Learning takes up to two events; without room for them the table would say what the agent never heard.
        if self.events.len() + 2 + EVENTS_RESERVED > EVENTS_MAX {
            return self.counters.drop(DropReason::EventsFull);
        }
        match self.neighbours.note(address, first_holder, now) {
            Noted::Known => {}
            Noted::Refused => self.counters.drop(DropReason::LearnedFull),
            Noted::New { forgotten } => {
                if let Some(address) = forgotten {
                    self.events.push_back(LinkEvent::Forgotten { address });
                }
                self.events.push_back(LinkEvent::Learned {
                    address,
                    first_holder,
                });
            }
        }
    }

    /// Somebody else holds the address: it is not, or no longer, the guest's.
    fn conflict(&mut self, address: Ipv6Addr, holder: Option<PortId>) {
        self.counters.drop(DropReason::AddressConflict);
        if self.neighbours.forget(address) {
            self.events.push_back(LinkEvent::Forgotten { address });
        }
        self.event(LinkEvent::Conflict { address, holder });
    }

    fn note_probe(&mut self, address: Ipv6Addr, claim: Claim, now: Instant) {
        let claim = match claim {
            Claim::Own => ProbeResult::Own,
            Claim::Learnable(first_holder) => ProbeResult::Learned { first_holder },
            Claim::Held(holder) => ProbeResult::Held {
                holder: holder.port,
            },
            Claim::Foreign => ProbeResult::Foreign,
        };
        if claim == ProbeResult::Own {
            self.history.confirm(address);
        }
        self.history.note(Note::Probed { address, claim }, now);
    }

    fn note_question(&mut self, source: Ipv6Addr, target: Ipv6Addr, found: Target, now: Instant) {
        if self.plan.addresses.contains(&source) {
            self.history.confirm(source);
        }
        let known = found != Target::Unknown;
        if !known && crate::diagnosis::is_beyond_prefix(&self.plan, target) {
            self.history.beyond_prefix(target);
        }
        self.history.note(Note::Asked { target, known }, now);
    }
}
