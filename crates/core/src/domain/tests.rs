use super::*;

#[test]
fn a_name_is_labels_with_their_lengths() {
    let of = |name: &str| {
        let mut out = Vec::new();
        emit(name, &mut out);
        out
    };
    assert_eq!(of("a.example"), b"\x01a\x07example\0");
    assert_eq!(of("a.example."), b"\x01a\x07example\0");
    let long = ["x".repeat(63).as_str(); 4].join(".");
    for no_name in ["", ".", "a..b", &"x".repeat(64), &long] {
        assert!(of(no_name).is_empty(), "{no_name}");
        assert!(!is_name(no_name), "{no_name}");
    }
    assert!(is_name("_ntp.example-1.org."));
    assert!(!is_name("a b") && !is_name("ä.org"));
}

/// RFC 3397 §2's own example, with its offsets.
#[test]
fn a_search_list_is_compressed_as_in_rfc_3397() {
    let list = emit_compressed(["eng.apple.com.", "marketing.apple.com."]);
    let wanted = b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04";
    assert_eq!(list, wanted);
}

#[test]
fn what_stood_before_is_pointed_to_and_nothing_else() {
    let list = emit_compressed(["example.org", "EXAMPLE.org", "example.net", "org"]);
    let wanted = b"\x07example\x03org\0\xc0\x00\x07example\x03net\0\xc0\x08";
    assert_eq!(list, wanted);
    assert_eq!(emit_compressed(["a..b", "a"]), b"\x01a\0");
}
