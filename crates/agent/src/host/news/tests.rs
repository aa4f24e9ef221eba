use std::collections::BTreeMap;

use hextet_core::mac::Mac;

use super::super::pass::Carrier;
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

/// What changes tell of a port's link with this carrier, and whether its guest may be another one.
fn told(carrier: bool, changes: &[LinkChange]) -> (News, bool) {
    let mut known = BTreeMap::from([(7, link(carrier))]);
    let mut port = carried(carrier);
    let news = take_links(changes, &mut known, std::iter::once(&mut port));
    (news, port.interrupted)
}

fn seen(carrier: bool) -> LinkChange {
    LinkChange::Seen(link(carrier))
}

#[test]
fn an_echo_is_no_news() {
    let unknown = LinkChange::Gone { ifindex: 8 };
    assert_eq!(told(true, &[seen(true), unknown]), (News::Nothing, false));
    assert_eq!(told(false, &[seen(false)]), (News::Nothing, false));
}

#[test]
fn a_carrier_gained_is_told_and_one_lost_takes_a_pass_even_when_it_is_back() {
    assert_eq!(told(false, &[seen(true)]), (News::Carriers, false));
    assert_eq!(told(true, &[seen(false)]), (News::Links, true));
    assert_eq!(told(true, &[seen(false), seen(true)]), (News::Links, true));
    let blink = [seen(true), seen(false)];
    assert_eq!(told(false, &blink), (News::Links, true));
}

#[test]
fn a_link_made_again_with_its_number_and_name_is_no_echo() {
    let gone = LinkChange::Gone { ifindex: 7 };
    let again = [gone.clone(), seen(false)];
    assert_eq!(told(false, &again), (News::Links, false));
    assert_eq!(told(false, &[gone]), (News::Links, false));
}

#[test]
fn other_links_other_properties_and_lost_changes_take_a_pass() {
    let other = LinkSeen {
        ifindex: 8,
        ..link(true)
    };
    let down = LinkSeen {
        admin_up: false,
        ..link(true)
    };
    for change in [
        LinkChange::Seen(other),
        LinkChange::Seen(down),
        LinkChange::Lost,
    ] {
        assert_eq!(told(true, &[change]), (News::Links, false));
    }
}
