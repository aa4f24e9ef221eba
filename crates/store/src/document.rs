//! A resource as it is stored: its JSON text, cut so that each kind of reader gets a slice of it.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::engine::EngineError;

/// Where a kind's text is cut. Members come in the order of the type's fields: public ones, those that only
/// administrators see, internal ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// The first member that only administrators see.
    pub first_admin: Option<&'static str>,
    /// The first member that nobody is shown.
    pub first_internal: Option<&'static str>,
}

/// A stored resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its id, unique among its kind.
    pub id: Arc<str>,
    /// The project that owns it; empty where none does.
    pub project_id: Arc<str>,
    /// The log's revision that wrote it.
    pub revision: u64,
    text: Arc<str>,
    public_bytes: usize,
    admin_bytes: usize,
}

impl Document {
    /// Writes a value down.
    pub(crate) fn render(
        kind: &str,
        id: &str,
        project_id: &str,
        value: &impl Serialize,
        layout: Layout,
        revision: u64,
    ) -> Result<Self, EngineError> {
        let fault = |source| EngineError::Document {
            kind: kind.to_owned(),
            id: id.to_owned(),
            source,
        };
        let Json::Object(members) = serde_json::to_value(value).map_err(fault)? else {
            return Err(EngineError::Unsound("document: it is no object"));
        };
        let mut text = String::from("{");
        let (mut public_bytes, mut admin_bytes) = (None, None);
        for (name, member) in &members {
            if layout.first_admin == Some(name) {
                public_bytes = Some(text.len());
            }
            if layout.first_internal == Some(name) {
                public_bytes = public_bytes.or(Some(text.len()));
                admin_bytes = Some(text.len());
            }
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name).map_err(fault)?);
            text.push(':');
            text.push_str(&serde_json::to_string(member).map_err(fault)?);
        }
        let end = text.len();
        text.push('}');
        Ok(Self {
            id: id.into(),
            project_id: project_id.into(),
            revision,
            text: text.into(),
            public_bytes: public_bytes.unwrap_or(end),
            admin_bytes: admin_bytes.unwrap_or(end),
        })
    }

    /// The same resource with another value, at the same revision.
    pub(crate) fn rewrite(
        &self,
        kind: &str,
        value: &impl Serialize,
        layout: Layout,
    ) -> Result<Self, EngineError> {
        Self::render(
            kind,
            &self.id,
            &self.project_id,
            value,
            layout,
            self.revision,
        )
    }

    /// Puts together what was stored.
    pub(crate) fn restore(
        id: &str,
        project_id: &str,
        revision: u64,
        text: &str,
        public_bytes: u64,
        admin_bytes: u64,
    ) -> Result<Self, EngineError> {
        let cut = |bytes: u64| {
            usize::try_from(bytes)
                .ok()
                .filter(|bytes| *bytes > 0 && text.is_char_boundary(*bytes))
                .ok_or(EngineError::Unsound("document: it is cut wrongly"))
        };
        Ok(Self {
            id: id.into(),
            project_id: project_id.into(),
            revision,
            text: text.into(),
            public_bytes: cut(public_bytes)?,
            admin_bytes: cut(admin_bytes)?,
        })
    }

    /// The whole JSON object, internal members too.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The object's opening brace and its public members; the closing brace is left to the caller, who may add some.
    pub fn public(&self) -> &str {
        &self.text[..self.public_bytes]
    }

    /// As [`Document::public`], and the members that only administrators see.
    pub fn admin(&self) -> &str {
        &self.text[..self.admin_bytes]
    }

    /// Where the two slices end, bytes.
    pub(crate) fn cuts(&self) -> (usize, usize) {
        (self.public_bytes, self.admin_bytes)
    }

    /// The value that was written.
    ///
    /// # Errors
    /// When the text is not one of these.
    pub fn parse<T: DeserializeOwned>(&self, kind: &str) -> Result<T, EngineError> {
        serde_json::from_str(&self.text).map_err(|source| EngineError::Document {
            kind: kind.to_owned(),
            id: self.id.to_string(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
