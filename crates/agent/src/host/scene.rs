//! What the program would do with a frame: what is needed for asking, taken from the host's thread, and the asking itself,
//! which is done elsewhere because the kernel takes its time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::link::SERVICE_IPV4;
use hextet_core::mac::Mac;
use hextet_feed::v1;
use hextet_wire::{capture, craft};
use tonic::Status;

use super::Host;
use super::pass::fastpath_config;
use crate::kernel::fastpath::PuntBudget;
use crate::kernel::fastpath::trace::{TraceFrame, Traced, trace};
use crate::kernel::{Kind, Rows, Verdict};

/// One port's surroundings at one moment.
pub struct Scene {
    id: PortId,
    number: PortNumber,
    net: Vni,
    ifindex: u32,
    attached: bool,
    guest: craft::Guest,
    rows: Rows,
    punt: PuntBudget,
    /// The links of the host that carry ports.
    links: BTreeMap<u32, (PortId, String)>,
}

impl Host {
    pub(super) fn scene(&self, text: &str) -> Result<Scene, Status> {
        let id = self.find(text)?;
        let plan = self.state.plan.port(id);
        let plan = plan.ok_or_else(|| {
            Status::failed_precondition(format!("port {id} is not bound to this host"))
        })?;
        let carrier = self.carriers.get(&id).ok_or_else(|| {
            let why = self.why_down(id).unwrap_or_else(|| "no link".to_owned());
            Status::failed_precondition(format!("no link carries port {id}: {why}"))
        })?;
        let unreadable =
            |error: &dyn std::error::Error| Status::unavailable(hextet_core::errors::chain(error));
        let rows = self.fastpath.dump().map_err(|error| unreadable(&error))?;
        let links = self.carriers.iter();
        let links = links.map(|(id, carrier)| (carrier.ifindex, (*id, self.link_name(*id))));
        Ok(Scene {
            id,
            number: plan.number,
            net: plan.vni,
            ifindex: carrier.ifindex,
            attached: carrier.attached,
            guest: craft::Guest {
                mac: plan.mac,
                service_mac: Mac::service(plan.vni),
                ipv6: plan.ipv6().next().unwrap_or(plan.mac.link_local()),
                ipv4: plan
                    .ipv4()
                    .next()
                    .unwrap_or(std::net::Ipv4Addr::UNSPECIFIED),
                service_ipv4: SERVICE_IPV4,
            },
            rows,
            punt: fastpath_config(&self.config).punt,
            links: links.collect(),
        })
    }
}

impl Scene {
    /// Judges a frame in words or digits, or those of a capture.
    ///
    /// # Errors
    /// What cannot be understood of it; the kernel's.
    pub fn trace(&self, packet: &[u8]) -> Result<v1::TraceReply, Status> {
        let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
        let frames: Vec<Vec<u8>> = if capture::is_capture(packet) {
            let frames = capture::parse(packet).map_err(|error| invalid(&error))?;
            frames.into_iter().map(<[u8]>::to_vec).collect()
        } else {
            let text = std::str::from_utf8(packet).map_err(|error| invalid(&error))?;
            let resolve = |address| self.resolve(address);
            let frame = craft::parse(text, &self.guest, &resolve);
            vec![frame.map_err(|error| invalid(&error))?]
        };
        let judged = frames.iter().map(|frame| self.judge(frame));
        Ok(v1::TraceReply {
            port: self.id.0.as_bytes().to_vec(),
            link: self.link(self.ifindex).1,
            attached: self.attached,
            frames: judged.collect::<Result<_, _>>()?,
        })
    }

    fn judge(&self, frame: &[u8]) -> Result<v1::TracedFrame, Status> {
        let asked = TraceFrame {
            frame,
            ifindex: self.ifindex,
            port: self.number,
            net: self.net,
            punt: self.punt,
        };
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::InvalidInput => Status::invalid_argument(error.to_string()),
            _ => Status::internal(format!("the kernel did not run the program: {error}")),
        };
        let traced = trace(&self.rows, &asked).map_err(failed)?;
        Ok(self.told(frame, &traced))
    }

    fn told(&self, frame: &[u8], traced: &Traced) -> v1::TracedFrame {
        let answered = matches!(traced.verdict, Verdict::NdAnswered | Verdict::ArpAnswered);
        let (to_port, to_link) = match traced.target {
            Some(ifindex) => self.link(ifindex),
            None => (Vec::new(), String::new()),
        };
        v1::TracedFrame {
            frame: frame.to_vec(),
            verdict: traced.verdict.name().to_owned(),
            kind: match traced.verdict.kind() {
                Kind::Drop => "drop",
                Kind::Consumed => "consumed",
                Kind::Passed => "passed",
                Kind::Note => "note",
            }
            .to_owned(),
            why: traced.verdict.why().to_owned(),
            stage: traced.stage.name().to_owned(),
            reason: traced.reason.map_or("", |reason| reason.name()).to_owned(),
            reason_why: traced.reason.map_or("", |reason| reason.why()).to_owned(),
            to_link,
            to_port,
            copies: traced.copies,
            proto: traced.proto.map(u32::from),
            extensions: traced.extensions,
            answer: if answered {
                traced.frame.clone()
            } else {
                Vec::new()
            },
        }
    }

    /// Port and name of a link.
    fn link(&self, ifindex: u32) -> (Vec<u8>, String) {
        match self.links.get(&ifindex) {
            Some((id, name)) => (id.0.as_bytes().to_vec(), name.clone()),
            None => (Vec::new(), format!("ifindex {ifindex}")),
        }
    }

    /// Who the guest would find to have an address.
    fn resolve(&self, address: IpAddr) -> Option<Mac> {
        let address: Ipv6Addr = match address {
            IpAddr::V6(address) => address,
            IpAddr::V4(address) => address.to_ipv6_mapped(),
        };
        self.rows.neigh.get(&(self.net, address)).map(|row| row.mac)
    }
}
