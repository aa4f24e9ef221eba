use super::*;

/// This process's part of the file that lists every key.
fn example() -> &'static str {
    let both = include_str!("../../../../hextet.example.toml");
    both.split("# ======== agent.toml ========").next().unwrap()
}

/// The example with the defaults said, too.
fn everything() -> String {
    let lines = example().lines().map(|line| {
        let said = line
            .strip_prefix("# ")
            .filter(|said| is_key(said) || said.starts_with('['));
        said.unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_key(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        !key.is_empty()
            && key
                .bytes()
                .all(|octet| octet == b'_' || octet.is_ascii_lowercase())
    })
}

#[test]
fn the_example_loads_and_its_commented_values_are_the_defaults() {
    let short = ServerConfig::parse(example()).unwrap();
    let long = ServerConfig::parse(&everything()).unwrap();
    assert_eq!((short.tls, long.tls.is_some()), (None, true));
    assert_eq!((short.access_log, long.access_log), (true, true));
    assert_eq!(short.log_format, long.log_format);
    assert_eq!(short.quotas, long.quotas);
    assert_eq!(short.quotas, Defaults::default());
    assert_eq!(
        (short.metrics_listen, long.metrics_listen.is_some()),
        (None, true)
    );
    assert_eq!(short.underlay.mtu_max(None), 1430);
    assert_eq!(short.underlay, long.underlay);
    assert_eq!(short.base_mac, long.base_mac);
    assert_eq!(short.feed.listen, long.feed.listen);
    assert_eq!(short.token_lifetime, long.token_lifetime);
    let duid = short.settings.server_duid;
    let settings = CloudSettings {
        server_duid: duid,
        ..long.settings
    };
    assert_eq!(short.settings, settings);
    assert_eq!(settings, CloudSettings::with_defaults(duid));
}

/// Every key that the file can have, by asking the parser for each in turn what it misses or knows.
#[test]
fn the_example_lists_every_key() {
    let sections: [(&str, &[&str]); 10] = [
        (
            "",
            &[
                "listen",
                "database",
                "public_url",
                "underlay_mtu",
                "physical_mtu",
                "physical_networks",
                "vni_range",
                "base_mac",
                "dns_search",
                "access_log",
                "log_format",
                "metrics_listen",
                "tls",
                "feed",
                "identity",
                "quotas",
                "ra",
                "lifetimes",
                "dhcpv6",
                "dhcpv4",
            ],
        ),
        ("tls", &["cert", "key"]),
        ("feed", &["listen", "address_file", "claim_hosts", "tls"]),
        ("feed.tls", &["ca", "cert", "key"]),
        ("identity", &["accounts", "token_lifetime_s"]),
        ("quotas", &["network", "subnet", "port"]),
        ("ra", &["max_interval_s", "retrans_timer_ms"]),
        ("lifetimes", &["preferred_s", "valid_s"]),
        ("dhcpv6", &["renew_s", "rebind_s"]),
        ("dhcpv4", &["lease_s", "renew_s", "rebind_s"]),
    ];
    let table: toml::Table = everything().parse().unwrap();
    for (section, keys) in sections {
        let mut table = &table;
        for step in section.split('.').filter(|step| !step.is_empty()) {
            table = table[step].as_table().unwrap();
        }
        let listed: Vec<&str> = table.keys().map(String::as_str).collect();
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let mut listed_sorted = listed.clone();
        listed_sorted.sort_unstable();
        assert_eq!(listed_sorted, keys, "[{section}]");
        // The parser itself names what it knows there.
        let unknown = format!("{}\n", with_unknown(section));
        let told = ServerConfig::parse(&unknown).unwrap_err().to_string();
        for key in &keys {
            assert!(
                told.contains(&format!("`{key}`")),
                "[{section}] {key}: {told}"
            );
        }
        assert_eq!(
            told.matches('`').count(),
            2 * (keys.len() + 1),
            "[{section}]: {told}"
        );
    }
}

/// The whole example with a key that nobody knows in one section.
fn with_unknown(section: &str) -> String {
    if section.is_empty() {
        return format!("xyzzy = 1\n{}", everything());
    }
    let head = format!("[{section}]");
    everything().replacen(&head, &format!("{head}\nxyzzy = 1"), 1)
}

#[test]
fn a_value_out_of_range_is_refused_with_what_is_allowed() {
    for (line, key, allowed) in [
        (
            "database = \"postgres:x\"",
            "database",
            "sqlite:PATH or postgresql://",
        ),
        (
            "database = \"postgresql://u:secret@db.example\"",
            "database",
            "names no database",
        ),
        ("base_mac = 'fa:16:3e'", "base_mac", "six octets"),
        ("base_mac = '01:16:3e:00:00:00'", "base_mac", "of unicast"),
        ("base_mac = '02:68:78:00:00:00'", "base_mac", "not 02:68:78"),
        ("underlay_mtu = 1349", "underlay_mtu", "1350 to 65535"),
        ("physical_mtu = 1279", "physical_mtu", "1280 to 65535"),
        (
            "physical_networks = [\"\"]",
            "physical_networks",
            "1 to 64 characters",
        ),
        ("claim_hosts = [\"\"]", "feed.claim_hosts", "1 to 255"),
        ("claim_hosts = [\"*\", \"a\"]", "feed.claim_hosts", "alone"),
        (
            "physical_networks = [\"a\", \"b\", \"a\"]",
            "physical_networks",
            "each once",
        ),
        ("vni_range = [9, 8]", "vni_range", "1 to 16777215"),
        ("vni_range = [0, 8]", "vni_range", "first and the last"),
        ("max_interval_s = 3", "ra.max_interval_s", "4 to 1800"),
        (
            "retrans_timer_ms = 60001",
            "ra.retrans_timer_ms",
            "0 to 60000",
        ),
        (
            "preferred_s = 29",
            "lifetimes.preferred_s",
            "30 to 31536000",
        ),
        ("valid_s = 2699", "lifetimes.valid_s", "2700 to 31536000"),
        ("renew_s = 2161", "dhcpv6.renew_s", "15 to 2160"),
        ("rebind_s = 2701", "dhcpv6.rebind_s", "15 to 2700"),
        ("lease_s = 29", "dhcpv4.lease_s", "30 to 31536000"),
        ("lease_s = 4724", "dhcpv4.rebind_s", "15 to 4724"),
        (
            "token_lifetime_s = 59",
            "identity.token_lifetime_s",
            "60 to 604800",
        ),
        ("dns_search = [\"example.\"]", "dns_search", "without a dot"),
        ("public_url = \"cloud\"", "public_url", "http://"),
    ] {
        let name = line.split(' ').next().unwrap();
        let text: Vec<String> = everything()
            .lines()
            .map(|said| match said.starts_with(&format!("{name} = ")) {
                true => line.to_owned(),
                false => said.to_owned(),
            })
            .collect();
        let told = ServerConfig::parse(&text.join("\n"))
            .unwrap_err()
            .to_string();
        assert!(
            told.starts_with(key) && told.contains(allowed),
            "{line}: {told}"
        );
    }
}

#[test]
fn a_line_with_a_url_is_not_quoted_when_it_cannot_be_read() {
    for (line, quoted) in [
        ("database = postgresql://u:secret@h/n", false),
        ("database = \"postgresql://u:secret@h/n", false),
        (
            "database = \"postgresql://u:secret@h/n?sslmode=prefer\"",
            false,
        ),
        ("listen = not-secret-at-all", true),
    ] {
        let text = format!(
            "{line}\n{}",
            everything().replace("database =", "xdatabase =")
        );
        let told = ServerConfig::parse(&text).unwrap_err().to_string();
        assert_eq!(told.contains("secret"), quoted, "{told}");
    }
}
