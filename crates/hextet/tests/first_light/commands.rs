//! What the commands say, and what they leave behind.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use hextet_agent::kernel::{Fastpath, FastpathConfig};
use serde_json::json;

use crate::fastpath;
use crate::support::{Cloud, Namespace, echo_replies, echoes, mounts, reaches, told, until};

#[test]
fn attach_says_why_not() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, _) = cloud.guest(&network, "one");
    let two = Namespace::new("two");
    cloud.create("port", json!({ "network_id": network, "name": "two" }));
    for _ in 0..2 {
        cloud.create("port", json!({ "network_id": network, "name": "twin" }));
    }
    for (arguments, expected) in [
        (
            vec!["nosuch", "--netns", &two.name],
            "no port has the id or the name \"nosuch\"".to_owned(),
        ),
        (
            vec!["twin", "--netns", &two.name],
            "2 ports have the name \"twin\": use an id".to_owned(),
        ),
        (
            vec!["two", "--netns", "nosuch"],
            "no network namespace named \"nosuch\" under /run/netns".to_owned(),
        ),
        (
            vec!["two", "--tap", "nosuch"],
            "no link named \"nosuch\"".to_owned(),
        ),
        (vec!["two", "--tap", "lo"], "lo is not a tap".to_owned()),
        (
            vec!["two", "--netns", &one.name],
            format!("netns {} eth0 carries port {id}", one.name),
        ),
        (
            vec!["one", "--netns", &two.name],
            format!(
                "port {id} is attached to netns {} eth0: detach it first",
                one.name
            ),
        ),
        (
            vec!["two", "--netns", &two.name, "--ifname", "lo"],
            format!("network namespace {} has a link named lo already", two.name),
        ),
    ] {
        let (code, out, err) = cloud.run(&[&["port", "attach"], arguments.as_slice()].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        assert!(err.contains(&expected), "{arguments:?}: {err}");
    }
    assert!(
        two.links().is_empty() && cloud.host.links().len() == 1,
        "what was refused left nothing"
    );
    let (code, _, _) = cloud.run(&["port", "attach", "one"]);
    assert_eq!(code, 2, "neither --netns nor --tap");
    cloud.done(&["port", "attach", "one", "--netns", &one.name]);
    let (code, _, err) = cloud.run(&["up"]);
    assert_eq!(code, 1);
    assert!(err.contains("is running on"), "{err}");
}

#[test]
fn detach_says_why_not() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let port = cloud.create("port", json!({ "network_id": network, "name": "one" }));
    let id = port["id"].as_str().unwrap();
    for (name, expected) in [
        (
            "nosuch",
            "no port has the id or the name \"nosuch\"".to_owned(),
        ),
        ("one", format!("port {id} is not attached on this host")),
    ] {
        let (code, out, err) = cloud.run(&["port", "detach", name]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}: {err}");
        assert!(err.contains(&expected), "{name}: {err}");
    }
}

#[test]
fn an_address_with_tls_that_speaks_none_is_no_answer() {
    let cloud = Cloud::new();
    let (code, _, err) = elsewhere(
        &cloud,
        "https://[::1]:9696/identity/v3",
        &["port", "detach", "x"],
    );
    assert_eq!(code, 1);
    let expected = "no answer from https://[::1]:9696/identity/v3";
    assert!(err.contains(expected), "{err}");
}

#[test]
fn down_says_what_it_could_not_do_and_can_be_run_again() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    cloud.stop();
    let (code, out, err) = cloud.run(&["down"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(
        err.contains("1 of this host's ports stay bound to it: `hextet up` was not running"),
        "{err}"
    );
    assert!(one.links().is_empty() && cloud.host.links().is_empty());
    assert_eq!(cloud.run(&["down"]), (0, String::new(), String::new()));

    cloud.up();
    cloud.done(&["port", "attach", "one", "--netns", &one.name]);
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    let (code, out, err) = elsewhere(&cloud, "http://[::1]:1/identity/v3", &["down"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(
        err.contains("1 of this host's ports may stay bound to it: no answer from http://[::1]:1/"),
        "{err}"
    );
    assert!(one.links().is_empty() && cloud.host.links().is_empty());

    cloud.up();
    assert_eq!(cloud.status(&id), "DOWN");
    cloud.done(&["port", "detach", "one"]);
    cloud.done(&["down"]);

    let empty = tempfile::tempdir().unwrap();
    let mut down = cloud.hextet(&["down"]);
    let output = cloud.host.output(down.arg("--dir").arg(empty.path()));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("`hextet up` never ran on"), "{err}");
}

#[test]
fn of_two_instances_on_one_machine_each_takes_down_its_own() {
    let gone = Cloud::new();
    let stays = gone.beside();
    let network = gone.network();
    let (other, _, _) = gone.guest(&network, "other");
    let network = stays.network();
    let (one, _, _) = stays.guest(&network, "one");
    let (two, _, second) = stays.guest(&network, "two");
    reaches(&one, second);
    let before = (echoes(&two), echo_replies(&one));
    let mut ping = Command::new("ping");
    let words = ["-6", "-i", "0.05", "-c", "40", "-W", "2"];
    ping.args(words).arg(second.to_string());
    let mut ping = one.spawn(ping.stdout(std::process::Stdio::null()));
    gone.done(&["down"]);
    ping.wait().unwrap();
    // What the kernels count: ping itself does not wait long for the last one.
    until("every question and every answer", || {
        let after = (echoes(&two), echo_replies(&one));
        (after == (before.0 + 40, before.1 + 40)).then_some(())
    });
    assert!(other.links().is_empty());
    assert_eq!(stays.host.links().len(), 2);
    // What is there still serves: another guest comes.
    let (_three, _, third) = stays.guest(&network, "three");
    reaches(&two, third);
}

#[test]
fn an_agent_leaves_the_socket_of_a_running_one_alone() {
    let cloud = Cloud::new();
    let config = std::fs::read_to_string(cloud.path("agent.toml")).unwrap();
    let other = cloud.path("other.toml");
    let own = cloud.agent_config().state_dir;
    let elsewhere = cloud.path("elsewhere");
    let text = config.replace(
        &format!("state_dir = \"{}\"", own.display()),
        &format!("state_dir = \"{}\"", elsewhere.display()),
    );
    assert_ne!(text, config);
    // Nor do they have the instance in common.
    let instance = cloud.agent_config().instance;
    let text = text.replace(&instance, &format!("{instance}x"));
    std::fs::write(&other, text).unwrap();
    let (code, _, error) = cloud.run(&["agent", "--config", other.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(error.contains("another agent listens at"), "{error}");
    cloud.done(&["port", "list"]);
    // It has a place for its pins by then.
    let left = FastpathConfig {
        instance: format!("{instance}x"),
        state_dir: elsewhere,
        ..fastpath(&cloud)
    };
    Fastpath::remove(&left).unwrap();
}

#[test]
fn down_leaves_nothing_but_the_database() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    for secret in [
        "hextet.db",
        "identity.toml",
        "clouds.yaml",
        "tls/ca.key",
        "run/agent.sock",
    ] {
        let mode = std::fs::metadata(cloud.path(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{secret}");
    }
    cloud.done(&["down"]);
    assert!(one.links().is_empty() && cloud.host.links().is_empty());
    assert_eq!(mounts(cloud.dir.path()), Vec::<String>::new());
    let pins = std::path::Path::new("/sys/fs/bpf/hextet").join(cloud.agent_config().instance);
    assert!(!pins.exists());
    for name in [
        "run/up.pid",
        "run/server.pid",
        "run/agent.pid",
        "run/agent.sock",
        "agent/ledger",
    ] {
        assert!(!cloud.path(name).exists(), "{name}");
    }
    cloud.up();
    assert_eq!(
        cloud.status(&id),
        "DOWN",
        "the port is there, bound to no host"
    );
    cloud.done(&["port", "attach", "one", "--netns", &one.name]);
    until("the same address again", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
}

/// Runs a subcommand with another server's address in its environment.
fn elsewhere(cloud: &Cloud, auth_url: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = cloud.hextet(arguments);
    command.env("OS_AUTH_URL", auth_url).envs([
        ("OS_USERNAME", "a"),
        ("OS_PASSWORD", "b"),
        ("OS_PROJECT_NAME", "c"),
    ]);
    let output = cloud.host.output(&mut command);
    told(output)
}
