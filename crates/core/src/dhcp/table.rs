//! The options that a port can have, by number and name.
//!
//! The first name is dnsmasq's, which is what Neutron's users write; where dnsmasq has none, it is ISC's
//! (`dhcp-options(5)`), which else comes after it.

use super::form::{ANY_U32, Form};

/// Which DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// DHCPv4 (RFC 2132).
    V4,
    /// DHCPv6 (RFC 9915 §21).
    V6,
}

pub(super) type Row = (u16, &'static [&'static str], Form);

/// The number of `server-ip-address`, which is no option: dnsmasq's, and the end of an option field.
const BOOT_SERVER: u16 = 255;
/// The least MTU that DHCPv4 can say (RFC 2132 §5.1).
const MTU_MIN: u16 = 68;

/// RFC 2132 unless said otherwise.
#[rustfmt::skip]
const V4: &[Row] = &[
    (2, &["time-offset"], Form::I32),
    (3, &["router", "routers"], Form::Addresses),
    (4, &["time-servers"], Form::Addresses),
    (5, &["ien116-name-servers"], Form::Addresses),
    (6, &["dns-server", "domain-name-servers"], Form::Addresses),
    (7, &["log-server", "log-servers"], Form::Addresses),
    (8, &["cookie-servers"], Form::Addresses),
    (9, &["lpr-server", "lpr-servers"], Form::Addresses),
    (10, &["impress-servers"], Form::Addresses),
    (11, &["resource-location-servers"], Form::Addresses),
    (12, &["hostname", "host-name"], Form::Text),
    (13, &["boot-file-size", "boot-size"], Form::U16(0)),
    (14, &["merit-dump"], Form::Text),
    (15, &["domain-name"], Form::Text),
    (16, &["swap-server"], Form::Addresses),
    (17, &["root-path"], Form::Text),
    (18, &["extension-path", "extensions-path"], Form::Text),
    (19, &["ip-forward-enable", "ip-forwarding"], Form::Flag),
    (20, &["non-local-source-routing"], Form::Flag),
    (21, &["policy-filter"], Form::AddressPairs),
    (22, &["max-datagram-reassembly", "max-dgram-reassembly"], Form::U16(576)),
    (23, &["default-ttl", "default-ip-ttl"], Form::U8),
    (24, &["path-mtu-aging-timeout"], ANY_U32),
    (25, &["path-mtu-plateau-table"], Form::U16s),
    (26, &["mtu", "interface-mtu"], Form::U16(MTU_MIN)),
    (27, &["all-subnets-local"], Form::Flag),
    (28, &["broadcast", "broadcast-address"], Form::Addresses),
    (29, &["perform-mask-discovery"], Form::Flag),
    (30, &["mask-supplier"], Form::Flag),
    (31, &["router-discovery"], Form::Flag),
    (32, &["router-solicitation", "router-solicitation-address"], Form::Addresses),
    (33, &["static-route", "static-routes"], Form::AddressPairs),
    (34, &["trailer-encapsulation"], Form::Flag),
    (35, &["arp-timeout", "arp-cache-timeout"], ANY_U32),
    (36, &["ethernet-encap", "ieee802-3-encapsulation"], Form::Flag),
    (37, &["tcp-ttl", "default-tcp-ttl"], Form::U8),
    (38, &["tcp-keepalive", "tcp-keepalive-interval"], ANY_U32),
    (39, &["tcp-keepalive-garbage"], Form::Flag),
    (40, &["nis-domain"], Form::Text),
    (41, &["nis-server", "nis-servers"], Form::Addresses),
    (42, &["ntp-server", "ntp-servers"], Form::Addresses),
    (43, &["vendor-encap", "vendor-encapsulated-options"], Form::Octets),
    (44, &["netbios-ns", "netbios-name-servers"], Form::Addresses),
    (45, &["netbios-dd", "netbios-dd-server"], Form::Addresses),
    (46, &["netbios-nodetype", "netbios-node-type"], Form::U8),
    (47, &["netbios-scope"], Form::Text),
    (48, &["x-windows-fs", "font-servers"], Form::Addresses),
    (49, &["x-windows-dm", "x-display-manager"], Form::Addresses),
    (60, &["vendor-class", "vendor-class-identifier"], Form::Text),
    (64, &["nis+-domain", "nisplus-domain"], Form::Text),
    (65, &["nis+-server", "nisplus-servers"], Form::Addresses),
    (66, &["tftp-server", "tftp-server-name"], Form::Text),
    (67, &["bootfile-name"], Form::Text),
    (68, &["mobile-ip-home", "mobile-ip-home-agent"], Form::Addresses),
    (69, &["smtp-server"], Form::Addresses),
    (70, &["pop3-server", "pop-server"], Form::Addresses),
    (71, &["nntp-server"], Form::Addresses),
    (72, &["www-server"], Form::Addresses),
    (73, &["finger-server"], Form::Addresses),
    (74, &["irc-server"], Form::Addresses),
    (75, &["streettalk-server"], Form::Addresses),
    (76, &["streettalk-directory-assistance-server"], Form::Addresses),
    // RFC 4833.
    (100, &["posix-timezone", "pcode"], Form::Text),
    (101, &["tzdb-timezone", "tcode"], Form::Text),
    // RFC 8925.
    (108, &["ipv6-only", "v6-only-preferred"], ANY_U32),
    // RFC 8910.
    (114, &["captive-portal", "default-url"], Form::Text),
    // RFC 3397.
    (119, &["domain-search"], Form::Names),
    // RFC 3361.
    (120, &["sip-server"], Form::SipServers),
    // RFC 3442.
    (121, &["classless-static-route"], Form::Routes),
    // RFC 3925.
    (125, &["vendor-id-encap", "vivso"], Form::Octets),
    // RFC 5859.
    (150, &["tftp-server-address"], Form::Addresses),
    // RFC 5071.
    (209, &["config-file", "loader-configfile"], Form::Text),
    (210, &["path-prefix", "loader-pathprefix"], Form::Text),
    (211, &["reboot-time", "loader-reboottime"], ANY_U32),
    // [MS-DHCPE] §2.2.8.
    (249, &["ms-classless-static-route"], Form::Routes),
    // draft-ietf-wrec-wpad.
    (252, &["wpad"], Form::Text),
    (BOOT_SERVER, &["server-ip-address"], Form::BootServer),
];

/// RFC 9915 unless said otherwise.
#[rustfmt::skip]
const V6: &[Row] = &[
    (17, &["vendor-opts"], Form::Octets),
    // RFC 3319.
    (21, &["sip-server-domain", "sip-servers-names"], Form::Names),
    (22, &["sip-server", "sip-servers-addresses"], Form::Addresses),
    // RFC 3646.
    (23, &["dns-server", "name-servers"], Form::Addresses),
    (24, &["domain-search"], Form::Names),
    // RFC 3898.
    (27, &["nis-server", "nis-servers"], Form::Addresses),
    (28, &["nis+-server", "nisp-servers"], Form::Addresses),
    (29, &["nis-domain", "nis-domain-name"], Form::Name),
    (30, &["nis+-domain", "nisp-domain-name"], Form::Name),
    // RFC 4075.
    (31, &["sntp-server", "sntp-servers"], Form::Addresses),
    // From IRT_MINIMUM (RFC 9915 §7.6) on.
    (32, &["information-refresh-time", "info-refresh-time"], Form::U32(600, u32::MAX)),
    // RFC 4833.
    (41, &["posix-timezone", "new-posix-timezone"], Form::Text),
    (42, &["tzdb-timezone", "new-tzdb-timezone"], Form::Text),
    // RFC 5908.
    (56, &["ntp-server", "ntp-servers"], Form::NtpServers),
    // RFC 5970.
    (59, &["bootfile-url"], Form::Text),
    (60, &["bootfile-param"], Form::Texts),
    // RFC 6334.
    (64, &["aftr-name"], Form::Name),
    // RFC 9915 §21.24, §21.25.
    (82, &["solmax-rt"], Form::U32(60, 86400)),
    (83, &["inf-max-rt"], Form::U32(60, 86400)),
    // RFC 8910.
    (103, &["captive-portal", "v6-captive-portal"], Form::Text),
];

/// Ranges of codes that are not to be had, and why.
pub(super) type Kept = (std::ops::RangeInclusive<u16>, &'static str);

const OF_FORMAT: &str = "it belongs to the message's format";
const BY_SERVER: &str = "the server says it by itself";
const BY_CLIENT: &str = "clients say it, not servers";
const BY_RELAY: &str = "relay agents say it, of which a port's link has none";

pub(super) const KEPT_V4: &[Kept] = &[
    (0..=0, OF_FORMAT),
    (1..=1, "it follows from the port's subnet"),
    (50..=50, BY_CLIENT),
    (51..=51, "lease times are the cloud's"),
    (52..=52, OF_FORMAT),
    (53..=54, BY_SERVER),
    (55..=55, BY_CLIENT),
    (56..=56, BY_SERVER),
    (57..=57, BY_CLIENT),
    (58..=59, "lease times are the cloud's"),
    (61..=61, BY_CLIENT),
    (77..=77, BY_CLIENT),
    (80..=80, BY_SERVER),
    (81..=81, "there is no DNS that names could be put into"),
    (82..=82, BY_RELAY),
    (90..=90, BY_SERVER),
    (91..=92, BY_RELAY),
    (93..=94, BY_CLIENT),
    (97..=97, BY_CLIENT),
    (118..=118, BY_CLIENT),
];

pub(super) const KEPT_V6: &[Kept] = &[
    (0..=0, OF_FORMAT),
    (1..=1, BY_CLIENT),
    (2..=5, BY_SERVER),
    (6..=6, BY_CLIENT),
    (7..=7, BY_SERVER),
    (8..=8, BY_CLIENT),
    (9..=9, BY_RELAY),
    (10..=14, BY_SERVER),
    (15..=16, BY_CLIENT),
    (18..=18, BY_RELAY),
    (19..=20, BY_SERVER),
    (25..=26, BY_SERVER),
    (37..=38, BY_RELAY),
    (39..=39, "there is no DNS that names could be put into"),
    (43..=48, BY_RELAY),
    (53..=53, BY_RELAY),
    (61..=62, BY_CLIENT),
    (66..=66, BY_RELAY),
    (67..=67, BY_SERVER),
    (79..=80, BY_RELAY),
];

/// dnsmasq's and ISC's names of those that are not to be had, as far as they have some.
#[rustfmt::skip]
pub(super) const KEPT_NAMES_V4: &[(&str, u16)] = &[
    ("netmask", 1), ("subnet-mask", 1), ("requested-address", 50), ("dhcp-requested-address", 50),
    ("lease-time", 51), ("dhcp-lease-time", 51), ("option-overload", 52), ("dhcp-option-overload", 52),
    ("message-type", 53), ("dhcp-message-type", 53), ("server-identifier", 54), ("dhcp-server-identifier", 54),
    ("parameter-request", 55), ("dhcp-parameter-request-list", 55), ("message", 56), ("dhcp-message", 56),
    ("max-message-size", 57), ("dhcp-max-message-size", 57), ("T1", 58), ("dhcp-renewal-time", 58),
    ("T2", 59), ("dhcp-rebinding-time", 59), ("client-id", 61), ("dhcp-client-identifier", 61), ("user-class", 77),
    ("rapid-commit", 80), ("FQDN", 81), ("agent-id", 82), ("client-arch", 93), ("client-interface-id", 94),
    ("client-machine-id", 97), ("subnet-select", 118),
];

#[rustfmt::skip]
pub(super) const KEPT_NAMES_V6: &[(&str, u16)] = &[
    ("client-id", 1), ("server-id", 2), ("ia-na", 3), ("ia-ta", 4), ("iaaddr", 5), ("oro", 6), ("preference", 7),
    ("unicast", 12), ("status", 13), ("rapid-commit", 14), ("user-class", 15), ("vendor-class", 16),
    ("interface-id", 18), ("reconf-accept", 20), ("remote-id", 37), ("subscriber-id", 38), ("FQDN", 39),
];

pub(super) fn rows(family: Family) -> &'static [Row] {
    match family {
        Family::V4 => V4,
        Family::V6 => V6,
    }
}

fn named(family: Family, name: &str) -> Option<(u16, Form)> {
    let named = |(_, names, _): &&Row| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let row = rows(family).iter().find(named);
    row.map(|(code, _, form)| (*code, *form))
}

/// The option of this name or number, with or without `option:` or `option6:` before it, as dnsmasq wants it. `None`: no option
/// is known by this name.
///
/// # Errors
/// Why it is not to be had, with what is allowed.
pub(super) fn find(family: Family, asked: &str) -> Result<Option<(u16, Form)>, String> {
    let (prefix, kept, kept_names, last) = match family {
        Family::V4 => ("option:", KEPT_V4, KEPT_NAMES_V4, BOOT_SERVER - 1),
        Family::V6 => ("option6:", KEPT_V6, KEPT_NAMES_V6, u16::MAX),
    };
    let name = asked.strip_prefix(prefix).unwrap_or(asked);
    if name.is_empty() {
        return Err(format!(
            "a name or a number of 1 to {last} is to follow '{prefix}'"
        ));
    }
    let code = if name.bytes().all(|digit| digit.is_ascii_digit()) {
        let code = name.parse().ok().filter(|code| *code <= last);
        code.ok_or_else(|| format!("numbers of 1 to {last} are allowed"))?
    } else if let Some(known) = named(family, name) {
        return Ok(Some(known));
    } else {
        let same = |(known, _): &&(&str, u16)| known.eq_ignore_ascii_case(name);
        match kept_names.iter().find(same) {
            Some((_, code)) => *code,
            None => return known_elsewhere(family, name).map_or(Ok(None), Err),
        }
    };
    if let Some((_, why)) = kept.iter().find(|(codes, _)| codes.contains(&code)) {
        return Err(format!("it cannot be given: {why}"));
    }
    let row = rows(family).iter().find(|(known, ..)| *known == code);
    Ok(Some((code, row.map_or(Form::Any, |(_, _, form)| *form))))
}

/// Why a name is a mistake in this family: it is the other's.
fn known_elsewhere(family: Family, name: &str) -> Option<String> {
    let (other, prefix, says) = match family {
        Family::V4 => (Family::V6, "option6:", "DHCPv6, which is ip_version 6"),
        Family::V6 => (Family::V4, "option:", "DHCPv4, which is ip_version 4"),
    };
    let is_other = name.starts_with(prefix) || named(other, name).is_some();
    is_other.then(|| format!("it is an option of {says}, alone"))
}
