use proptest::prelude::*;

use super::*;

#[test]
fn what_is_emitted_parses_to_the_same_and_its_checksums_hold() {
    let frame = frame();
    let (parsed, udp) = parse(&frame).unwrap();
    assert_eq!(parsed, envelope());
    assert_eq!((udp.source_port, udp.destination_port), (68, 67));
    assert_eq!(udp.data, [1, 2, 3]);
    // Over a whole that holds its checksum the sum is zero.
    assert_eq!(finish(sum(&frame[14..34])), 0);
    assert_eq!(envelope().udp_checksum(&frame[34..]), 0);
}

#[test]
fn the_header_checksum_is_that_of_rfc_1071() {
    // An example whose checksum is known: 0xb861.
    let header = [
        0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7,
    ];
    assert_eq!(finish(sum(&header)), 0xb861);
}

#[test]
fn what_is_no_whole_datagram_of_one_station_is_refused_by_its_reason() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(Spoil, Ipv4Error); 10] = [
        (
            |f| f[12..14].copy_from_slice(&[0x86, 0xdd]),
            Ipv4Error::NotIpv4(0x86dd),
        ),
        (|f| f[14] = 0x65, Ipv4Error::Version(6)),
        (|f| f[14] = 0x44, Ipv4Error::Truncated),
        (|f| f[14] = 0x4f, Ipv4Error::Truncated),
        (
            |f| f[16..18].copy_from_slice(&[0, 19]),
            Ipv4Error::Truncated,
        ),
        (|f| f[16..18].copy_from_slice(&[1, 0]), Ipv4Error::Truncated),
        (
            |f| f[20..22].copy_from_slice(&[0x20, 0]),
            Ipv4Error::Fragment,
        ),
        (|f| f[20..22].copy_from_slice(&[0, 7]), Ipv4Error::Fragment),
        (|f| f[23] = 6, Ipv4Error::NotUdp(6)),
        (
            |f| f[26..30].copy_from_slice(&[224, 0, 0, 1]),
            Ipv4Error::Source,
        ),
    ];
    for (at, (spoil, expected)) in cases.iter().enumerate() {
        let mut frame = frame();
        spoil(&mut frame);
        seal(&mut frame);
        assert_eq!(parse(&frame).map(|_| ()), Err(*expected), "case {at}");
    }
    let mut wrong = frame();
    wrong[24] ^= 1;
    assert_eq!(parse(&wrong).map(|_| ()), Err(Ipv4Error::Checksum));
}

#[test]
fn every_truncation_is_an_error_and_padding_is_no_data() {
    let mut frame = frame();
    for length in 0..frame.len() {
        assert!(parse(&frame[..length]).is_err(), "{length} bytes");
    }
    frame.resize(60, 0xff);
    assert_eq!(parse(&frame).unwrap().1.data, [1, 2, 3]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(tail in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = frame()[..14].to_vec();
        bytes.extend_from_slice(&tail);
        let _ = parse(&bytes);
    }
}

fn envelope() -> Ipv4Envelope {
    Ipv4Envelope {
        mac_destination: Mac([0xff; 6]),
        mac_source: Mac([2, 0, 0, 0, 0, 1]),
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::BROADCAST,
    }
}

fn frame() -> Vec<u8> {
    envelope().udp(Udp {
        source_port: 68,
        destination_port: 67,
        data: &[1, 2, 3],
    })
}

/// Puts the header's checksum right.
fn seal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let length = usize::from(frame[14] & 0xf) * 4;
    if let Some(header) = frame.get(14..14 + length) {
        let checksum = finish(sum(header));
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    }
}
