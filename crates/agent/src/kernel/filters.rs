//! Which MACs besides its own a NIC takes in. The kernel keeps them with the NIC, so that they stay when the agent goes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use hextet_core::mac::Mac;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::exchange;

/// The unicast MACs by NIC.
pub fn dump() -> io::Result<BTreeMap<u32, BTreeSet<Mac>>> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    let mut filters: BTreeMap<u32, BTreeSet<Mac>> = BTreeMap::new();
    for answer in exchange(RouteNetlinkMessage::GetNeighbour(message), NLM_F_DUMP)? {
        let RouteNetlinkMessage::NewNeighbour(entry) = answer else {
            continue;
        };
        if !entry.header.flags.contains(NeighbourFlags::Own) {
            continue;
        }
        let macs = entry
            .attributes
            .iter()
            .filter_map(|attribute| match attribute {
                NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok(),
                _ => None,
            });
        let of_nic = filters.entry(entry.header.ifindex).or_default();
        of_nic.extend(macs.map(Mac).filter(|mac| mac.0[0] & 1 == 0));
    }
    Ok(filters)
}

/// Takes one in from now on; nothing when it does.
pub fn add(ifindex: u32, mac: Mac) -> io::Result<()> {
    let request = RouteNetlinkMessage::NewNeighbour(entry(ifindex, mac));
    match exchange(request, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Takes it in no more; nothing when it does not.
pub fn remove(ifindex: u32, mac: Mac) -> io::Result<()> {
    let request = RouteNetlinkMessage::DelNeighbour(entry(ifindex, mac));
    match exchange(request, NLM_F_ACK) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
        other => other.map(|_| ()),
    }
}

fn entry(ifindex: u32, mac: Mac) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = ifindex;
    message.header.flags = NeighbourFlags::Own;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
    message
}
