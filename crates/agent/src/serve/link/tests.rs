use hextet_core::ids::{PortId, Vni};
use hextet_core::link::{LinkPlan, RaPlan};
use hextet_core::mac::Mac;
use hextet_proto::Known;
use uuid::Uuid;

use super::*;

#[test]
fn a_panic_restarts_the_machine_which_serves_on() {
    let now = Instant::now();
    let mut served = Served::new(&view(), now);
    let lost: Option<()> = served.contained(|_| panic!("a defect in one machine"), now);
    assert_eq!(lost, None);
    assert_eq!(served.drops().get(PANICS), Some(&1));
    served.contained(|link| link.handle_first_frame(now), now);
    let sent = served.contained(|link| link.poll_transmit(now), now);
    assert!(matches!(sent, Some(Some(_))), "an RA goes out");
}

#[test]
fn another_incarnation_forgets_the_guest() {
    let now = Instant::now();
    let mut known = view();
    known.resumed = true;
    known.learned = vec![Known {
        address: "fe80::77".parse().unwrap(),
        first_holder: None,
        unseen: std::time::Duration::ZERO,
    }];
    let mut served = Served::new(&known, now);
    assert_eq!(served.link.learned().count(), 1);
    known.incarnation += 1;
    served.take_view(&known, now);
    assert_eq!(served.link.learned().count(), 0);
}

fn view() -> LinkView {
    LinkView {
        plan: LinkPlan {
            port: PortId(Uuid::from_u128(1)),
            number: PortNumber(1),
            vni: Vni(1),
            on_segment: false,
            mac: Mac([2, 0, 0, 0, 0, 1]),
            addresses: Vec::new(),
            learnable: Vec::new(),
            mtu: 1430,
            admin_state_up: true,
            ra: Some(RaPlan {
                managed: false,
                other: false,
                router_lifetime_s: 0,
                retrans_timer_ms: 100,
                max_rtr_adv_interval_s: 600,
                mtu: 1430,
                prefixes: Vec::new(),
                rdnss: Vec::new(),
                dnssl: Vec::new(),
                dns_lifetime_s: 1800,
            }),
            router: None,
            dhcpv6: None,
            dhcpv4: None,
        },
        ifindex: 3,
        incarnation: 1,
        resumed: false,
        learned: Vec::new(),
        reconfigurable: None,
    }
}
