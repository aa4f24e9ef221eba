use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::fixture;
use crate::history::NOTES_MAX;

#[test]
fn every_problem_has_a_name_of_its_own() {
    let names: BTreeSet<_> = Problem::ALL.iter().map(|problem| problem.name()).collect();
    assert_eq!(names.len(), Problem::ALL.len());
}

#[test]
fn a_port_that_is_shut_out_is_told_so_and_nothing_else() {
    let mut plan = fixture::plan();
    plan.admin_state_up = false;
    let link = Link::new(plan, 1);
    let findings = diagnose(&link, &Around::default(), fixture::start());
    let problems: Vec<_> = findings.iter().map(|found| found.problem).collect();
    assert_eq!(problems, [Problem::AdminDown]);
}

#[test]
fn what_the_host_counted_is_said_with_what_to_do() {
    let link = heard();
    let mtu = link.plan().mtu;
    let around = Around {
        link_mtu: Some(mtu),
        too_big: 3,
        other_mac: 1,
        foreign_source: 2,
        over_budget: 4,
        ..Around::default()
    };
    let findings = diagnose(&link, &around, fixture::start());
    let problems: Vec<_> = findings.iter().map(|found| found.problem).collect();
    let expected = [
        Problem::WrongMac,
        Problem::Flood,
        Problem::ForeignSource,
        Problem::MtuMismatch,
    ];
    assert_eq!(problems, expected);
    assert!(findings[3].words.contains(&mtu.to_string()));
    assert!(verdict(&findings).ends_with("(3 more below)"));
}

#[test]
fn a_guest_of_another_mtu_is_told_which_one_is_right() {
    let link = heard();
    let mtu = link.plan().mtu;
    let took = " It did not take 7 frames.";
    // Its interface's MTU, the frames that it did not take, what is said; nothing of frames that came before it was up.
    for (seen, refused_by_guest, says) in [
        (Some(mtu), 0, None),
        (Some(mtu), 7, None),
        (None, 7, None),
        (Some(mtu - 100), 0, Some("")),
        (Some(mtu - 100), 7, Some(took)),
        (Some(mtu + 100), 7, Some("")),
    ] {
        let around = Around {
            guest_mtu: seen,
            refused_by_guest,
            ..Around::default()
        };
        let findings = diagnose(&link, &around, fixture::start());
        let found = findings.iter().map(|found| {
            assert_eq!(found.problem, Problem::MtuMismatch);
            found.words.split_once(&format!("set it to {mtu}."))
        });
        let rest = found.map(|words| words.expect("it is told which one").1);
        assert_eq!(rest.collect::<Vec<_>>(), Vec::from_iter(says), "{seen:?}");
    }
}

#[test]
fn an_option_that_nobody_can_be_told_of_is_named() {
    let around = Around {
        unknown_options: vec!["test_option_1".to_owned()],
        ..Around::default()
    };
    let findings = diagnose(&heard(), &around, fixture::start());
    let problems: Vec<_> = findings.iter().map(|found| found.problem).collect();
    assert_eq!(problems, [Problem::UnknownDhcpOption]);
    assert!(verdict(&findings).contains("'test_option_1'"));
}

#[test]
fn a_port_with_nothing_wrong_has_a_verdict_too() {
    let findings = diagnose(&heard(), &Around::default(), fixture::start());
    assert_eq!(findings, []);
    assert_eq!(
        verdict(&findings),
        "Nothing is wrong that this host can see."
    );
}

#[test]
fn a_flood_does_not_push_out_the_last_of_another_topic() {
    let now = fixture::start();
    let mut link = heard();
    for _ in 0..10 * NOTES_MAX {
        link.handle_cease(now);
        link.handle_up(now);
        link.handle_first_frame(now);
    }
    let mut history = History::default();
    history.note(Note::Advertised(crate::Sent::RaFirst), now);
    for second in 0..10 * NOTES_MAX as u64 {
        let at = now + Duration::from_secs(second);
        history.note(Note::FirstFrame, at);
    }
    assert_eq!(history.notes().count(), NOTES_MAX);
    assert_eq!(history.count(Topic::RouterAdvert), 1);
    assert_eq!(history.count(Topic::Link), 10 * NOTES_MAX as u64);
    assert!(link.history().notes().count() <= NOTES_MAX);
}

fn heard() -> Link {
    let now = fixture::start();
    let mut link = Link::new(fixture::plan(), 1);
    link.handle_up(now);
    link.handle_first_frame(now);
    link
}
