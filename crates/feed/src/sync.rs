//! Which entries an agent lacks, and the messages that carry them: both ends of a stream, without the stream.

use std::collections::{BTreeMap, BTreeSet};

use hextet_core::plan::{Generation, HostPlan, PlanEntry, PlanKey};

use crate::convert::{Malformed, octets};
use crate::digest::{Digest, digest, key_of};
use crate::v1;

/// Most entries, removals or digests in one message: about 200 kB.
pub const PART_MAX: usize = 1000;
/// Most keys that one side takes from the other in one plan.
pub const PLAN_KEYS_MAX: usize = 1 << 20;

/// The server's end: what the agent has, as far as it was told.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    held: BTreeMap<PlanKey, Digest>,
}

impl Sent {
    /// Starts from what the agent says it holds.
    pub fn new(held: BTreeMap<PlanKey, Digest>) -> Self {
        Self { held }
    }

    /// Every key that the agent has.
    pub fn keys(&self) -> BTreeSet<PlanKey> {
        self.held.keys().copied().collect()
    }

    /// The messages that bring these keys to what `compile_key` says; none when nothing differs. `announce` sends the
    /// generation even then.
    pub fn delta(
        &mut self,
        keys: impl IntoIterator<Item = PlanKey>,
        mut compile_key: impl FnMut(PlanKey) -> Option<PlanEntry>,
        generation: Generation,
        announce: bool,
    ) -> Vec<v1::ServerMessage> {
        let mut upserts = Vec::new();
        let mut removals = Vec::new();
        for key in keys {
            match compile_key(key) {
                Some(entry) => {
                    let new = digest(&entry);
                    if self.held.insert(key, new) != Some(new) {
                        upserts.push(v1::Entry::from(&entry));
                    }
                }
                None => {
                    if self.held.remove(&key).is_some() {
                        removals.push(v1::Key::from(key));
                    }
                }
            }
        }
        if upserts.is_empty() && removals.is_empty() && !announce {
            return Vec::new();
        }
        parts(upserts, removals, generation)
    }
}

fn parts(
    upserts: Vec<v1::Entry>,
    removals: Vec<v1::Key>,
    generation: Generation,
) -> Vec<v1::ServerMessage> {
    let mut messages = Vec::new();
    for chunk in removals.chunks(PART_MAX) {
        messages.push(v1::ServerMessage {
            removals: chunk.to_vec(),
            ..Default::default()
        });
    }
    for chunk in upserts.chunks(PART_MAX) {
        messages.push(v1::ServerMessage {
            upserts: chunk.to_vec(),
            ..Default::default()
        });
    }
    // A small change travels whole in one message.
    if let [removals, upserts] = messages.as_mut_slice()
        && removals.upserts.is_empty()
        && upserts.removals.is_empty()
        && removals.removals.len() + upserts.upserts.len() <= PART_MAX
    {
        upserts.removals = std::mem::take(&mut removals.removals);
        messages.remove(0);
    }
    if messages.is_empty() {
        messages.push(v1::ServerMessage::default());
    }
    let last = messages.last_mut().expect("pushed above when empty");
    last.last = true;
    last.generation = Some(generation.into());
    messages
}

/// What an agent says first: its host and every entry that it holds, in parts.
pub fn hello(host: &str, plan: &HostPlan) -> Vec<v1::Hello> {
    let held: Vec<v1::Held> = plan
        .entries
        .iter()
        .map(|(key, entry)| v1::Held {
            key: Some((*key).into()),
            digest: digest(entry).0.to_vec(),
        })
        .collect();
    let mut parts: Vec<v1::Hello> = held
        .chunks(PART_MAX)
        .map(|chunk| v1::Hello {
            held: chunk.to_vec(),
            ..Default::default()
        })
        .collect();
    if parts.is_empty() {
        parts.push(v1::Hello::default());
    }
    for part in &mut parts {
        part.host = host.to_owned();
        part.generation = Some(plan.generation.into());
    }
    parts.last_mut().expect("pushed above when empty").last = true;
    parts
}

/// The server's reading of a [`hello`].
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// The host that the agent says it is: to be checked against its certificate.
    pub host: String,
    /// The generation of the plan that it holds.
    pub generation: Generation,
    /// Its entries.
    pub held: BTreeMap<PlanKey, Digest>,
}

impl Greeting {
    /// Takes a part in; true when it was the last.
    ///
    /// # Errors
    /// The part is malformed, or there are too many.
    pub fn take(&mut self, part: &v1::Hello) -> Result<bool, Malformed> {
        self.host.clone_from(&part.host);
        self.generation = part
            .generation
            .ok_or(Malformed::Missing("hello.generation"))?
            .into();
        for held in &part.held {
            let key = held.key.as_ref().ok_or(Malformed::Missing("held.key"))?;
            let digest = Digest(octets("held.digest", &held.digest)?);
            self.held.insert(PlanKey::try_from(key)?, digest);
        }
        bounded("hello.held", self.held.len())?;
        Ok(part.last)
    }
}

/// The agent's end: a change is taken in whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    changes: BTreeMap<PlanKey, Option<PlanEntry>>,
}

/// A complete change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDelta {
    /// The plan's generation after it.
    pub generation: Generation,
    /// New or changed entries, and `None` for those that are gone.
    pub changes: BTreeMap<PlanKey, Option<PlanEntry>>,
}

impl PlanDelta {
    /// Brings a plan to this delta's generation.
    pub fn apply(self, plan: &mut HostPlan) {
        plan.generation = self.generation;
        for (key, entry) in self.changes {
            match entry {
                Some(entry) => plan.entries.insert(key, entry),
                None => plan.entries.remove(&key),
            };
        }
    }
}

impl Incoming {
    /// Takes a part in; the whole change when it was the last.
    ///
    /// # Errors
    /// The part is malformed, or there are too many.
    pub fn take(&mut self, part: &v1::ServerMessage) -> Result<Option<PlanDelta>, Malformed> {
        for key in &part.removals {
            self.changes.insert(PlanKey::try_from(key)?, None);
        }
        for entry in &part.upserts {
            let entry = PlanEntry::try_from(entry)?;
            self.changes.insert(key_of(&entry), Some(entry));
        }
        bounded("plan", self.changes.len())?;
        if !part.last {
            return Ok(None);
        }
        let generation = part
            .generation
            .ok_or(Malformed::Missing("generation"))?
            .into();
        Ok(Some(PlanDelta {
            generation,
            changes: std::mem::take(&mut self.changes),
        }))
    }
}

fn bounded(field: &'static str, len: usize) -> Result<(), Malformed> {
    if len > PLAN_KEYS_MAX {
        return Err(Malformed::Range {
            field,
            value: len as u64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
