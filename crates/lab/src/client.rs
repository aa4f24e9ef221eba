//! What configures a guest: a client, the command that runs it, the files that it finds.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{User, chown};
use uuid::Uuid;

use crate::guest::INTERFACE;
use crate::ipv4::RouteHabit;
use crate::jail;
use crate::options;
use crate::seen::DnsSource;

/// systemd-networkd, which is in nobody's PATH.
pub const NETWORKD: &str = "/lib/systemd/systemd-networkd";

/// Whom it runs as.
const NETWORKD_USER: &str = "systemd-network";

/// What is promised is the address of the MAC, so dhcpcd is told to form that and no opaque one.
const DHCPCD_CONF: &str = "\
slaac hwaddr
option domain_name_servers, domain_name, domain_search
option classless_static_routes, interface_mtu
option host_name, ntp_servers, bootfile_name
option dhcp6_domain_search, dhcp6_ntp_server, dhcp6_bootfile_url
option rapid_commit
";

/// What Debian's dhclient does not ask for by itself.
const DHCLIENT_CONF: &str = "also request bootfile-name, dhcp6.bootfile-url;\n";

/// What Debian's script is told of goes to a file first.
const UDHCPC_SCRIPT: &str = "exec /etc/udhcpc/default.script \"$@\"\n";

/// WIDE's client asks for nothing that its file does not name.
const DHCP6C_CONF: &str = "\
interface eth0 {
  send ia-na 0;
  request domain-name-servers, domain-name;
  script \"/etc/wide-dhcpv6/dhcp6c-script\";
};
id-assoc na 0 { };
";

/// dhclient before 4.3.6 gave its script a length of 64, and scripts of then took it; Debian's takes none.
const OLD_SCRIPT: &str = "\
[ \"$reason\" != BOUND6 ] || {
  ip -6 addr del \"$new_ip6_address/128\" dev \"$interface\"
  ip -6 addr add \"$new_ip6_address/$new_ip6_prefixlen\" dev \"$interface\" \\
    valid_lft \"$new_max_life\" preferred_lft \"$new_preferred_life\"
}
";

/// systemd-networkd: what it is told of IPv4; M and O of the RA say what it asks by DHCPv6. Without a bus of its own.
const NETWORK: &str = "[Match]\nName=eth0\n[Network]\nIPv6AcceptRA=yes\nDHCP=";

/// It takes servers of time by itself, and search lists if told to.
const NETWORK_OPTIONS: &str = "[DHCPv4]\nUseDomains=yes\n[DHCPv6]\nUseDomains=yes\n";

/// NetworkManager: its own client, its own resolv.conf, and no interface but the guest's.
const NETWORKMANAGER_CONF: &str = "\
[main]
plugins=keyfile
dhcp=internal
dns=default
rc-manager=file
auth-polkit=false
no-auto-default=*
[keyfile]
unmanaged-devices=*,except:interface-name:eth0
[logging]
backends=stderr
";

/// The guest's connection: the address of its MAC, which is what is promised.
const CONNECTION: &str = "\
[connection]
id=eth0
uuid=a4f1e1a2-35a8-4c6f-9a8e-0a8c3f1f6f10
type=ethernet
interface-name=eth0
[ipv6]
method=auto
addr-gen-mode=eui64
ip6-privacy=0
[ipv4]
method=";

/// The bus that NetworkManager cannot be without; nobody else is on it, and it starts nothing.
const BUS_CONF: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"#;

/// Both look at `/sys`: at the guest's, and read-only, which tells them that no udev names its interfaces.
const OWN_SYS: &str = "mount -t sysfs -o ro sysfs /sys && exec \"$@\"";

/// The bus ends with NetworkManager, whose parent's place it takes.
const START_NETWORKMANAGER: &str = "mount -t sysfs -o ro sysfs /sys || exit 1; \
     setpriv --pdeathsig TERM dbus-daemon --config-file=/etc/dbus-1/guest.conf --nofork --nopidfile & \
     n=0; until [ -S /run/dbus/system_bus_socket ]; do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done; \
     exec NetworkManager --no-daemon";

/// dhclient and dhcp6c cannot bind a tentative link-local address, so what starts them waits, as distributions' scripts do.
const START_DHCLIENT: &str = "ip link set eth0 up; n=0; \
     until ip -6 addr show dev eth0 scope link -tentative | grep -q inet6; \
     do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done; exec \"$@\"";

/// What starts a client of IPv4 has the link up and waits for nothing.
const START_IPV4: &str = "ip link set eth0 up; exec \"$@\"";

/// What configures a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The kernel's own SLAAC; nothing else runs.
    Kernel,
    /// The same with temporary addresses (RFC 8981), which it prefers as sources.
    Private,
    /// ISC `dhclient -6`: addresses and options by DHCPv6.
    Dhclient,
    /// ISC `dhclient -6 -S`: the kernel's SLAAC, options by DHCPv6.
    DhclientStateless,
    /// ISC `dhclient -6` as before 4.3.6: it makes a /64 of its address, whatever the subnet's length.
    Dhclient64,
    /// WIDE `dhcp6c`: addresses and options by DHCPv6.
    Wide,
    /// `dhcpcd` with `slaac hwaddr`: RA and DHCPv6, in place of the kernel.
    Dhcpcd,
    /// The kernel's SLAAC, IPv4 by ISC `dhclient -4`.
    Dhclient4,
    /// The kernel's SLAAC, IPv4 by busybox's `udhcpc` with Debian's script, which takes no classless routes.
    Udhcpc,
    /// `dhcpcd` for both families.
    DhcpcdDual,
    /// systemd-networkd: RA and DHCPv6, in place of the kernel.
    Networkd,
    /// systemd-networkd for both families.
    NetworkdDual,
    /// NetworkManager with its own client: RA and DHCPv6, in place of the kernel.
    NetworkManager,
    /// NetworkManager for both families.
    NetworkManagerDual,
    /// A machine of its own: its kernel's SLAAC, and busybox's `udhcpc` as above.
    Machine,
}

impl Client {
    /// As part of a guest's name.
    pub fn name(self) -> &'static str {
        match self {
            Client::Kernel => "kernel",
            Client::Private => "private",
            Client::Dhclient => "dhclient",
            Client::DhclientStateless => "dhclient-s",
            Client::Dhclient64 => "dhclient-64",
            Client::Wide => "wide",
            Client::Dhcpcd => "dhcpcd",
            Client::Dhclient4 => "dhclient-4",
            Client::Udhcpc => "udhcpc",
            Client::DhcpcdDual => "dhcpcd-dual",
            Client::Networkd => "networkd",
            Client::NetworkdDual => "networkd-dual",
            Client::NetworkManager => "nm",
            Client::NetworkManagerDual => "nm-dual",
            Client::Machine => "machine",
        }
    }

    /// What its DHCPv4 client makes of routes; any, where it has none.
    pub fn route_habit(self) -> RouteHabit {
        match self {
            Client::Udhcpc | Client::Machine => RouteHabit::RouterAlone,
            Client::NetworkdDual => RouteHabit::ClasslessAndHosts,
            _ => RouteHabit::Classless,
        }
    }

    /// Where its IPv6 name servers are known.
    pub fn dns_source(self) -> DnsSource {
        match self {
            Client::Kernel
            | Client::Private
            | Client::Dhclient4
            | Client::Udhcpc
            | Client::Machine => DnsSource::Ra,
            Client::Dhclient
            | Client::DhclientStateless
            | Client::Dhclient64
            | Client::Wide
            | Client::Dhcpcd
            | Client::DhcpcdDual
            | Client::NetworkManager
            | Client::NetworkManagerDual => DnsSource::ResolvConf,
            Client::Networkd | Client::NetworkdDual => DnsSource::Networkd,
        }
    }

    /// Whether it is for IPv4, too.
    fn is_dual(self) -> bool {
        matches!(
            self,
            Client::Dhclient4
                | Client::Udhcpc
                | Client::DhcpcdDual
                | Client::NetworkdDual
                | Client::NetworkManagerDual
                | Client::Machine
        )
    }

    /// Whether its script gives the host the name that it is told.
    pub fn takes_host_name(self) -> bool {
        matches!(self, Client::Dhclient4 | Client::DhcpcdDual)
    }

    /// Whether it forms addresses besides the promised ones.
    pub fn forms_addresses(self) -> bool {
        self == Client::Private
    }

    /// Whether nothing runs in the guest that would set its link up.
    pub fn is_kernel(self) -> bool {
        matches!(self, Client::Kernel | Client::Private)
    }

    /// Puts what it finds in `/etc`, `/var/lib` and `/run` into the folders of these names in `directory`.
    ///
    /// # Errors
    /// The file system's, and when the machine lacks a program's user.
    pub(crate) fn prepare(self, directory: &Path) -> Result<()> {
        jail::prepare(directory)?;
        fs::write(directory.join("etc/dhcpcd.conf"), DHCPCD_CONF)?;
        fs::write(directory.join("etc/wide-dhcpv6/dhcp6c.conf"), DHCP6C_CONF)?;
        let hooks = directory.join("etc/dhcp/dhclient-exit-hooks.d");
        fs::write(hooks.join("told"), options::TELL)?;
        fs::write(directory.join("etc/dhcpcd.exit-hook"), options::TELL)?;
        append(&directory.join("etc/dhcp/dhclient.conf"), DHCLIENT_CONF)?;
        let script = format!("#!/bin/sh\n{}{UDHCPC_SCRIPT}", options::TELL);
        let file = directory.join("etc/udhcpc/told.script");
        fs::write(&file, script)?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        match self {
            Client::Networkd | Client::NetworkdDual => self.prepare_networkd(directory),
            Client::NetworkManager | Client::NetworkManagerDual => {
                self.prepare_networkmanager(directory)
            }
            Client::Dhclient64 => Ok(fs::write(hooks.join("length"), OLD_SCRIPT)?),
            _ => Ok(()),
        }
    }

    fn prepare_networkd(self, directory: &Path) -> Result<()> {
        let families = if self.is_dual() { "ipv4" } else { "no" };
        let network = format!("{NETWORK}{families}\n{NETWORK_OPTIONS}");
        fs::write(directory.join("etc/systemd/network/eth0.network"), network)?;
        machine_id(directory)?;
        // It gives up root for this user, as it does on any machine.
        let user = User::from_name(NETWORKD_USER)?;
        let user = user.with_context(|| format!("no user {NETWORKD_USER} (package systemd)"))?;
        let own = directory.join("run/systemd/netif");
        fs::create_dir_all(&own)?;
        chown(&own, Some(user.uid), Some(user.gid))?;
        Ok(())
    }

    fn prepare_networkmanager(self, directory: &Path) -> Result<()> {
        let method = if self.is_dual() { "auto" } else { "disabled" };
        let folder = directory.join("etc/NetworkManager");
        fs::write(folder.join("NetworkManager.conf"), NETWORKMANAGER_CONF)?;
        // It reads no connection that others may read.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join("system-connections/eth0.nmconnection"))?
            .write_all(format!("{CONNECTION}{method}\n").as_bytes())?;
        fs::write(directory.join("etc/dbus-1/guest.conf"), BUS_CONF)?;
        machine_id(directory)
    }

    /// The command that runs inside the guest; empty for none.
    pub(crate) fn command(self) -> Vec<&'static str> {
        match self {
            Client::Kernel | Client::Private | Client::Machine => Vec::new(),
            Client::Dhclient => dhclient(START_DHCLIENT, &["-6"]),
            Client::DhclientStateless => dhclient(START_DHCLIENT, &["-6", "-S"]),
            Client::Dhclient64 => dhclient(START_DHCLIENT, &["-6", "--address-prefix-len", "64"]),
            Client::Wide => {
                let mut command = vec!["sh", "-c", START_DHCLIENT, "sh", "dhcp6c", "-f"];
                command.extend(["-c", "/etc/wide-dhcpv6/dhcp6c.conf"]);
                command.extend(["-p", "/run/dhcp6c.pid", INTERFACE]);
                command
            }
            Client::Dhcpcd => vec!["dhcpcd", "-6", "-B", "-f", "/etc/dhcpcd.conf", INTERFACE],
            Client::Dhclient4 => dhclient(START_IPV4, &["-4"]),
            Client::Udhcpc => {
                let mut command = vec![
                    "sh", "-c", START_IPV4, "sh", "udhcpc", "-f", "-i", INTERFACE,
                ];
                command.extend(["-s", "/etc/udhcpc/told.script", "-O", "mtu"]);
                command.extend(["-O", "ntpsrv", "-O", "search", "-O", "bootfile"]);
                command
            }
            Client::DhcpcdDual => vec!["dhcpcd", "-B", "-f", "/etc/dhcpcd.conf", INTERFACE],
            Client::Networkd | Client::NetworkdDual => {
                vec!["sh", "-c", OWN_SYS, "sh", NETWORKD]
            }
            Client::NetworkManager | Client::NetworkManagerDual => {
                vec!["sh", "-c", START_NETWORKMANAGER]
            }
        }
    }
}

fn append(file: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// A machine's own, from which both form their DUID; a clone's would be its parent's.
fn machine_id(directory: &Path) -> Result<()> {
    let id = Uuid::new_v4().simple().to_string();
    fs::write(directory.join("etc/machine-id"), format!("{id}\n"))?;
    Ok(())
}

/// dhclient in the foreground, with its files where only it sees them.
fn dhclient(start: &'static str, options: &[&'static str]) -> Vec<&'static str> {
    let mut command = vec!["sh", "-c", start, "sh", "dhclient"];
    command.extend(options);
    command.extend(["-d", "-lf", "/var/lib/dhclient.leases"]);
    command.extend(["-pf", "/run/dhclient.pid", INTERFACE]);
    command
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Client::Kernel => "kernel SLAAC",
            Client::Private => "kernel SLAAC, temporary addresses",
            Client::Dhclient => "dhclient -6",
            Client::DhclientStateless => "kernel SLAAC, dhclient -6 -S",
            Client::Dhclient64 => "dhclient -6, which makes a /64",
            Client::Wide => "WIDE dhcp6c",
            Client::Dhcpcd => "dhcpcd, slaac hwaddr",
            Client::Dhclient4 => "kernel SLAAC, dhclient -4",
            Client::Udhcpc => "kernel SLAAC, udhcpc",
            Client::DhcpcdDual => "dhcpcd, both families",
            Client::Networkd => "systemd-networkd",
            Client::NetworkdDual => "systemd-networkd, both families",
            Client::NetworkManager => "NetworkManager",
            Client::NetworkManagerDual => "NetworkManager, both families",
            Client::Machine => "Debian's kernel in QEMU, udhcpc",
        })
    }
}
