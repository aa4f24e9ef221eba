//! Which port is meant.

use std::collections::BTreeSet;

use hextet_core::ids::PortId;
use tonic::Status;

use super::Host;
use crate::ledger::Target;

/// Most ports that an answer names when several are meant.
const NAMED_MAX: usize = 5;
/// Most of a name that an answer repeats, characters: it travels in a header of HTTP/2.
const SHOWN_MAX: usize = 64;
/// Shortest beginning of an id that names a port.
const BEGINNING_MIN: usize = 4;

impl Host {
    /// The port of this id, whose id alone begins so, or whose link has this name.
    pub(super) fn find(&self, text: &str) -> Result<PortId, Status> {
        let planned = self.state.plan.ports().map(|port| port.id);
        let declared = self.state.declarations.keys().copied();
        let known: BTreeSet<PortId> = planned.chain(declared).collect();
        if let Some(id) = known.iter().find(|id| self.link_name(**id) == text) {
            return Ok(*id);
        }
        let digits = text.replace('-', "").to_ascii_lowercase();
        let simple = |id: &PortId| id.0.simple().to_string();
        let begin: Vec<PortId> = known
            .iter()
            .filter(|id| digits.len() >= BEGINNING_MIN && simple(id).starts_with(&digits))
            .copied()
            .collect();
        let text: String = text.chars().take(SHOWN_MAX).collect();
        let enough = (digits.len() >= BEGINNING_MIN).then_some(digits.as_str());
        match begin[..] {
            [id] => Ok(id),
            [] if let Some(why) = self.why_unclaimed(&text, enough.unwrap_or_default()) => {
                Err(Status::not_found(why))
            }
            [] => Err(Status::not_found(format!(
                "no port of this host has the link or the id {text:?}, nor an id that begins so ({BEGINNING_MIN} digits \
                 at least): `hextet port list` shows them"
            ))),
            _ => {
                let names = begin.iter().take(NAMED_MAX).map(ToString::to_string);
                Err(Status::invalid_argument(format!(
                    "{} ports begin with {text}: {}",
                    begin.len(),
                    names.collect::<Vec<_>>().join(", ")
                )))
            }
        }
    }

    /// The name of the host's end of a port's link, whether or not it is there.
    pub(super) fn link_name(&self, port: PortId) -> String {
        match self.state.declarations.get(&port) {
            Some(Target::Tap { name }) => name.clone(),
            _ => port.tap_name(),
        }
    }
}
