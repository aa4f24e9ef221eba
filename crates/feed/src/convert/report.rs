//! What a host tells the server.

use hextet_core::ids::PortId;
use hextet_core::report::{HostReport, PortReport, PortState};

use super::{Malformed, uuid};
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
            })
        });
        Ok(HostReport {
            generation: generation.into(),
            ports: ports.collect::<Result<_, Malformed>>()?,
        })
    }
}
