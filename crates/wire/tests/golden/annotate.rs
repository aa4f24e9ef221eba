//! Turns a frame into annotated hex and back.

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::path::Path;

use hextet_wire::ipv4::ETHERTYPE_IPV4;

#[path = "annotate/dhcpv4.rs"]
mod dhcpv4;

const BYTES_PER_LINE: usize = 16;

/// Holds a golden file against what is emitted now, or writes it anew with `HEXTET_UPDATE=1`. Its bytes.
pub fn golden(path: &Path, title: &str, emitted: &[u8]) -> Vec<u8> {
    let wanted = annotate(title, emitted);
    if std::env::var("HEXTET_UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(path, &wanted).unwrap();
    }
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{shown}: {error}; HEXTET_UPDATE=1 writes it"));
    assert_eq!(text, wanted, "{shown}: HEXTET_UPDATE=1 rewrites it");
    bytes_of(&text)
}

/// The bytes of an annotated file.
fn bytes_of(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

struct Lines<'a> {
    rest: &'a [u8],
    text: String,
}

impl<'a> Lines<'a> {
    /// Writes the next bytes with what they mean.
    fn put(&mut self, count: usize, meaning: &str) -> &'a [u8] {
        let (field, rest) = self.rest.split_at(count);
        self.rest = rest;
        for (at, line) in field.chunks(BYTES_PER_LINE).enumerate() {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let hex = hex.join(" ");
            let width = BYTES_PER_LINE * 3 - 1;
            if at == 0 {
                writeln!(self.text, "{hex:width$}  # {meaning}").unwrap();
            } else {
                writeln!(self.text, "{hex}").unwrap();
            }
        }
        field
    }

    fn heading(&mut self, heading: &str) {
        writeln!(self.text, "# {heading}").unwrap();
    }

    fn peek(&self, at: usize) -> u8 {
        self.rest[at]
    }

    fn peek16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.rest[at], self.rest[at + 1]])
    }

    fn peek32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.rest[at..at + 4].try_into().unwrap())
    }

    fn peek_address(&self, at: usize) -> Ipv6Addr {
        let octets: [u8; 16] = self.rest[at..at + 16].try_into().unwrap();
        octets.into()
    }
}

/// The annotated text of a frame.
pub fn annotate(title: &str, frame: &[u8]) -> String {
    let mut lines = Lines {
        rest: frame,
        text: format!("# {title}\n"),
    };
    lines.heading("Ethernet");
    lines.put(6, "destination");
    lines.put(6, "source");
    if lines.peek16(0) == ETHERTYPE_IPV4 {
        lines.put(2, "IPv4");
        dhcpv4::annotate(&mut lines);
        return lines.text;
    }
    lines.put(2, "IPv6");
    lines.heading("IPv6 (RFC 8200 §3)");
    lines.put(4, "version, traffic class, flow label");
    let length = format!("payload length {}", lines.peek16(0));
    lines.put(2, &length);
    let next_header = lines.peek(0);
    let meaning = format!("next header {next_header}, hop limit {}", lines.peek(1));
    lines.put(2, &meaning);
    let source = format!("source {}", lines.peek_address(0));
    lines.put(16, &source);
    let destination = format!("destination {}", lines.peek_address(0));
    lines.put(16, &destination);
    if next_header == 58 {
        icmpv6(&mut lines);
    } else {
        lines.heading("UDP");
        let ports = format!("from port {} to {}", lines.peek16(0), lines.peek16(2));
        lines.put(4, &ports);
        lines.put(4, "length, checksum");
        dhcpv6(&mut lines);
    }
    assert!(lines.rest.is_empty(), "bytes without an annotation");
    lines.text
}

fn icmpv6(lines: &mut Lines<'_>) {
    let kind = lines.peek(0);
    let name = match kind {
        133 => "Router Solicitation (RFC 4861 §4.1)",
        134 => "Router Advertisement (RFC 4861 §4.2)",
        135 => "Neighbor Solicitation (RFC 4861 §4.3)",
        _ => "Neighbor Advertisement (RFC 4861 §4.4)",
    };
    lines.heading(name);
    lines.put(4, "type, code, checksum");
    let flag = |flags: u8, bit: u8| u8::from(flags & bit != 0);
    match kind {
        133 => {
            lines.put(4, "reserved");
        }
        134 => {
            let flags = lines.peek(1);
            let meaning = format!(
                "hop limit {}; M={} O={}; router lifetime {} s",
                lines.peek(0),
                flag(flags, 0x80),
                flag(flags, 0x40),
                lines.peek16(2)
            );
            lines.put(4, &meaning);
            let meaning = format!("reachable time {} ms", lines.peek32(0));
            lines.put(4, &meaning);
            let meaning = format!("retrans timer {} ms", lines.peek32(0));
            lines.put(4, &meaning);
        }
        135 => {
            lines.put(4, "reserved");
            let meaning = format!("target {}", lines.peek_address(0));
            lines.put(16, &meaning);
        }
        _ => {
            let flags = lines.peek(0);
            let meaning = format!(
                "R={} S={} O={}",
                flag(flags, 0x80),
                flag(flags, 0x40),
                flag(flags, 0x20)
            );
            lines.put(4, &meaning);
            let meaning = format!("target {}", lines.peek_address(0));
            lines.put(16, &meaning);
        }
    }
    while !lines.rest.is_empty() {
        ndp_option(lines);
    }
}

fn ndp_option(lines: &mut Lines<'_>) {
    let length = usize::from(lines.peek(1)) * 8;
    match lines.peek(0) {
        1 => lines.put(length, "source link-layer address"),
        2 => lines.put(length, "target link-layer address"),
        3 => {
            let flags = lines.peek(3);
            let meaning = format!(
                "prefix information: /{}, L={} A={}",
                lines.peek(2),
                u8::from(flags & 0x80 != 0),
                u8::from(flags & 0x40 != 0)
            );
            lines.put(4, &meaning);
            let meaning = format!(
                "valid {} s, preferred {} s, reserved",
                lines.peek32(0),
                lines.peek32(4)
            );
            lines.put(12, &meaning);
            let prefix = format!("{}", lines.peek_address(0));
            lines.put(16, &prefix)
        }
        5 => {
            let meaning = format!("MTU {}", lines.peek32(4));
            lines.put(length, &meaning)
        }
        24 => {
            let meaning = format!(
                "route information (RFC 4191 §2.3): /{}, lifetime {} s",
                lines.peek(2),
                lines.peek32(4)
            );
            lines.put(8, &meaning);
            lines.put(length - 8, "route's prefix")
        }
        25 => {
            let meaning = format!(
                "recursive DNS servers (RFC 8106 §5.1), lifetime {} s",
                lines.peek32(4)
            );
            lines.put(8, &meaning);
            for _ in 0..(length - 8) / 16 {
                let server = format!("{}", lines.peek_address(0));
                lines.put(16, &server);
            }
            &[]
        }
        31 => {
            let meaning = format!(
                "DNS search list (RFC 8106 §5.2), lifetime {} s",
                lines.peek32(4)
            );
            lines.put(8, &meaning);
            lines.put(length - 8, "domains, padded")
        }
        38 => lines.put(length, "PREF64 (RFC 8781 §4)"),
        _ => lines.put(length, "unknown option"),
    };
}

fn dhcpv6(lines: &mut Lines<'_>) {
    lines.heading("DHCPv6 (RFC 9915 §8)");
    let name = match lines.peek(0) {
        1 => "Solicit",
        2 => "Advertise",
        3 => "Request",
        4 => "Confirm",
        5 => "Renew",
        6 => "Rebind",
        7 => "Reply",
        8 => "Release",
        9 => "Decline",
        _ => "Information-request",
    };
    lines.put(4, &format!("{name}, transaction"));
    while !lines.rest.is_empty() {
        dhcpv6_option(lines);
    }
}

fn dhcpv6_option(lines: &mut Lines<'_>) {
    let length = usize::from(lines.peek16(2));
    match lines.peek16(0) {
        1 => lines.put(4 + length, "client identifier"),
        2 => lines.put(4 + length, "server identifier"),
        code @ (3 | 4 | 25) => {
            let name = match code {
                3 => "IA_NA",
                4 => "IA_TA",
                _ => "IA_PD",
            };
            let header = if code == 4 { 4 } else { 12 };
            let mut meaning = format!("{name} {:#010x}", lines.peek32(4));
            if code != 4 {
                let times = (lines.peek32(8), lines.peek32(12));
                meaning += &format!(", T1 {} s, T2 {} s", times.0, times.1);
            }
            lines.put(4 + header, &meaning);
            let end = lines.rest.len() - (length - header);
            while lines.rest.len() > end {
                dhcpv6_option(lines);
            }
            &[]
        }
        5 => {
            let meaning = format!(
                "IA address {}, preferred {} s, valid {} s",
                lines.peek_address(4),
                lines.peek32(20),
                lines.peek32(24)
            );
            lines.put(4 + length, &meaning)
        }
        6 => lines.put(4 + length, "option request"),
        7 => {
            let meaning = format!("preference {}", lines.peek(4));
            lines.put(4 + length, &meaning)
        }
        13 => {
            let meaning = format!("status code {}", lines.peek16(4));
            lines.put(6, &meaning);
            lines.put(length - 2, "its text")
        }
        14 => lines.put(4 + length, "rapid commit"),
        23 => lines.put(4 + length, "DNS servers (RFC 3646 §3)"),
        24 => lines.put(4 + length, "domain search list (RFC 3646 §4)"),
        32 => {
            let meaning = format!("information refresh time {} s", lines.peek32(4));
            lines.put(4 + length, &meaning)
        }
        59 => lines.put(4 + length, "boot file URL (RFC 5970 §3.1)"),
        60 => lines.put(4 + length, "boot file parameters (RFC 5970 §3.2)"),
        11 => lines.put(4 + length, "authentication"),
        20 => lines.put(4 + length, "reconfigure accept"),
        82 => lines.put(4 + length, "SOL_MAX_RT"),
        83 => lines.put(4 + length, "INF_MAX_RT"),
        other => lines.put(4 + length, &format!("option {other}")),
    };
}
