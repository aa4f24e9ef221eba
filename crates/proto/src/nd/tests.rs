use super::*;
use crate::fixture::{Book, OTHER, ip, plan, port, seconds, start};

#[test]
fn a_claim_is_judged_by_who_holds_the_address_and_how() {
    let book = Book::default()
        .with("2001:db8:1::7", 2, HolderKind::Assigned)
        .with("fe80::7", 2, HolderKind::Eui64LinkLocal)
        .with("fe80::8", 2, HolderKind::Learned)
        .with("fe80::9", 1, HolderKind::Learned)
        .with("2001:db8:1::8", 2, HolderKind::Learned);
    let held = |kind| {
        Claim::Held(Holder {
            port: Some(port(2)),
            mac: OTHER,
            kind,
        })
    };
    let plan = plan();
    for (address, expected) in [
        ("2001:db8:3::17", Claim::Own),
        ("fe80::f816:3eff:fe11:2233", Claim::Own),
        ("2001:db8:1::7", held(HolderKind::Assigned)),
        ("fe80::7", held(HolderKind::Eui64LinkLocal)),
        ("fe80::8", Claim::Learnable(Some(port(2)))),
        ("fe80::9", Claim::Learnable(None)),
        ("fe80::a", Claim::Learnable(None)),
        ("2001:db8:1::8", Claim::Foreign),
        ("2001:db8:1::9", Claim::Foreign),
    ] {
        assert_eq!(claim(&plan, ip(address), &book), expected, "{address}");
    }
    let service = claim(&plan, plan.service_link_local(), &book);
    assert!(matches!(service, Claim::Held(Holder { port: None, .. })));
}

#[test]
fn a_fifth_address_replaces_the_longest_unseen() {
    let now = start();
    let mut neighbours = Neighbours::default();
    for (at, address) in ["fe80::1", "fe80::2", "fe80::3", "fe80::4"]
        .iter()
        .enumerate()
    {
        let noted = neighbours.note(ip(address), None, now + seconds(at as u64));
        assert_eq!(noted, Noted::New { forgotten: None });
    }
    neighbours.refresh(ip("fe80::1"), now + seconds(10));
    let noted = neighbours.note(ip("fe80::5"), None, now + seconds(11));
    let forgotten = Some(ip("fe80::2"));
    assert_eq!(noted, Noted::New { forgotten });
    assert_eq!(neighbours.learned().count(), LEARNED_MAX);
}

#[test]
fn a_change_of_first_holder_is_news() {
    let now = start();
    let mut neighbours = Neighbours::default();
    neighbours.note(ip("fe80::1"), Some(port(2)), now);
    assert_eq!(
        neighbours.note(ip("fe80::1"), Some(port(2)), now),
        Noted::Known
    );
    let noted = neighbours.note(ip("fe80::1"), None, now);
    assert_eq!(noted, Noted::New { forgotten: None });
    assert_eq!(
        neighbours.learned().collect::<Vec<_>>(),
        [(ip("fe80::1"), None)]
    );
}
