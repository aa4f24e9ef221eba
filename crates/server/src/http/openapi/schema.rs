//! What a converter takes, as a JSON Schema: it is asked, with one value after another.
//!
//! So the document cannot say something else than the converter does. A list of schemas beside the converters could.

use hextet_core::modes::Ipv6Mode;
use hextet_core::network::AddressPolicy;
use hextet_core::port::VnicType;
use serde_json::{Map, Value as Json, json};

use crate::identity::DOMAIN_ID;

/// Whether a value is taken.
type Takes<'a> = &'a dyn Fn(&Json) -> bool;

/// An IPv4 address, as a pattern.
macro_rules! ipv4 {
    () => {
        "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}
/// An IPv6 address without an IPv4 one in it, as a pattern.
macro_rules! ipv6 {
    () => {
        concat!(
            "(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,7}:|([0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}|",
            "([0-9a-fA-F]{1,4}:){1,5}(:[0-9a-fA-F]{1,4}){1,2}|([0-9a-fA-F]{1,4}:){1,4}(:[0-9a-fA-F]{1,4}){1,3}|",
            "([0-9a-fA-F]{1,4}:){1,3}(:[0-9a-fA-F]{1,4}){1,4}|([0-9a-fA-F]{1,4}:){1,2}(:[0-9a-fA-F]{1,4}){1,5}|",
            "[0-9a-fA-F]{1,4}:(:[0-9a-fA-F]{1,4}){1,6}|:((:[0-9a-fA-F]{1,4}){1,7}|:))",
        )
    };
}
pub(super) const IPV4: &str = ipv4!();
pub(super) const IPV6: &str = ipv6!();
const IPV4_PREFIX: &str = concat!(
    r#"{"type":"string","pattern":"^"#,
    ipv4!(),
    r#"/(3[0-2]|[12]?[0-9])$"}"#,
);
const IPV6_PREFIX: &str = concat!(
    r#"{"type":"string","pattern":"^"#,
    ipv6!(),
    r#"/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$"}"#,
);

/// Forms of texts: one of each that is taken, and how it is described.
const FORMS: [(&str, &str); 8] = [
    (
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        r#"{"type":"string","format":"uuid"}"#,
    ),
    (
        "fa:16:3e:11:22:33",
        r#"{"type":"string","pattern":"^([0-9a-f]{2}:){5}[0-9a-f]{2}$"}"#,
    ),
    ("192.0.2.1", r#"{"type":"string","format":"ipv4"}"#),
    ("2001:db8::1", r#"{"type":"string","format":"ipv6"}"#),
    ("192.0.2.0/24", IPV4_PREFIX),
    ("2001:db8::/64", IPV6_PREFIX),
    (
        "compute:x",
        r#"{"type":"string","pattern":"^compute:[a-z]{0,200}$"}"#,
    ),
    ("1500", r#"{"type":"string","pattern":"^[0-9]{1,9}$"}"#),
];
/// Words that stand for themselves.
const WORDS: [&str; 5] = ["true", "false", "ACTIVE", "DOWN", DOMAIN_ID];
/// Members that objects have together.
const SHAPES: [&[&str]; 4] = [
    &["start", "end"],
    &["destination", "nexthop"],
    &["subnet_id", "ip_address", "delete_subnet"],
    &["opt_name", "opt_value", "ip_version"],
];
/// A name: no control characters, no space at either end.
const NAME: &str = "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$";
/// Longest text that is tried, characters.
const TEXT_TRIED_MAX: usize = 1 << 16;
/// Integers that are tried one by one.
const SMALL: std::ops::RangeInclusive<i64> = -2..=10;

/// What is taken; `None` when it is nothing that is asked about.
pub(super) fn described(takes: Takes<'_>) -> Option<Json> {
    let mut any = Vec::new();
    if takes(&Json::Null) {
        any.push(json!({"type": "null"}));
    }
    match (takes(&json!(true)), takes(&json!(false))) {
        (true, true) => any.push(json!({"type": "boolean"})),
        (true, false) => any.push(json!({"const": true})),
        (false, true) => any.push(json!({"const": false})),
        (false, false) => {}
    }
    any.extend(integers(takes));
    any.extend(texts(takes));
    any.extend(array(takes));
    if takes(&json!({"of any name": 0})) {
        any.push(json!({"type": "object"}));
    } else {
        let shapes: Vec<Json> = SHAPES
            .iter()
            .filter_map(|shape| object(takes, shape))
            .collect();
        if shapes.is_empty() && takes(&json!({})) {
            any.push(json!({"type": "object", "maxProperties": 0}));
        }
        any.extend(shapes);
    }
    match any.len() {
        0 | 1 => any.pop(),
        _ => Some(json!({"anyOf": any})),
    }
}

fn words() -> impl Iterator<Item = &'static str> {
    let names = Ipv6Mode::NAMES.into_iter().chain(AddressPolicy::NAMES);
    WORDS.into_iter().chain(names).chain(VnicType::NAMES)
}

/// Values of every kind that is asked about.
pub(super) fn samples() -> impl Iterator<Item = Json> {
    let texts = FORMS.iter().map(|(sample, _)| *sample).chain(words());
    let others = [
        json!(null),
        json!(true),
        json!(6),
        json!("a text"),
        json!([]),
        json!({}),
    ];
    texts.map(|text| json!(text)).chain(others)
}

fn integers(takes: Takes<'_>) -> Option<Json> {
    let small: Vec<i64> = SMALL.filter(|number| takes(&json!(number))).collect();
    let (first, last) = (*small.first()?, *small.last()?);
    if last < *SMALL.end() {
        return Some(json!({"enum": small}));
    }
    let largest = largest(last, i64::MAX, |number| takes(&json!(number)));
    let mut schema = json!({"type": "integer", "maximum": largest});
    if first > *SMALL.start() {
        schema["minimum"] = json!(first);
    }
    Some(schema)
}

fn texts(takes: Takes<'_>) -> Vec<Json> {
    if takes(&json!("a text of no form")) {
        let longest = largest(1, TEXT_TRIED_MAX as i64, |length| {
            let length = usize::try_from(length).unwrap_or(0);
            takes(&json!("x".repeat(length)))
        });
        let shortest = i32::from(!takes(&json!("")));
        let mut schema = json!({"type": "string", "minLength": shortest, "maxLength": longest});
        if !takes(&json!("\n")) && !takes(&json!(" x")) {
            schema["pattern"] = json!(NAME);
        } else if !takes(&json!("\0")) {
            schema["pattern"] = json!("^[^\\u0000]*$");
        }
        return vec![schema];
    }
    let words: Vec<&str> = words().filter(|word| takes(&json!(word))).collect();
    let forms = FORMS.iter().filter(|(sample, _)| takes(&json!(sample)));
    let mut texts: Vec<Json> = forms
        .map(|(_, schema)| serde_json::from_str(schema).unwrap_or_default())
        .collect();
    if !words.is_empty() {
        texts.push(json!({"enum": words}));
    }
    texts
}

fn array(takes: Takes<'_>) -> Option<Json> {
    if !takes(&json!([])) {
        return None;
    }
    let items = described(&|item| takes(&json!([item])));
    let mut schema = json!({"type": "array", "items": items.unwrap_or(json!(false))});
    let one = samples().find(|item| takes(&json!([item])));
    if one.is_some_and(|item| !takes(&json!([item, item]))) {
        schema["uniqueItems"] = json!(true);
    }
    Some(schema)
}

/// An object of these members, if one of them all is taken.
fn object(takes: Takes<'_>, names: &[&str]) -> Option<Json> {
    let whole = sample(takes, names, &Map::new())?;
    around(takes, names, &whole)
}

/// An object of these members, by one that is taken.
pub(super) fn around(takes: Takes<'_>, names: &[&str], whole: &Map<String, Json>) -> Option<Json> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for name in names {
        let with = |value: &Json| {
            let mut object = whole.clone();
            object.insert((*name).to_owned(), value.clone());
            takes(&Json::Object(object))
        };
        properties.insert((*name).to_owned(), described(&with)?);
        let mut without = whole.clone();
        without.remove(*name);
        if !takes(&Json::Object(without)) {
            required.push(*name);
        }
    }
    Some(json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    }))
}

/// An object of these members that is taken.
fn sample(
    takes: Takes<'_>,
    names: &[&str],
    before: &Map<String, Json>,
) -> Option<Map<String, Json>> {
    let Some((name, rest)) = names.split_first() else {
        return takes(&Json::Object(before.clone())).then(|| before.clone());
    };
    let texts = FORMS.iter().map(|(sample, _)| json!(sample));
    texts.chain([json!(true), json!(4)]).find_map(|value| {
        let mut object = before.clone();
        object.insert((*name).to_owned(), value);
        sample(takes, rest, &object)
    })
}

/// The largest number of a range that is taken, where its first is and with each also those below.
fn largest(first: i64, last: i64, takes: impl Fn(i64) -> bool) -> i64 {
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low + (high - low) / 2 + 1;
        match takes(middle) {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    low
}

#[cfg(test)]
mod tests;
