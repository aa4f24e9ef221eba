//! Multicast between kernels that report their groups themselves.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use hextet_agent::kernel::{Fastpath, ListenerRow, MapOp, Sender, links, netns};
use hextet_core::mac::Mac;
use hextet_proto::{QUERY_INTERVAL, QUERY_RESPONSE_INTERVAL, ROBUSTNESS};
use hextet_wire::frame::multicast_mac;
use hextet_wire::mld::Query;

use crate::support::{Capture, Guest, Host, NET, eventually};

const GROUP: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 7);
const PORT: u16 = 5300;

/// A socket of the guest's in this group: what its programs do. It leaves when dropped.
fn join(guest: &Guest, group: Ipv6Addr) -> UdpSocket {
    let socket = netns::inside(&guest.namespace, || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
        let eth0 = links::index("eth0").unwrap();
        socket.join_multicast_v6(&group, eth0).unwrap();
        socket
    });
    let socket = socket.unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Who talks to the group.
struct Talk<'a> {
    from: &'a Guest,
    socket: UdpSocket,
    to: SocketAddrV6,
    said: u32,
}

impl<'a> Talk<'a> {
    fn new(from: &'a Guest) -> Self {
        let (socket, eth0) = netns::inside(&from.namespace, || {
            let socket = UdpSocket::bind((from.address, 0)).unwrap();
            (socket, links::index("eth0").unwrap())
        })
        .unwrap();
        Self {
            from,
            socket,
            to: SocketAddrV6::new(GROUP, PORT, 0, eth0),
            said: 0,
        }
    }

    fn say(&mut self) -> [u8; 4] {
        self.said += 1;
        let said = self.said.to_be_bytes();
        self.socket.send_to(&said, self.to).unwrap();
        said
    }

    /// Says something and waits until it came to all of these; how many of these others it came to.
    fn tell(&mut self, listeners: &[&UdpSocket], others: &[(&Capture, Mac)]) -> usize {
        for (capture, mac) in others {
            capture.frames(*mac);
        }
        let said = self.say();
        for listener in listeners {
            let mut heard = [0; 16];
            eventually(
                "a listener hears its group",
                || matches!(listener.recv(&mut heard), Ok(4) if heard[..4] == said),
            );
        }
        // A frame to all says that what was sent before it would have come, too.
        self.from
            .output(&["ping", "-6", "-c", "1", "-W", "2", "ff02::1%eth0"]);
        let got = |(capture, mac): &(&Capture, Mac)| {
            let frames = capture.frames(*mac);
            assert!(!frames.is_empty(), "what is for all came");
            frames
                .iter()
                .any(|frame| frame[..6] == multicast_mac(GROUP).0)
        };
        others.iter().filter(|other| got(other)).count()
    }
}

fn row(host: &Host, guest: &Guest) -> ListenerRow {
    let rows = host.fastpath().dump().unwrap();
    rows.listeners[&guest.number].clone()
}

fn listen_anew(host: &Host, guest: &Guest) {
    host.apply(&[MapOp::SetListener(guest.number, ListenerRow::default())]);
}

pub fn groups_of_guests(host: &mut Host) {
    let [talker, listener, other, old] = &host.guests[..] else {
        unreachable!("four guests")
    };
    old.run(&["sysctl", "-qw", "net.ipv6.conf.eth0.force_mld_version=1"]);
    for guest in &host.guests {
        listen_anew(host, guest);
    }
    let mut talk = Talk::new(talker);
    let capture = other.capture();
    let others = [(&capture, other.mac)];
    let first = join(listener, GROUP);
    // Of the third nothing is known: it gets all until it reports something, and had the time to report everything.
    talk.tell(&[&first], &others);
    let elsewhere = join(other, Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 8));
    eventually("the third is known not to listen", || {
        talk.tell(&[&first], &others) == 0
    });
    for _ in 0..5 {
        assert_eq!(talk.tell(&[&first], &others), 0);
    }
    let second = join(old, GROUP);
    eventually("a report of MLDv1", || {
        row(host, old).groups.contains_key(&GROUP)
    });
    assert_eq!(talk.tell(&[&first, &second], &others), 0);

    // What was joined before a table was made is asked for.
    listen_anew(host, listener);
    let service = Mac::service(NET);
    let query = Query::general(QUERY_RESPONSE_INTERVAL, ROBUSTNESS, QUERY_INTERVAL);
    let query = query.emit(service, service.link_local());
    for guest in [listener, old] {
        listen_anew(host, guest);
        Sender::new().unwrap().send(guest.ifindex, &query).unwrap();
        eventually("the guest answers", || {
            row(host, guest).groups.contains_key(&GROUP)
        });
    }

    drop(first);
    eventually("a leave takes effect at once", || {
        row(host, listener).groups.is_empty()
    });
    let left = listener.capture();
    eventually("who left is sent no more", || {
        talk.tell(&[&second], &[(&capture, other.mac), (&left, listener.mac)]) == 0
    });
    drop(elsewhere);

    // Without an agent guests join and leave as ever.
    drop(host.fastpath.take());
    let [talker, listener, other, _] = &host.guests[..] else {
        unreachable!("four guests")
    };
    let mut talk = Talk::new(talker);
    let third = join(other, GROUP);
    let mut heard = [0; 16];
    eventually("who joins while the agent is away hears", || {
        let said = talk.say();
        matches!(third.recv(&mut heard), Ok(4) if heard[..4] == said)
    });
    let left = [(&left, listener.mac)];
    assert_eq!(talk.tell(&[&second, &third], &left), 0);
    host.fastpath = Some(Fastpath::open(&host.config).unwrap());
    let [talker, ..] = &host.guests[..] else {
        unreachable!("four guests")
    };
    assert_eq!(Talk::new(talker).tell(&[&second, &third], &left), 0);
}
