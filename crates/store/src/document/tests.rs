use serde_json::json;

use super::*;

const LAYOUT: Layout = Layout {
    first_admin: Some("secret"),
    first_internal: Some("inner"),
};

fn check(value: Json, public: &str, admin: &str) {
    let document = Document::render("thing", "1", "p", &value, LAYOUT, 1).unwrap();
    assert_eq!(document.public(), public, "{value}");
    assert_eq!(document.admin(), admin, "{value}");
    assert_eq!(document.parse::<Json>("thing").unwrap(), value);
}

#[test]
fn each_reader_gets_a_slice_without_the_closing_brace() {
    check(
        json!({"id": "1", "secret": 2, "inner": 3}),
        r#"{"id":"1""#,
        r#"{"id":"1","secret":2"#,
    );
    check(
        json!({"id": "1", "inner": 3}),
        r#"{"id":"1""#,
        r#"{"id":"1""#,
    );
    check(json!({"id": "1"}), r#"{"id":"1""#, r#"{"id":"1""#);
    check(
        json!({"id": "1", "secret": "ü"}),
        r#"{"id":"1""#,
        "{\"id\":\"1\",\"secret\":\"ü\"",
    );
}

#[test]
fn a_member_that_is_named_like_a_cut_inside_another_cuts_nothing() {
    check(
        json!({"id": {"secret": 1}, "name": "\"secret\":", "secret": 2}),
        r#"{"id":{"secret":1},"name":"\"secret\":""#,
        r#"{"id":{"secret":1},"name":"\"secret\":","secret":2"#,
    );
}
