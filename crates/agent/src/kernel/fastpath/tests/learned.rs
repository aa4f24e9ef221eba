//! Addresses that guests form themselves.

use super::*;

/// An address of the prefix of which A's guest may form some.
fn own(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, host)
}

fn data_from(source: Ipv6Addr) -> Vec<u8> {
    udp(A, B, source, global(0xb), 1, 2, &[0; 600])
}

fn learn(bench: &Bench, address: Ipv6Addr) {
    let row = SourceRow {
        local_only: false,
        learned: true,
    };
    let op = MapOp::SetSource((PORT_A, address), row);
    bench.maps.apply(&[op]).unwrap();
}

#[test]
fn a_source_of_the_ports_prefixes_is_shown_and_passes_once_it_is_learned() {
    let bench = Bench::usual();
    let mut ring = bench.punt();
    ring.drain(|_| ()).unwrap();
    let frame = data_from(own(1));
    let outcome = bench.run(&frame);
    assert_eq!(
        (outcome.verdict, outcome.reason, outcome.action),
        (Verdict::SourceUnproven, Some(PuntReason::Source), DROPPED)
    );
    let mut shown = Vec::new();
    ring.drain(|record| shown.push((record.frame.len(), record.whole, record.reason)))
        .unwrap();
    // The headers are enough.
    let [(length, whole, reason)] = shown[..] else {
        panic!("{shown:?}")
    };
    assert!(length < 256 && whole == frame.len());
    assert_eq!(reason, PuntReason::Source);
    // Of another prefix, and of another port's prefix.
    let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 8, 0, 0, 0, 0, 1);
    assert_eq!(
        bench.run(&data_from(elsewhere)).verdict,
        Verdict::SourceSpoofed
    );
    let row = port(PORT_B, A, true);
    bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();
    let other = bench.run(&frame);
    assert_eq!(other.verdict, Verdict::SourceSpoofed);
    let row = port(PORT_A, A, true);
    bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();

    learn(&bench, own(1));
    assert_eq!(bench.run(&frame).verdict, Verdict::Unicast);
}

#[test]
fn neighbour_discovery_about_an_address_that_may_be_learned_is_shown() {
    let bench = Bench::usual();
    let options = link_layer(1, A);
    for (frame, reason) in [
        (ns(own(1), global(0xb), &options), PuntReason::NsSource),
        (na(own(1), own(1), A), PuntReason::Na),
        (rs(own(1), &options), PuntReason::Rs),
    ] {
        assert_eq!(bench.run(&frame).reason, Some(reason));
    }
}

#[test]
fn an_answer_to_the_agents_question_is_shown_and_any_other_consumed() {
    let bench = Bench::usual();
    learn(&bench, own(1));
    let answer = |to: Ipv6Addr| {
        let body = [&[0x60, 0, 0, 0][..], &own(1).octets(), &link_layer(2, A)].concat();
        icmpv6(A, service().0, 136, own(1), to, &body)
    };
    assert_eq!(bench.run(&answer(service().1)).reason, Some(PuntReason::Na));
    assert_eq!(bench.run(&answer(global(0xb))).verdict, Verdict::NaConsumed);
}

#[test]
fn the_use_of_a_learned_address_is_noted_until_it_is_looked_at() {
    let bench = Bench::usual();
    learn(&bench, own(1));
    learn(&bench, own(2));
    let sources = [
        (PORT_A, own(1)),
        (PORT_A, own(2)),
        (PORT_A, own(3)),
        (PORT_A, global(0xa)),
    ];
    let used = || bench.maps.take_used(sources.into_iter()).unwrap();
    assert_eq!(used(), []);
    bench.run(&data_from(own(1)));
    bench.run(&data_from(own(1)));
    // What the plan gives needs no note.
    bench.run(&data());
    assert_eq!(used(), [(PORT_A, own(1))]);
    assert_eq!(used(), []);
    bench.run(&data_from(own(2)));
    // A note is no difference to reconcile.
    let rows = bench.maps.dump().unwrap();
    let row = rows.sources[&(PORT_A, own(2))];
    assert!(row.learned && !row.local_only);
    assert_eq!(used(), [(PORT_A, own(2))]);
}

#[test]
fn sources_use_up_a_quarter_of_the_budget_alone() {
    let budget = PuntBudget {
        per_second: 1,
        burst: 40,
    };
    let bench = Bench::new(budget, Sizes::default());
    let shown = |frame: &[u8]| {
        let outcomes = (0..60).map(|_| bench.run(frame));
        outcomes.filter(|outcome| outcome.reason.is_some()).count()
    };
    let of_sources = shown(&data_from(own(1)));
    assert!((8..=10).contains(&of_sources), "{of_sources}");
    let of_questions = shown(&rs(A.link_local(), &[]));
    assert!((28..=31).contains(&of_questions), "{of_questions}");
}
