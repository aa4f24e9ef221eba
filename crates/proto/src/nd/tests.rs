use super::*;
use crate::fixture::{Book, OTHER, ip, plan, port};

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
        // Of a prefix that guests choose from: free, another's, the gateway's, one that stands for the routers.
        ("2001:db8:1::8", held(HolderKind::Learned)),
        ("2001:db8:1::9", Claim::Learnable(None)),
        ("2001:db8:1::1", Claim::Foreign),
        ("2001:db8:1::", Claim::Foreign),
        // Of one that is stateful, of none.
        ("2001:db8:3::18", Claim::Foreign),
        ("2001:db8:4::9", Claim::Foreign),
    ] {
        assert_eq!(claim(&plan, ip(address), &book), expected, "{address}");
    }
    let service = claim(&plan, plan.service_link_local(), &book);
    assert!(matches!(service, Claim::Held(Holder { port: None, .. })));
}
