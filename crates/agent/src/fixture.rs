//! What tests of several modules build plans of.

use hextet_core::ids::{NetworkId, SubnetId, Vni};
use hextet_core::modes::{Dhcpv6Service, RaSender, SolicitWithoutAddress};
use hextet_core::plan::{NetworkPlan, SubnetPlan};
use uuid::Uuid;

/// A virtual network of this number.
pub fn network(vni: Vni) -> NetworkPlan {
    NetworkPlan {
        vni,
        id: NetworkId(Uuid::from_u128(4)),
        mtu: 1430,
        admin_state_up: true,
        physical_network: None,
        fast_dad: true,
    }
}

/// A SLAAC subnet of network 5.
pub fn slaac_subnet() -> SubnetPlan {
    SubnetPlan {
        id: SubnetId(Uuid::from_u128(8)),
        vni: Vni(5),
        sequence: 1,
        cidr: "2001:db8::/64".parse().expect("a prefix"),
        sender: RaSender::Us,
        autonomous: true,
        managed: false,
        other: false,
        dhcpv6: Some(Dhcpv6Service::Options),
        solicit_without_address: SolicitWithoutAddress::NoAddrsAvail,
        dns_nameservers: Vec::new(),
        learned: true,
        gateway_ip: None,
        segment: None,
    }
}
