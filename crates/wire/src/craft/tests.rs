use hextet_core::ids::Vni;

use super::*;
use crate::frame;
use crate::ndp::{self, NdpMessage};
use crate::{dhcpv4, dhcpv6, ipv4};

const NEIGHBOUR: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 2]);

fn guest() -> Guest {
    Guest {
        mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        service_mac: Mac::service(Vni(7)),
        ipv6: "2001:db8::1".parse().unwrap(),
        ipv4: Ipv4Addr::new(10, 0, 0, 1),
        service_ipv4: Ipv4Addr::new(169, 254, 169, 254),
    }
}

fn neighbours(address: IpAddr) -> Option<Mac> {
    let known: IpAddr = "2001:db8::2".parse().unwrap();
    (address == known).then_some(NEIGHBOUR)
}

fn made(text: &str) -> Vec<u8> {
    parse(text, &guest(), &neighbours).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_example_is_a_frame_that_the_parsers_take() {
    for example in EXAMPLES {
        let frame = made(example.name);
        assert_eq!(frame[6..12], guest().mac.0, "{}", example.name);
        if example.words.starts_with("ipv6") {
            let packet = frame::parse(&frame).unwrap();
            if packet.next_header == frame::NEXT_HEADER_ICMPV6 {
                assert!(packet.checksum_holds(), "{}", example.name);
            }
        }
    }
}

#[test]
fn solicitations_and_clients_messages_mean_what_their_names_say() {
    let frame = made("rs");
    let packet = frame::parse(&frame).unwrap();
    let message = ndp::parse(&packet).unwrap();
    assert!(matches!(message, NdpMessage::RouterSolicit(_)));
    let frame = made("ns-dad target=2001:db8::9");
    let packet = frame::parse(&frame).unwrap();
    match ndp::parse(&packet).unwrap() {
        NdpMessage::NeighborSolicit(solicit) => {
            assert_eq!(solicit.target.to_string(), "2001:db8::9");
        }
        other => panic!("{other:?}"),
    }
    let frame = made("dhcpv6-solicit");
    let packet = frame::parse(&frame).unwrap();
    let message = dhcpv6::parse(packet.udp().unwrap().data).unwrap();
    assert_eq!(message.name(), "Solicit");
    let frame = made("dhcpv6-information-request");
    let packet = frame::parse(&frame).unwrap();
    let message = dhcpv6::parse(packet.udp().unwrap().data).unwrap();
    assert_eq!(message.name(), "Information-request");
    let frame = made("dhcpv4-discover");
    let (_, udp) = ipv4::parse(&frame).unwrap();
    let message = dhcpv4::parse(udp.data).unwrap();
    assert_eq!(message.question.name(), "DHCPDISCOVER");
}

#[test]
fn layers_and_fields_are_what_was_said() {
    let frame = made("ipv6 dst=2001:db8::2 udp dport=53 data=c0ffee");
    let packet = frame::parse(&frame).unwrap();
    assert_eq!(packet.envelope.mac_destination, NEIGHBOUR);
    assert_eq!(packet.envelope.source, guest().ipv6);
    let udp = packet.udp().unwrap();
    assert_eq!((udp.destination_port, udp.data), (53, &b"\xc0\xff\xee"[..]));
    let frame = made("rs vlan=0 mac-src=02:00:00:00:00:09");
    assert_eq!(frame[6..18], [2, 0, 0, 0, 0, 9, 0x81, 0, 0, 0, 0x86, 0xdd]);
    let frame = made("ra hop-by-hop destination-options fragment");
    assert_eq!(
        (frame[20], frame[54], frame[62], frame[70]),
        (0, 60, 44, 58)
    );
    let frame = made("ipv4 dst=service tcp dport=22");
    assert_eq!((frame[23], frame[36], frame[37]), (6, 0, 22));
    assert_eq!(finish_of(&frame[14..34]), 0, "the header's checksum");
}

#[test]
fn hexadecimal_digits_are_taken_as_they_are() {
    let frame = made("33 33 00 00 00 02 fa:16:3e:00:00:01 86dd 60");
    assert_eq!(frame.len(), 15);
    assert_eq!(frame[12..], [0x86, 0xdd, 0x60]);
}

#[test]
fn what_makes_no_frame_is_named_with_what_is_allowed() {
    let cases = [
        ("", "no packet"),
        ("   ", "no packet"),
        ("hello", "\"hello\" is no word of a packet: layers are ipv6"),
        (
            "ipv6 colour=red",
            "\"colour\" is no word of a packet: keys are",
        ),
        ("ipv6 udp dport=70000", "dport=\"70000\": 0 to 65535"),
        (
            "ipv6 src=10.0.0.1",
            "src=\"10.0.0.1\": an address of the packet's family",
        ),
        (
            "ipv6 dst=2001:db8::99 udp",
            "nobody on the network has 2001:db8::99",
        ),
        ("ipv6 data=abc", "data=\"abc\": an even number"),
        ("ipv6 size=2900", "size=\"2900\""),
        ("mac-dst=1", "mac-dst=\"1\": a MAC"),
        ("fragment offset=9", "offset=\"9\": bytes, a multiple of 8"),
        (
            "vlan=1 rs",
            "\"rs\" is no word of a packet: an example stands first",
        ),
        (
            "rs ipv4",
            "\"ipv4\" is no word of a packet: the network layer stands before",
        ),
        (
            "src=own ipv4 udp",
            "\"ipv4\" is no word of a packet: the network layer",
        ),
        ("ipv6 ipv4", "\"ipv4\": the same was said before"),
        ("ipv6 udp tcp", "\"tcp\": the same was said before"),
        (
            "rs dst=any dst=own",
            "\"dst=own\": the same was said before",
        ),
        ("udp data=00 size=4", "\"size=4\": the same was said before"),
        ("arp tcp", "arp carries no upper layer"),
        ("arp routing", "arp carries no extension header"),
        ("ipv4 hop-by-hop udp", "ipv4 carries no extension header"),
    ];
    for (text, expected) in cases {
        let error = parse(text, &guest(), &neighbours).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let many = "fragment ".repeat(EXTENSIONS_MAX + 1);
    assert_eq!(
        parse(&many, &guest(), &neighbours),
        Err(CraftError::TooLong)
    );
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(
        parse(&long, &guest(), &neighbours),
        Err(CraftError::TooLong)
    );
}

fn finish_of(bytes: &[u8]) -> u16 {
    frame::finish(frame::sum(bytes))
}
