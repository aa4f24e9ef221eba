//! What may happen to a host under traffic: no datagram of an established flow is lost by any of it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::PathBuf;
use std::process::Command;

use hextet_agent::kernel::fastpath::{PuntBudget, Sizes};
use hextet_agent::kernel::{Fastpath, FastpathConfig, Hook, MapOp, Rows, netns};

use crate::metrics::{LISTEN, figures};
use crate::support::{Cloud, Flow, Stream, kill, reaches, told, until};

/// Where the pins of a cloud's agent are.
pub fn pins(cloud: &Cloud) -> PathBuf {
    let config = cloud.agent_config();
    let system = PathBuf::from("/sys/fs/bpf/hextet").join(&config.instance);
    let own = config.state_dir.join("bpf/hextet").join(&config.instance);
    let found = if system.is_dir() { system } else { own };
    let mut schemas = std::fs::read_dir(found).unwrap();
    schemas.next().unwrap().unwrap().path()
}

fn count(path: &PathBuf) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

/// The fast path of a cloud's agent, opened by another process. Maps that are not there are made, of these sizes.
pub fn beside(cloud: &Cloud, sizes: Sizes) -> Fastpath {
    let config = cloud.agent_config();
    let beside = FastpathConfig {
        instance: config.instance,
        state_dir: config.state_dir,
        hook: Hook::Tcx,
        sizes,
        punt: PuntBudget {
            per_second: config.punt.rate,
            burst: config.punt.burst,
        },
    };
    let inside = netns::inside(&cloud.host.path, || Fastpath::open(&beside));
    inside.unwrap().unwrap()
}

/// A first line of agent.toml, before its tables.
fn configure(cloud: &mut Cloud, line: &str) {
    cloud.stop();
    configure_stopped(cloud, line);
}

pub fn configure_stopped(cloud: &mut Cloud, line: &str) {
    let path = cloud.path("agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{line}\n{text}")).unwrap();
    cloud.up();
}

#[test]
fn no_datagram_is_lost_by_what_happens_to_a_host() {
    let mut cloud = Cloud::new();
    configure(&mut cloud, "resync_s = 1");
    let network = cloud.network();
    let (one, _, first) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    let (three, third_id, third) = cloud.guest(&network, "three");
    until("all addresses", || {
        let has = one.addresses().contains(&(first, 64));
        let both = has && two.addresses().contains(&(second, 64));
        (both && three.addresses().contains(&(third, 64))).then_some(())
    });
    reaches(&one, second);
    let stream = Stream::start(&one, &two, second);
    let flow = Flow::start(&one, &two, second);
    let flows_on = |flow: &Flow| {
        stream.flows_on();
        let until_now = flow.sent();
        until("the flow goes on", || {
            (flow.sent() > until_now + 2_000).then_some(())
        });
    };

    let pins = pins(&cloud);
    let pinned = count(&pins);
    std::fs::remove_dir_all(&pins).unwrap();
    flows_on(&flow);
    until("deleted pins are made again", || {
        (count(&pins) == pinned).then_some(())
    });
    assert!(cloud.log_text().contains("pins of the fast path were gone"));

    let link = cloud.host_end(&third_id);
    cloud.host.ip(&format!("link del {link}"));
    until("a removed link is made again", || {
        cloud.host.links().contains(&link).then_some(())
    });
    flows_on(&flow);
    reaches(&three, second);

    // A server that is away: the agent is killed meanwhile, and has its ledger alone.
    kill(&cloud.pid("server"), "STOP");
    let agent = cloud.pid("agent");
    kill(&agent, "KILL");
    until("the agent is back without a server", || {
        let back = cloud.pid("agent") != agent && cloud.run(&["port", "list"]).0 == 0;
        back.then_some(())
    });
    flows_on(&flow);
    reaches(&three, second);

    // A corrupt ledger besides: it is said, nothing is touched, and the plan is asked for anew.
    let agent = cloud.pid("agent");
    std::fs::write(cloud.path("agent/ledger"), "nonsense").unwrap();
    kill(&agent, "KILL");
    until("it is said", || {
        cloud
            .log_text()
            .contains("the ledger is unreadable")
            .then_some(())
    });
    flows_on(&flow);
    reaches(&three, second);
    kill(&cloud.pid("server"), "CONT");
    until("the ledger is whole again", || {
        let ledger = std::fs::read(cloud.path("agent/ledger"));
        ledger.is_ok_and(|bytes| bytes != b"nonsense").then_some(())
    });
    reaches(&three, second);

    stream.end();
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
}

#[test]
fn another_build_takes_the_agents_place_without_a_gap() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, first) = cloud.guest(&network, "one");
    let (two, id, second) = cloud.guest(&network, "two");
    until("both addresses", || {
        let has = one.addresses().contains(&(first, 64));
        (has && two.addresses().contains(&(second, 64))).then_some(())
    });
    reaches(&one, second);
    let newer = cloud.path("newer");
    std::fs::copy(env!("CARGO_BIN_EXE_hextet"), &newer).unwrap();
    let config = cloud.path("agent.toml");
    let replace = || {
        let mut command = Command::new(&newer);
        command
            .args(["agent", "--replace", "--config"])
            .arg(&config);
        told(cloud.host.output(&mut command))
    };
    let agent = cloud.pid("agent");
    let program = || std::fs::read_link(format!("/proc/{agent}/exe")).unwrap();
    let before = program();
    let stream = Stream::start(&one, &two, second);
    let flow = Flow::start(&one, &two, second);

    let good = std::fs::read_to_string(&config).unwrap();
    let other = good.replace("state_dir = \"", "state_dir = \"/tmp/another");
    std::fs::write(&config, other).unwrap();
    let (code, _, error) = replace();
    assert_eq!(code, 1);
    assert!(
        error.contains("the configuration is another one's"),
        "{error}"
    );
    std::fs::write(&config, &good).unwrap();
    let ledger = cloud.path("agent/ledger");
    let kept = std::fs::read(&ledger).unwrap();
    std::fs::write(&ledger, "nonsense").unwrap();
    let (code, _, error) = replace();
    assert_eq!(code, 1);
    assert!(error.contains("the running agent goes on"), "{error}");
    assert!(error.contains("cannot read the ledger"), "{error}");
    std::fs::write(&ledger, kept).unwrap();
    assert_eq!(program(), before);
    cloud.done(&["port", "list"]);

    for _ in 0..3 {
        let (code, out, error) = replace();
        assert_eq!(code, 0, "{error}");
        assert!(
            out.starts_with(&format!("replaced: process {agent} runs ")),
            "{out}"
        );
        assert_eq!(program(), newer);
        // Whoever asks at once is answered.
        cloud.done(&["port", "show", &id]);
    }
    assert_eq!(
        cloud.pid("agent"),
        agent,
        "who started it sees the same process"
    );
    assert!(!cloud.log_text().contains("it is started again"));
    let (three, _, third) = cloud.guest(&network, "three");
    until("a new guest's address", || {
        three.addresses().contains(&(third, 64)).then_some(())
    });
    stream.end();
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
}

#[test]
fn rows_that_are_changed_behind_the_agents_back_are_put_right() {
    let mut cloud = Cloud::new();
    configure(&mut cloud, "resync_s = 1");
    let network = cloud.network();
    let (one, _, _) = cloud.guest(&network, "one");
    let (_two, _, second) = cloud.guest(&network, "two");
    reaches(&one, second);
    let fastpath = beside(&cloud, Sizes::default());
    let before = fastpath.dump().unwrap();
    let source = *before.sources.keys().next().unwrap();
    let neighbour = *before.neigh.keys().next().unwrap();
    let fdb = *before.fdb.keys().next().unwrap();
    let port = *before.ports.keys().next().unwrap();
    let strange = (source.0, "2001:db8:bad::1".parse().unwrap());
    let row = before.sources[&source];
    let drift = [
        MapOp::RemoveSource(source),
        MapOp::RemoveNeigh(neighbour),
        MapOp::RemoveFdb(fdb),
        MapOp::RemovePort(port),
        MapOp::SetSource(strange, row),
    ];
    // What guests report of groups meanwhile is no drift.
    let drifted = |now: &Rows| !before.diff(now).is_empty() || !now.diff(&before).is_empty();
    let repairs = || cloud.log_text().matches("reconcile ops=").count();
    for change in drift {
        let repaired = repairs();
        fastpath.apply(std::slice::from_ref(&change)).unwrap();
        until(&format!("{change:?} is found"), || {
            (repairs() > repaired).then_some(())
        });
        until(&format!("{change:?} is put right"), || {
            (!drifted(&fastpath.dump().unwrap())).then_some(())
        });
    }
    reaches(&one, second);
}

#[test]
fn a_program_that_somebody_took_off_a_link_is_soon_put_on_again() {
    for hook in ["tcx", "clsact"] {
        let mut cloud = Cloud::new();
        cloud.stop();
        cloud.done(&["down"]);
        // No pass comes by itself.
        let lines = format!("hook = \"{hook}\"\nresync_s = 3600\nmetrics_listen = \"{LISTEN}\"");
        configure_stopped(&mut cloud, &lines);
        let network = cloud.network();
        let (one, id, _) = cloud.guest(&network, "one");
        let (two, _, second) = cloud.guest(&network, "two");
        reaches(&one, second);
        let taken_off = || figures(&cloud)["hextet_agent_programs_taken_off_total"];
        assert_eq!(taken_off(), 0.0);
        let link = cloud.host_end(&id);
        let links = cloud.host.links_seen();
        let ifindex = links.iter().find(|seen| seen.name == link).unwrap().ifindex;
        let mut detach = match hook {
            "tcx" => {
                let mut detach = Command::new("bpftool");
                let pin = pins(&cloud).join(format!("link_{ifindex}"));
                detach.args(["link", "detach", "pinned"]).arg(pin);
                detach
            }
            _ => {
                let mut detach = Command::new("tc");
                detach.args(["qdisc", "del", "dev", &link, "clsact"]);
                detach
            }
        };
        for times in [1.0, 2.0] {
            let (code, _, error) = told(cloud.host.output(&mut detach));
            assert_eq!(code, 0, "{error}");
            until("it is counted", || (taken_off() == times).then_some(()));
            reaches(&one, second);
        }
        assert!(
            cloud
                .log_text()
                .contains("somebody took the program off links")
        );
        assert_eq!(cloud.status(&id), "ACTIVE");
        // What the guest may not send is dropped again.
        let spoofed = "hextet_agent_frames_total{kind=\"drop\",verdict=\"mac_spoofed\"}";
        let before = figures(&cloud)[spoofed];
        one.ip("link set eth0 down");
        one.ip("link set eth0 address 02:00:00:00:00:98");
        one.ip("link set eth0 up");
        until("another's MAC is dropped", || {
            (figures(&cloud)[spoofed] > before).then_some(())
        });
        drop(two);
    }
}

#[test]
fn a_second_agent_of_an_instance_does_not_start_whoever_runs_the_first() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, _) = cloud.guest(&network, "one");
    let (_two, _, second) = cloud.guest(&network, "two");
    reaches(&one, second);
    let config = cloud.path("agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let dir = cloud.path("");
    let dir = dir.to_str().unwrap();
    // Its own directory and socket: all that they have in common is the instance.
    let text = text
        .replace(&format!("{dir}agent\""), &format!("{dir}agent2\""))
        .replace("agent.sock", "agent2.sock");
    let other = cloud.path("agent2.toml");
    std::fs::write(&other, text).unwrap();
    let refused = || {
        let agent = cloud.hextet(&["agent", "--config", other.to_str().unwrap()]);
        // One that starts all the same would go on for ever.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "30"]);
        command.arg(agent.get_program()).args(agent.get_args());
        command.envs(
            agent
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let (code, _, error) = told(cloud.host.output(&mut command));
        assert_eq!(code, 1, "{error}");
        let instance = cloud.agent_config().instance;
        let said = format!("another agent runs as instance {instance:?} on this machine");
        assert!(error.contains(&said), "{error}");
    };
    refused();
    // Another build in the first one's place has its lock.
    cloud.done(&["agent", "--replace", "--config", config.to_str().unwrap()]);
    refused();
    let agent = cloud.pid("agent");
    kill(&agent, "KILL");
    until("the first is started again", || {
        let back = cloud.pid("agent") != agent && cloud.run(&["port", "list"]).0 == 0;
        back.then_some(())
    });
    refused();
    reaches(&one, second);
}

/// The kernel's loader of dynamic programs, whose name is the architecture's.
fn loader() -> PathBuf {
    let folders = ["/lib64", "/lib"].map(|folder| std::fs::read_dir(folder).ok());
    let mut entries = folders.into_iter().flatten().flatten().flatten();
    let found = entries.find(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("ld-linux")
    });
    found.expect("a dynamic loader").path()
}

fn program(cloud: &Cloud, name: &str, bytes: &[u8]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = cloud.path(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_program_that_could_not_run_is_refused_and_another_one_is_not() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, _) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    reaches(&one, second);
    let own = env!("CARGO_BIN_EXE_hextet");
    let whole = std::fs::read(own).unwrap();
    let config = cloud.path("agent.toml");
    let config = config.to_str().unwrap();
    let agent = cloud.pid("agent");
    let exe = || std::fs::read_link(format!("/proc/{agent}/exe")).unwrap();
    let before = exe();
    let flow = Flow::start(&one, &two, second);
    let replace = |program: &PathBuf| {
        let program = program.to_str().unwrap();
        cloud.run(&[
            "agent",
            "--replace",
            "--program",
            program,
            "--config",
            config,
        ])
    };
    let refused = |(code, _, error): (i32, String, String)| {
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("the running agent goes on"), "{error}");
        assert_eq!((exe(), cloud.pid("agent")), (before.clone(), agent.clone()));
        cloud.done(&["port", "list"]);
    };
    // Cut short; no program; one that says nothing; one that says no; and by the loader, which would take "agent" for a
    // program's name.
    refused(replace(&program(&cloud, "cut", &whole[..1 << 20])));
    refused(replace(&program(&cloud, "text", b"nonsense")));
    refused(replace(&PathBuf::from("/bin/true")));
    let no = b"#!/bin/sh\necho not today >&2\nexit 3\n";
    let told_no = replace(&program(&cloud, "no", no));
    assert!(told_no.2.contains("not today"), "{}", told_no.2);
    refused(told_no);
    let mut by_loader = Command::new(loader());
    by_loader.args([own, "agent", "--replace", "--config", config]);
    refused(told(cloud.host.output(&mut by_loader)));

    // Another file, and one that a script runs.
    let other = program(&cloud, "other", &[&whole[..], b"another build"].concat());
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", own);
    let script = program(&cloud, "script", script.as_bytes());
    for (program, runs) in [
        (&other, &other),
        (&script, &PathBuf::from(own)),
        (&other, &other),
    ] {
        let (code, out, error) = replace(program);
        assert_eq!(code, 0, "{error}");
        assert!(out.starts_with("replaced: process "), "{out}");
        assert_eq!(&exe(), runs);
        cloud.done(&["port", "list"]);
    }
    assert_eq!(cloud.pid("agent"), agent);
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
}
