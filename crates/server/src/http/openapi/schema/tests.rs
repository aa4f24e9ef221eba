use super::*;
use crate::http::attributes::{Convert, Rule};
use crate::http::convert;
use crate::http::v2::NOUNS;

fn of(convert: Convert) -> Json {
    described(&|value| convert(value).is_ok()).unwrap()
}

#[test]
fn converters_are_described_by_what_they_take() {
    let text =
        json!({"type": "string", "minLength": 0, "maxLength": 255, "pattern": "^[^\\u0000]*$"});
    assert_eq!(of(convert::text), text);
    assert_eq!(
        of(convert::text_or_null),
        json!({"anyOf": [{"type": "null"}, text]})
    );
    assert_eq!(
        of(convert::uuid),
        json!({"type": "string", "format": "uuid"})
    );
    let mtu = json!({"anyOf": [
        {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        {"type": "string", "pattern": "^[0-9]{1,9}$"},
    ]});
    assert_eq!(of(convert::non_negative), mtu);
    assert_eq!(of(convert::ip_version), json!({"enum": [4, 6]}));
    let flag =
        json!({"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, {"enum": ["true", "false"]}]});
    assert_eq!(of(convert::boolean), flag);
    let modes = json!({"anyOf": [{"type": "null"}, {"enum": Ipv6Mode::NAMES}]});
    assert_eq!(of(convert::mode), modes);
    let address = json!({"anyOf": [
        {"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"},
    ]});
    assert_eq!(
        of(convert::pools),
        json!({"type": "array", "items": {
            "type": "object", "properties": {"start": address, "end": address},
            "required": ["start", "end"], "additionalProperties": false,
        }})
    );
    let fixed = of(convert::fixed_ips);
    assert_eq!(fixed["items"]["properties"]["delete_subnet"], flag);
    assert_eq!(fixed["items"]["required"], json!([]));
}

#[test]
fn every_converter_of_every_noun_takes_something_that_is_asked_about() {
    for noun in NOUNS {
        for attribute in noun.attributes {
            for rule in [attribute.post, attribute.put] {
                let Rule::Takes(convert) = rule else {
                    continue;
                };
                let schema = described(&|value| convert(value).is_ok());
                let name = attribute.name;
                let schema = schema.unwrap_or_else(|| panic!("{}: {name}", noun.name));
                assert!(
                    !schema.to_string().contains("\"items\":false"),
                    "{}: {name}",
                    noun.name
                );
            }
        }
    }
}
