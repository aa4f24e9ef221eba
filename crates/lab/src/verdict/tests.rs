use std::collections::BTreeSet;

use super::*;
use crate::ipv4::{Ipv4Promised, Ipv4Seen, Route};
use crate::seen::{AddressSeen, Ping, RaSeen};

#[test]
fn what_is_as_promised_is_right_in_every_column() {
    let lines = compare(&three());
    assert_eq!(lines.len(), 3 * Column::ALL.len());
    for line in &lines {
        assert_eq!(line.verdict, Verdict::Right, "{line:?}");
    }
}

#[test]
fn a_guest_that_forms_addresses_has_those_that_the_api_shows_and_no_others() {
    let mut guests = three();
    let own = "2024:8:6:86:1::7";
    let check = |guests: &[(Promised, Seen)]| {
        let (promised, seen) = &guests[0];
        judge(Column::Address, promised, seen).is_right()
    };
    guests[0].0.forms_addresses = true;
    assert!(!check(&guests), "the API shows none");
    guests[0].0.formed.push(own.parse().unwrap());
    assert!(!check(&guests), "the guest has it not");
    guests[0].1.addresses.push(address(own));
    assert!(check(&guests));
    guests[0].0.formed.clear();
    assert!(!check(&guests), "the API does not show it");
}

/// The column that turns red, what is done to guest a, and the lines that follow from it.
type Fault = (Column, fn(&mut Seen), &'static [(&'static str, Column)]);

#[test]
fn one_fault_reads_as_one_fault() {
    use Column::*;
    let rows: [Fault; 20] = [
        (Address, |seen| seen.addresses.clear(), &[("a", Lifetimes)]),
        (
            Address,
            |seen| seen.addresses[0].unusable.push("deprecated"),
            &[],
        ),
        (
            Address,
            |seen| seen.addresses.push(address("2001:db8::bad")),
            &[],
        ),
        (Lifetimes, |seen| seen.addresses[0].valid_s = 5389, &[]),
        (
            Lifetimes,
            |seen| seen.addresses[0].preferred_s = u32::MAX,
            &[],
        ),
        (OnLinkRoute, |seen| seen.on_link.clear(), &[]),
        // The length that old DHCPv6 clients made up.
        (
            OnLinkRoute,
            |seen| seen.on_link.push("2024:8:6:86::/64".parse().unwrap()),
            &[],
        ),
        (
            DefaultRoute,
            |seen| seen.default_routes.push("via fe80::1".into()),
            &[],
        ),
        (Dns, |seen| seen.dns.reverse(), &[]),
        (Mtu, |seen| seen.ipv6_mtu = 1300, &[]),
        (Flags, |seen| seen.ra.as_mut().unwrap().managed = false, &[]),
        (PingGlobal, |seen| seen.ping_global.answered = false, &[]),
        (
            PingLinkLocal,
            |seen| seen.ping_link_local.answered = false,
            &[],
        ),
        (Ipv4Address, |seen| seen.ipv4.addresses.clear(), &[]),
        (
            Ipv4Routes,
            |seen| {
                let service = seen.ipv4.routes.pop_last();
                assert!(service.is_some(), "there was one");
            },
            &[],
        ),
        // A router that nobody promised.
        (
            Ipv4Routes,
            |seen| {
                let destination = "192.0.2.0/24".parse().unwrap();
                seen.ipv4.routes.insert(Route {
                    destination,
                    gateway: None,
                });
            },
            &[],
        ),
        (Ipv4Dns, |seen| seen.ipv4.dns.clear(), &[]),
        (PingIpv4, |seen| seen.ipv4.ping.answered = false, &[]),
        (HostName, |seen| seen.host_name = Some("odd".into()), &[]),
        (Options, |seen| seen.options.clear(), &[]),
    ];
    for (column, fault, dependents) in rows {
        let mut guests = three();
        fault(&mut guests[0].1);
        check(&guests, column, dependents);
    }
}

#[test]
fn a_ping_that_fails_with_its_address_names_the_address_here_or_there() {
    let mut guests = three();
    guests[0].1.addresses.clear();
    guests[0].1.ping_global.answered = false;
    guests[2].1.ping_global.answered = false;
    check(
        &guests,
        Column::Address,
        &[
            ("a", Column::Lifetimes),
            ("a", Column::PingGlobal),
            ("c", Column::PingGlobal),
        ],
    );
}

#[test]
fn without_an_advertisement_a_kernel_guest_has_no_dns_for_that_reason() {
    let mut guests = three();
    let seen = &mut guests[0].1;
    seen.ra = None;
    seen.dns_source = DnsSource::Ra;
    seen.dns.clear();
    check(&guests, Column::Flags, &[("a", Column::Dns)]);
}

#[test]
fn networkd_may_have_the_servers_twice_and_in_any_order_and_no_other_client() {
    let mut guests = three();
    let seen = &mut guests[0].1;
    seen.dns.push("2001:db8::99".parse().unwrap());
    seen.dns_source = DnsSource::Networkd;
    check(&guests, Column::Dns, &[]);
    guests[0].0.dns.insert(0, "2001:db8::99".parse().unwrap());
    assert!(compare(&guests).iter().all(Line::is_right));
    guests[0].1.dns_source = DnsSource::ResolvConf;
    check(&guests, Column::Dns, &[]);
}

#[test]
fn lifetimes_that_the_client_watches_are_judged_by_the_advertisement_alone() {
    let mut guests = three();
    let seen = &mut guests[0].1;
    seen.lifetimes_by_client = true;
    seen.addresses[0].valid_s = u32::MAX;
    let column = Column::Lifetimes;
    assert!(judge(column, &guests[0].0, &guests[0].1).is_right());
    let seen = &mut guests[0].1;
    seen.ra.as_mut().unwrap().prefixes[0].valid_s = 1;
    assert!(!judge(column, &guests[0].0, &guests[0].1).is_right());
}

#[test]
fn what_a_guest_was_not_promised_has_no_line() {
    use Column::*;
    let mut guests = three();
    let promised = &mut guests[0].0;
    promised.ipv4 = None;
    promised.host_name = None;
    promised.options.clear();
    let lines = compare(&guests);
    let about = [
        Ipv4Address,
        Ipv4Routes,
        Ipv4Dns,
        PingIpv4,
        HostName,
        Options,
    ];
    let about = |line: &&Line| line.guest == "a" && about.contains(&line.column);
    assert_eq!(lines.iter().filter(about).count(), 0);
    assert_eq!(lines.len(), 3 * Column::ALL.len() - 6);
}

#[test]
fn when_both_pings_fail_the_link_is_the_cause() {
    let mut guests = three();
    guests[0].1.ping_global.answered = false;
    guests[0].1.ping_link_local.answered = false;
    check(&guests, Column::PingLinkLocal, &[("a", Column::PingGlobal)]);
}

fn check(guests: &[(Promised, Seen)], column: Column, dependents: &[(&str, Column)]) {
    let lines = compare(guests);
    let mut followed = Vec::new();
    for line in lines.iter().filter(|line| !line.is_right()) {
        match &line.verdict {
            Verdict::Right => {}
            Verdict::Wrong { reason } => {
                assert_eq!(
                    (line.guest.as_str(), line.column),
                    ("a", column),
                    "{reason}"
                );
            }
            Verdict::Because {
                guest,
                column: cause,
                ..
            } => {
                assert_eq!((guest.as_str(), *cause), ("a", column));
                followed.push((line.guest.as_str(), line.column));
            }
        }
    }
    let wrong = |line: &&Line| line.guest == "a" && line.column == column;
    assert!(!lines.iter().find(wrong).unwrap().is_right(), "{column}");
    assert_eq!(followed, dependents, "{column}");
}

/// Guests a, b, c on the /96; each pings the next, c pings a.
fn three() -> Vec<(Promised, Seen)> {
    let prefix: Ipv6Net = "2024:8:6:86:1::/96".parse().unwrap();
    let guest = |(name, neighbour, own): (&str, &str, &str)| {
        let promised = Promised {
            guest: name.into(),
            addresses: vec![own.parse().unwrap()],
            formed: Vec::new(),
            forms_addresses: false,
            link_local: "fe80::1".parse().unwrap(),
            valid_lifetime_s: 5400,
            preferred_lifetime_s: 2700,
            on_link: vec![prefix],
            dns: vec![
                "2400:3200::1".parse().unwrap(),
                "2400:3200:baba::1".parse().unwrap(),
            ],
            mtu: 1430,
            managed: true,
            other: true,
            router: None,
            autonomous: Vec::new(),
            neighbour: neighbour.into(),
            ipv4: Some(Ipv4Promised {
                address: "10.0.0.5/24".parse().unwrap(),
                routes: BTreeSet::from(["10.0.0.0/24", "169.254.169.254/32"].map(|net| Route {
                    destination: net.parse().unwrap(),
                    gateway: None,
                })),
                dns: vec!["192.0.2.53".parse().unwrap()],
            }),
            host_name: Some("host-10-0-0-5".to_owned()),
            options: [("NTP (42)", "192.0.2.123".to_owned())].into(),
        };
        let ipv4 = promised.ipv4.clone().unwrap();
        let ping = Ping {
            answered: true,
            says: "answered".into(),
        };
        let seen = Seen {
            age_s: 10,
            addresses: vec![address(own)],
            lifetimes_by_client: false,
            on_link: vec![prefix, Ipv6Net::from(promised.addresses[0])],
            default_routes: Vec::new(),
            dns: promised.dns.clone(),
            dns_source: DnsSource::ResolvConf,
            ipv6_mtu: 1430,
            link_mtu: 1430,
            ra: Some(RaSeen {
                managed: true,
                other: true,
                router_lifetime_s: 0,
                prefixes: vec![PrefixSeen {
                    prefix,
                    on_link: true,
                    autonomous: false,
                    valid_s: 5400,
                    preferred_s: 2700,
                }],
                rdnss: promised.dns.clone(),
                mtu: Some(1430),
            }),
            ping_global: ping.clone(),
            ping_link_local: ping.clone(),
            ipv4: Ipv4Seen {
                addresses: vec![ipv4.address],
                routes: ipv4.routes,
                dns: ipv4.dns,
                ping,
            },
            host_name: promised.host_name.clone(),
            options: promised.options.clone(),
        };
        (promised, seen)
    };
    [
        ("a", "b", "2024:8:6:86:1::a"),
        ("b", "c", "2024:8:6:86:1::b"),
        ("c", "a", "2024:8:6:86:1::c"),
    ]
    .into_iter()
    .map(guest)
    .collect()
}

fn address(text: &str) -> AddressSeen {
    AddressSeen {
        address: text.parse().unwrap(),
        prefix_len: 128,
        valid_s: 5395,
        preferred_s: 2695,
        unusable: Vec::new(),
    }
}
