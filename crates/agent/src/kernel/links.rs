//! Links by rtnetlink: what is there, guest links made and set, changes watched. All of it in the network namespace of the
//! calling thread.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use hextet_core::mac::Mac;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkEvent, LinkExtentMask, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage,
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

use super::netlink::{exchange, split};
use super::netns;

/// RTNLGRP_LINK.
const GROUP_LINK: u32 = 1;

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A veth end.
    Veth,
    /// A tap: a tun device that carries Ethernet.
    Tap,
    /// Anything else.
    Other,
}

/// A link as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSeen {
    /// Its name.
    pub name: String,
    /// Its number in this namespace.
    pub ifindex: u32,
    /// Its own MAC.
    pub mac: Mac,
    /// Largest packet, bytes.
    pub mtu: u32,
    /// Administratively up.
    pub admin_up: bool,
    /// Has a carrier.
    pub carrier: bool,
    /// Takes in all multicast.
    pub all_multicast: bool,
    /// What it is.
    pub kind: LinkKind,
    /// A veth end whose other end is in another network namespace.
    pub peer_elsewhere: bool,
    /// Its alias: our tag on links that we made ([`tag`]).
    pub alias: Option<String>,
}

/// A change that the kernel told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// New, or changed, or told of again.
    Seen(LinkSeen),
    /// Gone.
    Gone {
        /// Its number until then.
        ifindex: u32,
    },
    /// What is behind it is another place now, as when a bond has taken another link into use: who is known by it is to say so
    /// there (`IFLA_EVENT_NOTIFY_PEERS`, `IFLA_EVENT_BONDING_FAILOVER`).
    Elsewhere {
        /// Its number.
        ifindex: u32,
    },
    /// Some changes were lost: dump again.
    Lost,
}

/// A pair to be made.
#[derive(Clone, Debug)]
pub struct NewVeth<'a> {
    /// Name of the host's end.
    pub host_name: &'a str,
    /// Alias of the host's end ([`tag`]).
    pub alias: &'a str,
    /// The guest's namespace.
    pub netns: &'a Path,
    /// Name of the guest's end.
    pub guest_name: &'a str,
    /// The guest's MAC, of both ends.
    pub mac: Mac,
    /// Of both ends, bytes.
    pub mtu: u32,
    /// Bring the guest's end up too. The host's end is left down: attach the program first.
    pub guest_up: bool,
}

/// The alias by which we know a link as ours, and whose.
pub fn tag(instance: &str, port: hextet_core::ids::PortId) -> String {
    format!("hextet:{instance}:{port}")
}

/// All links.
pub fn dump() -> io::Result<Vec<LinkSeen>> {
    let message = link(vec![LinkAttribute::ExtMask(vec![
        LinkExtentMask::SkipStats,
    ])]);
    let answers = exchange(RouteNetlinkMessage::GetLink(message), NLM_F_DUMP)?;
    Ok(answers.into_iter().filter_map(seen).collect())
}

/// The link of this name; `None` where there is none.
pub fn find(name: &str) -> io::Result<Option<LinkSeen>> {
    let message = link(vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]),
    ]);
    match exchange(RouteNetlinkMessage::GetLink(message), NLM_F_ACK) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        answers => Ok(answers?.into_iter().find_map(seen)),
    }
}

/// Frames that a link lost since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Not taken in: of a veth what its peer sent and was longer than its MTU.
    pub received: u64,
    /// Not sent: of a veth what its peer did not take.
    pub sent: u64,
}

/// What a link lost; nothing when there is none.
pub fn lost(ifindex: u32) -> io::Result<Option<Lost>> {
    let attributes = attributes(ifindex, Vec::new())?.into_iter();
    let mut statistics = attributes.filter_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(Lost {
            received: stats.rx_dropped,
            sent: stats.tx_dropped,
        }),
        _ => None,
    });
    Ok(statistics.next())
}

/// The MTU of the other end of a pair, bytes, where that is in another namespace; nothing of any other link.
pub fn peer_mtu(ifindex: u32) -> io::Result<Option<u32>> {
    let (mut peer, mut namespace) = (None, None);
    for attribute in attributes(ifindex, Vec::new())? {
        match attribute {
            LinkAttribute::Link(number) => peer = Some(number),
            LinkAttribute::LinkNetNsId(number) => namespace = Some(number),
            _ => {}
        }
    }
    let (Some(peer), Some(namespace)) = (peer, namespace) else {
        return Ok(None);
    };
    let attributes = attributes(peer, vec![LinkAttribute::IfNetnsId(namespace)])?.into_iter();
    let mut mtus = attributes.filter_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(mtu),
        _ => None,
    });
    Ok(mtus.next())
}

/// What the kernel tells of a link; nothing when there is none.
fn attributes(ifindex: u32, asked: Vec<LinkAttribute>) -> io::Result<Vec<LinkAttribute>> {
    let mut message = link(asked);
    message.header.index = ifindex;
    let answers = match exchange(RouteNetlinkMessage::GetLink(message), NLM_F_ACK) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(Vec::new()),
        other => other?,
    };
    let links = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link.attributes),
        _ => None,
    });
    Ok(links.flatten().collect())
}

/// The number of the link of this name.
pub fn index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

/// Makes a guest link: a veth pair with its guest end in the guest's namespace. The host's end speaks no IPv6 of its own, is
/// tagged and down. Returns the host end's number. When a step fails nothing is left.
pub fn create_veth(new: &NewVeth<'_>) -> io::Result<u32> {
    let netns_file = fs::File::open(new.netns)?;
    let peer = link(vec![
        LinkAttribute::IfName(new.guest_name.to_owned()),
        LinkAttribute::Address(new.mac.0.to_vec()),
        LinkAttribute::Mtu(new.mtu),
        LinkAttribute::NetNsFd(netns_file.as_raw_fd()),
    ]);
    let message = link(vec![
        LinkAttribute::IfName(new.host_name.to_owned()),
        LinkAttribute::Address(new.mac.0.to_vec()),
        LinkAttribute::Mtu(new.mtu),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ]);
    exchange(
        RouteNetlinkMessage::NewLink(message),
        NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
    )?;
    let ifindex = index(new.host_name)?;
    let finished = set_alias(ifindex, new.alias)
        .and_then(|()| silence(new.host_name))
        .and_then(|()| if new.guest_up { guest_up(new) } else { Ok(()) });
    match finished {
        Ok(()) => Ok(ifindex),
        Err(error) => {
            if let Err(second) = delete(ifindex) {
                tracing::warn!(error = %second, link = new.host_name, "a half-made link could not be removed");
            }
            Err(error)
        }
    }
}

fn guest_up(new: &NewVeth<'_>) -> io::Result<()> {
    netns::inside(new.netns, || set_up(index(new.guest_name)?, true))?
}

/// Keeps the host itself from speaking IPv6 on a guest link: no link-local, no RS, no SLAAC from what a guest says.
pub fn silence(name: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1")
}

/// Sets it administratively up or down.
pub fn set_up(ifindex: u32, up: bool) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.flags = if up {
        LinkFlags::Up
    } else {
        LinkFlags::empty()
    };
    message.header.change_mask = LinkFlags::Up;
    set(ifindex, message)
}

/// Has it take in all multicast, or only what the host itself listens to.
pub fn set_all_multicast(ifindex: u32, all: bool) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.flags = if all {
        LinkFlags::Allmulti
    } else {
        LinkFlags::empty()
    };
    message.header.change_mask = LinkFlags::Allmulti;
    set(ifindex, message)
}

/// Sets its MTU, bytes.
pub fn set_mtu(ifindex: u32, mtu: u32) -> io::Result<()> {
    set(ifindex, link(vec![LinkAttribute::Mtu(mtu)]))
}

/// Sets its own MAC.
pub fn set_mac(ifindex: u32, mac: Mac) -> io::Result<()> {
    set(ifindex, link(vec![LinkAttribute::Address(mac.0.to_vec())]))
}

/// Sets its alias.
pub fn set_alias(ifindex: u32, alias: &str) -> io::Result<()> {
    set(
        ifindex,
        link(vec![LinkAttribute::IfAlias(alias.to_owned())]),
    )
}

/// Removes it (and a veth's other end); nothing when there is none.
pub fn delete(ifindex: u32) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    match exchange(RouteNetlinkMessage::DelLink(message), NLM_F_ACK) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        other => other.map(|_| ()),
    }
}

fn link(attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = attributes;
    message
}

fn set(ifindex: u32, mut message: LinkMessage) -> io::Result<()> {
    message.header.index = ifindex;
    exchange(RouteNetlinkMessage::SetLink(message), NLM_F_ACK).map(|_| ())
}

/// Tells of link changes. Its descriptor is readable when there are some; drain it then until it gives nothing.
#[derive(Debug)]
pub struct LinkWatch {
    socket: Socket,
}

impl LinkWatch {
    /// From now on. Watch first, then dump: nothing is missed between.
    pub fn new() -> io::Result<LinkWatch> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.add_membership(GROUP_LINK)?;
        socket.set_non_blocking(true)?;
        Ok(LinkWatch { socket })
    }

    /// The changes of one datagram; empty when there are none now.
    pub fn drain(&mut self) -> io::Result<Vec<LinkChange>> {
        let (bytes, _) = match self.socket.recv_from_full() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                return Ok(vec![LinkChange::Lost]);
            }
            other => other?,
        };
        Ok(changes(&bytes))
    }
}

/// The changes of one datagram. One that cannot be understood may tell of any link.
fn changes(bytes: &[u8]) -> Vec<LinkChange> {
    let messages = match split(bytes) {
        Ok(messages) => messages,
        Err(error) => {
            tracing::warn!(%error, "a change of links cannot be understood: all are looked at");
            return vec![LinkChange::Lost];
        }
    };
    let mut changes = Vec::new();
    for message in messages {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                changes.extend(elsewhere(&link));
                changes.extend(seen(RouteNetlinkMessage::NewLink(link)).map(LinkChange::Seen));
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                changes.push(LinkChange::Gone {
                    ifindex: link.header.index,
                });
            }
            NetlinkPayload::Overrun(_) => changes.push(LinkChange::Lost),
            _ => {}
        }
    }
    changes
}

impl AsRawFd for LinkWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket's own descriptor, open as long as self.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

fn elsewhere(link: &LinkMessage) -> Option<LinkChange> {
    let ifindex = link.header.index;
    let told = link.attributes.iter().any(|attribute| {
        matches!(
            attribute,
            LinkAttribute::Event(LinkEvent::NotifyPeers | LinkEvent::BondingFailover)
        )
    });
    told.then_some(LinkChange::Elsewhere { ifindex })
}

fn seen(message: RouteNetlinkMessage) -> Option<LinkSeen> {
    let RouteNetlinkMessage::NewLink(link) = message else {
        return None;
    };
    let mut seen = LinkSeen {
        name: String::new(),
        ifindex: link.header.index,
        mac: Mac::default(),
        mtu: 0,
        admin_up: link.header.flags.contains(LinkFlags::Up),
        carrier: link.header.flags.contains(LinkFlags::LowerUp),
        all_multicast: link.header.flags.contains(LinkFlags::Allmulti),
        kind: LinkKind::Other,
        peer_elsewhere: false,
        alias: None,
    };
    let ethernet = link.header.link_layer_type == LinkLayerType::Ether;
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => seen.name = name,
            LinkAttribute::Mtu(mtu) => seen.mtu = mtu,
            LinkAttribute::IfAlias(alias) => seen.alias = Some(alias),
            LinkAttribute::Address(bytes) => {
                if let Ok(octets) = bytes.try_into() {
                    seen.mac = Mac(octets);
                }
            }
            LinkAttribute::LinkInfo(infos) => seen.kind = kind(&infos, ethernet),
            LinkAttribute::LinkNetNsId(_) => seen.peer_elsewhere = true,
            _ => {}
        }
    }
    // Other kinds of links have something in other namespaces, too.
    seen.peer_elsewhere &= seen.kind == LinkKind::Veth;
    Some(seen)
}

fn kind(infos: &[LinkInfo], ethernet: bool) -> LinkKind {
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Veth) => return LinkKind::Veth,
            LinkInfo::Kind(InfoKind::Tun) if ethernet => return LinkKind::Tap,
            _ => {}
        }
    }
    LinkKind::Other
}

#[cfg(test)]
mod tests;
