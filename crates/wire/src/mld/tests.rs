use super::*;
use crate::frame;

const SERVICE: Mac = Mac([0x02, 0x68, 0x78, 0, 0, 0x2a]);
const GENERAL: Duration = Duration::from_secs(125);

fn general() -> Query {
    Query::general(Duration::from_secs(1), 2, GENERAL)
}

fn parsed(frame: &[u8]) -> Result<Query, MldError> {
    parse(&frame::parse(frame).expect("a whole packet"))
}

fn envelope(source: Ipv6Addr, hop_limit: u8) -> Envelope {
    Envelope {
        mac_destination: multicast_mac(ALL_NODES),
        mac_source: SERVICE,
        source,
        destination: ALL_NODES,
        hop_limit,
    }
}

/// A query of the other fields, as a message.
fn message(code: u16, group: Ipv6Addr, rest: &[u8]) -> Vec<u8> {
    let code = code.to_be_bytes();
    let head = [130, 0, 0, 0, code[0], code[1], 0, 0];
    [&head[..], &group.octets(), rest].concat()
}

fn of(message: Vec<u8>) -> Result<Query, MldError> {
    parsed(&envelope(SERVICE.link_local(), HOP_LIMIT).icmpv6_alert(message))
}

/// As RFC 3810 §5.1 draws it, with its Router Alert (RFC 2711); the checksum is by hand.
#[test]
fn a_general_query_is_these_bytes() {
    let wanted = concat!(
        "333300000001",
        "02687800002a",
        "86dd",
        "60000000",
        "0024",
        "0001",
        "fe80000000000000006878fffe00002a",
        "ff020000000000000000000000000001",
        "3a00050200000100",
        "8200",
        "022d",
        "03e8",
        "0000",
        "00000000000000000000000000000000",
        "027d0000",
    );
    let frame = general().emit(SERVICE, SERVICE.link_local());
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, wanted);
    assert_eq!(parsed(&frame), Ok(general()));
}

#[test]
fn a_query_for_one_group_goes_to_the_group() {
    let group: Ipv6Addr = "ff15::7".parse().unwrap();
    for v2 in [None, general().v2] {
        let query = Query {
            group,
            v2,
            ..general()
        };
        let frame = query.emit(SERVICE, SERVICE.link_local());
        let packet = frame::parse(&frame).unwrap();
        assert_eq!(packet.envelope.destination, group);
        assert_eq!(packet.envelope.mac_destination, multicast_mac(group));
        assert_eq!(parse(&packet), Ok(query));
    }
}

#[test]
fn long_times_are_exponents_and_mantissas() {
    let time = |code: u16, interval: u8| {
        let query = of(message(code, Ipv6Addr::UNSPECIFIED, &[2, interval, 0, 0])).unwrap();
        let v2 = query.v2.unwrap();
        (query.max_response.as_millis(), v2.interval.as_secs())
    };
    assert_eq!(time(0x7fff, 0x7f), (32_767, 127));
    assert_eq!(time(0x8000, 0x80), (0x1000 << 3, 0x10 << 3));
    assert_eq!(time(0xffff, 0xff), (0x1fff << 10, 0x1f << 10));
}

#[test]
fn a_query_of_mldv1_is_told_by_its_length() {
    let query = of(message(0xffff, Ipv6Addr::UNSPECIFIED, &[])).unwrap();
    assert_eq!(query.v2, None);
    assert_eq!(query.max_response, Duration::from_millis(0xffff));
    let cut = of(message(1000, Ipv6Addr::UNSPECIFIED, &[2, 125]));
    assert_eq!(cut, Err(MldError::Truncated), "neither version");
}

#[test]
fn what_a_listener_discards_is_refused() {
    let query = message(1000, Ipv6Addr::UNSPECIFIED, &[2, 125, 0, 0]);
    let other: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let cases = [
        (envelope(SERVICE.link_local(), 2), MldError::HopLimit(2)),
        (envelope(other, 1), MldError::Source(other)),
    ];
    for (envelope, error) in cases {
        assert_eq!(parsed(&envelope.icmpv6_alert(query.clone())), Err(error));
    }
    let mut frame = general().emit(SERVICE, SERVICE.link_local());
    let last = frame.len() - 1;
    frame[last] ^= 1;
    assert_eq!(parsed(&frame), Err(MldError::Checksum));
    assert_eq!(
        of(message(0, other, &[2, 125, 0, 0])),
        Err(MldError::Group(other))
    );
    let sources = of(message(0, ALL_NODES, &[2, 125, 0, 1, 0]));
    assert_eq!(sources, Err(MldError::Truncated));
    assert_eq!(of(vec![131, 0, 0, 0]), Err(MldError::NotQuery));
}
