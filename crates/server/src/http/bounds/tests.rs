use super::*;

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn a_text_as_deep_as_is_allowed_passes_and_one_deeper_does_not() {
    assert_eq!(check_json(nested(JSON_DEPTH_MAX).as_bytes()), Ok(()));
    let deeper = nested(JSON_DEPTH_MAX + 1);
    assert_eq!(check_json(deeper.as_bytes()), Err(Bound::JsonTooDeep));
    let side_by_side = format!("[{}]", vec!["{}"; 1000].join(","));
    assert_eq!(check_json(side_by_side.as_bytes()), Ok(()));
}

#[test]
fn brackets_and_commas_in_strings_count_for_nothing() {
    let text = format!(
        r#"{{"a\"[": "{}", "b\\": "{}"}}"#,
        "[".repeat(1000),
        ",".repeat(JSON_VALUES_MAX)
    );
    assert_eq!(check_json(text.as_bytes()), Ok(()));
}

#[test]
fn as_many_values_as_are_allowed_pass_and_one_more_does_not() {
    // The list is a value too, and so is what it stands in.
    let list = |values: usize| format!("[{}]", vec!["0"; values].join(","));
    assert_eq!(check_json(list(JSON_VALUES_MAX - 1).as_bytes()), Ok(()));
    assert_eq!(
        check_json(list(JSON_VALUES_MAX).as_bytes()),
        Err(Bound::JsonTooMany)
    );
}

#[test]
fn json_in_utf8_is_the_only_content() {
    for (name, value, expected) in [
        ("content-type", "application/json", Ok(())),
        ("content-type", "Application/JSON; charset=UTF-8", Ok(())),
        ("content-type", "application/json;charset=\"utf-8\"", Ok(())),
        (
            "content-type",
            "application/json; charset=latin-1",
            Err(Bound::MediaType),
        ),
        ("content-type", "application/xml", Err(Bound::MediaType)),
        (
            "content-type",
            "application/x-www-form-urlencoded",
            Err(Bound::MediaType),
        ),
        ("content-type", "", Err(Bound::MediaType)),
        ("content-encoding", "identity", Ok(())),
        ("content-encoding", "gzip", Err(Bound::Encoding)),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(check_content(&headers), expected, "{name}: {value}");
    }
    assert_eq!(check_content(&HeaderMap::new()), Ok(()));
}

#[test]
fn a_path_is_text() {
    for path in [
        "/",
        "/v2.0/networks",
        "/%C3%A4",
        "/%c3%a4x",
        "/a%",
        "/a%2",
        "/%zz",
        "/%25",
        "/\u{e4}%C3%A4",
    ] {
        assert!(is_text(path), "{path}");
    }
    for path in ["/%ff", "/a%C3", "/%C3x%A4", "/%A4"] {
        assert!(!is_text(path), "{path}");
    }
}
