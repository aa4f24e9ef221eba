use super::*;

fn check(asked: Option<u32>, ip_versions: &[u8], expected: Result<u32, RefusalKind>) {
    let versions = ip_versions.iter().copied();
    let mtu = check_mtu(asked, 1430, versions).map_err(|refusal| refusal.kind);
    assert_eq!(mtu, expected, "{asked:?} {ip_versions:?}");
}

#[test]
fn the_mtu_fits_the_underlay_and_the_subnets() {
    let conflict = || Err(RefusalKind::NetworkMtuSubnetConflict);
    check(None, &[], Ok(1430));
    check(Some(0), &[4, 6], Ok(1430));
    check(Some(1430), &[6], Ok(1430));
    check(Some(1431), &[], Err(RefusalKind::InvalidInput));
    check(Some(1280), &[4, 6], Ok(1280));
    check(Some(1279), &[], Ok(1279));
    check(Some(1279), &[4], Ok(1279));
    check(Some(1279), &[4, 6], conflict());
    check(Some(68), &[4], Ok(68));
    check(Some(67), &[4], conflict());
    check(Some(67), &[], Ok(67));
    check(Some(1), &[], Ok(1));
}
