use std::collections::BTreeSet;

use hextet_core::link::LinkPlan;
use hextet_wire::dhcpv6::{Asked, Ia, IaKind, InformationRequest};
use hextet_wire::frame;

use super::*;
use crate::counters::{DropReason, Sent};
use crate::event::LinkEvent;
use crate::fixture::{
    Book, GUEST, dhcpv6, dhcpv6_of, drain, ip, plan, router_solicit, seconds, start,
};
use crate::link::Link;

#[test]
fn a_client_that_accepts_is_told_when_its_addresses_change_and_the_others_never_are() {
    for accepts in [true, false] {
        let now = start();
        let mut guest = Guest::new(accepts, now);
        let reply = guest.ask(guest.request(), now);
        assert_eq!(reply.reconfigure_accept, accepts);
        assert_eq!(reply.reconfigure_key.is_some(), accepts);
        assert!(guest.change(readdressed(), now).is_empty() != accepts);
    }
}

#[test]
fn a_reconfigure_is_signed_by_the_clients_key_and_names_both_sides() {
    let now = start();
    let mut guest = Guest::new(true, now);
    let given = guest.ask(guest.request(), now).reconfigure_key.unwrap();
    let frames = guest.change(readdressed(), now);
    assert_eq!(frames.len(), 1);
    let packet = frame::parse(&frames[0]).unwrap();
    assert_eq!(packet.envelope.mac_destination, GUEST);
    assert_eq!(packet.envelope.destination, GUEST.link_local());
    assert_eq!(packet.envelope.source, plan().service_link_local());
    let udp = packet.udp().unwrap();
    assert_eq!((udp.source_port, udp.destination_port), (547, 546));
    let told = Reconfigure::parse(udp.data, &given.key).unwrap();
    assert_eq!(told.client, duid());
    assert_eq!(told.server, server());
    assert_eq!(told.kind, ReconfigureKind::Renew);
    assert!(told.replay > given.replay);
}

#[test]
fn an_advertise_says_that_it_will_be_so_and_gives_no_key() {
    let now = start();
    for accepts in [true, false] {
        let mut guest = Guest::new(accepts, now);
        let asked = guest.asked();
        let advertise = guest.ask(
            ClientMessage::Solicit {
                asked: asked.clone(),
                rapid_commit: false,
            },
            now,
        );
        assert_eq!(advertise.kind, ServerMessageKind::Advertise);
        assert_eq!(advertise.reconfigure_accept, accepts);
        assert_eq!(advertise.reconfigure_key, None);
        assert_eq!(guest.link.reconfigurable(), None);
        let rapid = guest.ask(
            ClientMessage::Solicit {
                asked,
                rapid_commit: true,
            },
            now,
        );
        assert_eq!(rapid.reconfigure_key.is_some(), accepts);
    }
}

#[test]
fn without_an_answer_it_is_said_eight_times_at_growing_distances_and_then_counted() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    let mut times = vec![now];
    let first = guest.change(readdressed(), now);
    let mut replays = BTreeSet::from([guest.replay(&first[0])]);
    while guest
        .link
        .counters()
        .dropped(DropReason::Dhcpv6NotReconfigured)
        == 0
    {
        let (at, _) = guest.link.poll_timeout().unwrap();
        for frame in datagrams(&drain(&mut guest.link, at)) {
            times.push(at);
            let replay = guest.replay(&frame);
            assert!(replay > *replays.last().unwrap(), "each is newer");
            replays.insert(replay);
        }
    }
    assert_eq!(times.len(), 8, "REC_MAX_RC");
    let mut expected = 2.0;
    for pair in times.windows(2) {
        let seen = (pair[1] - pair[0]).as_secs_f64();
        assert!(
            (0.9..=1.1).contains(&(seen / expected)),
            "{seen} for {expected}"
        );
        expected = 2.0 * seen;
    }
    let counters = guest.link.counters();
    assert_eq!(counters.dropped(DropReason::Dhcpv6NotReconfigured), 1);
    assert_eq!(counters.sent[&Sent::Dhcpv6Reconfigure], 8);
    // The same again does not begin anew, another change does.
    let later = *times.last().unwrap() + seconds(10_000);
    assert!(guest.change(readdressed(), later).is_empty());
    assert_eq!(
        guest.change(plan(), later).len(),
        0,
        "what it was told holds again"
    );
    assert_eq!(guest.change(renamed(), later).len(), 1);
}

#[test]
fn a_renewal_ends_it_and_is_what_the_client_was_told_from_then_on() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    assert_eq!(guest.change(readdressed(), now).len(), 1);
    let reply = guest.ask(guest.renew(), now + seconds(1));
    let given = reply.ias[0]
        .addresses
        .iter()
        .filter(|given| given.valid_lifetime_s > 0);
    assert!(given.map(|given| given.address).eq([ip("2001:db8:3::99")]));
    assert_eq!(reply.reconfigure_key, None, "it has it already");
    assert!(guest.is_calm(now));
    assert_eq!(guest.change(plan(), now + seconds(2)).len(), 1);
}

#[test]
fn what_does_not_concern_the_client_is_not_told() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    let mut other = plan();
    other.ra.as_mut().unwrap().retrans_timer_ms = 7;
    other.dhcpv4 = None;
    let frames = guest.change(other, now);
    assert!(frames.is_empty());
    let mut without = plan();
    without.dhcpv6 = None;
    guest.change(without, now);
    assert!(guest.is_calm(now), "nobody would answer the renewal");
}

#[test]
fn times_lifetimes_and_extra_options_are_changes_too() {
    let changes: [fn(&mut Dhcpv6Plan); 4] = [
        |plan| plan.times.t1_s = 60,
        |plan| plan.valid_lifetime_s = 60,
        |plan| plan.dns_servers = vec![ip("2001:db8::54")],
        |plan| {
            plan.options
                .insert(59, b"http://[2001:db8::1]/boot".to_vec());
        },
    ];
    for change in changes {
        let now = start();
        let mut guest = Guest::new(true, now);
        guest.ask(guest.request(), now);
        let mut changed = plan();
        change(changed.dhcpv6.as_mut().unwrap());
        assert_eq!(guest.change(changed, now).len(), 1);
        guest.ask(guest.renew(), now);
        assert!(guest.is_calm(now));
    }
}

#[test]
fn who_asks_for_options_alone_is_told_to_ask_for_them_again() {
    let now = start();
    let mut guest = Guest::new(true, now);
    let reply = guest.ask(guest.information_request(), now);
    let key = reply.reconfigure_key.unwrap().key;
    assert!(
        guest.change(readdressed(), now).is_empty(),
        "addresses are no options"
    );
    let frames = guest.change(renamed(), now);
    let packet = frame::parse(&frames[0]).unwrap();
    let told = Reconfigure::parse(packet.udp().unwrap().data, &key).unwrap();
    assert_eq!(told.kind, ReconfigureKind::InformationRequest);
    guest.ask(guest.information_request(), now);
    assert!(guest.is_calm(now));
}

#[test]
fn who_has_addresses_and_asks_for_options_besides_is_still_told_to_renew() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    guest.ask(guest.information_request(), now);
    let client = guest.link.reconfigurable().unwrap();
    assert_eq!(client.kind, ReconfigureKind::Renew);
    assert_eq!(guest.change(readdressed(), now).len(), 1);
}

#[test]
fn the_last_client_counts_and_one_that_does_not_accept_ends_it() {
    let now = start();
    let mut guest = Guest::new(true, now);
    let first = guest.ask(guest.request(), now).reconfigure_key.unwrap().key;
    guest.duid = Duid::new(&[0, 4, 7, 7, 7]).unwrap();
    let second = guest.ask(guest.request(), now).reconfigure_key.unwrap().key;
    assert_ne!(first, second, "each has its own key");
    assert_eq!(guest.link.reconfigurable().unwrap().client, guest.duid);
    guest.duid = duid();
    guest.accepts = false;
    assert_eq!(guest.ask(guest.request(), now).reconfigure_key, None);
    assert_eq!(guest.link.reconfigurable(), None);
    assert!(guest.change(readdressed(), now).is_empty());
}

#[test]
fn a_client_of_rfc_3315_says_it_once_and_release_takes_it_back() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    guest.accepts = false;
    guest.ask(guest.renew(), now);
    assert_eq!(guest.change(readdressed(), now).len(), 1);
    let asked = guest.asked();
    let server = server();
    guest.ask(ClientMessage::Release { asked, server }, now);
    assert!(guest.is_calm(now));
    assert_eq!(guest.link.reconfigurable(), None);
}

#[test]
fn a_client_that_begins_anew_is_given_its_key_again() {
    let now = start();
    let mut guest = Guest::new(true, now);
    let key = guest.ask(guest.request(), now).reconfigure_key.unwrap().key;
    let mut asked = guest.asked();
    asked.ias[0].addresses = guest.held.clone();
    for message in [
        ClientMessage::Confirm {
            asked: asked.clone(),
        },
        ClientMessage::Rebind { asked },
        guest.request(),
    ] {
        let name = message.name();
        let given = guest.ask(message, now).reconfigure_key;
        assert_eq!(given.map(|given| given.key), Some(key), "{name}");
    }
}

#[test]
fn a_restarted_agent_tells_what_changed_meanwhile_and_a_new_guest_nothing() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    let kept = guest.link.reconfigurable().unwrap().clone();
    let kept_event = std::iter::from_fn(|| guest.link.poll_event()).last();
    let client = Some(Box::new(kept.clone()));
    assert_eq!(kept_event, Some(LinkEvent::Reconfigurable { client }));
    for (now_served, count) in [(plan(), 0), (readdressed(), 1)] {
        let mut link = Link::new(now_served, 2).reconfiguring(seed(9));
        link.handle_resume(now);
        link.handle_reconfigurable(kept.clone(), now);
        let frames = drain(&mut link, now);
        assert_eq!(frames.len(), count);
        for frame in frames {
            let packet = frame::parse(&frame).unwrap();
            assert!(Reconfigure::parse(packet.udp().unwrap().data, &kept.key).is_ok());
        }
        link.handle_up(now);
        assert_eq!(link.reconfigurable(), None);
        let last = std::iter::from_fn(|| link.poll_event()).last();
        assert_eq!(last, Some(LinkEvent::Reconfigurable { client: None }));
        link.handle_plan(renamed(), now);
        assert!(drain(&mut link, now).is_empty());
    }
}

#[test]
fn nothing_is_said_on_a_port_that_is_down_until_it_is_up() {
    let now = start();
    let mut guest = Guest::new(true, now);
    guest.ask(guest.request(), now);
    let mut down = readdressed();
    down.admin_state_up = false;
    assert!(guest.change(down, now).is_empty());
    assert!(guest.is_calm(now));
    let frames = guest.change(readdressed(), now);
    assert_eq!(frames.len(), 1);
}

struct Guest {
    link: Link,
    duid: Duid,
    accepts: bool,
    held: Vec<hextet_wire::dhcpv6::IaAddress>,
}

impl Guest {
    fn new(accepts: bool, now: Instant) -> Self {
        let mut link = Link::new(plan(), 1).reconfiguring(seed(1));
        link.handle_frame(&router_solicit(GUEST.link_local()), &Book::default(), now);
        drain(&mut link, now);
        Self {
            link,
            duid: duid(),
            accepts,
            held: Vec::new(),
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            transaction: [1, 2, 3],
            client: self.duid.clone(),
            ias: vec![Ia {
                kind: IaKind::Na,
                iaid: 5,
                addresses: self.held.clone(),
            }],
            requested: vec![],
            reconfigure_accept: self.accepts,
        }
    }

    fn request(&self) -> ClientMessage {
        let (asked, server) = (self.asked(), server());
        ClientMessage::Request { asked, server }
    }

    fn renew(&self) -> ClientMessage {
        let (asked, server) = (self.asked(), server());
        ClientMessage::Renew { asked, server }
    }

    fn information_request(&self) -> ClientMessage {
        ClientMessage::InformationRequest(InformationRequest {
            transaction: [1, 2, 3],
            client: Some(self.duid.clone()),
            server: None,
            requested: vec![],
            reconfigure_accept: self.accepts,
        })
    }

    fn ask(&mut self, message: ClientMessage, now: Instant) -> ServerMessage {
        self.link
            .handle_frame(&dhcpv6(&message), &Book::default(), now);
        let frames = drain(&mut self.link, now);
        assert_eq!(frames.len(), 1, "{}", message.name());
        let answer = dhcpv6_of(&frames[0]).1;
        if let Some(ia) = answer.ias.first() {
            self.held = ia.addresses.clone();
        }
        answer
    }

    /// What is sent because of this change, but for advertisements.
    fn change(&mut self, plan: LinkPlan, now: Instant) -> Vec<Vec<u8>> {
        self.link.handle_plan(plan, now);
        datagrams(&drain(&mut self.link, now))
    }

    /// Nothing will be said.
    fn is_calm(&self, now: Instant) -> bool {
        let mut ahead = self.link.clone();
        datagrams(&drain(&mut ahead, now + seconds(10_000))).is_empty()
    }

    fn replay(&self, frame: &[u8]) -> u64 {
        let packet = frame::parse(frame).unwrap();
        let key = self.link.reconfigurable().unwrap().key;
        let data = packet.udp().unwrap().data;
        Reconfigure::parse(data, &key).unwrap().replay
    }
}

/// These that are no advertisements.
fn datagrams(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let udp = |frame: &&Vec<u8>| frame::parse(frame).unwrap().udp().is_some();
    frames.iter().filter(udp).cloned().collect()
}

/// Another address and the same advertisement, so that only DHCPv6 has something to say.
fn readdressed() -> LinkPlan {
    let mut changed = plan();
    changed.dhcpv6.as_mut().unwrap().addresses = vec![ip("2001:db8:3::99")];
    changed
}

fn renamed() -> LinkPlan {
    let mut changed = plan();
    changed.dhcpv6.as_mut().unwrap().dns_search = vec!["example.net".to_owned()];
    changed
}

fn seed(secret: u8) -> ReconfigureSeed {
    ReconfigureSeed {
        secret: ReconfigureKey::new([secret; 16]),
        replay: 1000,
    }
}

fn duid() -> Duid {
    Duid::new(&[0, 3, 0, 1, 9]).unwrap()
}

fn server() -> Duid {
    Duid::from_uuid(7_u128.to_be_bytes())
}
