use super::*;

#[test]
fn eui64_flips_the_universal_bit_and_inserts_fffe() {
    let mac: Mac = "fa:16:3e:e4:1b:f8".parse().unwrap();
    assert_eq!(
        mac.eui64("2001:db8:1::/64".parse().unwrap()).to_string(),
        "2001:db8:1:0:f816:3eff:fee4:1bf8"
    );
    assert_eq!(mac.link_local().to_string(), "fe80::f816:3eff:fee4:1bf8");
}

#[test]
fn service_address_carries_the_vni() {
    let mac = Mac::service(Vni(0x0012_3456));
    assert_eq!(mac.to_string(), "02:68:78:12:34:56");
    assert!(mac.is_service());
    assert_eq!(mac.link_local().to_string(), "fe80::68:78ff:fe12:3456");
}

#[test]
fn text_that_is_no_mac_is_refused() {
    for text in [
        "",
        "fa:16:3e:00:00",
        "fa:16:3e:00:00:00:00",
        "fa:16:3e:0:00:000",
        "zz:16:3e:00:00:00",
        "+a:16:3e:00:00:00",
    ] {
        assert_eq!(text.parse::<Mac>(), Err(ParseMacError), "{text:?}");
    }
    assert_eq!(
        "FA-16-3E-00-00-01".parse::<Mac>().unwrap().to_string(),
        "fa:16:3e:00:00:01"
    );
}

#[test]
fn generated_macs_keep_three_octets_or_four() {
    let made = |base: &str| {
        let base = BaseMac::new(base.parse().unwrap())?;
        Some(base.complete([0xaa, 0xbb, 0xcc]).to_string())
    };
    for (base, expected) in [
        ("fa:16:3e:00:00:00", Some("fa:16:3e:aa:bb:cc")),
        ("fa:16:3e:4f:00:00", Some("fa:16:3e:4f:bb:cc")),
        ("fa:16:3e:00:12:34", Some("fa:16:3e:aa:bb:cc")),
        ("00:00:00:00:00:00", Some("00:00:00:aa:bb:cc")),
        ("01:16:3e:00:00:00", None),
        ("02:68:78:00:00:00", None),
    ] {
        assert_eq!(made(base).as_deref(), expected, "{base}");
    }
    assert_eq!(
        Some(BaseMac::NEUTRON),
        BaseMac::new("fa:16:3e:00:00:00".parse().unwrap())
    );
}
