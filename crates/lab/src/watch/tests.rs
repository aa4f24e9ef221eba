use super::*;

#[test]
fn a_tentative_address_shows_the_link_but_is_not_usable() {
    let (any, usable) = parse("fe80000000000000f8163efffe000001 02 40 20 c0     eth0\n");
    assert!(any);
    assert!(usable.is_empty());
}

#[test]
fn only_the_link_counts() {
    let text = "00000000000000000000000000000001 01 80 10 80       lo\n";
    assert_eq!(parse(text), (false, BTreeSet::new()));
}

#[test]
fn an_address_past_detection_is_usable() {
    let (_, usable) = parse("20010db800070000f8163efffe000001 02 40 00 00     eth0\n");
    let wanted: Ipv6Addr = "2001:db8:7::f816:3eff:fe00:1".parse().unwrap();
    assert_eq!(usable, BTreeSet::from([wanted]));
}

#[test]
fn a_duplicate_is_not_usable() {
    let (_, usable) = parse("20010db800070000f8163efffe000001 02 40 00 08     eth0\n");
    assert!(usable.is_empty());
}
