//! What a client does stays with it, and ends with it.
//!
//! Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hextet_lab::jail;
use hextet_lab::run::{Namespace, wait_until_empty};

/// Far above what anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// What the worst of clients does: names the machine, writes where the machine has its files, and leaves a helper behind that
/// heeds no signal.
const RUDE: &str = "hostname told-by-dhcp; echo nameserver 2001:db8::bad > /etc/resolv.conf; \
     echo told > /var/lib/hextet-jail; echo told > /run/hextet-jail; \
     (trap '' TERM HUP INT; setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1000; done' &); \
     echo done > /run/done; while :; do sleep 1000; done";

/// What of the machine a client could have changed.
fn machine() -> Vec<Option<String>> {
    let files = [
        "/etc/resolv.conf",
        "/etc/hostname",
        "/proc/sys/kernel/hostname",
        "/var/lib/hextet-jail",
        "/run/hextet-jail",
    ];
    files.map(|file| fs::read_to_string(file).ok()).to_vec()
}

fn namespace(role: &str) -> Namespace {
    Namespace::create(format!("hxjail-{}-{role}", std::process::id()))
        .expect("this test makes network namespaces: run it as root")
}

fn start(namespace: &Namespace, directory: &Path, script: &str) -> Child {
    namespace
        .command("unshare")
        .args(jail::arguments(directory))
        .args(["sh", "-c", script])
        .stdin(Stdio::null())
        .spawn()
        .expect("unshare")
}

fn prepared(role: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("hxjail-{}-{role}", std::process::id()));
    fs::create_dir(&directory).expect("a directory of its own");
    jail::prepare(&directory).expect("its files");
    directory
}

fn wait_for(path: &Path) {
    let deadline = Instant::now() + BOUND;
    while !path.exists() {
        assert!(Instant::now() < deadline, "no {}", path.display());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_client_writes_names_and_starts_is_its_own() {
    let before = machine();
    let namespace = namespace("rude");
    let directory = prepared("rude");
    let mut client = start(&namespace, &directory, RUDE);
    wait_for(&directory.join("run/done"));
    let opened = || [namespace.open().expect("it is there")];
    let left = wait_until_empty(&opened(), Duration::ZERO).expect_err("it runs");
    // What started it, the shell around it, the client, its helper.
    let count = left.to_string().matches(namespace.name()).count();
    assert!(count >= 3, "{left}");
    client.kill().expect("it runs");
    client.wait().expect("it ended");
    wait_until_empty(&opened(), BOUND).expect("nothing of it goes on");
    assert_eq!(machine(), before);
    for (file, text) in [
        ("etc/resolv.conf", "nameserver 2001:db8::bad\n"),
        ("lib/hextet-jail", "told\n"),
        ("run/hextet-jail", "told\n"),
    ] {
        let wrote = fs::read_to_string(directory.join(file)).expect(file);
        assert_eq!(wrote, text, "{file}");
    }
    fs::remove_dir_all(directory).expect("it is ours");
}

#[test]
fn what_is_left_in_a_namespace_is_found_after_the_name_is_gone() {
    let namespace = namespace("left");
    let mut command: Command = namespace.command("sleep");
    let mut left = command.arg("1000").spawn().expect("sleep");
    let opened = [namespace.open().expect("it is there")];
    let name = namespace.name().to_owned();
    // nsenter becomes what it starts.
    let comm = PathBuf::from(format!("/proc/{}/comm", left.id()));
    let deadline = Instant::now() + BOUND;
    while fs::read_to_string(&comm).is_ok_and(|text| text.trim() != "sleep") {
        assert!(Instant::now() < deadline, "nsenter goes on");
        thread::sleep(Duration::from_millis(10));
    }
    drop(namespace);
    let found = wait_until_empty(&opened, Duration::ZERO).expect_err("it is there");
    let expected = format!("left behind: sleep ({}) in {name}", left.id());
    assert_eq!(found.to_string(), expected);
    left.kill().expect("it runs");
    left.wait().expect("it ended");
    wait_until_empty(&opened, BOUND).expect("nothing is left");
}
