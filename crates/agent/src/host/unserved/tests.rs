use hextet_core::ids::{PortNumber, SubnetId, Vni};
use hextet_core::mac::Mac;
use hextet_core::plan::{PlanEntry, PlanKey, PortPlan};
use hextet_core::port::FixedIp;
use uuid::Uuid;

use super::*;

const PORT: PortId = PortId(Uuid::from_u128(1));

#[test]
fn a_port_with_an_ipv4_address_says_which_does_not_work() {
    for (addresses, expected) in [
        (vec![], None),
        (vec!["2001:db8::5"], None),
        (
            vec!["10.0.0.5", "2001:db8::5"],
            Some("this host does not serve IPv4 yet, so nothing of 10.0.0.5 works"),
        ),
        (
            vec!["10.0.0.5", "10.0.1.5"],
            Some("this host does not serve IPv4 yet, so nothing of 10.0.0.5, 10.0.1.5 works"),
        ),
    ] {
        let plan = plan(&addresses);
        assert_eq!(unserved(&plan, PORT).as_deref(), expected, "{addresses:?}");
    }
    assert_eq!(unserved(&HostPlan::default(), PORT), None);
}

fn plan(addresses: &[&str]) -> HostPlan {
    let fixed_ips = addresses.iter().map(|address| FixedIp {
        subnet_id: SubnetId(Uuid::from_u128(2)),
        ip_address: address.parse().unwrap(),
    });
    let port = PortPlan {
        id: PORT,
        number: PortNumber(1),
        vni: Vni(5),
        mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        admin_state_up: true,
        fixed_ips: fixed_ips.collect(),
    };
    let mut plan = HostPlan::default();
    plan.entries
        .insert(PlanKey::Port(PORT), PlanEntry::Port(port));
    plan
}
