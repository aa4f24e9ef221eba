use super::*;

#[test]
fn an_announcement_names_one_address_as_sender_and_target() {
    let (guest, service) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let frame = announcement(
        guest,
        service,
        Ipv4Addr::new(10, 0, 0, 5),
        Mac([2, 0, 0, 0, 0, 3]),
    );
    let wanted = [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06][..],
        // Ethernet and IPv4, six and four bytes, a request
        &[0, 1, 0x08, 0, 6, 4, 0, 1],
        &[2, 0, 0, 0, 0, 3, 10, 0, 0, 5],
        &[0, 0, 0, 0, 0, 0, 10, 0, 0, 5],
    ];
    assert_eq!(frame, wanted.concat());
}

#[test]
fn what_switches_learn_from_is_to_all_and_names_no_address() {
    let wanted = [
        &[0xff; 6][..],
        &[2, 0, 0, 0, 0, 1, 0x80, 0x35],
        // Ethernet and IPv4, six and four bytes, a reverse request
        &[0, 1, 0x08, 0, 6, 4, 0, 3],
        &[2, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    ];
    assert_eq!(whereabouts(Mac([2, 0, 0, 0, 0, 1])), wanted.concat());
}
