//! A resource as it is stored: its JSON text, cut so that each kind of reader gets a slice of it.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

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
        let text = serde_json::to_string(value).map_err(fault)?;
        if !text.starts_with('{') {
            return Err(EngineError::Unsound("document: it is no object"));
        }
        let (mut public_bytes, mut admin_bytes) = (None, None);
        each_member(&text, |begin, name| {
            if layout.first_admin == Some(name) {
                public_bytes = Some(begin);
            }
            if layout.first_internal == Some(name) {
                public_bytes = public_bytes.or(Some(begin));
                admin_bytes = Some(begin);
            }
        });
        let end = text.len() - 1;
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

/// Tells where each member of an object's text begins, with the comma before it, and its name as it is written.
fn each_member<'a>(text: &'a str, mut tell: impl FnMut(usize, &'a str)) {
    let (mut depth, mut quoted_from, mut escaped) = (0_usize, None, false);
    let mut named_from = None;
    for (at, octet) in text.bytes().enumerate() {
        if let Some(from) = quoted_from {
            match octet {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    quoted_from = None;
                    if let Some(begin) = named_from.take() {
                        tell(begin, &text[from..at]);
                    }
                }
                _ => {}
            }
            continue;
        }
        match octet {
            b'"' => quoted_from = Some(at + 1),
            b'{' | b'[' => {
                depth += 1;
                named_from = (depth == 1).then_some(1);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                named_from = None;
            }
            b',' if depth == 1 => named_from = Some(at),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
