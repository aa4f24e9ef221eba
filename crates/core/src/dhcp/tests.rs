use std::collections::BTreeSet;

use super::*;
use crate::refusal::RefusalKind;

fn asked(name: &str, value: Option<&str>, ip_version: u8) -> ExtraDhcpOptRequest {
    ExtraDhcpOptRequest {
        opt_name: name.to_owned(),
        opt_value: value.map(str::to_owned),
        ip_version,
    }
}

fn wire(name: &str, value: &str, ip_version: u8) -> Result<DhcpOptions, Refusal> {
    let options = merge(&[], &[asked(name, Some(value), ip_version)])?;
    Ok(DhcpOptions::of(&options))
}

/// Version, name, value, code, content.
#[rustfmt::skip]
const TAKEN: &[(u8, &str, &str, u16, &[u8])] = &[
    (4, "bootfile-name", "pxelinux.0", 67, b"pxelinux.0"),
    (4, "option:bootfile-name", "pxelinux.0", 67, b"pxelinux.0"),
    (4, "67", "pxelinux.0", 67, b"pxelinux.0"),
    (4, "tftp-server", "123.123.123.123", 66, b"123.123.123.123"),
    (4, "tftp-server-name", "2015::dead", 66, b"2015::dead"),
    (4, "NTP-server", "192.0.2.1, 192.0.2.2", 42, &[192, 0, 2, 1, 192, 0, 2, 2]),
    (4, "150", "192.0.2.1", 150, &[192, 0, 2, 1]),
    (4, "mtu", "1400", 26, &[5, 120]),
    (4, "interface-mtu", "68", 26, &[0, 68]),
    (4, "time-offset", "-3600", 2, &[255, 255, 241, 240]),
    (4, "ip-forward-enable", "true", 19, &[1]),
    (4, "default-ttl", "64", 23, &[64]),
    (4, "path-mtu-plateau-table", "68,1500", 25, &[0, 68, 5, 220]),
    (4, "static-route", "10.1.0.0,10.0.0.9", 33, &[10, 1, 0, 0, 10, 0, 0, 9]),
    (4, "domain-search", "a.example.org,example.org", 119, b"\x01a\x07example\x03org\0\xc0\x02"),
    (4, "classless-static-route", "10.8.0.0/13,10.0.0.1,0.0.0.0/0,10.0.0.2", 121, &[13, 10, 8, 10, 0, 0, 1, 0, 10, 0, 0, 2]),
    (4, "sip-server", "192.0.2.1", 120, &[1, 192, 0, 2, 1]),
    (4, "sip-server", "sip.example", 120, b"\0\x03sip\x07example\0"),
    (4, "vendor-encap", "1:4:C0:0:2:1", 43, &[1, 4, 192, 0, 2, 1]),
    (4, "router", "", 3, &[]),
    (4, "classless-static-route", "", 121, &[]),
    (4, "ipv6-only", "1800", 108, &[0, 0, 7, 8]),
    (4, "224", "0a:b", 224, &[10, 11]),
    (4, "224", "7", 224, &[7]),
    (4, "224", "300", 224, &[1, 44]),
    (4, "224", "70000", 224, &[0, 1, 17, 112]),
    (4, "224", "192.0.2.1,192.0.2.2", 224, &[192, 0, 2, 1, 192, 0, 2, 2]),
    (4, "224", "a text: so", 224, b"a text: so"),
    (6, "bootfile-url", "tftp://[2001:db8::1]/x.efi", 59, b"tftp://[2001:db8::1]/x.efi"),
    (6, "option6:59", "http://boot.example/x", 59, b"http://boot.example/x"),
    (6, "bootfile-param", "root=/dev/vda, quiet", 60, b"\0\x0droot=/dev/vda\0\x05quiet"),
    (6, "dns-server", "2001:db8::53,[2001:db8::54]", 23, &[
        32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x54]),
    (6, "domain-search", "a.example,example", 24, b"\x01a\x07example\0\x07example\0"),
    (6, "ntp-server", "ff02::101,ntp.example", 56,
        b"\0\x02\0\x10\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\0\x03\0\x0d\x03ntp\x07example\0"),
    (6, "ntp-server", "2001:db8::1", 56, &[0, 1, 0, 16, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    (6, "sntp-server", "::1", 31, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    (6, "information-refresh-time", "600", 32, &[0, 0, 2, 88]),
    (6, "nis-domain", "example", 29, b"\x07example\0"),
    (6, "4000", "[::1]", 4000, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
];

#[test]
fn names_and_numbers_and_their_values_go_on_the_wire() {
    for (version, name, value, code, content) in TAKEN {
        let wire =
            wire(name, value, *version).unwrap_or_else(|why| panic!("{name} {value}: {why}"));
        let mut wanted = DhcpOptions::default();
        match *version {
            4 => drop(
                wanted
                    .v4
                    .insert(u8::try_from(*code).unwrap(), content.to_vec()),
            ),
            _ => drop(wanted.v6.insert(*code, content.to_vec())),
        }
        assert_eq!(wire, wanted, "{version} {name} {value}");
    }
}

#[test]
fn a_name_of_no_option_is_kept_and_told_to_nobody() {
    for (version, name) in [
        (4, "test_option_1"),
        (6, "test_option_1"),
        (4, "tag:ipxe,67"),
    ] {
        let wire = wire(name, "whatever", version).unwrap();
        let wanted = DhcpOptions {
            unknown: vec![name.to_owned()],
            ..DhcpOptions::default()
        };
        assert_eq!(wire, wanted, "{version} {name}");
    }
    let kept = merge(
        &[],
        &[asked("x-one", Some("1"), 4), asked("x-two", Some("2"), 4)],
    )
    .unwrap();
    let gone = merge(&kept, &[asked("x-one", None, 4)]).unwrap();
    assert_eq!(DhcpOptions::of(&gone).unknown, ["x-two"]);
}

#[test]
fn names_that_are_not_to_be_had_are_of_codes_that_are_not() {
    for (family, kept, names) in [
        (Family::V4, table::KEPT_V4, table::KEPT_NAMES_V4),
        (Family::V6, table::KEPT_V6, table::KEPT_NAMES_V6),
    ] {
        for (name, code) in names {
            assert!(kept.iter().any(|(codes, _)| codes.contains(code)), "{name}");
            table::find(family, name).expect_err(name);
        }
    }
}

/// Version, name, value, what the refusal says.
#[rustfmt::skip]
const REFUSED: &[(u8, &str, &str, &str)] = &[
    (6, "bootfile-name", "x", "an option of DHCPv4, which is ip_version 4"),
    (4, "bootfile-url", "x", "an option of DHCPv6, which is ip_version 6"),
    (6, "server-ip-address", "2001:db8::1", "an option of DHCPv4"),
    (4, "option6:59", "x", "an option of DHCPv6"),
    (6, "option:67", "x", "an option of DHCPv4"),
    (4, "lease-time", "60", "lease times are the cloud's"),
    (4, "option:T1", "60", "lease times are the cloud's"),
    (4, "Server-Identifier", "192.0.2.1", "the server says it by itself"),
    (6, "server-id", "1:2", "the server says it by itself"),
    (4, "", "x", "a name or a number of 1 to 254"),
    (6, "option6:", "x", "a name or a number of 1 to 65535"),
    (4, "51", "60", "lease times are the cloud's"),
    (4, "54", "192.0.2.1", "the server says it by itself"),
    (4, "1", "255.0.0.0", "it follows from the port's subnet"),
    (4, "61", "1:2", "clients say it"),
    (4, "82", "1:2", "relay agents"),
    (4, "0", "1", "format"),
    (4, "255", "1", "numbers of 1 to 254"),
    (4, "256", "1", "numbers of 1 to 254"),
    (6, "3", "1:2", "the server says it by itself"),
    (6, "65536", "1", "numbers of 1 to 65535"),
    (4, "router", "gateway", "'gateway' is not IPv4 addresses, separated by commas"),
    (4, "router", "2001:db8::1", "IPv4 addresses"),
    (4, "dns-server", "", "IPv4 addresses"),
    (4, "3", "", "IPv4 addresses"),
    (4, "mtu", "67", "a number of 68 to 65535"),
    (4, "mtu", "65536", "a number of 68 to 65535"),
    (4, "static-route", "10.0.0.1", "pairs of IPv4 addresses"),
    (4, "classless-static-route", "10.0.0.0/8", "PREFIX,ROUTER"),
    (4, "classless-static-route", "10.0.0.0/33,10.0.0.1", "PREFIX,ROUTER"),
    (4, "domain-search", "a..b", "domain names"),
    (4, "vendor-encap", "text", "octets in hexadecimal"),
    (4, "vendor-encap", "100:1", "octets in hexadecimal"),
    (4, "ip-forward-enable", "yes", "true, false, 1 or 0"),
    (4, "server-ip-address", "boot.example", "an IP address"),
    (6, "dns-server", "192.0.2.1", "IPv6 addresses"),
    (6, "ntp-server", "no name", "IPv6 addresses and domain names"),
    (6, "information-refresh-time", "599", "a number of 600 to"),
    (6, "bootfile-param", "a,,b", "texts, separated by commas"),
];

#[test]
fn what_cannot_be_said_is_refused_with_what_is_allowed() {
    for (version, name, value, says) in REFUSED {
        let refusal = wire(name, value, *version).expect_err(&format!("{version} {name} {value}"));
        assert_eq!(refusal.kind, RefusalKind::InvalidInput);
        let message = &refusal.message;
        assert!(
            message.contains("extra_dhcp_opts") && message.contains(says),
            "{name}: {message}"
        );
    }
}

#[test]
fn the_boot_server_is_no_option() {
    for server in ["123.123.123.45", "2015::badd"] {
        let wire = wire("server-ip-address", server, 4).unwrap();
        assert_eq!(wire.boot_server, Some(server.parse().unwrap()));
        assert!(wire.v4.is_empty() && wire.v6.is_empty());
    }
}

#[test]
fn an_update_merges_by_name_and_family() {
    let first = [
        asked("bootfile-name", Some("a"), 4),
        asked("router", Some("10.0.0.1"), 4),
        asked("ntp-server", Some("::1"), 6),
    ];
    let made = merge(&[], &first).unwrap();
    assert_eq!(merge(&made, &[]).unwrap(), made);
    let change = [
        asked("bootfile-name", Some("b"), 4),
        asked("ntp-server", Some("10.0.0.2"), 4),
        asked("router", None, 4),
        asked("router", None, 6),
    ];
    let merged = merge(&made, &change).unwrap();
    let shown: Vec<(&str, &str, u8)> = merged
        .iter()
        .map(|option| {
            (
                option.opt_name.as_str(),
                option.opt_value.as_str(),
                option.ip_version,
            )
        })
        .collect();
    let wanted = [
        ("bootfile-name", "b", 4),
        ("ntp-server", "::1", 6),
        ("ntp-server", "10.0.0.2", 4),
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn an_option_is_there_once_whatever_it_is_called() {
    let twice = [asked("mtu", Some("1400"), 4), asked("mtu", None, 4)];
    let refusal = merge(&[], &twice).unwrap_err();
    assert!(
        refusal.message.contains("'mtu': it is there twice"),
        "{refusal}"
    );
    let named = merge(&[], &[asked("mtu", Some("1400"), 4)]).unwrap();
    for again in ["26", "interface-mtu", "MTU"] {
        let refusal = merge(&named, &[asked(again, Some("1300"), 4)]).unwrap_err();
        assert!(refusal.message.contains("by another name"), "{refusal}");
        let instead = [asked("mtu", None, 4), asked(again, Some("1300"), 4)];
        assert_eq!(merge(&named, &instead).unwrap().len(), 1);
    }
}

#[test]
fn there_are_no_more_than_a_packet_has_room_for() {
    let many: Vec<_> = (0..33)
        .map(|at| asked(&(160 + at).to_string(), Some("1"), 4))
        .collect();
    assert!(merge(&[], &many[..32]).is_ok());
    assert!(
        merge(&[], &many)
            .unwrap_err()
            .message
            .contains("32 are allowed")
    );
    let most = merge(&[], &many[..32]).unwrap();
    assert!(
        merge(&most, &many[32..])
            .unwrap_err()
            .message
            .contains("32 are allowed")
    );
    let text = "x".repeat(254);
    for version in [4, 6] {
        let long: Vec<_> = (0..3)
            .map(|at| asked(&(210 + at).to_string(), Some(&text), version))
            .collect();
        let long: Vec<_> = match version {
            4 => long
                .into_iter()
                .map(|option| ExtraDhcpOptRequest {
                    opt_name: option.opt_name.replace("211", "214"),
                    ..option
                })
                .collect(),
            _ => long,
        };
        let fits = merge(&[], &long);
        assert_eq!(
            fits.is_ok(),
            version == 4,
            "{version}: 3 * 256 fit, 3 * 258 do not"
        );
        let more = [asked("230", Some("1"), version)];
        let refusal = merge(&fits.unwrap_or_default(), &[long, more.to_vec()].concat());
        assert!(refusal.unwrap_err().message.contains("768 are allowed"));
    }
}

#[test]
fn what_this_program_does_not_know_is_left_out_of_the_plan() {
    let stored = |name: &str| ExtraDhcpOpt {
        opt_name: name.to_owned(),
        opt_value: "1400".to_owned(),
        ip_version: 4,
    };
    let wire = DhcpOptions::of(&[stored("of-a-later-program"), stored("mtu")]);
    assert_eq!(wire.v4.keys().collect::<Vec<_>>(), [&26]);
}

/// The first name of each option of a family.
fn names(family: Family) -> impl Iterator<Item = &'static str> {
    table::rows(family).iter().map(|(_, names, _)| names[0])
}

#[test]
fn no_name_or_number_is_twice_in_a_table_and_none_is_kept() {
    for family in [Family::V4, Family::V6] {
        let mut seen = BTreeSet::new();
        for name in names(family) {
            let (code, _) = table::find(family, name).unwrap().unwrap();
            assert!(seen.insert(code), "{name}");
            if name != "server-ip-address" {
                assert_eq!(
                    table::find(family, &code.to_string())
                        .unwrap()
                        .map(|(code, _)| code),
                    Some(code),
                    "{name}"
                );
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_value_panics_and_what_is_taken_is_not_empty(name in "[a-z0-9-]{1,12}", at in 0..70usize, value in "\\PC{0,40}") {
        for (family, version) in [(Family::V4, 4), (Family::V6, 6)] {
            let known = names(family).nth(at).map(str::to_owned);
            for name in [Some(name.clone()), known, Some(at.to_string())].into_iter().flatten() {
                if let Ok(wire) = wire(&name, &value, version) {
                    let contents = wire.v4.values().chain(wire.v6.values());
                    let blank = value.is_empty();
                    proptest::prop_assert!(contents.into_iter().all(|content| !content.is_empty() || blank));
                }
            }
        }
    }
}
