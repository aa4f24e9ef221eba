use super::*;

const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

#[test]
fn values_are_compared_in_the_form_that_resources_have() {
    let words = Filter::OneOf(&["a", "b"]);
    for (filter, said, expected) in [
        (Filter::Text, "", Some("")),
        (Filter::Id, "3F2504E04F8941D39A0C0305E82C3301", Some(ID)),
        (Filter::Id, "other", None),
        (words, "a", Some("a")),
        (words, "A", None),
        (words, "", None),
        (Filter::Number, "007", Some("7")),
        (Filter::Number, "-1", None),
        (Filter::Number, "abc", None),
        (Filter::Number, "1.0", None),
        (Filter::Boolean, "TRUE", Some("true")),
        (Filter::Boolean, "0", Some("false")),
        (Filter::Boolean, "maybe", None),
        (Filter::Boolean, "", None),
        (Filter::Address, "2001:DB8:0::1", Some("2001:db8::1")),
        (Filter::Address, "10.0.0.1/32", None),
        (Filter::Prefix, "2001:DB8::/64", Some("2001:db8::/64")),
        (Filter::Prefix, "2001:db8::", None),
        (Filter::Mac, "FA-16-3E-00-00-01", Some("fa:16:3e:00:00:01")),
        (Filter::Mac, "fa:16:3e", None),
        (Filter::FixedIps, "ip_address=::0:1", Some("ip_address=::1")),
        (Filter::FixedIps, "ip_address=x", None),
        (
            Filter::FixedIps,
            "ip_address_substr=ABC",
            Some("ip_address_substr=abc"),
        ),
        (Filter::FixedIps, "subnet_id=x", None),
        (Filter::FixedIps, "subnet=x", None),
        (Filter::FixedIps, "::1", None),
        (Filter::Tags(TagRule::Any), "a,b", Some("a,b")),
    ] {
        let found = filter.wanted("f", said);
        assert_eq!(
            found.as_deref().ok(),
            expected,
            "{filter:?} {said}: {found:?}"
        );
    }
}
