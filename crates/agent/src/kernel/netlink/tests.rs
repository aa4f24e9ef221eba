use netlink_packet_core::DoneMessage;
use netlink_packet_route::link::LinkMessage;

use super::*;

/// A datagram with a link of this number, or with the end of a list.
pub(in crate::kernel) fn datagram(ifindex: Option<u32>, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let payload = match ifindex {
        Some(ifindex) => {
            let mut message = LinkMessage::default();
            message.header.index = ifindex;
            NetlinkPayload::from(RouteNetlinkMessage::NewLink(message))
        }
        None => NetlinkPayload::Done(DoneMessage::default()),
    };
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// How often a list is asked for, and how many links it has, where the first so many answers are of one that changed.
fn asked(disturbed: usize) -> (usize, usize) {
    let mut asked = 0;
    let listed = undisturbed(|| {
        asked += 1;
        let flags = if asked <= disturbed {
            NLM_F_DUMP_INTR
        } else {
            0
        };
        let mut answers = Answers::default();
        assert!(!answers.take(&datagram(Some(1), 0))?);
        if flags == 0 {
            assert!(!answers.take(&datagram(Some(2), 0))?);
        }
        assert!(answers.take(&datagram(None, flags))?);
        Ok(answers)
    });
    (asked, listed.unwrap().len())
}

#[test]
fn a_list_of_links_that_changed_meanwhile_is_asked_for_again_as_often_as_is_bearable() {
    assert_eq!(asked(0), (1, 2));
    assert_eq!(asked(1), (2, 2));
    assert_eq!(asked(usize::MAX), (DUMPS_MAX, 1));
}
