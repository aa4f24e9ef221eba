//! What the DHCPv6 server of one port's link answers (RFC 9915 §18.3).
//!
//! There are no leases: an answer is a function of the plan and the message. The addresses are the port's, whatever
//! DUID, IAID or hardware type the client shows; the client's identity is only echoed.

use std::net::{IpAddr, Ipv6Addr};

use hextet_core::link::Dhcpv6Plan;
use hextet_core::modes::SolicitWithoutAddress;
use hextet_wire::dhcpv6::{
    Asked, ClientMessage, Duid, Ia, IaAddress, IaKind, IaReply, InformationRequest,
    ReconfigureKind, ServerMessage, ServerMessageKind, Status, StatusCode, code,
};

use crate::counters::DropReason;

/// Preference that ends a client's wait for other servers (RFC 9915 §21.8).
const PREFERENCE: u8 = 255;
/// IRT_MINIMUM (RFC 9915 §7.6), seconds.
const IRT_MINIMUM_S: u32 = 600;
/// SOL_MAX_RT and INF_MAX_RT (RFC 9915 §7.6), seconds, for those who ask: clients of RFC 3315 try every two minutes else.
const MAX_RT_S: u32 = 3600;

/// What is answered, and what is worth a line in the log.
pub(crate) struct Answer {
    pub(crate) message: ServerMessage,
    pub(crate) noted: Option<Given>,
}

/// Addresses of the port that a client gave up.
pub(crate) enum Given {
    Released(Vec<IpAddr>),
    Declined(Vec<IpAddr>),
}

impl Given {
    pub(crate) fn is_empty(&self) -> bool {
        let (Given::Released(addresses) | Given::Declined(addresses)) = self;
        addresses.is_empty()
    }
}

/// What a message gets that was sent to the server's own address: clients of RFC 3315 and 8415 are told to use
/// multicast (RFC 8415 §18.4). RFC 9915 has neither that status nor clients that would send so.
///
/// # Errors
/// No such message may be sent to one address, or it is for another server.
pub(crate) fn unicast(
    plan: &Dhcpv6Plan,
    message: &ClientMessage,
) -> Result<ServerMessage, DropReason> {
    let (ClientMessage::Request { asked, server }
    | ClientMessage::Renew { asked, server }
    | ClientMessage::Release { asked, server }
    | ClientMessage::Decline { asked, server }) = message
    else {
        return Err(DropReason::Dhcpv6Unicast);
    };
    let own = Duid::from_uuid(plan.server_duid.into_bytes());
    if *server != own {
        return Err(DropReason::Dhcpv6OtherServer);
    }
    let mut reply = ServerMessage::new(ServerMessageKind::Reply, asked.transaction, own);
    reply.client = Some(asked.client.clone());
    reply.status = Some(status(StatusCode::UseMulticast, "use multicast"));
    Ok(reply)
}

/// Answers a valid message.
///
/// # Errors
/// The reason for which it gets no answer.
pub(crate) fn answer(plan: &Dhcpv6Plan, message: &ClientMessage) -> Result<Answer, DropReason> {
    let ours = |wanted: &Duid| {
        if *wanted == Duid::from_uuid(plan.server_duid.into_bytes()) {
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
            ours(server).map(|()| plain(assign(plan, asked, Stale::Unmentioned)))
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
            let message = given_up(plan, asked, "released");
            let noted = Some(Given::Released(own(plan, asked)));
            Ok(Answer { message, noted })
        }
        ClientMessage::Decline { asked, server } => {
            ours(server)?;
            let message = given_up(plan, asked, "noted; the address stays this port's");
            let noted = Some(Given::Declined(own(plan, asked)));
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
        let mut reply = assign(plan, asked, Stale::Unmentioned);
        reply.rapid_commit = true;
        return Ok(reply);
    }
    let mut advertise = assign(plan, asked, Stale::Unmentioned);
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

/// What becomes of addresses that the client names and that are not the port's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stale {
    /// Wishes: they are not spoken of.
    Unmentioned,
    /// Held: they end (RFC 9915 §18.3.4, §18.3.5).
    Ended,
}

/// A Reply with the port's addresses, shared among the IA_NAs.
fn assign(plan: &Dhcpv6Plan, asked: &Asked, stale: Stale) -> ServerMessage {
    let mut reply = reply(plan, asked);
    reply.ias = asked
        .ias
        .iter()
        .zip(shares(&plan.addresses, &asked.ias, stale))
        .map(|(ia, share)| match ia.kind {
            IaKind::Na => ia_na(plan, ia, &share, stale),
            IaKind::Ta => refused(ia, no_addresses()),
            IaKind::Pd => refused(
                ia,
                status(StatusCode::NoPrefixAvail, "no prefixes are delegated here"),
            ),
        })
        .collect();
    reply
}

/// Which of these addresses each identity association gets. An address stays with the IA_NA that names it, the first one
/// of several; the others go one by one to who has the fewest. So a client with one IA_NA gets all, one with several gets
/// each filled as far as there are addresses, and what it holds does not move when it renews. Where several hold the same
/// one it stays with all: its end in one of them would take it off the interface.
fn shares(addresses: &[Ipv6Addr], ias: &[Ia], stale: Stale) -> Vec<Vec<Ipv6Addr>> {
    let names = |ia: &Ia, address: &Ipv6Addr| {
        ia.kind == IaKind::Na && ia.addresses.iter().any(|held| held.address == *address)
    };
    let mut shares = vec![Vec::new(); ias.len()];
    for address in addresses {
        let holders = (0..ias.len()).filter(|at| names(&ias[*at], address));
        let holders: Vec<usize> = match stale {
            Stale::Unmentioned => holders.take(1).collect(),
            Stale::Ended => holders.collect(),
        };
        for at in holders {
            shares[at].push(*address);
        }
    }
    for address in addresses {
        if shares.iter().flatten().any(|given| given == address) {
            continue;
        }
        let open = (0..ias.len()).filter(|at| ias[*at].kind == IaKind::Na);
        if let Some(at) = open.min_by_key(|at| shares[*at].len()) {
            shares[at].push(*address);
        }
    }
    shares
}

fn ia_na(plan: &Dhcpv6Plan, ia: &Ia, addresses: &[Ipv6Addr], stale: Stale) -> IaReply {
    let mut given: Vec<IaAddress> = addresses
        .iter()
        .map(|address| IaAddress {
            address: *address,
            preferred_lifetime_s: plan.preferred_lifetime_s,
            valid_lifetime_s: plan.valid_lifetime_s,
        })
        .collect();
    if stale == Stale::Ended {
        let held = ia.addresses.iter().map(|held| held.address);
        let ended = held.filter(|address| !addresses.contains(address));
        given.extend(ended.map(|address| IaAddress {
            address,
            preferred_lifetime_s: 0,
            valid_lifetime_s: 0,
        }));
    }
    if given.is_empty() {
        return refused(ia, no_addresses());
    }
    // RFC 9915 §21.4: 0 leaves it to the client.
    let (t1_s, t2_s) = match addresses.is_empty() {
        true => (0, 0),
        false => (plan.times.t1_s, plan.times.t2_s),
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
    assign(plan, asked, Stale::Ended)
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

/// A Reply to Release and Decline (RFC 9915 §18.3.7, §18.3.8): Success, whatever was named. Identity associations that
/// name nothing of the port's have no binding; addresses that are not its own are ignored.
fn given_up(plan: &Dhcpv6Plan, asked: &Asked, text: &str) -> ServerMessage {
    let mut reply = reply(plan, asked);
    reply.status = Some(status(StatusCode::Success, text));
    let bound = |ia: &&Ia| {
        let mut held = ia.addresses.iter();
        ia.kind == IaKind::Na && held.any(|held| plan.addresses.contains(&held.address))
    };
    let unknown = asked.ias.iter().filter(|ia| !bound(ia));
    let no_binding = || status(StatusCode::NoBinding, "nothing of this port's");
    reply.ias = unknown.map(|ia| refused(ia, no_binding())).collect();
    reply
}

fn information(plan: &Dhcpv6Plan, request: &InformationRequest) -> ServerMessage {
    let client = request.client.clone();
    let mut reply = with_options(plan, request.transaction, client, &request.requested);
    let own = plan.options.get(&code::INFORMATION_REFRESH_TIME);
    let own = own.and_then(|own| own.as_slice().try_into().ok());
    let usual = plan.preferred_lifetime_s.max(IRT_MINIMUM_S);
    reply.information_refresh_time_s = Some(own.map_or(usual, u32::from_be_bytes));
    reply
}

/// All that a client is told that would ask this now, whoever it is.
pub(crate) fn content(plan: &Dhcpv6Plan, kind: ReconfigureKind) -> ServerMessage {
    let client = Duid::from_uuid([0; 16]);
    match kind {
        ReconfigureKind::InformationRequest => {
            let request = InformationRequest {
                transaction: [0; 3],
                client: Some(client),
                server: None,
                requested: Vec::new(),
                reconfigure_accept: false,
            };
            information(plan, &request)
        }
        ReconfigureKind::Renew | ReconfigureKind::Rebind => {
            let ia = Ia {
                kind: IaKind::Na,
                iaid: 0,
                addresses: Vec::new(),
            };
            let asked = Asked {
                transaction: [0; 3],
                client,
                ias: vec![ia],
                requested: Vec::new(),
                reconfigure_accept: false,
            };
            extend(plan, &asked)
        }
    }
}

fn reply(plan: &Dhcpv6Plan, asked: &Asked) -> ServerMessage {
    let client = Some(asked.client.clone());
    with_options(plan, asked.transaction, client, &asked.requested)
}

fn with_options(
    plan: &Dhcpv6Plan,
    transaction: [u8; 3],
    client: Option<Duid>,
    requested: &[u16],
) -> ServerMessage {
    let server = Duid::from_uuid(plan.server_duid.into_bytes());
    let mut reply = ServerMessage::new(ServerMessageKind::Reply, transaction, server);
    reply.client = client;
    reply.dns_servers = plan.dns_servers.clone();
    reply.dns_search = plan.dns_search.clone();
    let asked_for = |code| requested.contains(&code).then_some(MAX_RT_S);
    reply.sol_max_rt_s = asked_for(code::SOL_MAX_RT);
    reply.inf_max_rt_s = asked_for(code::INF_MAX_RT);
    reply.extra = extra(plan, requested);
    reply
}

/// The port's own options, whoever asks; those that the client asks for come first, as a small link may have no room for all.
/// The refresh time is for Information-requests alone (RFC 9915 §21.23).
fn extra(plan: &Dhcpv6Plan, requested: &[u16]) -> Vec<(u16, Vec<u8>)> {
    let said = plan
        .options
        .iter()
        .filter(|(code, content)| **code != code::INFORMATION_REFRESH_TIME && !content.is_empty());
    let mut extra: Vec<(u16, Vec<u8>)> = said
        .map(|(code, content)| (*code, content.clone()))
        .collect();
    extra.sort_by_key(|(code, _)| !requested.contains(code));
    extra
}

/// The port's addresses among those that the client names.
fn own(plan: &Dhcpv6Plan, asked: &Asked) -> Vec<IpAddr> {
    let own = named(asked).filter(|address| plan.addresses.contains(address));
    own.map(IpAddr::V6).collect()
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
