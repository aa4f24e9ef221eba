use super::*;

/// This process's part of the file that lists every key.
fn example() -> &'static str {
    let both = include_str!("../../../../hextet.example.toml");
    both.split("# ======== agent.toml ========").nth(1).unwrap()
}

#[test]
fn the_example_loads_and_names_every_key() {
    let config = parse(example()).unwrap();
    assert_eq!(config.host.0, "host-1");
    for key in [
        "host",
        "state_dir",
        "socket",
        "instance",
        "hook",
        "resync_s",
        "metrics_listen",
        "address",
        "address_file",
        "name",
        "ca",
        "cert",
        "key",
        "first_ms",
        "max_ms",
        "rate",
        "burst",
        "ports",
        "sources",
        "neighbours",
        "punt_bytes",
        "physnet1",
    ] {
        assert!(
            example().lines().any(|line| line
                .trim_start_matches("# ")
                .starts_with(&format!("{key} ="))),
            "{key}"
        );
    }
}

#[test]
fn the_examples_values_are_the_defaults() {
    let short: String = example()
        .lines()
        .filter(|line| {
            ![
                "instance",
                "hook",
                "resync_s",
                "name",
                "first_ms",
                "max_ms",
                "rate",
                "burst",
                "ports",
                "sources",
                "neighbours",
                "punt_bytes",
            ]
            .iter()
            .any(|key| line.starts_with(&format!("{key} =")))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(parse(&short).unwrap(), parse(example()).unwrap());
}

#[test]
fn what_cannot_be_run_with_is_refused_by_its_key() {
    check(
        "host = \"host-1\"",
        "host = \"\"",
        "host must be 1 to 255 characters",
    );
    check(
        "resync_s = 30",
        "resync_s = 0",
        "resync_s must be 1 to 3600",
    );
    check(
        "max_ms = 5000",
        "max_ms = 100",
        "retry.max_ms must be first_ms to 600000",
    );
    check(
        "sources = 65536",
        "sources = 0",
        "maps.sources must be 1 to 1048576",
    );
    check(
        "punt_bytes = 1048576",
        "punt_bytes = 100000",
        "maps.punt_bytes must be a power of two, 65536 to 67108864",
    );
    check(
        "instance = \"hextet\"",
        "instance = \"a/b\"",
        "instance must be 1 to 32 of [a-z0-9-]",
    );
    check(
        "# address_file",
        "address_file",
        "server.address must be given, or server.address_file, and not both",
    );
    let many: String = (0..65).map(|n| format!("p{n} = \"nic{n}\"\n")).collect();
    for (lines, allowed) in [
        (
            "p = \"much-too-long-for-it\"",
            "names of interfaces, 1 to 15 characters each",
        ),
        (
            "p = \"a/b\"",
            "names of interfaces, 1 to 15 characters each",
        ),
        ("\"\" = \"eth1\"", "named with 1 to 64 characters"),
        (
            "p = \"eth1\"\nq = \"eth1\"",
            "a NIC of its own for each physical network",
        ),
        (many.as_str(), "at most 64 physical networks"),
    ] {
        let error = parse(&format!("{}\n{lines}", example())).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("physical_networks must be {allowed}")
        );
    }
    assert!(
        parse(&format!("surprise = 1\n{}", example())).is_err(),
        "unknown keys"
    );
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("agent.toml"))
}

fn check(from: &str, to: &str, expected: &str) {
    assert!(example().contains(from));
    let error = parse(&example().replacen(from, to, 1)).unwrap_err();
    assert_eq!(error.to_string(), expected);
}
