//! Where clients run: files, a host name and processes of their own. Nothing that a guest is told reaches the machine, and
//! nothing that a client starts outlives it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};

/// What a client finds in its `/etc`, copied from the machine's.
const ETC_FILES: [&str; 10] = [
    "passwd",
    "group",
    "nsswitch.conf",
    "services",
    "protocols",
    "ld.so.cache",
    "dhcp/dhclient.conf",
    "dhcp/dhclient-exit-hooks.d/rfc3442-classless-routes",
    "udhcpc/default.script",
    "wide-dhcpv6/dhcp6c-script",
];

/// The folders of `/etc`, `/var/lib` and `/run` that clients expect.
const FOLDERS: [&str; 11] = [
    "etc/NetworkManager/system-connections",
    "etc/dbus-1",
    "etc/dhcp/dhclient-exit-hooks.d",
    "etc/systemd/network",
    "etc/udhcpc",
    "etc/wide-dhcpv6",
    "lib/NetworkManager",
    "lib/dhcpcd",
    "lib/dhcpv6",
    "run/NetworkManager",
    "run/dbus",
];

/// Puts the client's files over the machine's, and takes the machine's name away. The shell stays, as the first of the
/// client's processes: systemd-networkd takes itself for an init if it is that.
const ENTER: &str = "mount --bind $0/etc /etc && mount --bind $0/lib /var/lib && mount --bind $0/run /run && \
                     echo localhost > /proc/sys/kernel/hostname && \"$@\"; exit $?";

/// Makes the folders that clients expect in `directory`, with an empty `resolv.conf`.
///
/// # Errors
/// The file system's.
pub fn prepare(directory: &Path) -> Result<()> {
    for part in FOLDERS {
        let path = directory.join(part);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    for file in ["etc/resolv.conf", "etc/fstab"] {
        File::create(directory.join(file))?;
    }
    for file in ETC_FILES {
        // What the machine lacks, the client does without too.
        let from = Path::new("/etc").join(file);
        if from.exists() {
            fs::copy(&from, directory.join("etc").join(file))?;
        }
    }
    Ok(())
}

/// What `unshare` is told before the client's command, with the folders that [`prepare`] made. All of the client's
/// processes end when `unshare` does, by force.
pub fn arguments(directory: &Path) -> Vec<OsString> {
    let options = [
        "--mount",
        "--uts",
        "--pid",
        "--mount-proc",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
        "-c",
        ENTER,
    ];
    let options = options.into_iter().map(OsString::from);
    options.chain([directory.into()]).collect()
}

/// The client itself, of what this `unshare` has started; `None` before it runs, and after.
pub fn client(unshare: u32) -> Option<u32> {
    child(child(unshare)?)
}

/// The oldest one.
fn child(of: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
