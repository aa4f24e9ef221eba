use hextet_core::ids::{NetworkId, PortNumber, Vni};
use hextet_core::mac::Mac;
use hextet_core::plan::{NetworkPlan, PlanEntry, PlanKey, PortPlan};
use uuid::Uuid;

use super::*;

const PORT: PortId = PortId(Uuid::from_u128(1));

#[test]
fn a_port_of_a_flat_network_says_what_is_not_reached() {
    for (physical_network, expected) in [
        (None, None),
        (
            Some("lab"),
            Some("this host does not carry flat networks yet, so lab is not reached"),
        ),
    ] {
        let port = PortPlan {
            id: PORT,
            number: PortNumber(1),
            vni: Vni(5),
            mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
            admin_state_up: true,
            port_security_enabled: true,
            fixed_ips: Vec::new(),
        };
        let network = NetworkPlan {
            vni: Vni(5),
            id: NetworkId(Uuid::from_u128(3)),
            mtu: 1500,
            admin_state_up: true,
            physical_network: physical_network.map(str::to_owned),
        };
        let mut plan = HostPlan::default();
        plan.entries
            .insert(PlanKey::Port(PORT), PlanEntry::Port(port));
        plan.entries
            .insert(PlanKey::Network(Vni(5)), PlanEntry::Network(network));
        assert_eq!(unserved(&plan, PORT).as_deref(), expected);
    }
    assert_eq!(unserved(&HostPlan::default(), PORT), None);
}
