use super::*;

fn mode(cell: &str) -> Option<Ipv6Mode> {
    if cell == "-" {
        None
    } else {
        Some(Ipv6Mode::from_name(cell).expect("a mode of the API"))
    }
}

fn service(cell: &str) -> (Dhcpv6Service, Dhcpv6Service) {
    match cell {
        "addresses" => (Dhcpv6Service::Addresses, Dhcpv6Service::Addresses),
        "options" => (Dhcpv6Service::Options, Dhcpv6Service::Options),
        "addresses; on a flat network options" => {
            (Dhcpv6Service::Addresses, Dhcpv6Service::Options)
        }
        other => panic!("a dhcpv6 cell says {other:?}"),
    }
}

#[test]
fn every_row_of_the_specification_is_what_the_match_says() {
    let mut seen = 0;
    let text = include_str!("../../specs/ipv6_modes.tsv");
    for line in text.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [
            ra,
            address,
            verdict,
            sender,
            a,
            m,
            o,
            dhcpv6,
            without,
            port_address,
            learned,
            why,
        ] = cells[..]
        else {
            panic!("twelve columns: {line}");
        };
        assert!(!why.is_empty(), "{line}");
        let row = Ipv6Modes {
            ra: mode(ra),
            address: mode(address),
        }
        .row();
        seen += 1;
        if verdict == "refused" {
            let refusal = row.expect_err(line);
            assert_eq!(
                (refusal.kind.status(), refusal.kind.neutron_type()),
                (400, "InvalidInput"),
                "{line}"
            );
            continue;
        }
        let row = row.expect(line);
        assert_eq!(row.sender == RaSender::Us, sender == "us", "{line}");
        let flags = (a != "-").then(|| RaFlags {
            autonomous: a == "1",
            managed: m == "1",
            other: o == "1",
        });
        assert_eq!(row.flags, flags, "{line}");
        assert_eq!((row.dhcpv6, row.dhcpv6_on_flat), service(dhcpv6), "{line}");
        assert_eq!(
            row.solicit_without_address == SolicitWithoutAddress::NoAddrsAvail,
            without == "no-addrs",
            "{line}"
        );
        assert_eq!(
            row.port_address == AddressSource::Eui64,
            port_address == "eui64",
            "{line}"
        );
        assert_eq!(row.learned, learned == "yes", "{line}");
    }
    assert_eq!(seen, 16, "four values of each attribute");
}

#[test]
fn auto_address_is_slaac_or_stateless_in_either_attribute() {
    let all = [
        None,
        Some(Ipv6Mode::Slaac),
        Some(Ipv6Mode::Dhcpv6Stateful),
        Some(Ipv6Mode::Dhcpv6Stateless),
    ];
    for ra in all {
        for address in all {
            let modes = Ipv6Modes { ra, address };
            if let Ok(row) = modes.row() {
                assert_eq!(
                    modes.is_auto_address(),
                    row.port_address == AddressSource::Eui64,
                    "{modes:?}"
                );
            }
        }
    }
}
