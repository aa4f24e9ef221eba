//! The host's thread on a kernel: a namespace is the host, another the guest. What it does step by step is seen from within. Needs root.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use hextet_core::ids::{HostId, PortNumber};
use hextet_core::mac::Mac;
use hextet_core::plan::{Generation, PlanEntry, PlanKey, PortPlan};
use hextet_core::settings::{CloudSettings, RenewalTimes};
use hextet_proto::Directory;
use uuid::Uuid;

use super::*;
use crate::config::{HookKind, PuntLimits, Retry, ServerAccess, ServerAddress};
use crate::fixture::{network, slaac_subnet};
use crate::kernel::fastpath::Sizes;
use crate::kernel::{links, netns};

const NET: Vni = Vni(5);

/// A host whose plan has a network, a subnet of it and a port, attached to a guest's namespace.
struct Bed {
    host: Host,
    guest: String,
    _state_dir: tempfile::TempDir,
}

/// Runs the test as a host, and removes all of it afterwards.
fn on_a_host(test: impl FnOnce(&mut Bed) + Send) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("hxh{}-{number}", std::process::id());
    let guest = format!("{name}-guest");
    let cleanup = Cleanup(vec![guest.clone(), name.clone()]);
    let namespace = netns::create(&name).expect("a namespace can be made (these tests need root)");
    netns::create(&guest).unwrap();
    netns::inside(&namespace, move || {
        let mut bed = Bed::new(&name, guest);
        test(&mut bed);
    })
    .unwrap();
    drop(cleanup);
}

struct Cleanup(Vec<String>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        for name in &self.0 {
            if let Err(error) = netns::delete(name) {
                eprintln!("namespace {name} stays: {error}");
            }
        }
    }
}

impl Bed {
    fn new(name: &str, guest: String) -> Self {
        let state_dir = tempfile::tempdir().unwrap();
        let config = Arc::new(config(name, state_dir.path()));
        let (input, inputs) = mpsc::channel(INPUTS_MAX);
        let ports = Ports {
            inputs,
            input,
            reports: watch::channel(Arc::new(HostReport {
                generation: Generation::default(),
                ports: Vec::new(),
            }))
            .0,
            claims: watch::channel(Arc::default()).0,
            feed: Arc::new(FeedState::default()),
        };
        let mut bed = Self {
            host: Host::new(config, ports).unwrap(),
            guest,
            _state_dir: state_dir,
        };
        bed.follow(vec![delta([
            (PlanKey::Cloud, Some(PlanEntry::Cloud(cloud()))),
            (
                PlanKey::Network(NET),
                Some(PlanEntry::Network(network(NET))),
            ),
            (
                PlanKey::Subnet(slaac_subnet().id),
                Some(PlanEntry::Subnet(slaac_subnet())),
            ),
            come(1),
        ])]);
        bed.attach(1, &bed.guest.clone());
        bed
    }

    fn follow(&mut self, deltas: Vec<PlanDelta>) {
        self.host.follow(false, deltas, &[], Vec::new());
    }

    fn attach(&mut self, number: u8, namespace: &str) {
        let target = Target::Netns {
            name: namespace.to_owned(),
            ifname: format!("eth{number}"),
            down: false,
        };
        self.attach_to(number, target);
    }

    fn attach_to(&mut self, number: u8, target: Target) {
        let (reply, mut answer) = oneshot::channel();
        let question = Local::Attach(port(number).id, target, reply);
        self.host.answer(question);
        self.host.bring_attached_about();
        answer.try_recv().unwrap().unwrap();
    }

    /// As the first who does.
    fn learn(&mut self, number: u8, address: Ipv6Addr) {
        let learned = LinkEvent::Learned {
            address,
            first_holder: None,
        };
        let heard = vec![(port(number).id, learned)];
        self.host.follow(false, Vec::new(), &[], heard);
    }

    /// What the program admits as sources of a port.
    fn sources(&self, number: u8) -> Vec<Ipv6Addr> {
        let rows = self.host.fastpath.dump().unwrap();
        let sources = rows.sources.into_keys();
        let own = sources.filter(|(of, _)| *of == port(number).number);
        own.map(|(_, address)| address).collect()
    }

    fn carrier(&self, number: u8) -> &Carrier {
        &self.host.carriers[&port(number).id]
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.host.answer(Local::Down(oneshot::channel().0));
    }
}

fn come(number: u8) -> (PlanKey, Option<PlanEntry>) {
    let port = port(number);
    (PlanKey::Port(port.id), Some(PlanEntry::Port(port)))
}

fn go(number: u8) -> (PlanKey, Option<PlanEntry>) {
    (PlanKey::Port(port(number).id), None)
}

fn delta(changes: impl IntoIterator<Item = (PlanKey, Option<PlanEntry>)>) -> PlanDelta {
    PlanDelta {
        generation: Generation {
            epoch: 1,
            revision: 1,
        },
        changes: changes.into_iter().collect(),
    }
}

fn port(number: u8) -> PortPlan {
    PortPlan {
        dhcp_options: hextet_core::dhcp::DhcpOptions::default(),
        id: PortId(Uuid::from_u128(u128::from(number) << 96)),
        number: PortNumber(number.into()),
        vni: NET,
        mac: Mac([2, 0, 0, 0, 0, number]),
        admin_state_up: true,
        port_security_enabled: true,
        fixed_ips: Vec::new(),
    }
}

fn cloud() -> CloudSettings {
    CloudSettings {
        server_duid: Uuid::from_u128(1),
        max_rtr_adv_interval_s: 600,
        preferred_lifetime_s: 2700,
        valid_lifetime_s: 5400,
        dhcpv6_times: RenewalTimes::of_preferred_lifetime(2700),
        dhcpv4_lease_s: 5400,
        dhcpv4_times: RenewalTimes::of_lease(5400),
        retrans_timer_ms: 100,
        dns_search: Vec::new(),
    }
}

fn config(name: &str, state_dir: &Path) -> Config {
    Config {
        host: HostId("host".to_owned()),
        state_dir: state_dir.to_owned(),
        socket: state_dir.join("agent.sock"),
        instance: name.to_owned(),
        // Every kernel has it.
        hook: HookKind::Clsact,
        resync: Duration::from_secs(60),
        server: ServerAccess {
            address: ServerAddress::File(state_dir.join("feed.addr")),
            name: "server".to_owned(),
            ca: state_dir.join("ca.pem"),
            cert: state_dir.join("cert.pem"),
            key: state_dir.join("key.pem"),
        },
        retry: Retry {
            first: Duration::from_secs(1),
            max: Duration::from_secs(1),
        },
        punt: PuntLimits {
            rate: 200,
            burst: 400,
        },
        metrics_listen: None,
        maps: Sizes::default(),
        physical_networks: BTreeMap::new(),
    }
}

#[test]
fn a_port_that_goes_and_comes_at_once_has_another_guest() {
    on_a_host(|bed| {
        let before = bed.carrier(1).clone();
        assert!(before.attached && before.admin_up, "{before:?}");
        bed.follow(vec![delta([go(1)]), delta([come(1)])]);
        let now = bed.carrier(1);
        // What it was told was taken back, and what was learned of it is forgotten.
        assert_ne!(now.incarnation, before.incarnation);
        assert!(!now.resumed);
    });
}

#[test]
fn a_host_that_was_taken_down_rests() {
    on_a_host(|bed| {
        let name = format!("{}-gone", bed.guest);
        netns::create(&name).unwrap();
        bed.follow(vec![delta([come(2)])]);
        bed.attach(2, &name);
        netns::delete(&name).unwrap();
        links::delete(bed.carrier(2).ifindex).unwrap();
        bed.host.bring_about();
        assert!(bed.host.until_namespaces() < Duration::MAX);
        bed.host.answer(Local::Down(oneshot::channel().0));
        assert_eq!(bed.host.until_namespaces(), Duration::MAX);
    });
}

#[test]
fn a_tap_of_another_ports_name_is_claimed_no_more_when_it_is_attached() {
    on_a_host(|bed| {
        let name = port(3).id.tap_name();
        ip(&format!("tuntap add dev {name} mode tap"));
        bed.follow(vec![delta([come(2)])]);
        bed.host.bring_about();
        let claimed = |bed: &Bed| bed.host.claims.is_asked(&name);
        assert!(claimed(bed));
        bed.attach_to(2, Target::Tap { name: name.clone() });
        assert!(bed.carrier(2).attached);
        assert!(!claimed(bed));
    });
}

#[test]
fn a_tap_that_its_port_leaves_for_another_is_the_ports_that_wanted_it_too() {
    on_a_host(|bed| {
        let name = port(2).id.tap_name();
        for tap in [&name, "vm"] {
            ip(&format!("tuntap add dev {tap} mode tap"));
        }
        bed.follow(vec![delta([come(2), come(3)])]);
        bed.attach_to(3, Target::Tap { name });
        assert!(!bed.host.carriers.contains_key(&port(3).id));
        bed.attach_to(
            2,
            Target::Tap {
                name: "vm".to_owned(),
            },
        );
        assert!(bed.carrier(2).attached && bed.carrier(3).attached);
    });
}

#[test]
fn what_a_guest_formed_goes_with_its_link() {
    on_a_host(|bed| {
        let formed = "2001:db8::7".parse().unwrap();
        bed.learn(1, formed);
        assert!(bed.sources(1).contains(&formed));
        let (reply, mut answer) = oneshot::channel();
        bed.host.answer(Local::Detach(port(1).id, reply));
        answer.try_recv().unwrap().unwrap();
        assert_eq!(bed.sources(1), [port(1).mac.link_local()]);
        let holder = bed.host.directory.holder(NET, formed);
        assert_eq!(holder, None);
        // It was heard before the link went, and is told after.
        bed.learn(1, formed);
        assert_eq!(bed.sources(1), [port(1).mac.link_local()]);
    });
}

#[test]
fn a_guest_that_declines_all_the_time_has_its_share_of_the_log() {
    on_a_host(|bed| {
        let declined = LinkEvent::Declined {
            addresses: Vec::new(),
        };
        let heard = vec![(port(1).id, declined); 100];
        bed.host.follow(false, Vec::new(), &[], heard);
        assert!(!bed.host.lines.may_say(port(1).id, Instant::now()));
    });
}

/// In the namespace that the caller is in.
fn ip(words: &str) {
    let ip = std::process::Command::new("ip")
        .args(words.split(' '))
        .status();
    assert!(ip.unwrap().success(), "ip {words}");
}
