//! What the DHCPv4 server of one port's link answers (RFC 2131 §4.3).
//!
//! There are no leases: an answer is a function of the plan and the message. The addresses are the port's, whatever
//! client identifier or hardware address the client shows; both are only echoed. So several clients behind one port, the
//! stages of a network boot among them, get the same address.

use std::net::{IpAddr, Ipv4Addr};

use hextet_core::link::{Dhcpv4Lease, Dhcpv4Plan, SERVICE_IPV4};
use hextet_wire::dhcpv4::{
    Boot, ClientHeader, ClientMessage, Lease, Question, ServerMessage, ServerMessageKind,
    StaticRoute, code,
};

use crate::counters::DropReason;

/// What is answered and where to, and what is worth a line in the log.
pub(crate) struct Answer {
    /// `None`: the message wants no answer.
    pub(crate) message: Option<ServerMessage>,
    pub(crate) noted: Option<Given>,
}

/// An address that a client gave up.
pub(crate) enum Given {
    Released(Ipv4Addr),
    Declined(Ipv4Addr),
}

/// Answers a valid message.
///
/// # Errors
/// The reason for which it gets no answer.
pub(crate) fn answer(plan: &Dhcpv4Plan, message: &ClientMessage) -> Result<Answer, DropReason> {
    let header = &message.header;
    let ours = |server: Ipv4Addr| {
        if server == SERVICE_IPV4 {
            Ok(())
        } else {
            Err(DropReason::Dhcpv4OtherServer)
        }
    };
    match message.question {
        Question::Discover {
            wanted,
            rapid_commit,
        } => discover(plan, header, wanted, rapid_commit).map(said),
        Question::Select { server, wanted } => {
            ours(server)?;
            Ok(said(request(plan, header, wanted)))
        }
        Question::Reboot { wanted } => Ok(said(request(plan, header, wanted))),
        Question::Extend => Ok(said(request(plan, header, header.ciaddr))),
        Question::Inform => match find(plan, header.ciaddr) {
            Some(lease) => Ok(said(inform(plan, header, lease))),
            None => Err(DropReason::Dhcpv4ForeignAddress),
        },
        Question::Release { server } => {
            ours(server)?;
            Ok(noted(Given::Released(header.ciaddr)))
        }
        Question::Decline { server, address } => {
            ours(server)?;
            Ok(noted(Given::Declined(address)))
        }
    }
}

fn said(message: ServerMessage) -> Answer {
    Answer {
        message: Some(message),
        noted: None,
    }
}

/// RFC 2131 §4.3.3, §4.3.4: neither is answered.
fn noted(given: Given) -> Answer {
    Answer {
        message: None,
        noted: Some(given),
    }
}

/// The lease of this address.
fn find(plan: &Dhcpv4Plan, address: Ipv4Addr) -> Option<&Dhcpv4Lease> {
    plan.leases.iter().find(|lease| lease.address == address)
}

/// The address that the client would like if it is the port's, else the port's first.
fn discover(
    plan: &Dhcpv4Plan,
    header: &ClientHeader,
    wanted: Ipv4Addr,
    rapid_commit: bool,
) -> Result<ServerMessage, DropReason> {
    let lease = find(plan, wanted)
        .or(plan.leases.first())
        .ok_or(DropReason::Dhcpv4Off)?;
    let kind = if rapid_commit {
        ServerMessageKind::Ack
    } else {
        ServerMessageKind::Offer
    };
    let mut message = give(plan, header, lease, kind);
    message.rapid_commit = rapid_commit;
    Ok(message)
}

/// RFC 2131 §4.3.2: the address is the port's, or the client must begin anew. There is nothing that we could not know:
/// no other server speaks on this link.
fn request(plan: &Dhcpv4Plan, header: &ClientHeader, address: Ipv4Addr) -> ServerMessage {
    match find(plan, address) {
        Some(lease) => {
            let mut message = give(plan, header, lease, ServerMessageKind::Ack);
            message.ciaddr = header.ciaddr;
            message
        }
        None => refuse(header),
    }
}

fn refuse(header: &ClientHeader) -> ServerMessage {
    let mut message = ServerMessage::new(ServerMessageKind::Nak, header, SERVICE_IPV4);
    "not this port's address".clone_into(&mut message.message);
    message
}

fn give(
    plan: &Dhcpv4Plan,
    header: &ClientHeader,
    lease: &Dhcpv4Lease,
    kind: ServerMessageKind,
) -> ServerMessage {
    let mut message = with_options(plan, header, lease, kind);
    message.yiaddr = lease.address;
    message.lease = Some(Lease {
        lease_time_s: plan.lease_time_s,
        renewal_time_s: plan.times.t1_s,
        rebinding_time_s: plan.times.t2_s,
    });
    message
}

/// RFC 2131 §4.3.5: no address and no times.
fn inform(plan: &Dhcpv4Plan, header: &ClientHeader, lease: &Dhcpv4Lease) -> ServerMessage {
    let mut message = with_options(plan, header, lease, ServerMessageKind::Ack);
    message.ciaddr = header.ciaddr;
    message
}

fn with_options(
    plan: &Dhcpv4Plan,
    header: &ClientHeader,
    lease: &Dhcpv4Lease,
    kind: ServerMessageKind,
) -> ServerMessage {
    let routes = lease.routes.iter().map(|route| StaticRoute {
        destination: route.destination,
        router: route.nexthop,
    });
    ServerMessage {
        subnet: Some(lease.subnet),
        router: lease.router,
        routes: routes.collect(),
        dns_servers: lease.dns_servers.clone(),
        mtu: Some(plan.mtu),
        dns_search: plan.dns_search.clone(),
        host_name: lease.host_name.clone(),
        boot: boot(plan),
        extra: plan.options.clone(),
        ..ServerMessage::new(kind, header, SERVICE_IPV4)
    }
}

/// What network boots read outside the options (PXE 2.1 §2.2): the same as the options of server name and boot file. An IPv6
/// boot server has no room in `siaddr` and is told by its text.
fn boot(plan: &Dhcpv4Plan) -> Boot {
    let option = |code| plan.options.get(&code).cloned().unwrap_or_default();
    let file = option(code::BOOT_FILE);
    let server_name = option(code::TFTP_SERVER);
    match plan.boot_server {
        Some(IpAddr::V4(server)) => Boot {
            server,
            server_name,
            file,
        },
        Some(IpAddr::V6(server)) => Boot {
            server_name: server.to_string().into_bytes(),
            file,
            ..Boot::default()
        },
        None => Boot {
            server_name,
            file,
            ..Boot::default()
        },
    }
}

#[cfg(test)]
mod tests;
