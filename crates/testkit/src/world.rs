//! One network on one host: its plan, its ports' links, their guests, and a clock that is turned by hand.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use hextet_core::ids::{NetworkId, PortId, PortNumber, SubnetId, Vni};
use hextet_core::link::link_plan;
use hextet_core::mac::Mac;
use hextet_core::modes::{AddressSource, Ipv6Modes, RaSender};
use hextet_core::plan::{
    HostPlan, Ipv4SubnetPlan, NetworkPlan, PlanEntry, PlanKey, PortPlan, SubnetPlan,
};
use hextet_core::port::FixedIp;
use hextet_core::settings::CloudSettings;
use hextet_proto::diagnosis::{Around, Finding, diagnose};
use hextet_proto::{Directory, Holder, HolderKind, Link, LinkEvent, MIN_DELAY_BETWEEN_RAS};
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
            ports: BTreeMap::new(),
        }
    }

    /// A subnet appears; where its addresses come from the MAC, every port gets one.
    pub fn add_subnet(&mut self, name: &str, cidr: Ipv6Net, modes: Ipv6Modes, dns: Vec<Ipv6Addr>) {
        let row = modes.row().expect("a combination that the API accepts");
        let flags = row.flags.filter(|_| row.sender == RaSender::Us);
        let sequence = self.plan.entries.len() as u64;
        let id = SubnetId(Uuid::from_u128(1000 + u128::from(sequence)));
        let subnet = SubnetPlan {
            id,
            vni: VNI,
            sequence,
            cidr,
            sender: row.sender,
            autonomous: flags.is_some_and(|flags| flags.autonomous),
            managed: flags.is_some_and(|flags| flags.managed),
            other: flags.is_some_and(|flags| flags.other),
            dhcpv6: Some(row.dhcpv6),
            solicit_without_address: row.solicit_without_address,
            dns_nameservers: dns,
        };
        self.plan
            .entries
            .insert(PlanKey::Subnet(id), PlanEntry::Subnet(subnet));
        self.subnets.insert(name.to_owned(), (id, row.port_address));
        self.withdrawn.retain(|prefix| *prefix != cidr);
        if row.port_address == AddressSource::Eui64 {
            for port in self.port_plans_mut() {
                let ip_address = port.mac.eui64(cidr).into();
                port.fixed_ips.push(FixedIp {
                    subnet_id: id,
                    ip_address,
                });
            }
        }
        self.announce();
    }

    /// An IPv4 subnet appears; its id, network and place in the order of creation are given here.
    pub fn add_ipv4_subnet(&mut self, mut subnet: Ipv4SubnetPlan) {
        subnet.sequence = self.plan.entries.len() as u64;
        subnet.id = SubnetId(Uuid::from_u128(1000 + u128::from(subnet.sequence)));
        subnet.vni = VNI;
        let entry = PlanEntry::Ipv4Subnet(subnet.clone());
        self.plan.entries.insert(PlanKey::Subnet(subnet.id), entry);
        self.announce();
    }

    /// The port has this IPv4 address instead of those that it had.
    pub fn readdress(&mut self, name: &str, address: Ipv4Addr) {
        let id = self.ports[name].id;
        let subnet_id = self.ipv4_subnet_of(address);
        for port in self.port_plans_mut().filter(|port| port.id == id) {
            port.fixed_ips.retain(|fixed| fixed.ip_address.is_ipv6());
            port.fixed_ips.push(FixedIp {
                subnet_id,
                ip_address: address.into(),
            });
        }
        self.announce();
    }

    fn ipv4_subnet_of(&self, address: Ipv4Addr) -> SubnetId {
        let mut subnets = self.plan.ipv4_subnets();
        let found = subnets.find(|subnet| subnet.cidr.contains(&address));
        found.expect("an address of a subnet").id
    }

    /// A subnet is deleted; ports lose their addresses of it.
    pub fn remove_subnet(&mut self, name: &str) {
        let (id, _) = self.subnets.remove(name).expect("a known subnet");
        if let Some(PlanEntry::Subnet(subnet)) = self.plan.entries.remove(&PlanKey::Subnet(id)) {
            self.withdrawn.push(subnet.cidr);
        }
        for port in self.port_plans_mut() {
            port.fixed_ips.retain(|fixed| fixed.subnet_id != id);
        }
        self.announce();
    }

    /// A port appears, with these addresses besides those from its MAC.
    pub fn add_port(&mut self, name: &str, mac: Mac, addresses: &[IpAddr]) {
        let number = self.ports.len() as u32 + 1;
        let id = PortId(Uuid::from_u128(2000 + u128::from(number)));
        let mut fixed_ips = Vec::new();
        for subnet in self.plan.subnets() {
            let from_mac = self
                .subnets
                .values()
                .any(|(known, source)| *known == subnet.id && *source == AddressSource::Eui64);
            if from_mac {
                fixed_ips.push(FixedIp {
                    subnet_id: subnet.id,
                    ip_address: mac.eui64(subnet.cidr).into(),
                });
            }
            let given = addresses.iter().filter(
                |address| matches!(address, IpAddr::V6(address) if subnet.cidr.contains(address)),
            );
            fixed_ips.extend(given.map(|address| FixedIp {
                subnet_id: subnet.id,
                ip_address: *address,
            }));
        }
        for address in addresses {
            if let IpAddr::V4(ipv4) = address {
                fixed_ips.push(FixedIp {
                    subnet_id: self.ipv4_subnet_of(*ipv4),
                    ip_address: *address,
                });
            }
        }
        let port = PortPlan {
            id,
            number: PortNumber(number),
            vni: VNI,
            mac,
            admin_state_up: true,
            port_security_enabled: true,
            fixed_ips,
        };
        self.plan
            .entries
            .insert(PlanKey::Port(id), PlanEntry::Port(port));
        let plan = link_plan(&self.plan, id, &[]).expect("the plan is whole");
        let port = Port {
            id,
            link: Link::new(plan, number.into()),
            guest: None,
            events: Vec::new(),
            seen: false,
            learned: BTreeMap::new(),
        };
        self.ports.insert(name.to_owned(), port);
    }

    /// The port is administratively let in or shut out.
    pub fn set_admin_state(&mut self, name: &str, up: bool) {
        let id = self.ports[name].id;
        for port in self.port_plans_mut().filter(|port| port.id == id) {
            port.admin_state_up = up;
        }
        self.announce();
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
            let learned: Vec<_> = port.link.learned().collect();
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

    /// Frames reach the guests, events the agent.
    fn settle(&mut self) {
        let (now, instant) = (self.now, self.instant());
        for port in self.ports.values_mut() {
            while let Some(frame) = port.link.poll_transmit(instant) {
                if let Some(guest) = &mut port.guest {
                    guest.handle_frame(&frame, now);
                }
            }
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
                    LinkEvent::Conflict { .. }
                    | LinkEvent::Released { .. }
                    | LinkEvent::Declined { .. } => {}
                }
                port.events.push(event);
            }
        }
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
