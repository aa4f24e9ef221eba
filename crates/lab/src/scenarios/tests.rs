use super::*;

const PROBLEM: Problem = Problem {
    name: "cloned DUID",
    guest: "clone",
    findings: &["cloned-duid"],
    passing: &["address-conflict"],
    words: "the guests are clones",
    names: Some("cloned"),
    holds: true,
};

fn shown(findings: &[(&str, &str)], verdict: &str) -> Value {
    let findings = findings
        .iter()
        .map(|(name, words)| json!({ "name": name, "words": words }));
    json!({ "findings": findings.collect::<Vec<_>>(), "verdict": verdict })
}

#[test]
fn a_problem_is_right_by_its_name_its_words_the_port_and_the_guests_addresses() {
    let words = "the same as that of port 17: the guests are clones";
    let works = "It works; something is worth knowing.";
    let own = ("cloned-duid", words);
    let cases = [
        (shown(&[own], works), true, true),
        (shown(&[own], works), false, false),
        (shown(&[], works), true, false),
        (shown(&[own, ("no-ra", "")], works), true, false),
        (shown(&[own, ("address-conflict", "")], works), true, true),
        (shown(&[own, ("cloned-duid", "")], works), true, true),
        (shown(&[("no-ra", words)], works), true, false),
        (shown(&[("cloned-duid", "of port 17")], works), true, false),
        (
            shown(
                &[("cloned-duid", "of port 18: the guests are clones")],
                works,
            ),
            true,
            false,
        ),
        (
            shown(&[own], "Nothing is wrong that this host can see."),
            true,
            false,
        ),
        (json!({}), true, false),
    ];
    for (shown, holds, right) in cases {
        let row = judge(&PROBLEM, Client::Dhclient, &shown, Some("17"), holds);
        assert_eq!(row.right, right, "{shown} {holds}");
    }
}

#[test]
fn a_reconfigure_is_followed_by_what_the_log_says_in_its_order() {
    let all = "REPLY6\naccepted reconfigure key\nRECONFIGURE6 from fe80::1\nREPLY6";
    let cases = [
        (all, 3),
        ("REPLY6\naccepted reconfigure key\nRECONFIGURE6", 2),
        ("RECONFIGURE6\nREPLY6", 0),
        ("", 0),
    ];
    for (log, said) in cases {
        assert_eq!(followed(log).len(), said, "{log}");
    }
}

#[test]
fn every_problem_and_every_guest_has_a_name_of_its_own() {
    for (index, guest) in GUESTS.iter().enumerate() {
        assert!(GUESTS[..index].iter().all(|other| other.name != guest.name));
    }
    for problem in PROBLEMS {
        let named = [Some(problem.guest), problem.names];
        for name in named.into_iter().flatten() {
            assert!(GUESTS.iter().any(|guest| guest.name == name), "{name}");
        }
    }
}
