//! What a host tells the server.

use hextet_core::ids::PortId;
use hextet_core::report::{
    AddressConflict, ClaimOutcome, HostReport, Observed, PortReport, PortState,
};

use super::{Malformed, address, uuid};
use crate::v1;

impl From<&HostReport> for v1::Report {
    fn from(report: &HostReport) -> Self {
        let ports = report.ports.iter().map(|port| v1::PortReport {
            port: port.port.0.as_bytes().to_vec(),
            down: match &port.state {
                PortState::Up => None,
                PortState::Down(why) => Some(why.clone()),
            },
            carrier: port.carrier,
            observed: port
                .observed
                .iter()
                .map(|observed| v1::ObservedAddress {
                    address: observed.address.octets().to_vec(),
                    since_s: observed.since_s,
                })
                .collect(),
            conflicts: port.conflicts.iter().map(conflict_out).collect(),
        });
        v1::Report {
            generation: Some(report.generation.into()),
            ports: ports.collect(),
        }
    }
}

impl TryFrom<&v1::Report> for HostReport {
    type Error = Malformed;

    fn try_from(report: &v1::Report) -> Result<Self, Malformed> {
        let generation = report
            .generation
            .ok_or(Malformed::Missing("report.generation"))?;
        let ports = report.ports.iter().map(|port| {
            Ok(PortReport {
                port: PortId(uuid("report.ports.port", &port.port)?),
                state: match &port.down {
                    None => PortState::Up,
                    Some(why) => PortState::Down(why.clone()),
                },
                carrier: port.carrier,
                observed: port
                    .observed
                    .iter()
                    .map(|observed| {
                        Ok(Observed {
                            address: address("report.ports.observed", &observed.address)?,
                            since_s: observed.since_s,
                        })
                    })
                    .collect::<Result<_, Malformed>>()?,
                conflicts: port
                    .conflicts
                    .iter()
                    .map(conflict_in)
                    .collect::<Result<_, _>>()?,
            })
        });
        Ok(HostReport {
            generation: generation.into(),
            ports: ports.collect::<Result<_, Malformed>>()?,
        })
    }
}

fn conflict_out(conflict: &AddressConflict) -> v1::ClaimedAddress {
    v1::ClaimedAddress {
        address: conflict.address.octets().to_vec(),
        holder: conflict
            .holder
            .map(|holder| holder.0.as_bytes().to_vec())
            .unwrap_or_default(),
    }
}

fn conflict_in(conflict: &v1::ClaimedAddress) -> Result<AddressConflict, Malformed> {
    Ok(AddressConflict {
        address: address("report.ports.conflicts", &conflict.address)?,
        holder: match conflict.holder.as_slice() {
            [] => None,
            id => Some(PortId(uuid("report.ports.conflicts.holder", id)?)),
        },
    })
}

impl From<ClaimOutcome> for v1::ClaimOutcome {
    fn from(outcome: ClaimOutcome) -> Self {
        match outcome {
            ClaimOutcome::Bound => Self::Bound,
            ClaimOutcome::NoPort => Self::NoPort,
            ClaimOutcome::Elsewhere => Self::Elsewhere,
            ClaimOutcome::NotAllowed => Self::NotAllowed,
            ClaimOutcome::NotCarried => Self::NotCarried,
        }
    }
}

impl TryFrom<v1::ClaimOutcome> for ClaimOutcome {
    type Error = Malformed;

    fn try_from(outcome: v1::ClaimOutcome) -> Result<Self, Malformed> {
        match outcome {
            v1::ClaimOutcome::Unspecified => Err(Malformed::Missing("claim.outcome")),
            v1::ClaimOutcome::Bound => Ok(Self::Bound),
            v1::ClaimOutcome::NoPort => Ok(Self::NoPort),
            v1::ClaimOutcome::Elsewhere => Ok(Self::Elsewhere),
            v1::ClaimOutcome::NotAllowed => Ok(Self::NotAllowed),
            v1::ClaimOutcome::NotCarried => Ok(Self::NotCarried),
        }
    }
}
