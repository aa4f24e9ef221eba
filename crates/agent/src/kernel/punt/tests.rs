use super::*;

fn bytes(head: PuntHead, frame: &[u8]) -> Vec<u8> {
    [head.bytes(), frame].concat()
}

const HEAD: PuntHead = PuntHead {
    ktime: 1_000_000_000,
    ifindex: 4,
    port: 5,
    net: 6,
    reason: PuntReason::Rs as u32,
    length: 3,
    whole: 3,
};

#[test]
fn a_record_ends_where_its_frame_does() {
    let bytes = bytes(HEAD, b"abcdef");
    let record = record(&bytes, Duration::from_secs(3)).unwrap();
    assert_eq!(record.frame, b"abc");
    assert_eq!(record.age, Duration::from_secs(2));
    assert_eq!((record.port, record.net), (PortNumber(5), Vni(6)));
}

#[test]
fn a_record_of_another_schema_is_none() {
    let unknown = PuntHead {
        reason: 999,
        ..HEAD
    };
    assert!(record(&bytes(unknown, b"abc"), Duration::ZERO).is_none());
    let long = PuntHead { length: 4, ..HEAD };
    assert!(record(&bytes(long, b"abc"), Duration::ZERO).is_none());
    assert!(record(&[0; 31], Duration::ZERO).is_none());
}

#[test]
fn a_record_is_stale_when_it_is_older_than_five_seconds() {
    let bytes = bytes(HEAD, b"abc");
    let at = |now| is_stale(&record(&bytes, now).unwrap());
    assert!(!at(Duration::from_secs(6)));
    assert!(at(Duration::from_secs(6) + Duration::from_nanos(1)));
}
