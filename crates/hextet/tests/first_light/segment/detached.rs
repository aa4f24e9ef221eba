//! A NIC whose program somebody takes off behind the agent's back.

use super::*;
use crate::metrics::frames;
use crate::support::{Stream, told};
use crate::survival::pins;

#[test]
fn a_program_that_somebody_took_off_a_nic_is_soon_put_on_again() {
    for hook in ["tcx", "clsact"] {
        // No pass comes by itself.
        let lines = format!("hook = \"{hook}\"\nresync_s = 3600\nmetrics_listen = \"{LISTEN}\"\n");
        let modes = json!({ "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" });
        let segment = Segment::with(modes, &lines);
        let cloud = &segment.cloud;
        let router: Ipv6Addr = ROUTER.parse().unwrap();
        let (one, id, address) = cloud.guest(&segment.network, "one");
        reaches(&segment.outside, address);
        let stream = Stream::start(&segment.outside, &one, address);
        let taken_off = || figures(cloud)["hextet_agent_programs_taken_off_total"];
        assert_eq!(taken_off(), 0.0);
        let links = cloud.host.links_seen();
        let nic = links.iter().find(|link| link.name == "phys0").unwrap();
        let off = |way: &str| match hook {
            "tcx" => {
                let pin = pins(cloud).join(format!("{way}_{}", nic.ifindex));
                let mut detach = Command::new("bpftool");
                detach.args(["link", "detach", "pinned"]).arg(pin);
                detach
            }
            _ => {
                let of = if way == "link" { "ingress" } else { "egress" };
                let mut detach = Command::new("tc");
                detach.args(["filter", "del", "dev", "phys0", of]);
                detach
            }
        };
        for (times, way) in [(1.0, "link"), (2.0, "out")] {
            let (code, _, error) = told(cloud.host.output(&mut off(way)));
            assert_eq!(code, 0, "{error}");
            until("it is counted", || (taken_off() == times).then_some(()));
            reaches(&segment.outside, address);
            reaches(&one, router);
            reaches(&one, nic.mac.link_local());
            stream.flows_on();
        }
        let said = "somebody took the program off a NIC";
        assert_eq!(cloud.log_text().matches(said).count(), 2);
        assert_eq!(cloud.status(&id), "ACTIVE");
        assert_eq!(segment.down(&id), None);
        stream.end_whole();
        // What nobody may send in a guest's name is withheld again: here a solicitation.
        let withheld = || {
            let spoofed = frames("drop", "segment_spoofed");
            figures(cloud).get(&spoofed).copied().unwrap_or(0.0)
        };
        let before = withheld();
        segment
            .outside
            .ip(&format!("address add {address}/64 dev eth0 nodad"));
        let nobody = "2001:db8:aa::99".parse().unwrap();
        assert!(!pings_from(&segment.outside, address, nobody, 1));
        until("it is counted", || (withheld() > before).then_some(()));
    }
}
