use proptest::prelude::*;

use super::*;

/// RFC 2202 §2, its first case.
#[test]
fn the_digest_is_that_of_rfc_2202() {
    let key = ReconfigureKey::new([0x0b; 16]);
    let expected = [
        0x92, 0x94, 0x72, 0x7a, 0x36, 0x38, 0xbb, 0x1c, 0x13, 0xf4, 0x8e, 0xf8, 0x15, 0x8b, 0xfc,
        0x9d,
    ];
    assert_eq!(key.digest(b"Hi There"), expected);
}

#[test]
fn a_reconfigure_is_what_rfc_9915_has_it_be() {
    let key = ReconfigureKey::new([7; 16]);
    let bytes = reconfigure().emit(&key);
    let unsigned = [
        &[10, 0, 0, 0, 0, 1, 0, 3, 0, 3, 9][..],
        &[0, 2, 0, 4, 0, 4, 8, 8],
        &[0, 19, 0, 1, 5],
        &[0, 11, 0, 28, 3, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2],
        &[0; 16],
    ]
    .concat();
    let digest = key.digest(&unsigned);
    assert_eq!(bytes[..bytes.len() - 16], unsigned[..unsigned.len() - 16]);
    assert_eq!(bytes[bytes.len() - 16..], digest);
}

#[test]
fn a_changed_bit_or_another_key_is_seen() {
    let key = ReconfigureKey::new([7; 16]);
    let bytes = reconfigure().emit(&key);
    assert_eq!(Reconfigure::parse(&bytes, &key), Ok(reconfigure()));
    let other = ReconfigureKey::new([8; 16]);
    let wrong = Err(ReconfigureError::Digest);
    assert_eq!(Reconfigure::parse(&bytes, &other), wrong);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Reconfigure::parse(&changed, &key).is_err(), "byte {at}");
    }
    for length in 0..bytes.len() {
        let cut = Reconfigure::parse(&bytes[..length], &key);
        assert_eq!(cut, Err(ReconfigureError::Malformed), "{length} bytes");
    }
}

#[test]
fn a_key_is_not_shown() {
    let shown = format!("{:?}", ReconfigureKey::new([7; 16]));
    assert!(!shown.contains('7'), "{shown}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let message = [&[10, 0, 0, 0], body.as_slice()].concat();
        let key = ReconfigureKey::new([0; 16]);
        prop_assert!(Reconfigure::parse(&message, &key).is_err());
        let _ = GivenKey::parse(&body);
    }
}

fn reconfigure() -> Reconfigure {
    Reconfigure {
        client: Duid::new(&[0, 3, 9]).unwrap(),
        server: Duid::new(&[0, 4, 8, 8]).unwrap(),
        kind: ReconfigureKind::Renew,
        replay: 0x102,
    }
}
