//! The names that a request's object may have, asked of its type: so the document of the API cannot miss one.

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};

/// The names of a struct's fields, as its deserialiser asks for them; none for other types.
pub fn fields_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It asks for its fields and gets no answer.
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("nothing is here"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::request::{NewKey, ProjectFields};

    #[test]
    fn a_type_tells_its_fields_with_the_private_ones() {
        assert_eq!(fields_of::<NewKey>(), ["end_tokens"]);
        let project = fields_of::<ProjectFields>();
        assert!(
            project.contains(&"name") && project.contains(&"domain_id"),
            "{project:?}"
        );
        assert!(fields_of::<Vec<u8>>().is_empty());
    }
}
