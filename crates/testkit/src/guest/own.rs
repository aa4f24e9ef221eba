//! Addresses that the guest forms itself, and its answers for those that it has.

use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_wire::frame::{ALL_ROUTERS, Envelope, Udp};
use hextet_wire::ndp::{NdOption, NdpMessage, NeighborAdvert, NeighborSolicit};

use super::{AddressState, Guest};

impl Guest {
    /// The guest forms an address: with a check for duplicates it is tentative at first.
    pub fn form(&mut self, address: Ipv6Addr, checked: bool, now: Duration) {
        if checked {
            self.check_address(address, now);
        } else {
            self.addresses.insert(address, AddressState::Preferred);
        }
    }

    /// The guest has an address no more.
    pub fn abandon(&mut self, address: Ipv6Addr) {
        self.addresses.remove(&address);
    }

    /// A datagram to another guest.
    pub fn datum(&self, source: Ipv6Addr) -> Vec<u8> {
        self.envelope(source, ALL_ROUTERS).udp(Udp {
            source_port: 9,
            destination_port: 9,
            data: b"datum",
        })
    }

    /// RFC 4861 §7.2.4: an address that is still being checked is not answered for.
    pub(super) fn handle_solicit(
        &self,
        solicit: &NeighborSolicit,
        asker: &Envelope,
    ) -> Option<Vec<u8>> {
        match self.address(solicit.target)? {
            AddressState::Preferred | AddressState::Deprecated => {}
            AddressState::Tentative | AddressState::Duplicate => return None,
        }
        let envelope = Envelope {
            mac_destination: asker.mac_source,
            ..self.envelope(solicit.target, asker.source)
        };
        let advert = NdpMessage::NeighborAdvert(NeighborAdvert {
            router: false,
            solicited: true,
            r#override: true,
            target: solicit.target,
            options: vec![NdOption::TargetLinkLayer(self.config.mac)],
        });
        Some(advert.emit(&envelope))
    }
}
