use serde_json::json;

use super::*;

#[test]
fn the_promise_is_the_subnets_by_what_the_client_makes_of_routes() {
    let subnet = json!({
        "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "dns_nameservers": ["192.0.2.53"],
        "host_routes": [{ "destination": "198.51.100.0/24", "nexthop": "10.0.0.9" }],
    });
    let address = Ipv4Addr::new(10, 0, 0, 5);
    let whole = promised(address, &subnet, RouteHabit::Classless).unwrap();
    assert_eq!(whole.address.to_string(), "10.0.0.5/24");
    assert_eq!(whole.dns, [Ipv4Addr::new(192, 0, 2, 53)]);
    let texts = |promised: &Ipv4Promised| {
        promised
            .routes
            .iter()
            .map(Route::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts(&whole),
        [
            "0.0.0.0/0 via 10.0.0.1",
            "10.0.0.0/24",
            "169.254.169.254/32",
            "198.51.100.0/24 via 10.0.0.9",
        ]
    );
    let plain = promised(address, &subnet, RouteHabit::RouterAlone).unwrap();
    assert_eq!(texts(&plain), ["0.0.0.0/0 via 10.0.0.1", "10.0.0.0/24"]);
    let hosts = promised(address, &subnet, RouteHabit::ClasslessAndHosts).unwrap();
    let added: Vec<String> = hosts
        .routes
        .difference(&whole.routes)
        .map(Route::to_string)
        .collect();
    assert_eq!(
        added,
        ["10.0.0.1/32", "10.0.0.9/32", "192.0.2.53/32 via 10.0.0.1"]
    );
    let mut isolated = subnet;
    isolated["gateway_ip"] = Value::Null;
    let isolated = promised(address, &isolated, RouteHabit::RouterAlone).unwrap();
    assert_eq!(texts(&isolated), ["10.0.0.0/24"]);
}

#[test]
fn what_ip_shows_is_read_whole() {
    let addresses =
        r#"[{"ifname":"eth0","addr_info":[{"family":"inet","local":"10.0.0.5","prefixlen":24}]}]"#;
    assert_eq!(
        parse_addresses(addresses).unwrap(),
        ["10.0.0.5/24".parse::<Ipv4Net>().unwrap()]
    );
    assert_eq!(parse_addresses("[]").unwrap(), []);
    let routes = r#"[{"dst":"default","gateway":"10.0.0.1","flags":[]},{"dst":"10.0.0.0/24","scope":"link"},
                     {"dst":"169.254.169.254","scope":"link"}]"#;
    let routes: Vec<String> = parse_routes(routes)
        .unwrap()
        .iter()
        .map(Route::to_string)
        .collect();
    assert_eq!(
        routes,
        [
            "0.0.0.0/0 via 10.0.0.1",
            "10.0.0.0/24",
            "169.254.169.254/32"
        ]
    );
    assert!(parse_routes(r#"[{"dst":"nonsense"}]"#).is_err());
    let text = "search a\nnameserver 2001:db8::53\nnameserver 192.0.2.53\n";
    assert_eq!(parse_resolv_conf(text), [Ipv4Addr::new(192, 0, 2, 53)]);
}
