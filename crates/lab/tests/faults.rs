//! For each column one fault, done to a real guest: exactly that line turns red, and lines that follow from it say so.
//!
//! Needs root and the built binary.

use std::path::PathBuf;

use hextet_lab::guest::Guest;
use hextet_lab::interrupt::Interrupt;
use hextet_lab::lab::Lab;
use hextet_lab::networks;
use hextet_lab::promised::Promised;
use hextet_lab::verdict::{Column, Line, Verdict};

/// A fault, done to the first guest of its network, and what repairs it. Each is a shell script that runs in the guest with its own
/// and its neighbour's addresses in the environment.
struct Fault {
    /// The line that turns red.
    column: Column,
    inject: &'static str,
    repair: &'static str,
    /// Lines that must be red because of it: guest by its number, column.
    dependents: &'static [(usize, Column)],
}

/// The first guest pings the second, the third pings the first.
const FAULTS: [Fault; 15] = [
    Fault {
        column: Column::Address,
        inject: "ip addr del $OWN/128 dev eth0",
        repair: "ip addr add $OWN/128 dev eth0 valid_lft $VALID preferred_lft $PREFERRED nodad",
        dependents: &[
            (0, Column::Lifetimes),
            (0, Column::PingGlobal),
            (2, Column::PingGlobal),
        ],
    },
    Fault {
        column: Column::Lifetimes,
        inject: "ip addr change $OWN/128 dev eth0 valid_lft 100 preferred_lft 50",
        repair: "ip addr change $OWN/128 dev eth0 valid_lft $VALID preferred_lft $PREFERRED",
        dependents: &[],
    },
    Fault {
        column: Column::OnLinkRoute,
        // No later advertisement shall bring it back.
        inject: "cd /proc/sys/net/ipv6/conf/eth0; echo 0 > accept_ra_pinfo; ip -6 route del $PREFIX dev eth0",
        repair: "cd /proc/sys/net/ipv6/conf/eth0; echo 1 > accept_ra_pinfo; ip -6 route replace $PREFIX dev eth0",
        dependents: &[(0, Column::PingGlobal), (2, Column::PingGlobal)],
    },
    Fault {
        column: Column::DefaultRoute,
        inject: "ip -6 route add default via fe80::1 dev eth0",
        repair: "ip -6 route del default via fe80::1 dev eth0",
        dependents: &[],
    },
    Fault {
        column: Column::Dns,
        inject: "cp $RESOLV_CONF $RESOLV_CONF.kept; echo nameserver 2001:db8::bad > $RESOLV_CONF",
        repair: "cat $RESOLV_CONF.kept > $RESOLV_CONF",
        dependents: &[],
    },
    Fault {
        column: Column::Mtu,
        // No later advertisement shall bring it back.
        inject: "cd /proc/sys/net/ipv6/conf/eth0; echo 0 > accept_ra_mtu; echo 1300 > mtu",
        repair: "cd /proc/sys/net/ipv6/conf/eth0; echo 1 > accept_ra_mtu; echo $MTU > mtu",
        dependents: &[(0, Column::PingGlobal)],
    },
    Fault {
        column: Column::Flags,
        // A classic BPF program (offsets from the Ethernet header) that drops what is ICMPv6 of type 134, an RA.
        inject: "tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress protocol ipv6 bpf direct-action \
                 bytecode '6,48 0 0 20,21 0 3 58,48 0 0 54,21 0 1 134,6 0 0 2,6 0 0 0'",
        repair: "tc qdisc del dev eth0 clsact",
        dependents: &[],
    },
    Fault {
        column: Column::PingGlobal,
        inject: "ip neigh replace $NEIGHBOUR lladdr 02:00:00:00:00:99 nud permanent dev eth0",
        repair: "ip neigh del $NEIGHBOUR dev eth0",
        dependents: &[],
    },
    Fault {
        column: Column::PingLinkLocal,
        inject: "ip neigh replace $NEIGHBOUR_LINK_LOCAL lladdr 02:00:00:00:00:99 nud permanent dev eth0",
        repair: "ip neigh del $NEIGHBOUR_LINK_LOCAL dev eth0",
        dependents: &[],
    },
    Fault {
        column: Column::Ipv4Address,
        // Its routes stay, but for the ones that go with the address.
        inject: "ip addr add 10.6.0.99/24 dev eth0",
        repair: "ip addr del 10.6.0.99/24 dev eth0",
        dependents: &[],
    },
    Fault {
        column: Column::Ipv4Routes,
        inject: "ip route del default",
        repair: "ip route add default via 10.6.0.1",
        dependents: &[],
    },
    Fault {
        column: Column::Ipv4Dns,
        inject: "cp $RESOLV_CONF $RESOLV_CONF.kept; echo nameserver 192.0.2.99 > $RESOLV_CONF",
        repair: "cat $RESOLV_CONF.kept > $RESOLV_CONF",
        dependents: &[],
    },
    Fault {
        column: Column::PingIpv4,
        inject: "ip neigh replace $NEIGHBOUR_IPV4 lladdr 02:00:00:00:00:99 nud permanent dev eth0",
        repair: "ip neigh del $NEIGHBOUR_IPV4 dev eth0",
        dependents: &[],
    },
    Fault {
        column: Column::HostName,
        inject: "nsenter --target=$CLIENT --uts hostname odd",
        repair: "nsenter --target=$CLIENT --uts hostname $HOST_NAME",
        dependents: &[],
    },
    Fault {
        column: Column::Options,
        inject: "cp $TOLD $TOLD.kept; echo new_ntp_servers=192.0.2.99 >> $TOLD",
        repair: "cat $TOLD.kept > $TOLD",
        dependents: &[],
    },
];

#[test]
fn each_column_turns_red_alone_when_its_fault_is_there() {
    let interrupt = Interrupt::listen().expect("signal handlers");
    let lab = Lab::start(&hextet(), &networks::FOR_FAULTS, None, false, interrupt)
        .expect("a lab, for which this test needs root");
    let lines = lab.judge().expect("an observation");
    assert_eq!(red(&lines), Vec::<String>::new(), "before any fault");
    let mut wrong = Vec::new();
    for column in Column::ALL {
        let fault = FAULTS
            .iter()
            .find(|fault| fault.column == column)
            .expect("every column has a fault");
        script(&lab, fault.column, fault.inject);
        let lines = lab.judge().expect("an observation");
        script(&lab, fault.column, fault.repair);
        wrong.extend(check(&lab, fault, &lines));
    }
    let lines = lab.judge().expect("an observation");
    assert_eq!(red(&lines), Vec::<String>::new(), "after the repairs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be with this fault there.
fn check(lab: &Lab, fault: &Fault, lines: &[Line]) -> Vec<String> {
    let first = first_of(fault.column);
    let faulty = lab.guests()[first].guest.name();
    let name = |number: usize| lab.guests()[first + number].guest.name();
    let mut wrong = Vec::new();
    for line in lines {
        let is_fault = line.guest == faulty && line.column == fault.column;
        let must_follow = fault
            .dependents
            .iter()
            .any(|(number, column)| line.guest == name(*number) && line.column == *column);
        let as_expected = match &line.verdict {
            Verdict::Right => !is_fault && !must_follow,
            Verdict::Wrong { .. } => is_fault,
            Verdict::Because { guest, column, .. } => {
                must_follow && guest == faulty && *column == fault.column
            }
        };
        if !as_expected {
            wrong.push(format!("with a fault in {}: {line:?}", fault.column));
        }
    }
    wrong
}

/// The first guest of the network for the faults of this column.
fn first_of(column: Column) -> usize {
    let own = [
        Column::Ipv4Address,
        Column::Ipv4Routes,
        Column::Ipv4Dns,
        Column::PingIpv4,
        Column::HostName,
        Column::Options,
    ];
    if own.contains(&column) {
        networks::FOR_FAULTS[0].guests.len()
    } else {
        0
    }
}

fn script(lab: &Lab, column: Column, text: &str) {
    let first = first_of(column);
    let (plugged, neighbour) = (&lab.guests()[first], &lab.guests()[first + 1]);
    let environment = environment(&plugged.guest, &plugged.promised, &neighbour.promised);
    let script = format!("set -e; {environment} {text}");
    plugged
        .guest
        .output("sh", &["-c", &script])
        .unwrap_or_else(|error| panic!("{text}: {error:#}"));
}

fn environment(guest: &Guest, own: &Promised, neighbour: &Promised) -> String {
    let neighbour_ipv4 = neighbour.ipv4.as_ref();
    let neighbour_ipv4 = neighbour_ipv4.map(|ipv4| ipv4.address.addr().to_string());
    format!(
        "OWN={} PREFIX={} VALID={} PREFERRED={} MTU={} RESOLV_CONF={} NEIGHBOUR={} NEIGHBOUR_LINK_LOCAL={} NEIGHBOUR_IPV4={} \
         CLIENT={} HOST_NAME={} TOLD={};",
        own.addresses[0],
        own.on_link[0],
        own.valid_lifetime_s,
        own.preferred_lifetime_s,
        own.mtu,
        guest.resolv_conf().display(),
        neighbour.addresses[0],
        neighbour.link_local,
        neighbour_ipv4.unwrap_or_default(),
        guest.pid().unwrap_or_default(),
        own.host_name.as_deref().unwrap_or_default(),
        guest.told().display(),
    )
}

fn red(lines: &[Line]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !line.is_right())
        .map(|line| format!("{line:?}"))
        .collect()
}

/// The binary that was built beside this test.
fn hextet() -> PathBuf {
    let test = std::env::current_exe().expect("path of this test");
    let built = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a test program is in target/PROFILE/deps");
    let binary = built.join("hextet");
    assert!(
        binary.exists(),
        "{} is missing: cargo build --package hextet",
        binary.display()
    );
    binary
}
