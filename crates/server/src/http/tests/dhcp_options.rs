//! `extra_dhcp_opts` of ports, from the request to the plan of the host.

use hextet_core::dhcp::DhcpOptions;
use hextet_core::ids::{HostId, PortId};
use hextet_core::plan::compile::compile;

use super::*;

const BOOT: &str = r#"[
    {"opt_name": "bootfile-name", "opt_value": "pxelinux.0"},
    {"opt_name": "server-ip-address", "opt_value": "123.123.123.45", "ip_version": 4},
    {"opt_name": "bootfile-url", "opt_value": "tftp://[2001:db8::69]/x", "ip_version": "6"}
]"#;

/// What a port shows, each as `version name=value`.
fn shown(port: &Json) -> Vec<String> {
    let entries = port["extra_dhcp_opts"].as_array().unwrap().iter();
    let text = |entry: &Json, name: &str| entry[name].as_str().unwrap().to_owned();
    let entry = |entry: &Json| {
        let (name, value) = (text(entry, "opt_name"), text(entry, "opt_value"));
        format!("{} {name}={value}", entry["ip_version"])
    };
    entries.map(entry).collect()
}

async fn planned(cloud: &Cloud, id: &str) -> DhcpOptions {
    let id = PortId(id.parse().unwrap());
    let host = HostId("host-1".to_owned());
    let compiled = cloud.store.read(move |model| {
        let generation = model.generation();
        compile(model.snapshot(), &host, generation)
    });
    let plan = compiled.await.unwrap();
    plan.port(id).unwrap().dhcp_options.clone()
}

#[tokio::test]
async fn a_port_shows_its_options_and_its_host_is_told() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let boot: Json = serde_json::from_str(BOOT).unwrap();
    let body = json!({"network_id": network, "extra_dhcp_opts": boot, "binding:host_id": "host-1"});
    let made = cloud.post("admin", "ports", json!({"port": body})).await;
    let id = made.made("port");
    let wanted = [
        "4 bootfile-name=pxelinux.0",
        "4 server-ip-address=123.123.123.45",
        "6 bootfile-url=tftp://[2001:db8::69]/x",
    ];
    assert_eq!(shown(&made.body["port"]), wanted);
    let listed = cloud.get("admin", "ports?fields=extra_dhcp_opts").await;
    assert_eq!(shown(&listed.body["ports"][0]), wanted);
    let options = planned(&cloud, &id).await;
    assert_eq!(options.v4, [(67, b"pxelinux.0".to_vec())].into());
    assert_eq!(options.v6.keys().collect::<Vec<_>>(), [&59]);
    assert_eq!(options.boot_server, Some("123.123.123.45".parse().unwrap()));
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_raises_the_revision_if_it_does() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let boot: Json = serde_json::from_str(BOOT).unwrap();
    let more = json!({"extra_dhcp_opts": boot});
    let id = cloud.port("demo", &network, more).await.made("port");
    let path = format!("ports/{id}");
    let all = [
        "4 bootfile-name=pxelinux.0",
        "4 server-ip-address=123.123.123.45",
        "6 bootfile-url=tftp://[2001:db8::69]/x",
    ];
    let mut revision = 1;
    for (said, wanted, changes) in [
        ("null", &all[..], false),
        ("[]", &all, false),
        (
            r#"[{"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}]"#,
            &all,
            false,
        ),
        (
            r#"[{"opt_name": "bootfile-url", "opt_value": null}]"#,
            &all,
            false,
        ),
        (
            r#"[{"opt_name": "bootfile-url", "opt_value": null, "ip_version": 6}]"#,
            &all[..2],
            true,
        ),
        (
            r#"[{"opt_name": "bootfile-name", "opt_value": null}, {"opt_name": "67", "opt_value": "x"}]"#,
            &[all[1], "4 67=x"],
            true,
        ),
        (
            r#"[{"opt_name": "67", "opt_value": "pxelinux.77"}]"#,
            &[all[1], "4 67=pxelinux.77"],
            true,
        ),
    ] {
        let said: Json = serde_json::from_str(said).unwrap();
        let change = json!({"port": {"extra_dhcp_opts": said}});
        let answer = cloud.put("demo", &path, change).await;
        answer.check(&said.to_string(), 200, "");
        revision += i32::from(changes);
        let port = &answer.body["port"];
        assert_eq!(
            (shown(port), &port["revision_number"]),
            (
                wanted.iter().map(|entry| (*entry).to_owned()).collect(),
                &json!(revision)
            ),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_name_of_no_option_is_kept_and_said_to_be_told_to_nobody() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let none = cloud.port("demo", &network, json!({})).await;
    assert_eq!(none.body["port"]["hextet:unknown_dhcp_opts"], json!([]));
    let option = |name: &str, value: Json| json!({"opt_name": name, "opt_value": value});
    let more = json!({
        "extra_dhcp_opts": [option("mtu", json!("1400")), option("test_option_1", json!("test_value_1"))],
    });
    let made = cloud.port("demo", &network, more).await;
    let id = made.made("port");
    let said = |answer: &Answer| {
        let port = &answer.body["port"];
        (shown(port), port["hextet:unknown_dhcp_opts"].clone())
    };
    let both = [
        "4 mtu=1400".to_owned(),
        "4 test_option_1=test_value_1".to_owned(),
    ];
    assert_eq!(said(&made), (both.to_vec(), json!(["test_option_1"])));
    let path = format!("ports/{id}");
    let change = json!({"port": {
        "extra_dhcp_opts": [option("test_option_1", Json::Null), option("test_option_2", json!("x"))],
        "binding:host_id": "host-1",
    }});
    let changed = cloud.put("admin", &path, change).await;
    let wanted = vec!["4 mtu=1400".to_owned(), "4 test_option_2=x".to_owned()];
    assert_eq!(said(&changed), (wanted, json!(["test_option_2"])));
    let listed = cloud
        .get(
            "demo",
            &format!("ports?id={id}&fields=hextet:unknown_dhcp_opts"),
        )
        .await;
    assert_eq!(
        listed.body["ports"],
        json!([{"hextet:unknown_dhcp_opts": ["test_option_2"]}])
    );
    let options = planned(&cloud, &id).await;
    assert_eq!(
        options.v4,
        [(26, vec![5, 120])].into(),
        "nothing else is sent"
    );
    assert_eq!(options.unknown, ["test_option_2"]);
    let set = json!({"port": {"hextet:unknown_dhcp_opts": []}});
    let refused = cloud.put("demo", &path, set).await;
    refused.check("it follows from the others", 400, "HTTPBadRequest");
}

#[tokio::test]
async fn ports_in_bulk_have_options_each_or_none_is_made() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let port = |name: &str, value: &str| {
        let option = json!({"opt_name": name, "opt_value": value});
        json!({"network_id": network, "extra_dhcp_opts": [option]})
    };
    let wrong = json!({"ports": [port("mtu", "1400"), port("mtu", "1")]});
    let refused = cloud.post("demo", "ports", wrong).await;
    refused.check("one is wrong", 400, "InvalidInput");
    assert!(refused.message().contains("a number of 68 to 65535"));
    let none = cloud.get("demo", "ports").await;
    assert_eq!(none.body["ports"], json!([]));
    let right = json!({"ports": [port("mtu", "1400"), port("150", "192.0.2.1")]});
    let made = cloud.post("demo", "ports", right).await;
    made.check("both are right", 201, "");
    let ports = made.body["ports"].as_array().unwrap();
    let shown: Vec<_> = ports.iter().flat_map(shown).collect();
    assert_eq!(shown, ["4 mtu=1400", "4 150=192.0.2.1"]);
}
