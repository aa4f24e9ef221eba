//! What `hextet trace` asks of the program.

use super::*;
use crate::kernel::fastpath::trace::{FRAME_BYTES_MAX, Stage, TraceFrame, Traced, trace};

fn judged(frame: &[u8]) -> std::io::Result<Traced> {
    let asked = TraceFrame {
        frame,
        ifindex: ASKING,
        port: PORT_A,
        net: NET,
        punt: PuntBudget::default(),
    };
    let mut rows = world();
    rows.seen.insert(PORT_A);
    trace(&rows, &asked)
}

#[test]
fn a_trace_says_which_stage_decided_and_sends_nothing() {
    let multicast = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut tagged = udp(A, B, global(0xa), global(0xb), 1, 2, b"tagged");
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    let cases = [
        (
            udp(C, B, global(0xa), global(0xb), 1, 2, b"mac"),
            Verdict::MacSpoofed,
            Stage::Admit,
        ),
        (tagged, Verdict::VlanTag, Stage::Parse),
        (
            udp(A, B, global(0xa), global(0xb), 547, 546, b"server"),
            Verdict::Dhcpv6Server,
            Stage::Control,
        ),
        (
            udp(A, B, global(0x99), global(0xb), 1, 2, b"source"),
            Verdict::SourceSpoofed,
            Stage::Guard,
        ),
        (
            udp(A, B, global(0xa), global(0xb), 1, 2, b"passes"),
            Verdict::Unicast,
            Stage::Deliver,
        ),
        // The receiver has no device: a copy that was really made would fail.
        (
            udp(A, multicast, global(0xa), all_nodes, 1, 2, b"group"),
            Verdict::Multicast,
            Stage::Deliver,
        ),
    ];
    for (frame, verdict, stage) in cases {
        let traced = judged(&frame).unwrap();
        assert_eq!((traced.verdict, traced.stage), (verdict, stage));
        assert_eq!(
            traced.target,
            (verdict == Verdict::Unicast).then_some(NEIGHBOUR)
        );
        assert_eq!(traced.copies, u32::from(verdict == Verdict::Multicast));
        let upper = (stage > Stage::Parse).then_some(17);
        assert_eq!(traced.proto, upper);
    }
}

#[test]
fn frames_that_the_kernel_would_not_take_are_refused() {
    for length in [0, 13, FRAME_BYTES_MAX + 1] {
        let refused = judged(&vec![0; length]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
    let traced = judged(&vec![0; FRAME_BYTES_MAX]).unwrap();
    assert_eq!(traced.verdict, Verdict::MacSpoofed);
}
