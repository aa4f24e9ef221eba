//! The ledger's bytes: a line that names the format, the SHA-256 of the rest, the rest as protobuf.

use std::collections::BTreeMap;

use hextet_core::ids::PortId;
use hextet_core::plan::{HostPlan, PlanEntry};
use hextet_feed::convert::{Malformed, address, mac, octets, prefix, uuid};
use hextet_feed::digest::key_of;
use hextet_feed::v1;
use hextet_proto::Reconfigurable;
use hextet_wire::dhcpv6::{Duid, ReconfigureKey, ReconfigureKind};
use prost::Message;

use super::{LearnedAddress, State, Target};

const MAGIC: &[u8] = b"hextet ledger 1\n";
const SUM_LEN: usize = 32;

/// Why a file is not a ledger.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It does not begin like one.
    #[error("it does not begin like a ledger")]
    Magic,
    /// It was cut or changed.
    #[error("its checksum does not match")]
    Sum,
    /// It has another content.
    #[error("it cannot be decoded: {0}")]
    Decode(prost::DecodeError),
    /// A field says nothing sensible.
    #[error("it cannot be understood: {0}")]
    Malformed(#[from] Malformed),
}

pub(super) fn encode(state: &State) -> Vec<u8> {
    let mut bytes = [MAGIC, &[0; SUM_LEN]].concat();
    let mut add = |part: v1::Ledger| {
        part.encode(&mut bytes).expect("a vector has room for all");
    };
    add(everything_else(state));
    // Messages one after the other are one with the elements of all: the plan is never held once more in that form.
    for entry in state.plan.entries.values() {
        add(v1::Ledger {
            entries: vec![entry.into()],
            ..v1::Ledger::default()
        });
    }
    let sum = sum(&bytes[MAGIC.len() + SUM_LEN..]);
    bytes[MAGIC.len()..][..SUM_LEN].copy_from_slice(&sum);
    bytes
}

/// All but the plan's entries.
fn everything_else(state: &State) -> v1::Ledger {
    v1::Ledger {
        generation: Some(state.plan.generation.into()),
        entries: Vec::new(),
        declarations: state
            .declarations
            .iter()
            .map(|(port, target)| v1::Declaration {
                port: port.0.as_bytes().to_vec(),
                target: Some(target.into()),
            })
            .collect(),
        released: state
            .released
            .iter()
            .map(|port| port.0.as_bytes().to_vec())
            .collect(),
        let_go: state
            .let_go
            .iter()
            .map(|(tap, ifindex)| v1::LetGo {
                tap: tap.clone(),
                ifindex: *ifindex,
            })
            .collect(),
        learned: state
            .learned
            .iter()
            .map(|known| v1::Learned {
                port: known.port.0.as_bytes().to_vec(),
                address: known.address.octets().to_vec(),
                since_s: known.since_s,
                seen_s: known.seen_s,
            })
            .collect(),
        reconfigurable: state
            .reconfigurable
            .iter()
            .map(reconfigurable_out)
            .collect(),
        withdrawn: state
            .withdrawn
            .iter()
            .flat_map(|(port, list)| {
                list.iter().map(|(prefix, until)| v1::Withdrawn {
                    port: port.0.as_bytes().to_vec(),
                    prefix: prefix.network().octets().to_vec(),
                    prefix_len: u32::from(prefix.prefix_len()),
                    until_s: *until,
                })
            })
            .collect(),
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<State, Unreadable> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Unreadable::Magic)?;
    let (found, body) = rest.split_at_checked(SUM_LEN).ok_or(Unreadable::Sum)?;
    if found != sum(body) {
        return Err(Unreadable::Sum);
    }
    let message = v1::Ledger::decode(body).map_err(Unreadable::Decode)?;
    let mut plan = HostPlan {
        generation: message
            .generation
            .ok_or(Malformed::Missing("generation"))?
            .into(),
        entries: BTreeMap::new(),
    };
    for entry in &message.entries {
        let entry = PlanEntry::try_from(entry)?;
        plan.entries.insert(key_of(&entry), entry);
    }
    let mut state = State {
        plan,
        ..State::default()
    };
    for declaration in &message.declarations {
        let target = declaration
            .target
            .as_ref()
            .ok_or(Malformed::Missing("declarations.target"))?;
        state
            .declarations
            .insert(port(&declaration.port)?, target.try_into()?);
    }
    for released in &message.released {
        state.released.insert(port(released)?);
    }
    for let_go in &message.let_go {
        state.let_go.insert(let_go.tap.clone(), let_go.ifindex);
    }
    for learned in &message.learned {
        state.learn(LearnedAddress {
            port: port(&learned.port)?,
            address: address("learned.address", &learned.address)?,
            since_s: learned.since_s,
            seen_s: learned.seen_s,
        });
    }
    for client in &message.reconfigurable {
        let (port, client) = reconfigurable_in(client)?;
        state.reconfigurable.insert(port, client);
    }
    for withdrawn in &message.withdrawn {
        let net = prefix("withdrawn.prefix", &withdrawn.prefix, withdrawn.prefix_len)?;
        let list = state.withdrawn.entry(port(&withdrawn.port)?).or_default();
        list.insert(net, withdrawn.until_s);
    }
    Ok(state)
}

fn reconfigurable_out((port, client): (&PortId, &Reconfigurable)) -> v1::Reconfigurable {
    v1::Reconfigurable {
        port: port.0.as_bytes().to_vec(),
        client: client.client.as_bytes().to_vec(),
        address: client.address.octets().to_vec(),
        mac: client.mac.0.to_vec(),
        key: client.key.as_bytes().to_vec(),
        kind: u32::from(client.kind.number()),
        told: client.told.to_vec(),
    }
}

fn reconfigurable_in(known: &v1::Reconfigurable) -> Result<(PortId, Reconfigurable), Malformed> {
    let kind = u8::try_from(known.kind).ok();
    let kind = kind.and_then(ReconfigureKind::from_number);
    let client = Reconfigurable {
        client: Duid::new(&known.client).ok_or(Malformed::Missing("reconfigurable.client"))?,
        address: address("reconfigurable.address", &known.address)?,
        mac: mac("reconfigurable.mac", &known.mac)?,
        key: ReconfigureKey::new(octets("reconfigurable.key", &known.key)?),
        kind: kind.ok_or(Malformed::Range {
            field: "reconfigurable.kind",
            value: u64::from(known.kind),
        })?,
        told: octets("reconfigurable.told", &known.told)?,
    };
    Ok((port(&known.port)?, client))
}

impl From<&Target> for v1::Target {
    fn from(target: &Target) -> Self {
        let target = match target.clone() {
            Target::Netns { name, ifname, down } => {
                v1::target::Target::Netns(v1::NetnsTarget { name, ifname, down })
            }
            Target::Tap { name } => v1::target::Target::Tap(v1::TapTarget { name }),
        };
        v1::Target {
            target: Some(target),
        }
    }
}

impl TryFrom<&v1::Target> for Target {
    type Error = Malformed;

    fn try_from(target: &v1::Target) -> Result<Self, Malformed> {
        match target.target.clone().ok_or(Malformed::Missing("target"))? {
            v1::target::Target::Netns(v1::NetnsTarget { name, ifname, down }) => {
                Ok(Target::Netns { name, ifname, down })
            }
            v1::target::Target::Tap(v1::TapTarget { name }) => Ok(Target::Tap { name }),
        }
    }
}

fn port(bytes: &[u8]) -> Result<PortId, Malformed> {
    uuid("port", bytes).map(PortId)
}

fn sum(body: &[u8]) -> [u8; SUM_LEN] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    let mut octets = [0; SUM_LEN];
    octets.copy_from_slice(hash.as_ref());
    octets
}
