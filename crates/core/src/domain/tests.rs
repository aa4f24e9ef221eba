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

#[test]
fn a_search_list_is_of_host_names_and_fits_its_options() {
    let list = |domains: &[&str]| {
        domains
            .iter()
            .map(|domain| (*domain).to_owned())
            .collect::<Vec<_>>()
    };
    let label = "x".repeat(61);
    let longest = [label.as_str(); 4].join(".");
    assert_eq!(check_search(&list(&["a.b.example", "example-1"])), Ok(()));
    for (domains, says) in [
        (list(&["example"; 9]), "up to 8"),
        (list(&["example."]), "without a dot"),
        (list(&["a..b"]), "letters"),
        (list(&["-a"]), "letters"),
        (list(&["a-.b"]), "letters"),
        (list(&["_a.b"]), "letters"),
        (list(&[&longest, &longest, "1234567890123"]), "512 octets"),
    ] {
        let (_, allowed) = check_search(&domains).unwrap_err();
        assert!(allowed.contains(says), "{domains:?}: {allowed}");
    }
    let fits = list(&[&longest, &longest, "12345678"]);
    assert_eq!(check_search(&fits), Ok(()));
    let mut emitted = Vec::new();
    for domain in &fits {
        emit(domain, &mut emitted);
    }
    assert!(
        (500..=SEARCH_BYTES_MAX).contains(&emitted.len()),
        "{}",
        emitted.len()
    );
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
