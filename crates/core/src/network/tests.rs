use super::*;

fn check(asked: Option<u32>, has_ipv6_subnet: bool, expected: Result<u32, RefusalKind>) {
    let mtu = check_mtu(asked, 1430, has_ipv6_subnet).map_err(|refusal| refusal.kind);
    assert_eq!(mtu, expected, "{asked:?} {has_ipv6_subnet}");
}

#[test]
fn the_mtu_fits_the_underlay_and_ipv6() {
    check(None, false, Ok(1430));
    check(Some(0), true, Ok(1430));
    check(Some(1430), true, Ok(1430));
    check(Some(1431), false, Err(RefusalKind::InvalidInput));
    check(Some(1280), true, Ok(1280));
    check(Some(1279), false, Ok(1279));
    check(Some(1279), true, Err(RefusalKind::NetworkMtuSubnetConflict));
    check(Some(67), false, Err(RefusalKind::InvalidInput));
}
