//! A flat network: guests, the host and others on one physical segment. The segment is a veth pair; its other end has a
//! router (radvd) and whoever else is there.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::Ipv6Addr;
use std::process::{Child, Command, Stdio};

use hextet_agent::kernel::{filters, netns};
use serde_json::{Value, json};

use crate::metrics::{LISTEN, figures};
use crate::support::{Cloud, Namespace, kill, pings, pings_from, reaches, reaches_from, until};

mod detached;
mod formed;
mod priority;
mod servers;
mod stacked;

/// The router's on the segment, and the prefix there.
const ROUTER: &str = "2001:db8:aa::1";
const PREFIX: &str = "2001:db8:aa::/64";

/// Senders of Router Advertisements that a host keeps apart.
const SENDERS_MAX: u16 = 16;

/// How the host is on the segment.
struct Wire {
    /// The NIC that leads there.
    nic: &'static str,
    /// Makes it on the host, and `eth0` of those behind it.
    lay: fn(host: &Namespace, outside: &Namespace),
}

const PLAIN: Wire = Wire {
    nic: "phys0",
    lay: |host, outside| {
        let peer = format!("peer name eth0 netns {}", outside.name);
        host.ip(&format!("link add phys0 type veth {peer}"));
        host.ip("link set phys0 up");
        outside.ip("link set eth0 up");
    },
};

struct Segment {
    cloud: Cloud,
    outside: Namespace,
    network: String,
    /// Ended with the test.
    radvd: Option<Child>,
}

impl Segment {
    /// A cloud with a flat network on the NIC `phys0`, whose other end is `eth0` in a namespace of its own.
    fn new(modes: Value) -> Self {
        Self::with(modes, "")
    }

    /// The same, with these lines in the agent's configuration.
    fn with(modes: Value, lines: &str) -> Self {
        Self::on(&PLAIN, Cloud::new(), modes, lines)
    }

    /// The same of this cloud, by this NIC.
    fn on(wire: &Wire, mut cloud: Cloud, modes: Value, lines: &str) -> Self {
        let outside = Namespace::new("outside");
        lay(wire, &cloud.host, &outside);
        cloud.stop();
        let append = |file: &str, lines: &str| {
            let path = cloud.path(file);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, format!("{lines}{text}")).unwrap();
        };
        append("server.toml", "physical_networks = [\"lab\"]\n");
        let nic = format!("physical_networks = {{ lab = \"{}\" }}\n", wire.nic);
        append("agent.toml", &format!("{lines}{nic}"));
        cloud.up();
        let network = cloud.create(
            "network",
            json!({ "name": "flat", "provider:network_type": "flat",
                    "provider:physical_network": "lab" }),
        );
        let network = network["id"].as_str().unwrap().to_owned();
        let mut subnet = json!({ "network_id": network, "ip_version": 6, "cidr": PREFIX });
        let modes = modes.as_object().unwrap().clone();
        subnet.as_object_mut().unwrap().extend(modes);
        cloud.create("subnet", subnet);
        Self {
            cloud,
            outside,
            network,
            radvd: None,
        }
    }

    /// The router begins to advertise the prefix for SLAAC, with these lines besides.
    fn advertise(&mut self, lines: &str) {
        self.advertise_prefix(lines, "AdvAutonomous on;");
    }

    fn advertise_prefix(&mut self, lines: &str, of_prefix: &str) {
        let config = self.cloud.path("radvd.conf");
        let text = format!(
            "interface eth0 {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;\n{lines}\n\
             prefix {PREFIX} {{ AdvOnLink on; {of_prefix} }}; }};\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut radvd = Command::new("radvd");
        radvd
            .args(["-n", "-m", "stderr", "-C"])
            .arg(&config)
            .arg("-p")
            .arg(self.cloud.path("radvd.pid"))
            .stderr(Stdio::null());
        self.outside
            .ip("-6 route replace unreachable default metric 9");
        let forward = "/proc/sys/net/ipv6/conf/all/forwarding";
        netns::inside(&self.outside.path, || std::fs::write(forward, "1"))
            .unwrap()
            .unwrap();
        self.radvd = Some(self.outside.spawn(&mut radvd));
    }

    fn stop_advertising(&mut self) {
        if let Some(mut radvd) = self.radvd.take() {
            kill(&radvd.id().to_string(), "TERM");
            radvd.wait().unwrap();
        }
    }

    /// What its host says is wrong with the segment of this port.
    fn problems(&self, port: &str) -> Vec<String> {
        let listed = self.cloud.listed(port);
        let problems = listed["segment_problems"].as_array().unwrap().iter();
        let texts = problems.map(|text| text.as_str().unwrap().to_owned());
        texts.collect()
    }

    /// What its host finds wrong with this port.
    fn findings(&self, port: &str) -> Value {
        let shown = self.cloud.done(&["port", "show", port, "-f", "json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["findings"].clone()
    }

    fn down(&self, port: &str) -> Option<String> {
        let listed = self.cloud.listed(port);
        listed["reason"].as_str().map(str::to_owned)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.stop_advertising();
    }
}

/// dnsmasq as a DHCP server of the segment's, not of the cloud's; ended when dropped.
struct Server(Child);

impl Server {
    fn start(namespace: &Namespace, options: &[String]) -> Self {
        let mut dnsmasq = Command::new("dnsmasq");
        // It serves no names, and leaves no file behind.
        dnsmasq
            .args(["--no-daemon", "--conf-file=/dev/null", "--user=root"])
            .args(["--port=0", "--interface=eth0", "--leasefile-ro"])
            .arg("--pid-file")
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(namespace.spawn(&mut dnsmasq))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The NIC, and the router's address.
fn lay(wire: &Wire, host: &Namespace, outside: &Namespace) {
    (wire.lay)(host, outside);
    outside.ip(&format!("address add {ROUTER}/64 dev eth0 nodad"));
}

fn global(namespace: &Namespace) -> Option<Ipv6Addr> {
    let prefix: Ipv6Addr = "2001:db8:aa::".parse().unwrap();
    let all = namespace.addresses();
    let mut on_prefix = all
        .iter()
        .map(|(address, _)| *address)
        .filter(|address| address.to_bits() >> 64 == prefix.to_bits() >> 64);
    on_prefix.next()
}

fn default_route(namespace: &Namespace) -> String {
    let mut show = Command::new("ip");
    let output = namespace.output(show.args(["-6", "route", "show", "default"]));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn guests_of_a_flat_network_the_host_and_the_segment_reach_each_other() {
    reach_each_other(&mut Segment::new(json!({ "ipv6_address_mode": "slaac" })));
}

/// Gives one of the guests that did, with its address, and the host's.
fn reach_each_other(segment: &mut Segment) -> (Namespace, Ipv6Addr, Ipv6Addr) {
    let router: Ipv6Addr = ROUTER.parse().unwrap();
    segment.advertise("");
    let host = until(
        "the host's own address by the router's advertisement",
        || global(&segment.cloud.host),
    );
    let (one, id, address) = segment.cloud.guest(&segment.network, "one");
    let (two, _, second) = segment.cloud.guest(&segment.network, "two");
    assert_eq!(segment.cloud.status(&id), "ACTIVE");
    until(
        "the address that the API says, of the router's prefix",
        || one.addresses().contains(&(address, 64)).then_some(()),
    );
    until("the router's default route", || {
        default_route(&one).contains("via fe80::").then_some(())
    });
    for guest in [&one, &two] {
        reaches(guest, router);
        reaches(guest, host);
    }
    reaches(&one, second);
    reaches(&segment.outside, address);
    reaches(&segment.cloud.host, second);
    reaches(&segment.cloud.host, router);
    let big = |from: &Namespace, to: Ipv6Addr| {
        from.succeeds(
            Command::new("ping")
                .args(["-c1", "-W2", "-s4000"])
                .arg(to.to_string()),
        )
    };
    until("fragments both ways", || {
        (big(&segment.outside, address) && big(&one, router)).then_some(())
    });

    // Guests are on the segment without the agent, too; a new one waits for it.
    let agent = segment.cloud.pid("agent");
    kill(&agent, "KILL");
    assert!(pings(&segment.outside, address, 5) && pings(&one, host, 5));

    // Nobody of the segment speaks in a guest's name, and the guest does not notice.
    segment
        .outside
        .ip(&format!("address add {address}/64 dev eth0 nodad"));
    segment
        .outside
        .ip(&format!("address del {address}/64 dev eth0"));
    reaches(&two, address);
    (one, address, host)
}

#[test]
fn a_nic_that_goes_is_said_and_adopted_when_it_comes_back() {
    let segment = Segment::new(json!({ "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" }));
    let cloud = &segment.cloud;
    let router: Ipv6Addr = ROUTER.parse().unwrap();
    let (one, id, address) = cloud.guest(&segment.network, "one");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    reaches(&one, router);
    let mac = cloud.mac(&id);
    let nic = |name: &str| {
        let seen = cloud.host.links_seen();
        seen.into_iter().find(|link| link.name == name)
    };
    let taken_in = |ifindex: u32| {
        let dumped = netns::inside(&cloud.host.path, filters::dump)
            .unwrap()
            .unwrap();
        let of_nic = dumped.get(&ifindex).cloned().unwrap_or_default();
        of_nic.iter().any(|taken| taken.to_string() == mac)
    };
    let first = nic("phys0").unwrap();
    assert!(first.all_multicast && taken_in(first.ifindex));

    cloud.host.ip("link set phys0 mtu 1400");
    until("a NIC too small is said", || {
        let why = "phys0 has an MTU of 1400, the network's is 1500";
        (segment.down(&id).as_deref() == Some(why)).then_some(())
    });
    cloud.host.ip("link set phys0 mtu 1500");
    until("no longer", || segment.down(&id).is_none().then_some(()));

    // The other end goes down, as a switch does, and comes back.
    let (two, second, _) = cloud.guest(&segment.network, "two");
    let both = [&id, &second];
    segment.outside.ip("link set eth0 down");
    for port in both {
        until("a NIC without carrier is said", || {
            (segment.down(port).as_deref() == Some("phys0 has no carrier")).then_some(())
        });
        until("and told to the server", || {
            (cloud.status(port) == "DOWN").then_some(())
        });
    }
    segment.outside.ip("link set eth0 up");
    for port in both {
        until("ACTIVE again", || {
            (cloud.status(port) == "ACTIVE").then_some(())
        });
    }
    // The kernel took the address of the downed end away.
    segment
        .outside
        .ip(&format!("address replace {ROUTER}/64 dev eth0 nodad"));
    reaches(&one, router);
    reaches(&two, router);
    cloud.api("DELETE", &format!("ports/{second}"), None);

    cloud.host.ip("link del phys0");
    until("a NIC that is gone is said", || {
        let why = "no link named phys0, which leads to physical network lab";
        (segment.down(&id).as_deref() == Some(why)).then_some(())
    });
    until("and told to the server", || {
        (cloud.status(&id) == "DOWN").then_some(())
    });
    lay(&PLAIN, &cloud.host, &segment.outside);
    until("the new one is led to", || {
        segment.down(&id).is_none().then_some(())
    });
    // The router's MAC is another one, and the guest need not doubt what it knows for half a minute.
    one.ip("-6 neigh flush dev eth0");
    reaches(&one, router);
    reaches(&segment.outside, address);
    let second = nic("phys0").unwrap();
    assert_ne!(first.ifindex, second.ifindex);

    cloud.done(&["port", "detach", "one"]);
    until("the MAC is taken in no more", || {
        (!taken_in(second.ifindex)).then_some(())
    });
    cloud.api("DELETE", &format!("ports/{id}"), None);
    until("the NIC is as it was", || {
        (!nic("phys0").unwrap().all_multicast).then_some(())
    });
}

#[test]
fn our_advertisement_names_the_segments_router_for_as_long_as_it_is_one() {
    let mut segment =
        Segment::new(json!({ "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" }));
    let (one, id, address) = segment.cloud.guest(&segment.network, "one");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    assert_eq!(default_route(&one), "", "nobody leads out");
    // The prefix of the router's own would give guests addresses that the API does not know: it is not heard.
    segment.advertise("prefix 2001:db8:bb::/64 { };");
    until("the router's default route", || {
        default_route(&one).contains("via fe80::").then_some(())
    });
    let others = |namespace: &Namespace| {
        let mut show = Command::new("ip");
        let output = namespace.output(show.args(["-6", "route", "show", "2001:db8:bb::/64"]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    until("the host hears the other prefix", || {
        (!others(&segment.cloud.host).is_empty()).then_some(())
    });
    assert_eq!(others(&one), "");
    let seen = segment.outside.links_seen();
    let router = seen.iter().find(|link| link.name == "eth0").unwrap().mac;
    let route = default_route(&one);
    assert!(route.contains(&router.link_local().to_string()), "{route}");
    assert_eq!(one.addresses(), [(address, 64)]);
    assert_eq!(segment.cloud.listed(&id)["segment_problems"], json!([]));
    reaches(&one, ROUTER.parse().unwrap());

    // By its farewell; the guest hears at once that this router is none any more.
    segment.stop_advertising();
    until("no default route", || {
        default_route(&one).is_empty().then_some(())
    });
    assert_eq!(one.addresses(), [(address, 64)]);
}

#[test]
fn a_router_that_contradicts_the_subnets_is_reported_until_it_does_no_more() {
    let mut segment = Segment::new(json!({ "ipv6_address_mode": "slaac" }));
    let (one, id, address) = segment.cloud.guest(&segment.network, "one");
    segment.advertise("AdvManagedFlag on;");
    let said = until("what the router says against the modes", || {
        segment.problems(&id).first().cloned()
    });
    assert!(
        said.starts_with("the subnets' modes want M=0 O=0, and fe80::") && said.contains("M=1 O=0"),
        "{said}"
    );
    let found = until("it is found, whatever else is", || {
        let findings = segment.findings(&id);
        let mut all = findings.as_array().unwrap().iter();
        all.find(|found| found["name"] == "wrong-flags").cloned()
    });
    assert_eq!(found["words"], said);
    until("the address all the same", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    segment.stop_advertising();
    segment.advertise("");
    until("nothing to say", || {
        segment.problems(&id).is_empty().then_some(())
    });
    until("the router is heard again", || {
        (segment.findings(&id) == json!([])).then_some(())
    });
}

#[test]
fn a_second_router_is_reported_with_what_it_sends_until_it_says_farewell() {
    let lines = format!("metrics_listen = \"{LISTEN}\"\n");
    let mut segment = Segment::with(json!({ "ipv6_address_mode": "slaac" }), &lines);
    let (_one, id, _) = segment.cloud.guest(&segment.network, "one");
    let advertise = |outside: &Namespace, number: u16| {
        let [high, low] = number.to_be_bytes();
        let mac = format!("02:00:00:00:{high:02x}:{low:02x}");
        let mut ra6 = Command::new("ra6");
        ra6.args(["-i", "eth0", "-d", "ff02::1", "-s"])
            .arg(format!("fe80::{number:x}"))
            .args(["-S", &mac, "-E", &mac, "-m", "-t", "1800", "-P"])
            .arg(format!("{PREFIX}#LA#2000#1000"));
        assert!(outside.succeeds(&mut ra6));
    };
    // The first one is known by what it says against the modes.
    let first = until("the first one is heard", || {
        advertise(&segment.outside, 1);
        let problems = segment.problems(&id);
        (!problems.is_empty()).then_some(problems)
    });
    let [said] = &first[..] else {
        panic!("{first:?}")
    };
    assert!(
        said.contains("fe80::1 (02:00:00:00:00:01) with M=1 O=0"),
        "{said}"
    );

    segment.advertise("");
    let seen = segment.outside.links_seen();
    let router = seen.iter().find(|link| link.name == "eth0").unwrap().mac;
    let second = format!(
        "a further sender of Router Advertisements: {} ({router}) with M=0 O=0, lifetime 12 s, {PREFIX} L=1 A=1",
        router.link_local()
    );
    let both = until("the second one is heard", || {
        let problems = segment.problems(&id);
        (problems.len() == 2).then_some(problems)
    });
    assert!(both.contains(&second), "{both:?}");
    let found = segment.findings(&id);
    let mut findings = found.as_array().unwrap().iter();
    assert!(findings.any(|found| found["words"] == second), "{found}");
    assert!(segment.cloud.log_text().contains(&second));

    segment.stop_advertising();
    until("nobody speaks of it any more", || {
        (segment.problems(&id) == first).then_some(())
    });

    // Who is one too many is counted.
    let mut number = 1;
    until("a sender is not kept apart", || {
        number += 1;
        advertise(&segment.outside, number);
        let unheard = "hextet_agent_segment_adverts_unheard_total{reason=\"senders\"}";
        (figures(&segment.cloud)[unheard] > 0.0).then_some(())
    });
    assert!(number > SENDERS_MAX);
}

fn dad_failed(guest: &Namespace) -> bool {
    let output = guest.output(Command::new("ip").args(["-6", "addr", "show", "dev", "eth0"]));
    String::from_utf8_lossy(&output.stdout).contains("dadfailed")
}

#[test]
fn what_the_segment_or_the_host_has_a_guest_cannot_take_whether_it_heeds_the_answer_or_not() {
    let segment = Segment::new(json!({ "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" }));
    let cloud = &segment.cloud;
    let (one, id, _) = cloud.guest(&segment.network, "one");
    let (two, _, second) = cloud.guest(&segment.network, "two");
    for guest in [&one, &two] {
        until("an address", || {
            (!guest.addresses().is_empty()).then_some(())
        });
    }
    let (theirs, hosts) = ("2001:db8:aa::7:1", "2001:db8:aa::7:2");
    segment
        .outside
        .ip(&format!("addr add {theirs}/64 dev eth0 nodad"));
    cloud
        .host
        .ip(&format!("addr add {hosts}/64 dev phys0 nodad"));
    for taken in [theirs, hosts] {
        let address: Ipv6Addr = taken.parse().unwrap();
        one.ip(&format!("addr add {taken}/64 dev eth0"));
        until("its check fails", || dad_failed(&one).then_some(()));
        let conflict = || {
            let listed = cloud.listed(&id);
            let conflicts = listed["conflicts"].as_array().unwrap();
            let mut of_it = conflicts.iter().filter(|entry| entry["address"] == taken);
            of_it.next()?["claims"].as_u64()
        };
        let before = until("it is reported", conflict);
        one.ip(&format!("addr del {taken}/64 dev eth0"));
        // The answer is not heeded: no check, and the agent's own question answered.
        one.ip(&format!("addr add {taken}/64 dev eth0 nodad"));
        assert!(!pings_from(&one, address, second, 8));
        until("each claim is counted", || {
            conflict().filter(|claims| *claims > before)
        });
        assert!(!cloud.learned(&id, address));
        one.ip(&format!("addr del {taken}/64 dev eth0"));
        reaches(&two, address);
    }
    // What nobody has is learned, by a check or without one, and then stands.
    for (free, options) in [("2001:db8:aa::8:1", ""), ("2001:db8:aa::8:2", " nodad")] {
        let address: Ipv6Addr = free.parse().unwrap();
        one.ip(&format!("addr add {free}/64 dev eth0{options}"));
        reaches_from(&one, address, second);
        assert!(cloud.learned(&id, address));
    }
    segment
        .outside
        .ip("addr add 2001:db8:aa::8:1/64 dev eth0 nodad");
    reaches_from(&one, "2001:db8:aa::8:1".parse().unwrap(), second);
}
