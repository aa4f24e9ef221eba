//! Groups: what guests report, and who gets what is sent to them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kernel::ListenerRow;
use crate::kernel::maps::GROUPS_MAX;

const REPORT_1: u8 = 131;
const DONE_1: u8 = 132;
const REPORT_2: u8 = 143;
const IS_EXCLUDE: u8 = 2;
const TO_INCLUDE: u8 = 3;
const TO_EXCLUDE: u8 = 4;
const ALLOW: u8 = 5;
const BLOCK: u8 = 6;
/// Somebody on a physical segment.
const ELSEWHERE: Mac = Mac([0x00, 0x11, 0x22, 0, 0, 1]);

fn group(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, number)
}

/// A record of an MLDv2 report, with so many sources.
fn record(kind: u8, group: Ipv6Addr, sources: u16) -> Vec<u8> {
    let head = [&[kind, 0][..], &sources.to_be_bytes(), &group.octets()].concat();
    [&head[..], &vec![0x20; usize::from(sources) * 16]].concat()
}

fn report_of(count: usize, records: &[u8]) -> Vec<u8> {
    let count = u16::try_from(count).unwrap().to_be_bytes();
    [&[0, 0][..], &count, records].concat()
}

/// An MLDv2 report with these records.
fn report(mac: Mac, records: &[Vec<u8>]) -> Vec<u8> {
    let body = report_of(records.len(), &records.concat());
    mld(mac, mac.link_local(), ALL_MLD, REPORT_2, &body)
}

/// A guest of this MAC joins these groups.
pub fn joins(mac: Mac, groups: &[Ipv6Addr]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = groups
        .iter()
        .map(|group| record(TO_EXCLUDE, *group, 0))
        .collect();
    report(mac, &records)
}

fn leaves(group: Ipv6Addr) -> Vec<u8> {
    report(A, &[record(TO_INCLUDE, group, 0)])
}

fn version_1(kind: u8, group: Ipv6Addr) -> Vec<u8> {
    let to = if kind == DONE_1 { ALL_ROUTERS } else { group };
    let body = [&[0; 4][..], &group.octets()].concat();
    mld(A, A.link_local(), to, kind, &body)
}

/// A row that is there long enough for its guest to have answered.
pub fn settled() -> ListenerRow {
    ListenerRow {
        since: Duration::from_nanos(1),
        ..ListenerRow::default()
    }
}

/// What becomes of MLD from A.
pub fn rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let join = record(TO_EXCLUDE, group(1), 0);
    let from = |source| mld(A, source, ALL_MLD, REPORT_2, &report_of(1, &join));
    let saying = |count, records: &[u8]| {
        mld(
            A,
            A.link_local(),
            ALL_MLD,
            REPORT_2,
            &report_of(count, records),
        )
    };
    let mut far = joins(A, &[group(1)]);
    far[14 + 7] = 255;
    let upper = icmpv6_bytes(A.link_local(), ALL_MLD, REPORT_2, &report_of(1, &join));
    let fragment = [
        Header::HopByHop,
        Header::Fragment {
            offset: 0,
            more: true,
            id: 7,
        },
    ];
    let fragment = ipv6_chain(
        A,
        ALL_MLD_MAC,
        A.link_local(),
        ALL_MLD,
        &fragment,
        58,
        &upper[..24],
    );
    let not_v1 = mld(A, A.link_local(), group(1), REPORT_1, &[0; 20]);
    vec![
        (
            "an MLD query",
            mld(A, A.link_local(), ALL_NODES, 130, &[0; 20]),
            Verdict::MldQuery,
        ),
        (
            "an MLD report",
            version_1(REPORT_1, group(1)),
            Verdict::MldConsumed,
        ),
        (
            "an MLD done",
            version_1(DONE_1, group(1)),
            Verdict::MldConsumed,
        ),
        (
            "an MLDv2 report",
            joins(A, &[group(1)]),
            Verdict::MldConsumed,
        ),
        (
            "an MLDv2 report of nothing",
            saying(0, &[]),
            Verdict::MldConsumed,
        ),
        (
            "an MLDv2 report from nobody",
            from(Ipv6Addr::UNSPECIFIED),
            Verdict::MldConsumed,
        ),
        ("an MLDv2 report from afar", far, Verdict::MldMalformed),
        (
            "an MLDv2 report from a global address",
            from(global(0xa)),
            Verdict::MldMalformed,
        ),
        (
            "an MLDv2 report in a fragment",
            fragment,
            Verdict::FragmentedControl,
        ),
        ("an MLD report of no group", not_v1, Verdict::MldMalformed),
        (
            "an MLDv2 report of no group",
            saying(1, &record(TO_EXCLUDE, global(1), 0)),
            Verdict::MldMalformed,
        ),
        (
            "an MLDv2 report that ends too soon",
            saying(2, &join),
            Verdict::MldMalformed,
        ),
        (
            "an MLDv2 report without its sources",
            saying(1, &record(ALLOW, group(1), 2)[..40]),
            Verdict::MldMalformed,
        ),
    ]
}

/// A and B on links that are there; whether A is guarded.
fn heard(guarded: bool, work: impl FnOnce(&Bench) + Send) {
    in_own_namespace(|namespace| {
        let b = veth(namespace, "b");
        links::set_up(b, true).unwrap();
        let bench = Bench::usual();
        let a = PortRow {
            guarded,
            ..port(PORT_A, A, true)
        };
        let ops = [
            MapOp::SetPort(ASKING, a),
            MapOp::SetPort(b, port(PORT_B, B, true)),
            MapOp::SetMembers(NET, [ASKING, b].into()),
        ];
        bench.maps.apply(&ops).unwrap();
        work(&bench);
    });
}

impl Bench {
    fn listener(&self, port: PortNumber) -> ListenerRow {
        self.maps.dump().unwrap().listeners[&port].clone()
    }

    fn listens(&self, port: PortNumber) -> Vec<Ipv6Addr> {
        self.listener(port).groups.into_keys().collect()
    }

    fn reports(&self, frame: &[u8]) {
        assert_eq!(self.run(frame).verdict, Verdict::MldConsumed);
    }

    /// B's row as it is after it reported, with these groups.
    fn of_b(&self, change: impl FnOnce(&mut ListenerRow)) {
        let now = crate::kernel::punt::monotonic().unwrap();
        let mut row = ListenerRow {
            reported: Some(now),
            ..settled()
        };
        change(&mut row);
        self.maps.apply(&[MapOp::SetListener(PORT_B, row)]).unwrap();
    }

    /// How many get what A sends to this group.
    fn copies(&self, to: Ipv6Addr) -> u32 {
        let source = if to.octets()[1] & 0xf == 2 {
            A.link_local()
        } else {
            global(0xa)
        };
        self.run(&udp(A, group_mac(to), source, to, 1, 2, b"data"))
            .copies
    }
}

#[test]
fn a_group_is_noted_with_the_report_and_gone_with_the_leave() {
    heard(true, |bench| {
        bench.reports(&version_1(REPORT_1, group(1)));
        bench.reports(&joins(A, &[group(2), group(3)]));
        bench.reports(&report(
            A,
            &[record(IS_EXCLUDE, group(4), 1), record(ALLOW, group(5), 2)],
        ));
        assert_eq!(bench.listens(PORT_A), [1, 2, 3, 4, 5].map(group));
        bench.reports(&version_1(DONE_1, group(1)));
        bench.reports(&leaves(group(3)));
        bench.reports(&report(
            A,
            &[record(TO_INCLUDE, group(4), 1), record(BLOCK, group(5), 1)],
        ));
        assert_eq!(
            bench.listens(PORT_A),
            [2, 4, 5].map(group),
            "some sources are wanted still"
        );
        // The place is free again, the same group is one.
        bench.reports(&joins(A, &[group(6), group(6), group(2)]));
        assert_eq!(bench.listens(PORT_A), [2, 4, 5, 6].map(group));
        assert!(bench.listens(PORT_B).is_empty(), "of another port");
    });
}

#[test]
fn a_leave_counts_only_where_one_guest_alone_can_be() {
    heard(false, |bench| {
        bench.reports(&joins(A, &[group(1)]));
        bench.reports(&leaves(group(1)));
        bench.reports(&version_1(DONE_1, group(1)));
        assert_eq!(bench.listens(PORT_A), [group(1)]);
        bench.maps.expire_groups(Duration::ZERO).unwrap();
        assert!(bench.listens(PORT_A).is_empty(), "by its age");
    });
}

#[test]
fn what_is_malformed_is_read_as_far_as_it_goes_and_no_further() {
    heard(true, |bench| {
        for (what, frame, verdict) in rows() {
            let before = bench.listener(PORT_A);
            let outcome = bench.run(&frame);
            assert_eq!(outcome.verdict, verdict, "{what}");
            assert_eq!(
                outcome.reason, None,
                "{what}: nothing is shown to the agent"
            );
            if verdict != Verdict::MldConsumed {
                assert_eq!(bench.listener(PORT_A).reported, before.reported, "{what}");
            }
        }
    });
}

#[test]
fn only_who_listens_gets_a_groups_traffic() {
    heard(true, |bench| {
        bench.of_b(|row| row.groups.extend(row.reported.map(|at| (group(1), at))));
        assert_eq!(bench.copies(group(1)), 1);
        let nobody = bench.run(&udp(
            A,
            group_mac(group(2)),
            global(0xa),
            group(2),
            1,
            2,
            b"data",
        ));
        assert_eq!((nobody.verdict, nobody.copies), (Verdict::NoReceiver, 0));
        for everybodys in ["ff02::1", "ff02::2", "ff02::1:ff00:b", "ff01::7", "ff10::7"] {
            assert_eq!(bench.copies(everybodys.parse().unwrap()), 1, "{everybodys}");
        }
        for somebodys in [
            "ff02::fb",
            "ff02::1:3",
            "ff02::1:fe00:b",
            "ff02::1:0:0",
            "ff05::2",
            "ff12::1",
        ] {
            assert_eq!(bench.copies(somebodys.parse().unwrap()), 0, "{somebodys}");
        }
        // The same by the NIC's program.
        let led = crate::kernel::NicRow {
            net: NET,
            mtu: MTU,
            all_multicast: false,
        };
        bench
            .maps
            .apply(&[MapOp::SetNic(ASKING, led), MapOp::RemovePort(ASKING)])
            .unwrap();
        let outside = |to| udp(ELSEWHERE, group_mac(to), global(0x99), to, 1, 2, b"data");
        for (to, verdict) in [
            (group(1), Verdict::SegmentMulticast),
            (group(2), Verdict::Host),
        ] {
            let outcome = bench.run_program(object::UPLINK, &outside(to), (0, 0));
            assert_eq!(outcome.verdict, verdict, "{to}");
        }
    });
}

#[test]
fn who_is_not_known_to_do_without_gets_every_group() {
    heard(true, |bench| {
        let now = crate::kernel::punt::monotonic().unwrap();
        bench.of_b(|_| {});
        assert_eq!(bench.copies(group(1)), 0);
        bench.of_b(|row| row.reported = None);
        assert_eq!(bench.copies(group(1)), 1, "it never reported");
        bench.of_b(|row| row.since = now);
        assert_eq!(bench.copies(group(1)), 1, "it may not have answered yet");
        bench.of_b(|row| row.all = Some(now));
        assert_eq!(bench.copies(group(1)), 1, "it has more groups than places");
        bench.maps.expire_groups(Duration::ZERO).unwrap();
        assert_eq!(bench.copies(group(1)), 0, "that is over");
        bench.maps.apply(&[MapOp::RemoveListener(PORT_B)]).unwrap();
        assert_eq!(bench.copies(group(1)), 1, "it has no row");
    });
}

#[test]
fn a_guest_with_more_groups_than_places_gets_all_and_is_counted() {
    heard(true, |bench| {
        let most = u16::try_from(GROUPS_MAX).unwrap();
        let all: Vec<Ipv6Addr> = (0..most).map(group).collect();
        bench.reports(&joins(A, &all));
        assert_eq!(bench.listens(PORT_A), all);
        assert_eq!(bench.listener(PORT_A).all, None);
        // What every port gets takes no place.
        bench.reports(&joins(
            A,
            &[ALL_NODES, ALL_ROUTERS, solicited_node_address(global(0xa))],
        ));
        assert_eq!(bench.counted(PORT_A, Verdict::MldFull), 0);
        bench.reports(&joins(A, &[group(most), group(1)]));
        assert_eq!(bench.counted(PORT_A, Verdict::MldFull), 1);
        assert!(bench.listener(PORT_A).all.is_some());
        assert_eq!(bench.listens(PORT_A), all);
        // Groups that are over make room.
        bench.maps.expire_groups(Duration::ZERO).unwrap();
        bench.reports(&joins(A, &[group(most)]));
        assert_eq!(bench.listens(PORT_A), [group(most)]);
        assert_eq!(bench.listener(PORT_A).all, None);
    });
}

#[test]
fn who_routes_multicast_gets_every_group() {
    for routers in ["ff02::16", "ff02::d"] {
        heard(true, |bench| {
            bench.reports(&joins(A, &[routers.parse().unwrap()]));
            assert!(bench.listener(PORT_A).all.is_some(), "{routers}");
        });
    }
    let query = mld(A, A.link_local(), ALL_NODES, 130, &[0; 20]);
    heard(true, |bench| {
        assert_eq!(bench.run(&query).verdict, Verdict::MldQuery);
        assert_eq!(
            bench.listener(PORT_A).all,
            None,
            "a guarded one is not heard"
        );
    });
    heard(false, |bench| {
        assert_eq!(bench.run(&query).verdict, Verdict::Multicast);
        assert!(bench.listener(PORT_A).all.is_some());
    });
}

/// A record as a test makes it up: its type, its group, its sources, its auxiliary words.
fn any_record() -> impl Strategy<Value = (u8, u16, u16, u8)> {
    (0..8u8, 0..6u16, 0..3u16, 0..2u8)
}

/// What a report leaves behind, by the letter of RFC 3810 §5.2 and no limits.
fn model(records: &[(u8, u16, u16, u8)], groups: &mut BTreeSet<Ipv6Addr>) {
    for (kind, number, sources, _) in records {
        match (*kind, *sources) {
            (IS_EXCLUDE | TO_EXCLUDE, _) | (1 | TO_INCLUDE | ALLOW, 1..) => {
                groups.insert(group(*number));
            }
            (1 | TO_INCLUDE | ALLOW, 0) => {
                groups.remove(&group(*number));
            }
            _ => {}
        }
    }
}

#[test]
fn reports_of_any_records_leave_behind_what_they_say() {
    heard(true, |bench| {
        let reports = proptest::collection::vec(any_record(), 0..40);
        let config = ProptestConfig {
            cases: 64,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let groups = std::cell::RefCell::new(BTreeSet::new());
        let mut runner = proptest::test_runner::TestRunner::new(config);
        runner
            .run(&reports, |records| {
                let bytes: Vec<Vec<u8>> = records
                    .iter()
                    .map(|(kind, number, sources, aux)| {
                        let mut bytes = record(*kind, group(*number), *sources);
                        bytes[1] = *aux;
                        bytes.extend(vec![0xee; usize::from(*aux) * 4]);
                        bytes
                    })
                    .collect();
                // More than the network's MTU is dropped before.
                let frame = report(A, &bytes);
                prop_assume!(frame.len() <= MTU as usize);
                bench.reports(&frame);
                model(&records, &mut groups.borrow_mut());
                let wanted: Vec<Ipv6Addr> = groups.borrow().iter().copied().collect();
                prop_assert_eq!(bench.listens(PORT_A), wanted);
                Ok(())
            })
            .unwrap();
    });
}

/// As many rows at once as an agent writes when it begins.
#[test]
fn a_thousand_rows_are_made_at_once() {
    let bench = Bench::usual();
    let rows = (1000..2000).map(|port| MapOp::SetListener(PortNumber(port), settled()));
    bench.maps.apply(&rows.collect::<Vec<_>>()).unwrap();
    assert_eq!(bench.maps.dump().unwrap().listeners.len(), 1000 + 2);
}
