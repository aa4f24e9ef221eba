use std::collections::{BTreeMap, BTreeSet};

use hextet_core::ids::PortId;
use hextet_core::mac::Mac;
use uuid::Uuid;

use super::super::carriers::Carrier;
use super::{News, take_links};
use crate::kernel::links::{LinkChange, LinkKind, LinkSeen};

fn link(carrier: bool) -> LinkSeen {
    LinkSeen {
        name: "tap7".to_owned(),
        ifindex: 7,
        mac: Mac::default(),
        mtu: 1500,
        admin_up: true,
        carrier,
        all_multicast: false,
        kind: LinkKind::Tap,
        peer_elsewhere: false,
        alias: None,
    }
}

fn carried(carrier: bool) -> Carrier {
    Carrier {
        ifindex: 7,
        carrier,
        admin_up: true,
        mtu: 1500,
        direct: false,
        attached: true,
        incarnation: 1,
        resumed: false,
        interrupted: false,
    }
}

/// The port whose link is number 7.
const PORT: PortId = PortId(Uuid::from_u128(7));
/// The one whose link will be named `tap9`.
const COMING: PortId = PortId(Uuid::from_u128(9));

/// What changes tell of a port's link with this carrier, and whether its guest may be another one.
fn told(carrier: bool, changes: &[LinkChange]) -> (News, bool) {
    let other = LinkSeen {
        ifindex: 6,
        name: "eth0".to_owned(),
        ..link(true)
    };
    let mut known = BTreeMap::from([(6, other), (7, link(carrier))]);
    let mut carriers = BTreeMap::from([(PORT, carried(carrier))]);
    let port_of = |name: &str| (name == "tap9").then_some(COMING);
    let news = take_links(changes, &mut known, &mut carriers, port_of);
    (news, carriers[&PORT].interrupted)
}

fn nothing() -> News {
    News::default()
}

fn of_port() -> News {
    News {
        ports: BTreeSet::from([PORT]),
        ..News::default()
    }
}

fn of_others() -> News {
    News {
        others: true,
        ..News::default()
    }
}

fn seen(carrier: bool) -> LinkChange {
    LinkChange::Seen(link(carrier))
}

#[test]
fn an_echo_is_no_news() {
    let unknown = LinkChange::Gone { ifindex: 8 };
    assert_eq!(told(true, &[seen(true), unknown]), (nothing(), false));
    assert_eq!(told(false, &[seen(false)]), (nothing(), false));
}

#[test]
fn a_carrier_gained_is_told_and_one_lost_takes_a_pass_even_when_it_is_back() {
    let gained = News {
        carriers: BTreeSet::from([PORT]),
        ..News::default()
    };
    assert_eq!(told(false, &[seen(true)]), (gained, false));
    for changes in [[seen(false), seen(false)], [seen(true), seen(false)]] {
        assert_eq!(told(true, &changes).0.ports, of_port().ports);
        assert!(told(true, &changes).1);
    }
    assert!(told(true, &[seen(false), seen(true)]).1);
    let blink = [seen(true), seen(false)];
    assert_eq!(told(false, &blink), (of_port(), true));
}

#[test]
fn a_link_made_again_with_its_number_and_name_is_no_echo() {
    let gone = LinkChange::Gone { ifindex: 7 };
    let again = [gone.clone(), seen(false)];
    assert_eq!(told(false, &again), (of_port(), false));
    assert_eq!(told(false, &[gone]), (of_port(), false));
}

#[test]
fn what_comes_under_a_ports_name_is_that_ports_and_no_other_news() {
    let coming = |name: &str| {
        LinkChange::Seen(LinkSeen {
            ifindex: 9,
            name: name.to_owned(),
            ..link(true)
        })
    };
    let ports = BTreeSet::from([COMING]);
    let (news, _) = told(true, &[coming("tap9")]);
    assert_eq!((news.ports, news.others), (ports, false));
    assert_eq!(told(true, &[coming("tap8")]), (of_others(), false));
    // Gone before it was looked at.
    let brief = [coming("tap9"), LinkChange::Gone { ifindex: 9 }];
    assert_eq!(told(true, &brief), (nothing(), false));
}

#[test]
fn other_properties_other_links_and_lost_changes_take_a_pass() {
    let down = LinkSeen {
        admin_up: false,
        ..link(true)
    };
    assert_eq!(
        told(true, &[LinkChange::Seen(down.clone())]),
        (of_port(), false)
    );
    let renamed = LinkSeen {
        name: "tap8".to_owned(),
        ..link(true)
    };
    assert!(told(true, &[LinkChange::Seen(renamed)]).0.others);
    let other = LinkSeen { ifindex: 6, ..down };
    let gone = LinkChange::Gone { ifindex: 6 };
    for change in [LinkChange::Seen(other), gone, LinkChange::Lost] {
        assert_eq!(told(true, &[change]), (of_others(), false));
    }
}

#[test]
fn another_place_behind_a_link_is_told_of_and_is_no_change_of_the_link() {
    let (news, _) = told(true, &[seen(true), LinkChange::Elsewhere { ifindex: 6 }]);
    let wanted = News {
        elsewhere: BTreeSet::from([6]),
        ..nothing()
    };
    assert_eq!(news, wanted);
}
