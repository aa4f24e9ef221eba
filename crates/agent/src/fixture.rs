//! What tests of several modules build plans of.

use hextet_core::ids::{SubnetId, Vni};
use hextet_core::modes::{Dhcpv6Service, RaSender, SolicitWithoutAddress};
use hextet_core::plan::SubnetPlan;
use uuid::Uuid;

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
