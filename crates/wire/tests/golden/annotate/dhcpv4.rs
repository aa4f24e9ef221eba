//! IPv4, and DHCPv4 in it.

use std::net::Ipv4Addr;

use super::Lines;

/// The Ethernet payload of a frame of IPv4.
pub fn annotate(lines: &mut Lines<'_>) {
    lines.heading("IPv4 (RFC 791 §3.1)");
    lines.put(2, "version, header length, service");
    let meaning = format!("total length {}", lines.peek16(0));
    lines.put(2, &meaning);
    lines.put(4, "identification, flags, offset");
    let meaning = format!(
        "time to live {}, protocol {}, checksum",
        lines.peek(0),
        lines.peek(1)
    );
    lines.put(4, &meaning);
    for name in ["source", "destination"] {
        address(lines, name);
    }
    lines.heading("UDP");
    let meaning = format!("from port {} to {}", lines.peek16(0), lines.peek16(2));
    lines.put(4, &meaning);
    lines.put(4, "length, checksum");
    lines.heading("DHCPv4 (RFC 2131 §2)");
    lines.put(4, "op, hardware type and length, hops");
    lines.put(4, "transaction");
    let broadcast = if lines.peek(2) & 0x80 == 0 {
        ""
    } else {
        ": broadcast"
    };
    lines.put(4, &format!("seconds, flags{broadcast}"));
    for name in ["ciaddr", "yiaddr", "siaddr", "giaddr"] {
        address(lines, name);
    }
    lines.put(16, "chaddr");
    lines.put(64, "sname");
    lines.put(128, "file");
    lines.put(4, "magic cookie");
    while lines.peek(0) != 255 {
        option(lines);
    }
    lines.put(1, "end");
    if !lines.rest.is_empty() {
        lines.put(lines.rest.len(), "padding");
    }
}

fn address(lines: &mut Lines<'_>, name: &str) {
    let meaning = format!("{name} {}", Ipv4Addr::from(lines.peek32(0)));
    lines.put(4, &meaning);
}

fn option(lines: &mut Lines<'_>) {
    let length = usize::from(lines.peek(1));
    let value = &lines.rest[2..2 + length];
    let addresses = || {
        let found = value.as_chunks::<4>().0.iter().copied().map(Ipv4Addr::from);
        found
            .map(|address| address.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let text = || String::from_utf8_lossy(value).into_owned();
    let code = lines.peek(0);
    let meaning = match code {
        1 => format!("subnet mask {}", addresses()),
        3 => format!("router {}", addresses()),
        6 => format!("name servers {}", addresses()),
        12 => format!("host name {}", text()),
        15 => format!("domain name {}", text()),
        26 => format!("MTU {}", lines.peek16(2)),
        28 => format!("broadcast address {}", addresses()),
        51 => format!("lease time {} s", lines.peek32(2)),
        52 => "overload: options in file (1), sname (2) or both (3)".to_owned(),
        53 => match value {
            [2] => "DHCPOFFER".to_owned(),
            [5] => "DHCPACK".to_owned(),
            _ => "DHCPNAK".to_owned(),
        },
        54 => format!("server {}", addresses()),
        56 => format!("message {}", text()),
        58 => format!("T1 {} s", lines.peek32(2)),
        59 => format!("T2 {} s", lines.peek32(2)),
        61 => "client identifier".to_owned(),
        42 => format!("NTP servers {}", addresses()),
        66 => format!("TFTP server name {}", text()),
        67 => format!("boot file name {}", text()),
        80 => "rapid commit (RFC 4039)".to_owned(),
        119 => "search list (RFC 3397)".to_owned(),
        121 => "classless routes (RFC 3442)".to_owned(),
        249 => "classless routes by their older number".to_owned(),
        other => format!("option {other}"),
    };
    lines.put(2 + length, &meaning);
}
