//! One network on one host: its plan, its ports' links, their guests, and a clock that is turned by hand.

mod plan;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hextet_core::dhcp::ExtraDhcpOpt;
use hextet_core::ids::{NetworkId, PortId, SubnetId, Vni};
use hextet_core::link::link_plan;
use hextet_core::mac::Mac;
use hextet_core::modes::AddressSource;
use hextet_core::plan::{HostPlan, NetworkPlan, PlanEntry, PlanKey, PortPlan};
use hextet_core::settings::CloudSettings;
use hextet_proto::diagnosis::{Around, Finding, diagnose};
use hextet_proto::{Directory, Holder, HolderKind, Known, Link, LinkEvent, MIN_DELAY_BETWEEN_RAS};
use ipnet::Ipv6Net;
use uuid::Uuid;

use crate::guest::{Adverts, Dhcpv4Config, Guest, GuestConfig};

const VNI: Vni = Vni(42);
/// Steps that a world takes without time passing before it is declared to spin.
const STEPS_WITHOUT_TIME_MAX: usize = 1000;

/// A port with its link, and its guest once that is up.
#[derive(Debug)]
pub struct Port {
    /// Its id.
    pub id: PortId,
    /// The machine under test.
    pub link: Link,
    /// The guest.
    pub guest: Option<Guest>,
    /// Everything that the link reported.
    pub events: Vec<LinkEvent>,
    /// The fast path has seen a frame of the guest.
    seen: bool,
    /// What the events say is learned.
    learned: BTreeMap<Ipv6Addr, Option<PortId>>,
    /// How many frames passed to other guests, by source.
    pub passed: BTreeMap<Ipv6Addr, u64>,
}

/// A network on a host.
#[derive(Debug)]
pub struct World {
    /// The time since the beginning.
    pub now: Duration,
    beginning: Instant,
    plan: HostPlan,
    subnets: BTreeMap<String, (SubnetId, AddressSource)>,
    withdrawn: Vec<Ipv6Net>,
    told: BTreeMap<PortId, Vec<ExtraDhcpOpt>>,
    /// Ports by name.
    pub ports: BTreeMap<String, Port>,
}

/// Who holds what, as the agent knows it from the plan and from events.
struct Book(BTreeMap<Ipv6Addr, Holder>);

impl Directory for Book {
    fn holder(&self, vni: Vni, address: Ipv6Addr) -> Option<Holder> {
        self.0.get(&address).copied().filter(|_| vni == VNI)
    }
}

impl World {
    /// A network without subnets and ports.
    #[allow(
        clippy::disallowed_methods,
        reason = "an Instant has no other constructor; nothing depends on which it is"
    )]
    pub fn new(settings: CloudSettings) -> World {
        let network = NetworkPlan {
            vni: VNI,
            id: NetworkId(Uuid::from_u128(1)),
            mtu: 1430,
            admin_state_up: true,
            physical_network: None,
            fast_dad: true,
        };
        let mut plan = HostPlan::default();
        plan.entries
            .insert(PlanKey::Cloud, PlanEntry::Cloud(settings));
        plan.entries
            .insert(PlanKey::Network(VNI), PlanEntry::Network(network));
        World {
            now: Duration::ZERO,
            beginning: Instant::now(),
            plan,
            subnets: BTreeMap::new(),
            withdrawn: Vec::new(),
            told: BTreeMap::new(),
            ports: BTreeMap::new(),
        }
    }

    /// A guest boots on the port's link, the first or another.
    pub fn boot(&mut self, name: &str, link_local: Option<Ipv6Addr>, config: ClientConfig) {
        let now = self.now;
        let instant = self.instant();
        let port = self.port(name);
        let mac = port.link.plan().mac;
        port.link.handle_up(instant);
        port.seen = false;
        let guest = Guest::boot(
            GuestConfig {
                mac,
                link_local: link_local.unwrap_or(mac.link_local()),
                client: config.client,
                rapid_commit: config.rapid_commit,
                dhcpv4: config.dhcpv4,
                adverts: config.adverts,
            },
            now,
        );
        port.guest = Some(guest);
        self.settle();
    }

    /// The port is detached.
    pub fn cease(&mut self, name: &str) {
        let now = self.instant();
        self.port(name).link.handle_cease(now);
        self.settle();
    }

    /// The agent restarts: new machines from the plan, what was learned, and what the fast path has seen.
    pub fn restart(&mut self) {
        let now = self.instant();
        for port in self.ports.values_mut() {
            let plan = port.link.plan().clone();
            let learned: Vec<Known> = port
                .link
                .learned()
                .map(|(address, first_holder)| Known {
                    address,
                    first_holder,
                    unseen: Duration::ZERO,
                })
                .collect();
            port.link = Link::new(plan, 99);
            port.link.handle_learned(&learned, now);
            if port.seen {
                port.link.handle_resume(now);
            }
        }
        self.settle();
    }

    /// The guest asks who has an address.
    pub fn ask(&mut self, name: &str, target: Ipv6Addr) {
        let guest = self.port(name).guest.as_ref();
        let frame = guest.expect("the guest is up").ask(target);
        self.carry(name, &frame);
        self.settle();
    }

    /// The guest forms an address of its own and checks it for duplicates, or does without the check.
    pub fn form(&mut self, name: &str, address: Ipv6Addr, checked: bool) {
        let now = self.now;
        let guest = self.port(name).guest.as_mut();
        guest.expect("the guest is up").form(address, checked, now);
    }

    /// The guest gives an address up and says nothing.
    pub fn abandon(&mut self, name: &str, address: Ipv6Addr) {
        let guest = self.port(name).guest.as_mut();
        guest.expect("the guest is up").abandon(address);
    }

    /// The guest sends to another from this address: it passes if the address is known to be the port's, and the agent is
    /// shown it if it may become so.
    pub fn send_from(&mut self, name: &str, source: Ipv6Addr) {
        let book = self.book();
        let now = self.instant();
        let port = self.port(name);
        let plan = port.link.plan();
        let first = port.learned.get(&source) == Some(&None);
        if plan.addresses.contains(&source) || source == plan.mac.link_local() || first {
            *port.passed.entry(source).or_default() += 1;
            port.link.handle_used(source, now);
        } else if plan
            .learnable
            .iter()
            .any(|known| known.prefix.contains(&source))
        {
            let guest = port.guest.as_ref().expect("the guest is up");
            let frame = guest.datum(source);
            port.link.handle_source(&frame, &book, now);
        }
        self.settle();
    }

    /// Lets time pass, and everything happen that falls into it.
    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        let mut steps = 0;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(
                steps < STEPS_WITHOUT_TIME_MAX,
                "the world spins at {next:?}"
            );
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = until;
    }

    /// What is wrong with a port, as an agent says it that has these ports.
    pub fn diagnose(&self, name: &str) -> Vec<Finding> {
        let own = &self.ports[name];
        let others = || self.ports.values().filter(|port| port.id != own.id);
        let duid = own.link.history().duid();
        let same_duid =
            others().filter(|port| duid.is_some() && port.link.history().duid() == duid);
        let same_address = others().flat_map(|port| {
            let mut formed: Vec<_> = port.learned.keys().collect();
            formed.retain(|address| own.learned.contains_key(address));
            formed.into_iter().map(|address| (*address, port.id))
        });
        let around = Around {
            same_duid: same_duid.map(|port| port.id).collect(),
            same_address: same_address.collect(),
            ..Around::default()
        };
        diagnose(&own.link, &around, self.instant())
    }

    /// What must hold after every scenario.
    pub fn check_invariants(&mut self) {
        for (name, port) in &self.ports {
            let fresh = link_plan(&self.plan, port.id, &self.withdrawn);
            assert_eq!(
                Some(port.link.plan()),
                fresh.as_ref(),
                "{name}: the plan is served"
            );
            let learned: BTreeMap<_, _> = port.link.learned().collect();
            assert_eq!(learned, port.learned, "{name}: events tell what is learned");
            let Some(guest) = &port.guest else { continue };
            for pair in guest.adverts.windows(2) {
                let ((before, _, _), (after, to_group, _)) = (&pair[0], &pair[1]);
                assert!(
                    !to_group || *after - *before >= MIN_DELAY_BETWEEN_RAS,
                    "{name}: a multicast advertisement at {after:?} follows one at {before:?}"
                );
            }
        }
        // A plan that says nothing new puts nothing on the wire.
        let before = self.counted();
        self.announce();
        assert_eq!(self.counted(), before, "the same plan again sends nothing");
    }

    /// The port of this name.
    pub fn port(&mut self, name: &str) -> &mut Port {
        self.ports
            .get_mut(name)
            .unwrap_or_else(|| panic!("no port {name}"))
    }

    fn counted(&self) -> u64 {
        let links = self.ports.values().map(|port| &port.link);
        links.flat_map(|link| link.counters().sent.values()).sum()
    }

    fn instant(&self) -> Instant {
        self.beginning + self.now
    }

    fn port_plans_mut(&mut self) -> impl Iterator<Item = &mut PortPlan> {
        self.plan
            .entries
            .values_mut()
            .filter_map(|entry| match entry {
                PlanEntry::Port(port) => Some(port),
                _ => None,
            })
    }

    /// The plan reaches the links.
    fn announce(&mut self) {
        let now = self.instant();
        for port in self.ports.values_mut() {
            let plan = link_plan(&self.plan, port.id, &self.withdrawn).expect("the plan is whole");
            port.link.handle_plan(plan, now);
        }
        let book = self.book();
        for port in self.ports.values_mut() {
            port.link.handle_directory(&book);
        }
        self.settle();
    }

    fn book(&self) -> Book {
        let mut book = BTreeMap::new();
        let service = Mac::service(VNI);
        let holder = |port, mac, kind| Holder { port, mac, kind };
        book.insert(
            service.link_local(),
            holder(None, service, HolderKind::Service),
        );
        for plan in self.plan.ports() {
            let local = holder(Some(plan.id), plan.mac, HolderKind::Eui64LinkLocal);
            book.insert(plan.mac.link_local(), local);
            for address in plan.ipv6() {
                let assigned = holder(Some(plan.id), plan.mac, HolderKind::Assigned);
                book.insert(address, assigned);
            }
        }
        for port in self.ports.values() {
            for (address, first_holder) in &port.learned {
                if first_holder.is_none() {
                    let learned = holder(Some(port.id), port.link.plan().mac, HolderKind::Learned);
                    book.entry(*address).or_insert(learned);
                }
            }
        }
        Book(book)
    }

    /// The earliest time at which anything happens by itself.
    fn next(&self) -> Option<Duration> {
        let links = self.ports.values().filter_map(|port| {
            let (at, _) = port.link.poll_timeout()?;
            Some(at.saturating_duration_since(self.beginning))
        });
        let guests = self
            .ports
            .values()
            .filter_map(|port| port.guest.as_ref()?.poll_timeout());
        links.chain(guests).min()
    }

    fn tick(&mut self) {
        let names: Vec<String> = self.ports.keys().cloned().collect();
        let now = self.now;
        for name in names {
            let guest = self.port(&name).guest.as_mut();
            let frames = guest.map(|guest| guest.handle_timeout(now));
            for frame in frames.into_iter().flatten() {
                self.carry(&name, &frame);
            }
        }
        self.settle();
    }

    /// As the fast path does: the first frame is told, and what is not answered there is passed on.
    fn carry(&mut self, name: &str, frame: &[u8]) {
        let book = self.book();
        let now = self.instant();
        let port = self.port(name);
        if !std::mem::replace(&mut port.seen, true) {
            port.link.handle_first_frame(now);
        }
        port.link.handle_frame(frame, &book, now);
        self.settle();
    }

    /// Frames reach the guests and their answers the links, events the agent, until all is said.
    fn settle(&mut self) {
        for _ in 0..STEPS_WITHOUT_TIME_MAX {
            let answers = self.deliver();
            let contests = self.take_events();
            if answers.is_empty() && contests.is_empty() {
                return;
            }
            let (book, now) = (self.book(), self.instant());
            for (name, frame) in answers {
                self.port(&name).link.handle_frame(&frame, &book, now);
            }
            for (holder, address) in contests {
                for port in self.ports.values_mut().filter(|port| port.id == holder) {
                    port.link.handle_contest(address, now);
                }
            }
        }
        panic!("the world spins at {:?}", self.now);
    }

    /// What the guests answer at once.
    fn deliver(&mut self) -> Vec<(String, Vec<u8>)> {
        let (now, instant) = (self.now, self.instant());
        let mut answers = Vec::new();
        for (name, port) in &mut self.ports {
            while let Some(frame) = port.link.poll_transmit(instant) {
                let answer = port
                    .guest
                    .as_mut()
                    .and_then(|guest| guest.handle_frame(&frame, now));
                answers.extend(answer.map(|answer| (name.clone(), answer)));
            }
        }
        answers
    }

    /// Who holds an address that another wants, as the events tell.
    fn take_events(&mut self) -> Vec<(PortId, Ipv6Addr)> {
        let mut contests = Vec::new();
        for port in self.ports.values_mut() {
            while let Some(event) = port.link.poll_event() {
                match &event {
                    LinkEvent::Learned {
                        address,
                        first_holder,
                    } => {
                        port.learned.insert(*address, *first_holder);
                    }
                    LinkEvent::Forgotten { address } => {
                        assert!(
                            port.learned.remove(address).is_some(),
                            "{address} was learned"
                        );
                    }
                    LinkEvent::Conflict { address, holder } => {
                        contests.extend(holder.map(|holder| (holder, *address)));
                    }
                    LinkEvent::Released { .. }
                    | LinkEvent::Declined { .. }
                    | LinkEvent::Reconfigurable { .. } => {}
                }
                port.events.push(event);
            }
        }
        contests
    }
}

/// The part of a guest's configuration that its port does not decide.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// The DUID of its DHCPv6 client, if it runs one.
    pub client: Option<hextet_wire::dhcpv6::Duid>,
    /// Whether the client takes a Reply to its Solicit.
    pub rapid_commit: bool,
    /// Its DHCPv4 client, if it runs one.
    pub dhcpv4: Option<Dhcpv4Config>,
    /// What it does with Router Advertisements.
    pub adverts: Adverts,
}
