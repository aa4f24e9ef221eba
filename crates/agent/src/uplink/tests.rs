use hextet_core::ids::PortId;
use hextet_core::plan::Generation;
use hextet_core::report::PortState;
use uuid::Uuid;

use super::*;

#[test]
fn a_report_says_only_what_is_new() {
    let mut sent = SentReport::default();
    assert_eq!(
        sent.difference(&told(1, [true, true])),
        [report(1, [true, true])]
    );
    assert!(sent.difference(&told(1, [true, true])).is_empty());
    let changed = sent.difference(&told(1, [true, false]));
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].ports, report(1, [true, false]).ports[1..]);
    assert_eq!(
        sent.difference(&told(2, [true, false])),
        [HostReport {
            generation: report(2, []).generation,
            ports: Vec::new(),
        }]
    );
}

/// Of these states, whose ports are in the order of their ids.
fn told<const N: usize>(revision: u64, up: [bool; N]) -> Arc<HostReport> {
    Arc::new(report(revision, up))
}

fn report<const N: usize>(revision: u64, up: [bool; N]) -> HostReport {
    HostReport {
        generation: Generation { epoch: 1, revision },
        ports: up
            .iter()
            .enumerate()
            .map(|(at, up)| PortReport {
                port: PortId(Uuid::from_u128(at as u128)),
                state: if *up {
                    PortState::Up
                } else {
                    PortState::Down("no link".to_owned())
                },
                carrier: true,
                observed: Vec::new(),
                conflicts: Vec::new(),
            })
            .collect(),
    }
}
