use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e300_f64..1e300).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_names_each_member_once_is_read_as_by_the_library(value in value()) {
        let text = value.to_string();
        let library: Json = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(parse(text.as_bytes()), Ok(library));
    }
}

#[test]
fn a_second_member_of_a_name_is_refused_by_its_name_at_any_depth() {
    for text in [
        r#"{"a": 1, "a": 1}"#,
        r#"{"b": [{"c": 1}, {"a": {}, "c": 2, "\u0061": {}}]}"#,
    ] {
        let why = parse(text.as_bytes()).unwrap_err();
        assert!(why.contains("member 'a' is there twice at line 1"), "{why}");
    }
    let why = parse(b"{\n x").unwrap_err();
    assert_eq!(why, "The body is not JSON: see line 2, column 2");
    assert!(parse(b"[1] 2").is_err());
    assert!(parse("[".repeat(200).as_bytes()).is_err());
}
