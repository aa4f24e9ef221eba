//! A plain KVM host: a domain of libvirt on a tap that the agent adopts by its name. libvirt is Debian's, by its daemon and
//! `virsh`, and with its driver in a process of ours (`virt-qemu-run`); its files are in a folder of ours. The guest is Debian's
//! kernel, by software emulation.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hextet_lab::clouds::{Proof, login};
use hextet_lab::machine::{Initrd, KERNEL_ARGUMENTS, Kernel};
use serde_json::{Value, json};

use crate::support::{Cloud, kill, told, until};

/// How long a guest may take until it says that it has its addresses; far above what any takes.
const GUEST_BOUND: Duration = Duration::from_secs(600);

/// What the guest does: asks for addresses by both families, and tells again and again what it has.
const START: &str = "\
ip link set eth0 up
udhcpc -b -t 1000 -i eth0 -s /etc/udhcpc/default.script -O mtu
while sleep 1; do ip -o addr show dev eth0 | sed 's/^/seen: /'; ip -o link show dev eth0 | sed 's/^/seen: /'; done &
";

/// libvirt finds its user, which comes with a package of daemons that nobody here needs, and no /dev/kvm, which is on some
/// machines and of no use.
const PREPARE: &str = r#"
set -e
mount -t tmpfs run /run
mkdir -p dev && mount -t tmpfs dev dev && mkdir dev/net
for device in null zero full random urandom net/tun; do : > dev/$device; mount --bind /dev/$device dev/$device; done
mount --rbind dev /dev
(cat /etc/passwd; echo 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin') > passwd
(cat /etc/group; echo 'libvirt-qemu:x:64055:') > group
mount --bind passwd /etc/passwd
mount --bind group /etc/group
"#;

/// Its driver alone, which ends its guest when it is told to end.
const EMBEDDED: &str = r#"exec virt-qemu-run --root="$PWD/root" "$PWD/domain.xml""#;

/// Its daemon, asked by `virsh` as on any host, until nobody listens to us any more.
const DAEMON: &str = r#"
for folder in /var/lib /var/cache /var/log; do mount -t tmpfs libvirt $folder; done
mount --bind root/etc /etc/libvirt
libvirtd --config /etc/libvirt/libvirtd.conf &
daemon=$!
until virsh -q version >/dev/null 2>&1; do kill -0 $daemon; sleep 0.1; done
virsh -q define domain.xml
virsh -q start guest1
virsh -q domiflist guest1 > interfaces.new
mv interfaces.new interfaces
read -r _ || true
virsh -q destroy guest1
virsh -q undefine guest1
"#;

const LIBVIRTD_CONF: &str = "auth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n";

const QEMU_CONF: &str = r#"
user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"#;

/// A cloud with a port for a machine, of both families.
fn cloud_for_a_machine() -> (Cloud, Value) {
    let cloud = Cloud::new();
    let network = cloud.network();
    cloud.create(
        "subnet",
        json!({ "network_id": network, "ip_version": 4, "cidr": "10.9.0.0/24" }),
    );
    let port = cloud.create("port", json!({ "network_id": network, "name": "vm" }));
    (cloud, port)
}

/// The name that a tap of this port has.
fn tap_of(port: &Value) -> String {
    format!("tap{}", &port["id"].as_str().unwrap()[..11])
}

#[test]
fn libvirt_domains_get_their_addresses_on_taps_that_are_adopted_by_their_names() {
    let (cloud, port) = cloud_for_a_machine();
    let id = port["id"].as_str().unwrap();
    let tap = tap_of(&port);
    // Bound before there is any tap.
    let host = cloud.agent_config().host.0;
    let bind = json!({ "port": { "binding:host_id": host } });
    cloud.api("PUT", &format!("ports/{id}"), Some(bind));
    assert_eq!(cloud.status(id), "DOWN");
    let folder = tempfile::tempdir().unwrap();

    cloud.host.ip(&format!("tuntap add dev {tap} mode tap"));
    until("the tap is adopted before its guest starts", || {
        (cloud.status(id) == "ACTIVE").then_some(())
    });
    let xml = cloud.done(&["port", "libvirt-xml", "vm"]);
    let domain = Domain::start(&cloud, folder.path(), &xml);
    domain.holds(&port["fixed_ips"]);
    assert_eq!(cloud.listed(id)["carrier"], true);
    domain.stop();
    until("its carrier goes with the guest, the tap stays", || {
        (cloud.listed(id)["carrier"] == false).then_some(())
    });
    assert_eq!(cloud.status(id), "ACTIVE");

    cloud.host.ip(&format!("link del {tap}"));
    until("no tap", || (cloud.status(id) == "DOWN").then_some(()));
    let xml = cloud.done(&["port", "libvirt-xml", id, "--managed"]);
    let domain = Domain::start(&cloud, folder.path(), &xml);
    until("the tap that libvirt makes is adopted", || {
        (cloud.status(id) == "ACTIVE").then_some(())
    });
    domain.holds(&port["fixed_ips"]);
    domain.stop();
    until("the tap went with the guest", || {
        (cloud.host.links().is_empty() && cloud.status(id) == "DOWN").then_some(())
    });
}

#[test]
fn libvirts_daemon_starts_and_ends_a_domain_on_a_tap_and_leaves_the_tap() {
    let (cloud, port) = cloud_for_a_machine();
    let id = port["id"].as_str().unwrap();
    let tap = tap_of(&port);
    cloud.host.ip(&format!("tuntap add dev {tap} mode tap"));
    until("the tap is adopted", || {
        (cloud.status(id) == "ACTIVE").then_some(())
    });
    let before = cloud.host.links_seen();
    let folder = tempfile::tempdir().unwrap();
    let xml = cloud.done(&["port", "libvirt-xml", "vm"]);
    let domain = Domain::by_daemon(&cloud, folder.path(), &xml);
    let interfaces = until("virsh has started it", || {
        fs::read_to_string(folder.path().join("interfaces")).ok()
    });
    let words: Vec<&str> = interfaces.split_whitespace().collect();
    let mac = port["mac_address"].as_str().unwrap();
    assert_eq!(words, [&tap, "ethernet", "-", "virtio", mac]);
    domain.holds(&port["fixed_ips"]);
    domain.stop();
    until("its carrier goes with the guest", || {
        (cloud.listed(id)["carrier"] == false).then_some(())
    });
    let after = cloud.host.links_seen();
    assert_eq!(after.len(), 1, "the tap stays");
    let same = (after[0].ifindex, after[0].mac, after[0].mtu);
    assert_eq!(same, (before[0].ifindex, before[0].mac, before[0].mtu));
    assert_eq!(cloud.status(id), "ACTIVE");
}

#[test]
fn whoever_may_see_a_port_may_have_its_element_and_nobody_else() {
    let cloud = Cloud::new();
    let hidden = cloud.network();
    cloud.create("port", json!({ "network_id": hidden, "name": "hidden" }));
    let projects = cloud.done(&["identity", "project", "list", "-f", "json"]);
    let projects: Vec<Value> = serde_json::from_str(&projects).unwrap();
    let demo = projects.iter().find(|project| project["name"] == "demo");
    let demo = &demo.unwrap()["id"];
    let network = cloud.create(
        "network",
        json!({ "name": "own", "mtu": 1400, "project_id": demo }),
    );
    let port = json!({ "network_id": network["id"], "name": "own", "project_id": demo });
    let port = cloud.create("port", port);

    let as_member = |port: &str| {
        let text = fs::read_to_string(cloud.path("clouds.yaml")).unwrap();
        let login = login(&text, "hextet-demo").unwrap();
        let Proof::Password {
            username,
            password,
            project_name,
            ..
        } = login.proof
        else {
            unreachable!("hextet up writes passwords")
        };
        let mut command = cloud.hextet(&["port", "libvirt-xml", port]);
        command
            .env("OS_AUTH_URL", login.auth_url)
            .env("OS_USERNAME", username)
            .env("OS_PASSWORD", password)
            .env("OS_PROJECT_NAME", project_name);
        told(cloud.host.output(&mut command))
    };
    let (code, out, err) = as_member("own");
    assert_eq!(code, 0, "{err}");
    let tap = tap_of(&port);
    for part in [port["mac_address"].as_str().unwrap(), &tap, "'1400'"] {
        assert!(out.contains(part), "{out}");
    }
    let (code, out, err) = as_member("hidden");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("no port has the id or the name \"hidden\""),
        "{err}"
    );
}

/// A domain that runs, ended when dropped.
struct Domain {
    console: PathBuf,
    process: Child,
}

impl Domain {
    /// With this NIC, on the cloud's host.
    fn start(cloud: &Cloud, folder: &Path, interface: &str) -> Self {
        let script = format!("{PREPARE}{EMBEDDED}");
        Self::run(cloud, folder, interface, &[], &script)
    }

    /// The same by libvirt's daemon, of which nothing is left at its end.
    fn by_daemon(cloud: &Cloud, folder: &Path, interface: &str) -> Self {
        let script = format!("{PREPARE}{DAEMON}");
        let own = ["--uts", "--pid", "--mount-proc", "--fork", "--kill-child"];
        Self::run(cloud, folder, interface, &own, &script)
    }

    /// Run by this script in namespaces of its own.
    fn run(
        cloud: &Cloud,
        folder: &Path,
        interface: &str,
        namespaces: &[&str],
        script: &str,
    ) -> Self {
        let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kernel");
        let kernel = Kernel::open(&kernel).unwrap();
        let mut initrd = Initrd::new(&kernel, START).unwrap();
        initrd.program("ip").unwrap();
        initrd
            .copy(Path::new("/etc/udhcpc/default.script"))
            .unwrap();
        initrd.write(&folder.join("initrd")).unwrap();
        let console = folder.join("console.log");
        let _ = fs::remove_file(&console);
        let xml = format!(
            "<domain type='qemu'><name>guest1</name><memory unit='MiB'>192</memory>\
             <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{}</kernel><initrd>{}</initrd>\
             <cmdline>{KERNEL_ARGUMENTS}</cmdline></os><devices>\
             <emulator>/usr/bin/qemu-system-x86_64</emulator>\
             <serial type='file'><source path='{}'/></serial>{interface}</devices></domain>",
            kernel.image().display(),
            folder.join("initrd").display(),
            console.display(),
        );
        fs::write(folder.join("domain.xml"), xml).unwrap();
        let judged = Command::new("virt-xml-validate")
            .arg(folder.join("domain.xml"))
            .arg("domain")
            .output()
            .expect("virt-xml-validate (package libvirt-clients)");
        let (code, out, err) = told(judged);
        assert_eq!(code, 0, "libvirt's schema: {out}{err}");
        fs::create_dir_all(folder.join("root/etc")).unwrap();
        fs::write(folder.join("root/etc/qemu.conf"), QEMU_CONF).unwrap();
        fs::write(folder.join("root/etc/libvirtd.conf"), LIBVIRTD_CONF).unwrap();
        let mut run = Command::new("unshare");
        run.args(namespaces)
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::piped());
        Self {
            console,
            process: cloud.host.spawn(&mut run),
        }
    }

    /// Waits until the guest says that it uses all of these, with the network's MTU.
    fn holds(&self, fixed_ips: &serde_json::Value) {
        let addresses = fixed_ips.as_array().unwrap().iter();
        let addresses =
            addresses.map(|fixed| format!(" {}/", fixed["ip_address"].as_str().unwrap()));
        let mut wanted: Vec<String> = addresses.collect();
        wanted.push("mtu 1430 ".to_owned());
        assert_eq!(wanted.len(), 3, "both families");
        let started = Instant::now();
        loop {
            let said = fs::read_to_string(&self.console).unwrap_or_default();
            let has = |wanted: &String| {
                let mut lines = said.lines().filter(|line| line.starts_with("seen: "));
                lines.any(|line| line.contains(wanted) && !line.contains("tentative"))
            };
            if wanted.iter().all(has) {
                return;
            }
            assert!(started.elapsed() < GUEST_BOUND, "no {wanted:?} in:\n{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// `virsh destroy`, or as that.
    fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // The one ends by the signal, the other, which does not get it, when nobody listens.
        drop(self.process.stdin.take());
        kill(&self.process.id().to_string(), "TERM");
        self.process.wait().unwrap();
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // A test that failed: libvirt ends its guest itself.
        if let Ok(None) = self.process.try_wait() {
            self.end();
        }
    }
}
