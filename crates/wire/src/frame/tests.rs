use super::*;

#[test]
fn extension_headers_are_walked_to_the_upper_layer() {
    check(
        &[HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING],
        Ok(NEXT_HEADER_ICMPV6),
    );
    check(&[], Ok(NEXT_HEADER_ICMPV6));
    check(&[DESTINATION_OPTIONS; 8], Ok(NEXT_HEADER_ICMPV6));
}

#[test]
fn a_chain_beyond_the_bound_is_refused() {
    check(&[DESTINATION_OPTIONS; 9], Err(FrameError::ExtensionHeaders));
    check(
        &[DESTINATION_OPTIONS; 40],
        Err(FrameError::ExtensionHeaders),
    );
}

#[test]
fn a_fragment_header_anywhere_in_the_chain_is_refused() {
    check(&[FRAGMENT], Err(FrameError::Fragment));
    check(&[DESTINATION_OPTIONS, FRAGMENT], Err(FrameError::Fragment));
}

#[test]
fn hop_by_hop_options_stand_first_or_not_at_all() {
    check(
        &[DESTINATION_OPTIONS, HOP_BY_HOP],
        Err(FrameError::HopByHop),
    );
}

#[test]
fn only_ethernet_ii_with_ipv6_is_taken() {
    for ethertype in [0x0800, 0x8100, 0x88a8, 0x0040] {
        let mut frame = frame(&[]);
        frame[12..14].copy_from_slice(&u16::to_be_bytes(ethertype));
        assert_eq!(parse(&frame), Err(FrameError::NotIpv6(ethertype)));
    }
    let mut frame = frame(&[]);
    frame[14] = 0x45;
    assert_eq!(parse(&frame), Err(FrameError::Version(4)));
}

#[test]
fn every_truncation_of_a_frame_is_an_error() {
    let frame = frame(&[HOP_BY_HOP]);
    for length in 0..frame.len() {
        assert!(parse(&frame[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut frame = frame(&[]);
    let payload = parse(&frame).unwrap().payload.to_vec();
    frame.resize(frame.len() + 20, 0xff);
    assert_eq!(parse(&frame).unwrap().payload, payload);
}

#[test]
fn group_addresses_are_no_sources() {
    let mut of_ethernet = frame(&[]);
    of_ethernet[6] |= 1;
    assert_eq!(parse(&of_ethernet), Err(FrameError::MulticastSource));
    let mut of_ipv6 = frame(&[]);
    of_ipv6[22] = 0xff;
    assert_eq!(parse(&of_ipv6), Err(FrameError::MulticastSource));
}

#[test]
fn a_datagram_shorter_or_longer_than_it_says_is_none() {
    let data = [1, 2, 3];
    let frame = envelope().udp(Udp {
        source_port: 546,
        destination_port: 547,
        data: &data,
    });
    let packet = parse(&frame).unwrap();
    assert!(packet.checksum_holds());
    assert_eq!(packet.udp().unwrap().data, data);
    for wrong in [0, 7, 12, 0xffff] {
        let mut frame = frame.clone();
        frame[ETHERNET_BYTES + IPV6_BYTES + 4..][..2].copy_from_slice(&u16::to_be_bytes(wrong));
        assert_eq!(parse(&frame).unwrap().udp(), None, "length {wrong}");
    }
}

#[test]
fn the_checksum_is_that_of_rfc_8200() {
    // An echo request from ::1 to ::1 as Linux sends it.
    let upper = [0x80, 0, 0, 0, 0x12, 0x34, 0, 1];
    let sum = checksum(
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::LOCALHOST,
        NEXT_HEADER_ICMPV6,
        &upper,
    );
    assert_eq!(sum, !(1 + 1 + 8 + 58 + 0x8000 + 0x1234 + 1));
}

#[test]
fn groups_have_the_addresses_that_rfc_2464_and_4291_give_them() {
    let address: Ipv6Addr = "fe80::2aa:ff:fe28:9c5a".parse().unwrap();
    let group: Ipv6Addr = "ff02::1:ff28:9c5a".parse().unwrap();
    assert_eq!(solicited_node(address), group);
    assert_eq!(
        multicast_mac(group),
        Mac([0x33, 0x33, 0xff, 0x28, 0x9c, 0x5a])
    );
}

fn check(chain: &[u8], expected: Result<u8, FrameError>) {
    let frame = frame(chain);
    assert_eq!(
        parse(&frame).map(|packet| packet.next_header),
        expected,
        "{chain:?}"
    );
}

fn envelope() -> Envelope {
    Envelope {
        mac_destination: Mac([0x33, 0x33, 0, 0, 0, 2]),
        mac_source: Mac([2, 0, 0, 0, 0, 1]),
        source: Mac([2, 0, 0, 0, 0, 1]).link_local(),
        destination: ALL_ROUTERS,
        hop_limit: 255,
    }
}

/// A Router Solicitation behind these extension headers of 8 bytes each.
fn frame(chain: &[u8]) -> Vec<u8> {
    let message = [133, 0, 0, 0, 0, 0, 0, 0];
    let mut upper = Vec::new();
    for at in 0..chain.len() {
        let next = chain.get(at + 1).copied().unwrap_or(NEXT_HEADER_ICMPV6);
        upper.extend_from_slice(&[next, 0, 1, 4, 0, 0, 0, 0]);
    }
    upper.extend_from_slice(&message);
    envelope().frame(chain.first().copied().unwrap_or(NEXT_HEADER_ICMPV6), &upper)
}
