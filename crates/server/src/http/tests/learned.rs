//! What hosts saw of guests, as ports show it.

use hextet_core::report::{AddressConflict, Observed};

use super::*;

const TEMPORARY: &str = "2001:db8:1::7:1";

/// A port of a network with a SLAAC subnet, bound to this host.
async fn bound(cloud: &Cloud, network: &str, host: &str) -> String {
    let port = cloud.port("demo", network, json!({})).await.made("port");
    let body = json!({"port": {"binding:host_id": host}});
    let answer = cloud.put("admin", &format!("ports/{port}"), body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    port
}

async fn cloud_with_network() -> (Cloud, String) {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    (cloud, network)
}

/// A host tells of a port's guest.
async fn tell(
    cloud: &Cloud,
    host: &str,
    port: &str,
    addresses: &[&str],
    conflicts: &[(&str, Option<&str>)],
) {
    let report = HostReport {
        generation: cloud.store.read(Model::generation).await.unwrap(),
        ports: vec![PortReport {
            port: port.parse().unwrap(),
            state: PortState::Up,
            carrier: true,
            observed: addresses
                .iter()
                .map(|address| Observed {
                    address: address.parse().unwrap(),
                    since_s: 1_700_000_000,
                })
                .collect(),
            conflicts: conflicts
                .iter()
                .map(|(address, holder)| AddressConflict {
                    address: address.parse().unwrap(),
                    holder: holder.map(|id| id.parse().unwrap()),
                })
                .collect(),
        }],
    };
    let host = HostId(host.to_owned());
    reports::report(&cloud.store, &cloud.reported, host, report).await;
}

/// What a reader is shown of a port.
async fn shown(cloud: &Cloud, who: &str, port: &str) -> Json {
    let answer = cloud.get(who, &format!("ports/{port}")).await;
    answer.body["port"].clone()
}

fn entries(addresses: &[&str]) -> Json {
    addresses
        .iter()
        .map(|address| json!({"ip_address": address, "since": "2023-11-14T22:13:20Z"}))
        .collect()
}

#[tokio::test]
async fn addresses_that_a_guest_formed_are_shown_beside_those_that_it_was_given() {
    let (cloud, network) = cloud_with_network().await;
    let port = bound(&cloud, &network, "h1").await;
    let before = shown(&cloud, "demo", &port).await;
    assert_eq!(before["hextet:observed_addresses"], json!([]));
    tell(&cloud, "h1", &port, &["fe80::7", TEMPORARY], &[]).await;
    let after = shown(&cloud, "demo", &port).await;
    let expected = entries(&["fe80::7", TEMPORARY]);
    assert_eq!(after["hextet:observed_addresses"], expected);
    // The owner did nothing.
    for name in ["fixed_ips", "revision_number", "updated_at"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let listed = cloud.get("demo", "ports").await;
    assert_eq!(
        listed.body["ports"][0]["hextet:observed_addresses"],
        expected
    );
    let only = cloud
        .get("demo", "ports?fields=hextet:observed_addresses")
        .await;
    assert_eq!(
        only.body["ports"],
        json!([{"hextet:observed_addresses": expected}])
    );
    let renamed = json!({"port": {"name": "web"}});
    let renamed = cloud.put("demo", &format!("ports/{port}"), renamed).await;
    assert_eq!(renamed.body["port"]["hextet:observed_addresses"], expected);

    tell(&cloud, "h1", &port, &[], &[]).await;
    let after = shown(&cloud, "demo", &port).await;
    assert_eq!(after["hextet:observed_addresses"], json!([]));
}

#[tokio::test]
async fn a_host_speaks_for_its_own_ports_and_what_it_saw_goes_with_the_binding_and_the_port() {
    let (cloud, network) = cloud_with_network().await;
    let port = bound(&cloud, &network, "h1").await;
    tell(&cloud, "h2", &port, &[TEMPORARY], &[]).await;
    let foreign = shown(&cloud, "demo", &port).await;
    assert_eq!(foreign["hextet:observed_addresses"], json!([]));
    tell(&cloud, "h1", &port, &[TEMPORARY], &[]).await;
    let body = json!({"port": {"binding:host_id": "h2"}});
    let moved = cloud.put("admin", &format!("ports/{port}"), body).await;
    assert_eq!(moved.body["port"]["hextet:observed_addresses"], json!([]));
    tell(&cloud, "h2", &port, &[TEMPORARY], &[]).await;
    cloud
        .delete("demo", &format!("ports/{port}"))
        .await
        .check("deleted", 204, "");
    let left = |model: &Model| model.documents(hextet_store::OBSERVED).count();
    assert_eq!(cloud.store.read(left).await.unwrap(), 0);
}

#[tokio::test]
async fn of_two_hosts_that_tell_of_one_address_the_first_has_it_and_both_ports_are_named() {
    let (cloud, network) = cloud_with_network().await;
    let first = bound(&cloud, &network, "h1").await;
    let second = bound(&cloud, &network, "h2").await;
    tell(&cloud, "h1", &first, &["fe80::7", TEMPORARY], &[]).await;
    tell(&cloud, "h2", &second, &["fe80::7", TEMPORARY], &[]).await;
    // A link-local address may be several guests', each towards the service.
    for (port, expected) in [
        (&first, entries(&["fe80::7", TEMPORARY])),
        (&second, entries(&["fe80::7"])),
    ] {
        let port = shown(&cloud, "demo", port).await;
        assert_eq!(port["hextet:observed_addresses"], expected);
    }
    let conflict = json!([{"ip_address": TEMPORARY, "port_id": first}]);
    let admin = shown(&cloud, "admin", &second).await;
    assert_eq!(admin["hextet:address_conflicts"], conflict);
    let demo = shown(&cloud, "demo", &second).await;
    assert!(demo.get("hextet:address_conflicts").is_none());
    // On another network it is another address.
    let other = cloud.network("demo").await;
    let third = bound(&cloud, &other, "h2").await;
    tell(&cloud, "h2", &third, &[TEMPORARY], &[]).await;
    let third = shown(&cloud, "demo", &third).await;
    assert_eq!(third["hextet:observed_addresses"], entries(&[TEMPORARY]));
}

#[tokio::test]
async fn what_is_assigned_goes_before_what_was_seen() {
    let (cloud, network) = cloud_with_network().await;
    let (first, second) = (
        bound(&cloud, &network, "h1").await,
        bound(&cloud, &network, "h1").await,
    );
    let holder = shown(&cloud, "demo", &first).await;
    let assigned = addresses(&holder)[0];
    tell(&cloud, "h1", &second, &[assigned], &[]).await;
    let admin = shown(&cloud, "admin", &second).await;
    assert_eq!(admin["hextet:observed_addresses"], json!([]));
    assert_eq!(
        admin["hextet:address_conflicts"],
        json!([{"ip_address": assigned, "port_id": first}])
    );
}

#[tokio::test]
async fn claims_that_a_host_refused_are_shown_to_administrators() {
    let (cloud, network) = cloud_with_network().await;
    let (first, second) = (
        bound(&cloud, &network, "h1").await,
        bound(&cloud, &network, "h1").await,
    );
    let claims = [(TEMPORARY, Some(first.as_str())), ("fe80::1", None)];
    tell(&cloud, "h1", &second, &[], &claims).await;
    let admin = shown(&cloud, "admin", &second).await;
    assert_eq!(
        admin["hextet:address_conflicts"],
        json!([
            {"ip_address": TEMPORARY, "port_id": first},
            {"ip_address": "fe80::1", "port_id": null},
        ])
    );
    let admin = shown(&cloud, "admin", &first).await;
    assert_eq!(admin["hextet:address_conflicts"], json!([]));
}

#[tokio::test]
async fn what_was_seen_is_nobodys_to_say() {
    let (cloud, network) = cloud_with_network().await;
    let port = bound(&cloud, &network, "h1").await;
    for name in ["hextet:observed_addresses", "hextet:address_conflicts"] {
        let said = json!({"port": {name: []}});
        let changed = cloud.put("admin", &format!("ports/{port}"), said).await;
        changed.check(name, 400, "HTTPBadRequest");
        assert!(changed.message().contains(name), "{changed:?}");
        let made = cloud.port("admin", &network, json!({name: []})).await;
        made.check(name, 400, "HTTPBadRequest");
        let filtered = cloud.get("admin", &format!("ports?{name}=x")).await;
        filtered.check(name, 400, "HTTPBadRequest");
    }
    let listed = cloud
        .get("demo", "extensions/hextet-observed-addresses")
        .await;
    assert_eq!(listed.status, StatusCode::OK);
}
