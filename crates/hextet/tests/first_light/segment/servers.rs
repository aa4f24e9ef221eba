//! DHCP servers of a physical segment that the cloud knows nothing of, and what the guests of a flat network hear of them.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use hextet_agent::kernel::Sender;
use hextet_core::mac::Mac;
use hextet_wire::dhcpv4::{self, ClientHeader, Question};
use hextet_wire::dhcpv6::{Asked, ClientMessage, Duid, Ia, IaKind};
use hextet_wire::frame::{Envelope, Udp, multicast_mac};
use hextet_wire::ipv4::Ipv4Envelope;

use super::*;
use crate::ipv4::Client;
use crate::metrics::frames;

/// Of the server itself, and of the subnets on which the cloud gives nothing: their DHCP is off.
const SERVER: &str = "2001:db8:ab::1";
const SERVER_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 10, 1);
/// What it gives to whoever asks.
const RANGES: [&str; 2] = [
    "--dhcp-range=2001:db8:ab::100,2001:db8:ab::1ff,64,1h",
    "--dhcp-range=10.0.10.100,10.0.10.199,255.255.255.0,1h",
];
const ASKS: &str = "request subnet-mask;\n";
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// A machine of the segment that is nobody's guest.
const STRANGER: Mac = Mac([2, 0, 0, 0, 7, 7]);

/// The server behind a switch that leads to the host, too.
struct Intruder {
    /// Ended before its namespace.
    _server: Server,
    namespace: Namespace,
    mac: Mac,
    log: PathBuf,
    /// From the switch to it, as others of the segment send.
    sender: Sender,
    towards: u32,
}

impl Intruder {
    /// Begins to serve; who has this MAC is given these addresses.
    fn start(segment: &Segment, mac: &str, given: &Addresses) -> Self {
        let (switch, namespace) = (&segment.outside, Namespace::new("intruder"));
        switch.ip("link add br0 type bridge mcast_snooping 0");
        switch.ip("link set br0 up");
        switch.ip("link set eth0 master br0");
        let pair = "link add intruder0 type veth peer name eth0 netns";
        switch.ip(&format!("{pair} {}", namespace.name));
        switch.ip("link set intruder0 master br0 up");
        namespace.ip("link set eth0 up");
        namespace.ip(&format!("address add {SERVER}/64 dev eth0 nodad"));
        namespace.ip(&format!("address add {SERVER_IPV4}/24 dev eth0"));
        let log = segment.cloud.path("intruder.log");
        let mut options = RANGES.map(str::to_owned).to_vec();
        options.extend([
            "--dhcp-authoritative".to_owned(),
            "--no-ping".to_owned(),
            "--log-dhcp".to_owned(),
            format!("--log-facility={}", log.display()),
            format!("--dhcp-host={mac},[{}],{}", given.ipv6, given.ipv4),
        ]);
        let link = |of: &Namespace, name: &str| {
            let seen = of.links_seen();
            seen.into_iter().find(|link| link.name == name).unwrap()
        };
        let sender = netns::inside(&switch.path, Sender::new);
        Self {
            mac: link(&namespace, "eth0").mac,
            sender: sender.unwrap().unwrap(),
            towards: link(switch, "intruder0").ifindex,
            _server: Server::start(&namespace, &options),
            namespace,
            log,
        }
    }

    /// How often it has answered so to a client with this MAC.
    fn answered(&self, answer: &str, mac: Mac) -> usize {
        // A DHCPv6 client's identifier holds the MAC.
        let mac = mac.to_string();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = log.lines();
        lines
            .filter(|line| line.contains(answer) && line.contains(&mac))
            .count()
    }

    /// Asks it as a client with this MAC would that is on the segment, until it has answered so.
    fn asked(&self, frame: &[u8], answer: &str, mac: Mac) {
        until(&format!("the server says {answer} to {mac}"), || {
            self.sender.send(self.towards, frame).unwrap();
            (self.answered(answer, mac) > 0).then_some(())
        });
    }

    /// What a guest with this MAC heard of its DHCP up to now, in words.
    fn heard(&self, ear: &Ear, mac: Mac) -> String {
        let heard = until("what it sends at last is heard", || {
            pings(&self.namespace, mac.link_local(), 1);
            let heard = fs::read_to_string(&ear.heard).unwrap();
            heard.contains("echo request").then_some(heard)
        });
        let lines = heard.lines();
        lines
            .filter(|line| line.contains("dhcp6") || line.contains("DHCP"))
            .collect()
    }
}

/// tcpdump in a guest, of what comes from one MAC; ended when dropped.
pub(super) struct Ear {
    tcpdump: Child,
    pub(super) heard: PathBuf,
}

impl Ear {
    pub(super) fn open(cloud: &Cloud, guest: &Namespace, from: Mac) -> Self {
        let heard = cloud.path(&guest.name).with_extension("heard");
        let said = heard.with_extension("said");
        let mut command = Command::new("tcpdump");
        command
            .args(["--immediate-mode", "-lnei", "eth0", "ether", "src"])
            .arg(from.to_string())
            .stdin(Stdio::null())
            .stdout(File::create(&heard).unwrap())
            .stderr(File::create(&said).unwrap());
        let tcpdump = guest.spawn(&mut command);
        until("tcpdump listens", || {
            let said = fs::read_to_string(&said).unwrap();
            said.contains("listening on").then_some(())
        });
        Self { tcpdump, heard }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// A port's, as the API says.
struct Addresses {
    ipv6: Ipv6Addr,
    ipv4: Ipv4Addr,
}

/// A subnet of the flat network; its id.
fn subnet(segment: &Segment, of: Value) -> String {
    let mut body = json!({ "network_id": segment.network });
    let of = of.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(of);
    let made = segment.cloud.create("subnet", body);
    made["id"].as_str().unwrap().to_owned()
}

/// A port with an address of each subnet, attached to a guest.
fn guest(segment: &Segment, name: &str, subnets: [&str; 2]) -> (Namespace, Mac, Addresses) {
    let fixed = subnets.map(|subnet| json!({ "subnet_id": subnet }));
    let port = json!({ "network_id": segment.network, "name": name, "fixed_ips": fixed });
    let port = segment.cloud.create("port", port);
    let text = |at: usize| port["fixed_ips"][at]["ip_address"].as_str().unwrap();
    let of_six = usize::from(!text(0).contains(':'));
    let addresses = Addresses {
        ipv6: text(of_six).parse().unwrap(),
        ipv4: text(1 - of_six).parse().unwrap(),
    };
    let guest = Namespace::new(name);
    let attach = ["port", "attach", name, "--netns", &guest.name];
    segment.cloud.done(&attach);
    (
        guest,
        port["mac_address"].as_str().unwrap().parse().unwrap(),
        addresses,
    )
}

/// What a real client of each family is given, and by which server (of IPv4).
fn given(segment: &Segment, guest: &Namespace) -> (Addresses, String) {
    let cloud = &segment.cloud;
    let client = Client::dhclient(cloud, guest, "-4", ASKS);
    let bound = client.told("BOUND");
    drop(client);
    let client = Client::dhclient(cloud, guest, "-6", "");
    let bound6 = client.told("BOUND6");
    drop(client);
    let addresses = Addresses {
        ipv6: bound6["new_ip6_address"].parse().unwrap(),
        ipv4: bound["new_ip_address"].parse().unwrap(),
    };
    (addresses, bound["new_dhcp_server_identifier"].clone())
}

/// The first question of a DHCPv6 client with this MAC.
fn solicit(mac: Mac) -> Vec<u8> {
    let duid = [&[0, 3, 0, 1][..], &mac.0].concat();
    let asked = Asked {
        transaction: [1, 2, 3],
        client: Duid::new(&duid).unwrap(),
        ias: vec![Ia {
            kind: IaKind::Na,
            iaid: 1,
            addresses: Vec::new(),
        }],
        requested: Vec::new(),
        reconfigure_accept: false,
    };
    let message = ClientMessage::Solicit {
        asked,
        rapid_commit: false,
    };
    let envelope = Envelope {
        mac_destination: multicast_mac(ALL_SERVERS),
        mac_source: mac,
        source: mac.link_local(),
        destination: ALL_SERVERS,
        hop_limit: 1,
    };
    envelope.udp(Udp {
        source_port: 546,
        destination_port: 547,
        data: &message.emit(),
    })
}

/// The first question of a DHCPv4 client with this MAC, which has the answer sent to all or to itself.
fn discover(mac: Mac, broadcast: bool) -> Vec<u8> {
    let mut chaddr = [0; 16];
    chaddr[..6].copy_from_slice(&mac.0);
    let header = ClientHeader {
        htype: 1,
        hlen: 6,
        transaction: 0x0102_0304,
        broadcast,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        chaddr,
        client_id: Vec::new(),
        requested: Vec::new(),
        packet_bytes_max: 1500,
    };
    let question = Question::Discover {
        wanted: Ipv4Addr::UNSPECIFIED,
        rapid_commit: false,
    };
    let message = dhcpv4::ClientMessage { header, question };
    let envelope = Ipv4Envelope {
        mac_destination: Mac([0xff; 6]),
        mac_source: mac,
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::BROADCAST,
    };
    envelope.udp(Udp {
        source_port: 68,
        destination_port: 67,
        data: &message.emit(),
    })
}

#[test]
fn a_dhcp_server_of_the_segment_reaches_the_guests_of_subnets_without_dhcp_and_no_others() {
    let modes =
        json!({ "ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful" });
    let segment = Segment::with(modes, &format!("metrics_listen = \"{LISTEN}\"\n"));
    let listed = segment.cloud.api("GET", "subnets", None);
    let served = listed["subnets"][0]["id"].as_str().unwrap().to_owned();
    let served_ipv4 = subnet(&segment, json!({ "ip_version": 4, "cidr": "10.0.9.0/24" }));
    let off = |version: u8, cidr: &str| {
        let of = json!({ "ip_version": version, "cidr": cidr, "enable_dhcp": false });
        subnet(&segment, of)
    };
    let (left, left_ipv4) = (off(6, "2001:db8:ab::/64"), off(4, "10.0.10.0/24"));
    let (one, first, promised) = guest(&segment, "one", [&served, &served_ipv4]);
    let (two, second, known) = guest(&segment, "two", [&left, &left_ipv4]);
    let intruder = Intruder::start(&segment, &second.to_string(), &known);
    let ears = [&one, &two].map(|guest| Ear::open(&segment.cloud, guest, intruder.mac));

    // Where the cloud serves, it alone does; where it does not, the segment's server gives what the API says.
    let (got, server) = given(&segment, &one);
    assert_eq!((got.ipv6, got.ipv4), (promised.ipv6, promised.ipv4));
    assert_eq!(server, "169.254.169.254");
    let (got, server) = given(&segment, &two);
    assert_eq!((got.ipv6, got.ipv4), (known.ipv6, known.ipv4));
    assert_eq!(server, SERVER_IPV4.to_string());
    let mut ping = Command::new("ping");
    ping.args(["-c1", "-W2", &SERVER_IPV4.to_string()]);
    assert!(two.succeeds(&mut ping));
    let log = fs::read_to_string(&intruder.log).unwrap();
    let asked = log.lines().any(|line| line.contains(&first.to_string()));
    assert!(!asked, "the first guest's questions stay here: {log}");

    // What it sends to a served guest unasked is counted, and ends at the NIC; so does what it sends to all.
    let counted = || figures(&segment.cloud)[&frames("consumed", "segment_dhcp")];
    let before = counted();
    intruder.asked(&discover(first, false), "DHCPOFFER", first);
    until("an offer ends here, and nothing else was asked for", || {
        (counted() > before).then_some(())
    });
    intruder.asked(&solicit(first), "DHCPADVERTISE", first);
    until("more ends here than the offers that it has said", || {
        let ended = counted() - before;
        let offers = u32::try_from(intruder.answered("DHCPOFFER", first)).unwrap();
        (ended > f64::from(offers)).then_some(())
    });
    intruder.asked(&discover(STRANGER, true), "DHCPOFFER", STRANGER);
    let heard = intruder.heard(&ears[1], second);
    let to_all = heard.contains("ff:ff:ff:ff:ff:ff");
    assert!(to_all && heard.contains("dhcp6"), "{heard}");
    assert_eq!(intruder.heard(&ears[0], first), "");
}
