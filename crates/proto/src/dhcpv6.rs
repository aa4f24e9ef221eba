//! What the DHCPv6 server of one port's link answers (RFC 9915 §18.3).
//!
//! There are no leases: an answer is a function of the plan and the message. The addresses are the port's, whatever
//! DUID, IAID or hardware type the client shows; the client's identity is only echoed.

use std::net::{IpAddr, Ipv6Addr};

use hextet_core::link::Dhcpv6Plan;
use hextet_core::modes::SolicitWithoutAddress;
use hextet_wire::dhcpv6::{
    Asked, ClientMessage, Duid, Ia, IaAddress, IaKind, IaReply, InformationRequest, ServerMessage,
    ServerMessageKind, Status, StatusCode,
};

use crate::counters::DropReason;

/// Preference that ends a client's wait for other servers (RFC 9915 §21.8).
const PREFERENCE: u8 = 255;
/// IRT_MINIMUM (RFC 9915 §7.6), seconds.
const IRT_MINIMUM_S: u32 = 600;

/// What is answered, and what is worth a line in the log.
pub(crate) struct Answer {
    pub(crate) message: ServerMessage,
    pub(crate) noted: Option<Given>,
}

/// Addresses that a client gave up.
pub(crate) enum Given {
    Released(Vec<IpAddr>),
    Declined(Vec<IpAddr>),
}

/// Answers a valid message.
///
/// # Errors
/// The reason for which it gets no answer.
pub(crate) fn answer(plan: &Dhcpv6Plan, message: &ClientMessage) -> Result<Answer, DropReason> {
    let server = Duid::from_uuid(plan.server_duid.into_bytes());
    let ours = |wanted: &Duid| {
        if *wanted == server {
            Ok(())
        } else {
            Err(DropReason::Dhcpv6OtherServer)
        }
    };
    match message {
        ClientMessage::Solicit {
            asked,
            rapid_commit,
        } => solicit(plan, asked, *rapid_commit).map(plain),
        ClientMessage::Request { asked, server } => {
            ours(server).map(|()| plain(assign(plan, asked, &[])))
        }
        ClientMessage::Renew { asked, server } => ours(server).map(|()| plain(extend(plan, asked))),
        ClientMessage::Rebind { asked } => {
            not_left_to_others(plan).map(|()| plain(extend(plan, asked)))
        }
        ClientMessage::Confirm { asked } => {
            not_left_to_others(plan)?;
            confirm(plan, asked).map(plain)
        }
        ClientMessage::Release { asked, server } => {
            ours(server)?;
            let message = success(plan, asked, "released");
            let noted = Some(Given::Released(named(asked).map(IpAddr::V6).collect()));
            Ok(Answer { message, noted })
        }
        ClientMessage::Decline { asked, server } => {
            ours(server)?;
            let message = success(plan, asked, "noted; the address stays this port's");
            let noted = Some(Given::Declined(named(asked).map(IpAddr::V6).collect()));
            Ok(Answer { message, noted })
        }
        ClientMessage::InformationRequest(request) => {
            request.server.as_ref().map_or(Ok(()), ours)?;
            Ok(plain(information(plan, request)))
        }
    }
}

fn plain(message: ServerMessage) -> Answer {
    Answer {
        message,
        noted: None,
    }
}

fn solicit(
    plan: &Dhcpv6Plan,
    asked: &Asked,
    rapid_commit: bool,
) -> Result<ServerMessage, DropReason> {
    not_left_to_others(plan)?;
    // RFC 9915 §18.3.1: a Reply at once only where something is assigned by it.
    if rapid_commit && !plan.addresses.is_empty() {
        let mut reply = assign(plan, asked, &[]);
        reply.rapid_commit = true;
        return Ok(reply);
    }
    let mut advertise = assign(plan, asked, &[]);
    advertise.kind = ServerMessageKind::Advertise;
    advertise.preference = Some(PREFERENCE);
    if plan.addresses.is_empty() {
        // Clients of RFC 3315 look for it here, those of RFC 9915 §18.3.9 in the identity association.
        advertise.status = Some(no_addresses());
    }
    Ok(advertise)
}

/// Where this cloud has no address for the port and the network allows for another server, broadcast questions are
/// left to it.
fn not_left_to_others(plan: &Dhcpv6Plan) -> Result<(), DropReason> {
    match plan.solicit_without_address {
        SolicitWithoutAddress::Silence if plan.addresses.is_empty() => {
            Err(DropReason::Dhcpv6Silence)
        }
        SolicitWithoutAddress::Silence | SolicitWithoutAddress::NoAddrsAvail => Ok(()),
    }
}

/// A Reply with the port's addresses in the first IA_NA. `stale` are further addresses that each IA_NA of that IAID
/// is told to use no longer.
fn assign(plan: &Dhcpv6Plan, asked: &Asked, stale: &[(u32, Ipv6Addr)]) -> ServerMessage {
    let mut reply = reply(plan, asked);
    let first_na = asked.ias.iter().position(|ia| ia.kind == IaKind::Na);
    reply.ias = asked
        .ias
        .iter()
        .enumerate()
        .map(|(at, ia)| match ia.kind {
            IaKind::Na => {
                let addresses: &[Ipv6Addr] = if Some(at) == first_na {
                    &plan.addresses
                } else {
                    &[]
                };
                ia_na(plan, ia, addresses, stale)
            }
            IaKind::Ta => refused(ia, no_addresses()),
            IaKind::Pd => refused(
                ia,
                status(StatusCode::NoPrefixAvail, "no prefixes are delegated here"),
            ),
        })
        .collect();
    reply
}

fn ia_na(plan: &Dhcpv6Plan, ia: &Ia, addresses: &[Ipv6Addr], stale: &[(u32, Ipv6Addr)]) -> IaReply {
    let mut given: Vec<IaAddress> = addresses
        .iter()
        .map(|address| IaAddress {
            address: *address,
            preferred_lifetime_s: plan.preferred_lifetime_s,
            valid_lifetime_s: plan.valid_lifetime_s,
        })
        .collect();
    given.extend(
        stale
            .iter()
            .filter(|(iaid, address)| *iaid == ia.iaid && !addresses.contains(address))
            .map(|(_, address)| IaAddress {
                address: *address,
                preferred_lifetime_s: 0,
                valid_lifetime_s: 0,
            }),
    );
    if given.is_empty() {
        return refused(ia, no_addresses());
    }
    // RFC 9915 §21.4: half and four fifths of the shortest preferred lifetime; 0 leaves it to the client.
    let (t1_s, t2_s) = if addresses.is_empty() {
        (0, 0)
    } else {
        let preferred = u64::from(plan.preferred_lifetime_s);
        ((preferred / 2) as u32, (preferred * 4 / 5) as u32)
    };
    IaReply {
        kind: ia.kind,
        iaid: ia.iaid,
        t1_s,
        t2_s,
        addresses: given,
        status: None,
    }
}

/// A Reply to Renew and Rebind: the port's addresses, and an end to all others (RFC 9915 §18.3.4, §18.3.5).
fn extend(plan: &Dhcpv6Plan, asked: &Asked) -> ServerMessage {
    let stale: Vec<(u32, Ipv6Addr)> = asked
        .ias
        .iter()
        .filter(|ia| ia.kind == IaKind::Na)
        .flat_map(|ia| ia.addresses.iter().map(|held| (ia.iaid, held.address)))
        .collect();
    assign(plan, asked, &stale)
}

/// Whether the client still holds the right addresses (RFC 9915 §18.3.3). Not only the prefix is judged: an address
/// that is not the port's does not work on its link.
fn confirm(plan: &Dhcpv6Plan, asked: &Asked) -> Result<ServerMessage, DropReason> {
    if named(asked).next().is_none() {
        return Err(DropReason::Dhcpv6NothingToConfirm);
    }
    let mut reply = reply(plan, asked);
    reply.status = Some(
        if named(asked).all(|address| plan.addresses.contains(&address)) {
            status(StatusCode::Success, "these addresses are this port's")
        } else {
            status(StatusCode::NotOnLink, "not this port's addresses")
        },
    );
    Ok(reply)
}

fn success(plan: &Dhcpv6Plan, asked: &Asked, text: &str) -> ServerMessage {
    let mut reply = reply(plan, asked);
    reply.status = Some(status(StatusCode::Success, text));
    reply
}

fn information(plan: &Dhcpv6Plan, request: &InformationRequest) -> ServerMessage {
    let mut reply = with_options(plan, request.transaction, request.client.clone());
    reply.information_refresh_time_s = Some(plan.preferred_lifetime_s.max(IRT_MINIMUM_S));
    reply
}

fn reply(plan: &Dhcpv6Plan, asked: &Asked) -> ServerMessage {
    with_options(plan, asked.transaction, Some(asked.client.clone()))
}

fn with_options(plan: &Dhcpv6Plan, transaction: [u8; 3], client: Option<Duid>) -> ServerMessage {
    let server = Duid::from_uuid(plan.server_duid.into_bytes());
    let mut reply = ServerMessage::new(ServerMessageKind::Reply, transaction, server);
    reply.client = client;
    reply.dns_servers = plan.dns_servers.clone();
    reply.dns_search = plan.dns_search.clone();
    reply
}

fn named(asked: &Asked) -> impl Iterator<Item = Ipv6Addr> {
    asked
        .ias
        .iter()
        .flat_map(|ia| ia.addresses.iter().map(|held| held.address))
}

fn refused(ia: &Ia, status: Status) -> IaReply {
    IaReply {
        kind: ia.kind,
        iaid: ia.iaid,
        t1_s: 0,
        t2_s: 0,
        addresses: Vec::new(),
        status: Some(status),
    }
}

fn no_addresses() -> Status {
    status(StatusCode::NoAddrsAvail, "no addresses for this one")
}

fn status(code: StatusCode, text: &str) -> Status {
    Status {
        code,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
