//! One port's link: the Router Advertisement sender, the DHCPv6 and the DHCPv4 server and the Neighbor Discovery
//! responder behind one door.

mod dhcpv6;
mod ipv4;
mod nd;

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hextet_core::ids::PortId;
use hextet_core::link::LinkPlan;
use hextet_core::mac::Mac;
use hextet_wire::dhcpv6::SERVER_PORT;
use hextet_wire::frame::{
    self, ALL_NODES, Envelope, FrameError, NEXT_HEADER_ICMPV6, multicast_mac,
};
use hextet_wire::ipv4::ETHERTYPE_IPV4;
use hextet_wire::mld::Query;
use hextet_wire::ndp::{HOP_LIMIT, NdOption, NdpMessage, RouterAdvert};

use crate::counters::{DropReason, LinkCounters, Sent};
use crate::directory::Directory;
use crate::event::LinkEvent;
use crate::history::{History, Note};
use crate::learned::{CANDIDATES_MAX, LEARNED_MAX, Neighbours};
use crate::querier::{QUERY_INTERVAL, QUERY_RESPONSE_INTERVAL, Querier, ROBUSTNESS};
use crate::ra::{Advertiser, Change};
use crate::reconfigure::{Reconfigurable, ReconfigureSeed, Reconfigurer};

/// Frames that wait to be polled.
pub const TRANSMITS_MAX: usize = 32;
/// Events that wait to be polled.
pub const EVENTS_MAX: usize = 128;
/// Room kept in the events' queue for forgetting everything that is learned, so that this is never lost.
const EVENTS_RESERVED: usize = 2 * LEARNED_MAX;

/// An address of the guest that was learned before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The address.
    pub address: Ipv6Addr,
    /// Who learned it first, if another port did.
    pub first_holder: Option<PortId>,
    /// For how long it was not seen in use.
    pub unseen: Duration,
}

/// The protocols that a host speaks on one port's link.
///
/// After each `handle_*`, drain [`Link::poll_transmit`] and [`Link::poll_event`], then sleep until
/// [`Link::poll_timeout`] or the next thing to handle.
#[derive(Clone, Debug)]
pub struct Link {
    plan: LinkPlan,
    /// A frame of the guest was seen since the link came up.
    guest_seen: bool,
    advertiser: Advertiser,
    reconfigurer: Reconfigurer,
    neighbours: Neighbours,
    querier: Querier,
    transmits: VecDeque<Vec<u8>>,
    /// Addresses that the physical segment is to be asked for.
    questions: VecDeque<Ipv6Addr>,
    events: VecDeque<LinkEvent>,
    counters: LinkCounters,
    history: History,
}

impl Link {
    /// A link whose guest was not heard yet. The seed spreads the timers of many links.
    pub fn new(plan: LinkPlan, seed: u64) -> Link {
        Link {
            advertiser: Advertiser::new(plan.ra.clone(), seed),
            reconfigurer: Reconfigurer::new(seed),
            plan,
            guest_seen: false,
            neighbours: Neighbours::default(),
            querier: Querier::new(seed),
            transmits: VecDeque::new(),
            questions: VecDeque::new(),
            events: VecDeque::new(),
            counters: LinkCounters::default(),
            history: History::default(),
        }
    }

    /// The same, which tells DHCPv6 clients of changes if they listen to that (RFC 9915 §18.3.11).
    #[must_use]
    pub fn reconfiguring(mut self, seed: ReconfigureSeed) -> Link {
        self.reconfigurer.enable(seed);
        self
    }

    /// The plan changed. A guest that was heard hears at once what changed in the advertisement; where nothing is left
    /// to advertise, the old content is taken back. What DHCPv6 assigns takes effect with the next message, for which a
    /// client that follows a Reconfigure is asked.
    pub fn handle_plan(&mut self, plan: LinkPlan, now: Instant) {
        let was_up = self.plan.admin_state_up;
        if self.guest_seen && was_up && self.plan.advertiser() != plan.advertiser() {
            self.dismiss_router(now);
        }
        self.plan = plan;
        let is_up = self.plan.admin_state_up;
        self.reconfigurer
            .handle_plan(self.plan.dhcpv6.as_ref().filter(|_| is_up), now);
        let heard = self.guest_seen && was_up && is_up;
        let change = self
            .advertiser
            .handle_plan(self.plan.ra.clone(), heard, now);
        if !is_up {
            self.advertiser.handle_silence();
            self.querier.handle_silence();
            self.transmits.clear();
        } else if !was_up {
            self.advertiser.handle_silence();
            if self.guest_seen {
                self.handle_first_frame(now);
            }
        } else {
            let (adverts, kind) = match change {
                Change::Nothing => return,
                Change::Content(adverts) => (adverts, Sent::RaChange),
                Change::Final(adverts) => (adverts, Sent::RaFinal),
            };
            self.send_adverts(adverts, self.plan.mac, ALL_NODES, kind, now);
        }
    }

    /// The link appeared, or appeared again: whoever is there now was not heard yet, and what was learned is void.
    pub fn handle_up(&mut self, now: Instant) {
        for address in self.neighbours.forget_all() {
            self.events.push_back(LinkEvent::Forgotten { address });
        }
        if self.reconfigurer.is_enabled() {
            // Whatever the agent kept of it, too.
            self.reconfigurer.forget();
            self.event(LinkEvent::Reconfigurable { client: None });
        }
        self.questions.clear();
        self.guest_seen = false;
        self.advertiser.handle_silence();
        self.querier.handle_silence();
        self.transmits.clear();
        self.history.begin(now);
    }

    /// The guest's first frame since the link came up, whatever it was: the guest listens now, so it hears the
    /// advertisement before it asks.
    pub fn handle_first_frame(&mut self, now: Instant) {
        self.guest_seen = true;
        self.history.note(Note::FirstFrame, now);
        if !self.plan.admin_state_up {
            self.counters.drop(DropReason::AdminDown);
            return;
        }
        self.querier.handle_first_frame(now);
        let adverts = self.advertiser.handle_first_frame(now);
        self.send_adverts(adverts, self.plan.mac, ALL_NODES, Sent::RaFirst, now);
    }

    /// The guest was heard before this process began: advertisements go on, none at once.
    pub fn handle_resume(&mut self, now: Instant) {
        self.guest_seen = true;
        self.history.note(Note::Resumed, now);
        if self.plan.admin_state_up {
            self.advertiser.handle_resume(now);
            self.querier.handle_unknown(now);
        }
    }

    /// Nothing is known of the groups that the guest listens to. One that was not heard yet will report what it joins.
    pub fn handle_unknown_groups(&mut self, now: Instant) {
        if self.plan.admin_state_up && self.guest_seen {
            self.querier.handle_unknown(now);
        }
    }

    /// Addresses that were learned before this process began, in that order. At most [`LEARNED_MAX`] are taken, and no event
    /// is made of them.
    pub fn handle_learned(&mut self, learned: &[Known], now: Instant) {
        for known in learned.iter().take(LEARNED_MAX) {
            self.neighbours
                .restore(known.address, known.first_holder, known.unseen, now);
        }
    }

    /// The DHCPv6 client that was known before this process began. What changed meanwhile it is told at once.
    pub fn handle_reconfigurable(&mut self, client: Reconfigurable, now: Instant) {
        self.reconfigurer.restore(client);
        let plan = self.plan.dhcpv6.as_ref();
        let plan = plan.filter(|_| self.plan.admin_state_up);
        self.reconfigurer.handle_plan(plan, now);
    }

    /// A frame of the guest that the fast path did not answer.
    pub fn handle_frame(&mut self, frame: &[u8], directory: &dyn Directory, now: Instant) {
        if !self.plan.admin_state_up {
            self.counters.drop(DropReason::AdminDown);
            return;
        }
        let understood = if frame::ethertype(frame) == Some(ETHERTYPE_IPV4) {
            self.handle_ipv4(frame, now)
        } else {
            self.handle_ipv6(frame, directory, now)
        };
        if let Err(reason) = understood {
            return self.counters.drop(reason);
        }
        let first = !std::mem::replace(&mut self.guest_seen, true);
        if first {
            self.querier.handle_first_frame(now);
        }
        // A Router Solicitation has had its answer already.
        if first && self.advertiser.is_silent() {
            self.handle_first_frame(now);
        }
    }

    /// The port leaves this link for good, or nothing is served here any more: what was advertised is taken back. Not
    /// for a restart. Nothing is advertised again until [`Link::handle_up`] or a plan that differs.
    pub fn handle_cease(&mut self, now: Instant) {
        self.reconfigurer.handle_plan(None, now);
        self.querier.handle_cease();
        let adverts = self.advertiser.handle_cease();
        if self.plan.admin_state_up {
            self.send_adverts(adverts, self.plan.mac, ALL_NODES, Sent::RaFinal, now);
        }
    }

    /// The next frame for the guest, whole.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.transmits.is_empty() {
            let adverts = self.advertiser.poll(now);
            let all_nodes = multicast_mac(ALL_NODES);
            self.send_adverts(adverts, all_nodes, ALL_NODES, Sent::RaPeriodic, now);
            self.handle_tests(now);
            self.poll_reconfigure(now);
            self.ask_groups(now);
        }
        self.transmits.pop_front()
    }

    /// When [`Link::poll_transmit`] has something to say by itself, and why; never, if `None`.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let tests = self.neighbours.poll_timeout().map(|at| (at, "address"));
        let tests = tests.filter(|_| self.plan.admin_state_up);
        let reconfigure = self.reconfigurer.poll_timeout();
        let reconfigure = reconfigure.map(|at| (at, "reconfigure"));
        let adverts = self.advertiser.poll_timeout();
        let query = self.querier.poll_timeout().map(|at| (at, "groups"));
        let all = adverts
            .into_iter()
            .chain(tests)
            .chain(reconfigure)
            .chain(query);
        all.min_by_key(|(at, _)| *at)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// The addresses that are learned unless somebody on the physical segment objects: to be looked for, and told of by
    /// [`Link::handle_objection`], before [`Link::poll_transmit`].
    pub fn on_probation(&self) -> Vec<Ipv6Addr> {
        match self.plan.on_segment {
            true => self.neighbours.candidates().collect(),
            false => Vec::new(),
        }
    }

    /// The next address that the physical segment is to be asked for: a duplicate address check in the host's name.
    pub fn poll_question(&mut self) -> Option<Ipv6Addr> {
        self.questions.pop_front()
    }

    /// What was sent, and what was not answered.
    pub fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    /// What happened since the link came up.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The plan that is served.
    pub fn plan(&self) -> &LinkPlan {
        &self.plan
    }

    /// The DHCPv6 client that is told of changes, if there is one.
    pub fn reconfigurable(&self) -> Option<&Reconfigurable> {
        self.reconfigurer.client()
    }

    /// The learned addresses, with who learned them first if another port did.
    pub fn learned(&self) -> impl Iterator<Item = (Ipv6Addr, Option<PortId>)> {
        self.neighbours.learned()
    }

    /// # Errors
    /// Why it is no packet that anything could be made of.
    fn handle_ipv6(
        &mut self,
        frame: &[u8],
        directory: &dyn Directory,
        now: Instant,
    ) -> Result<(), DropReason> {
        let packet = frame::parse(frame).map_err(|error| match error {
            FrameError::Fragment => DropReason::Fragment,
            _ => DropReason::Frame,
        })?;
        if packet.next_header == NEXT_HEADER_ICMPV6 {
            self.handle_ndp(&packet, directory, now);
        } else {
            match packet.udp() {
                Some(udp) if udp.destination_port == SERVER_PORT => {
                    self.handle_dhcpv6(&packet, udp, now);
                }
                Some(_) | None => self.counters.drop(DropReason::NotServed),
            }
        }
        Ok(())
    }

    fn send_adverts(
        &mut self,
        adverts: Vec<RouterAdvert>,
        mac_destination: Mac,
        destination: Ipv6Addr,
        kind: Sent,
        now: Instant,
    ) {
        if !adverts.is_empty() {
            self.history.note(Note::Advertised(kind), now);
        }
        let (mac_source, source) = self.plan.advertiser();
        let envelope = Envelope {
            mac_destination,
            mac_source,
            source,
            destination,
            hop_limit: HOP_LIMIT,
        };
        for mut advert in adverts {
            let link_layer = NdOption::SourceLinkLayer(envelope.mac_source);
            advert.options.insert(0, link_layer);
            let frame = NdpMessage::RouterAdvert(advert).emit(&envelope);
            self.transmit(frame, kind);
        }
    }

    /// The router that was named is no default router any more: guests know routers by where advertisements come from
    /// (RFC 4861 §6.3.4).
    fn dismiss_router(&mut self, now: Instant) {
        if self.plan.router.is_some() {
            let last = RouterAdvert::default();
            self.send_adverts(vec![last], self.plan.mac, ALL_NODES, Sent::RaFinal, now);
        }
    }

    /// The general query that is due, from the service: a guest heeds none but of a link-local address (RFC 3810 §5.1.14).
    fn ask_groups(&mut self, now: Instant) {
        if self.querier.poll(now) {
            let (mac, max_response) = (self.plan.service_mac(), QUERY_RESPONSE_INTERVAL);
            let query = Query::general(max_response, ROBUSTNESS, QUERY_INTERVAL);
            self.transmit(query.emit(mac, mac.link_local()), Sent::MldQuery);
        }
    }

    fn transmit(&mut self, frame: Vec<u8>, kind: Sent) {
        if self.transmits.len() >= TRANSMITS_MAX {
            return self.counters.drop(DropReason::TransmitsFull);
        }
        self.counters.sent(kind);
        self.transmits.push_back(frame);
    }

    /// Asks the physical segment whether anybody there has an address.
    fn question(&mut self, address: Ipv6Addr) {
        if self.plan.on_segment && self.questions.len() < CANDIDATES_MAX {
            self.questions.push_back(address);
        }
    }

    fn event(&mut self, event: LinkEvent) {
        if self.events.len() + EVENTS_RESERVED > EVENTS_MAX {
            return self.counters.drop(DropReason::EventsFull);
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests;
