use serde_json::json;

use super::*;

#[test]
fn a_port_promises_each_client_what_it_passes_on() {
    let port = json!({ "extra_dhcp_opts": [
        { "opt_name": "ntp-server", "opt_value": "2001:db8::7b,2001:db8::7c", "ip_version": 6 },
        { "opt_name": "bootfile-url", "opt_value": "tftp://[2001:db8::69]/x", "ip_version": 6 },
        { "opt_name": "ntp-server", "opt_value": "192.0.2.7", "ip_version": 4 },
    ] });
    let cases = [
        (Client::Dhclient4, "NTP (42) 192.0.2.7"),
        (
            Client::DhclientStateless,
            "boot file URL (59) tftp://[2001:db8::69]/x",
        ),
        (Client::NetworkdDual, "NTP (42) 192.0.2.7"),
        (Client::Networkd, "NTP (56) 2001:db8::7b 2001:db8::7c"),
        (Client::Kernel, ""),
    ];
    for (client, wanted) in cases {
        assert_eq!(
            listed(&promised(&port, client).unwrap()),
            wanted,
            "{client}"
        );
    }
    let unknown = json!({ "extra_dhcp_opts": [
        { "opt_name": "ntp-server", "opt_value": "x", "ip_version": 5 },
    ] });
    assert!(promised(&unknown, Client::Dhclient4).is_err());
    assert!(promised(&json!({}), Client::Dhclient4).is_err());
}

#[test]
fn what_a_client_passes_on_is_read_however_it_writes_lists() {
    let dhclient = "new_ntp_servers=192.0.2.6\nnew_domain_search=a.example. b.example.\n\
                    new_ntp_servers=192.0.2.7 192.0.2.8\nnew_dhcp6_domain_search=c.example.\nPATH\n";
    let told = passed_on(Client::Dhclient4, dhclient);
    let wanted = "NTP (42) 192.0.2.7 192.0.2.8; search list (119) a.example b.example";
    assert_eq!(listed(&told), wanted);
    let networkd = "DNS=2001:db8::35\nNTP=2001:db8::7b\nDOMAINS=a.example b.example\n";
    let told = passed_on(Client::Networkd, networkd);
    assert_eq!(told["NTP (56)"], "2001:db8::7b");
    assert_eq!(told["search list (24)"], "a.example b.example");
    assert_eq!(passed_on(Client::Udhcpc, "ntpsrv=\n"), Options::new());
}
