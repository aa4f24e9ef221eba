use serde_json::{Value as Json, json};

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

#[test]
fn values_of_any_form_before_a_cut_are_passed_over() {
    check(
        json!({"id": ["secret", [{}, {"inner": "]}"}]], "b\"": "\\", "c": {}, "secret": "}{", "d": 1.5, "inner": null, "e": []}),
        r#"{"id":["secret",[{},{"inner":"]}"}]],"b\"":"\\","c":{}"#,
        r#"{"id":["secret",[{},{"inner":"]}"}]],"b\"":"\\","c":{},"secret":"}{","d":1.5"#,
    );
    check(json!({"secret": 1, "id": 2}), "{", r#"{"secret":1,"id":2"#);
    check(json!({}), "{", "{");
}

#[test]
fn what_is_no_object_is_no_document() {
    for value in [json!([1]), json!("{"), json!(null)] {
        assert!(Document::render("thing", "1", "p", &value, LAYOUT, 1).is_err());
    }
}
