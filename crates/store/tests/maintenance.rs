//! Copies of a database that is served, copies that are put back, and what a look through finds.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::path::{Path, PathBuf};

use hextet_core::network::Network;
use hextet_core::port::Port;
use hextet_core::settings::CloudSettings;
use hextet_core::subnet::Subnet;
use hextet_store::maintenance::{MaintenanceError, backup, check, restore};
use hextet_store::{EngineError, Pick, Store, StoreConfig, WriteError};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

const NETWORK_ID: &str = "00000000-0000-4000-8000-000000000001";
const SUBNET_ID: &str = "00000000-0000-4000-8000-000000000002";
const PORT_ID: &str = "00000000-0000-4000-8000-000000000003";

#[tokio::test]
async fn a_copy_of_a_served_database_is_put_back_as_it_was() {
    let (folder, store) = cloud().await;
    let (path, copy) = (folder.path().join("hextet.db"), folder.path().join("copy"));
    let mut told = Vec::new();
    backup(&path, &copy, &mut |done, total| told.push((done, total))).unwrap();
    let (done, total) = *told.last().unwrap();
    assert!(done == total && total > 0, "{told:?}");
    assert_eq!(check(&copy).unwrap(), Vec::<String>::new());
    assert!(matches!(
        backup(&path, &copy, &mut |_, _| {}),
        Err(MaintenanceError::Exists { .. })
    ));
    let before = generation(&store).await;
    let renamed = rename(&store, "later").await;
    assert!(renamed.is_ok());
    // Nobody pulls the database from under a server.
    assert!(matches!(
        restore(&copy, &path, &mut |_, _| {}),
        Err(MaintenanceError::InUse { .. })
    ));
    store.close().await;
    let kept = restore(&copy, &path, &mut |_, _| {}).unwrap().unwrap();
    let store = open(&path).await;
    assert_eq!(name(&store).await, "n");
    let after = generation(&store).await;
    assert_eq!(after.1, before.1, "the log goes on where the copy stood");
    assert_ne!(after.0, before.0, "hosts must see that it is another log");
    store.close().await;
    let earlier = open(&kept).await;
    assert_eq!(
        name(&earlier).await,
        "later",
        "what was replaced is kept whole"
    );
    earlier.close().await;
    let left: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".partial"))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_restore_after_a_kill_keeps_what_was_in_the_log_only() {
    let (folder, store) = cloud().await;
    let (path, copy) = (folder.path().join("hextet.db"), folder.path().join("copy"));
    backup(&path, &copy, &mut |_, _| {}).unwrap();
    assert!(rename(&store, "later").await.is_ok());
    // A copy of the files of a running server is what a killed one leaves: much of it is in the -wal and the -redo.
    let crashed = folder.path().join("crashed.db");
    let files = || {
        let read =
            |suffix| std::fs::read(folder.path().join(format!("hextet.db{suffix}"))).unwrap();
        ["", "-wal", "-redo"].map(|suffix| (suffix, read(suffix)))
    };
    let mut seen = files();
    // The store writes from one into the other each second: they are of one moment where none has changed meanwhile.
    loop {
        let again = files();
        if seen == again {
            break;
        }
        seen = again;
    }
    for (suffix, bytes) in seen {
        std::fs::write(folder.path().join(format!("crashed.db{suffix}")), bytes).unwrap();
    }
    assert_eq!(check(&crashed).unwrap(), Vec::<String>::new());
    let bare = folder.path().join("bare.db");
    for suffix in ["", "-wal"] {
        let from = folder.path().join(format!("crashed.db{suffix}"));
        std::fs::copy(from, folder.path().join(format!("bare.db{suffix}"))).unwrap();
    }
    let problems = check(&bare).unwrap();
    assert!(
        problems.len() == 1 && problems[0].contains("bare.db-redo: it is missing"),
        "{problems:?}"
    );
    store.close().await;
    let kept = restore(&copy, &crashed, &mut |_, _| {}).unwrap().unwrap();
    let store = open(&kept).await;
    assert_eq!(name(&store).await, "later");
    store.close().await;
    let store = open(&crashed).await;
    assert_eq!(name(&store).await, "n");
    store.close().await;
}

#[tokio::test]
async fn a_look_through_names_what_does_not_hold_together() {
    let (folder, store) = cloud().await;
    let path = folder.path().join("hextet.db");
    assert_eq!(check(&path).unwrap(), Vec::<String>::new());
    store.close().await;
    let cases = [
        ("DELETE FROM ip_allocation", "which is not taken for it"),
        (
            "UPDATE mac SET mac = x'020000000001'",
            "which does not have it",
        ),
        ("DELETE FROM reference", "by the references, not by both"),
        (
            "UPDATE counter SET value = 7 WHERE name LIKE 'used port%'",
            "says 7, there are 1",
        ),
        (
            "UPDATE resource SET body = '{\"id\":1}', public_bytes = 3, admin_bytes = 3 WHERE kind = 'port'",
            "cannot be read",
        ),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM resource WHERE kind = 'network'",
            "refers to nothing",
        ),
    ];
    for (harm, wanted) in cases {
        let harmed = folder.path().join("harmed");
        std::fs::copy(&path, &harmed).unwrap();
        rusqlite::Connection::open(&harmed)
            .unwrap()
            .execute_batch(harm)
            .unwrap();
        let problems = check(&harmed).unwrap();
        assert!(
            problems.iter().any(|problem| problem.contains(wanted)),
            "{harm}: {problems:?}"
        );
        // And such a copy is not put back.
        assert!(matches!(
            restore(&harmed, &path, &mut |_, _| {}),
            Err(MaintenanceError::Problems { .. })
        ));
    }
}

#[tokio::test]
async fn files_that_are_no_database_of_ours_are_refused() {
    let (folder, store) = cloud().await;
    store.close().await;
    let path = folder.path().join("hextet.db");
    let absent = folder.path().join("absent");
    assert!(matches!(
        check(&absent),
        Err(MaintenanceError::Missing { .. })
    ));
    assert!(!absent.exists(), "a look makes no file");
    let text = folder.path().join("text");
    std::fs::write(&text, "no database, but long enough to have had a header").unwrap();
    assert!(matches!(
        check(&text),
        Err(MaintenanceError::Unsound { .. })
    ));
    let newer = folder.path().join("newer");
    std::fs::copy(&path, &newer).unwrap();
    rusqlite::Connection::open(&newer)
        .unwrap()
        .execute_batch("UPDATE meta SET value = '99' WHERE name = 'schema'")
        .unwrap();
    for refused in [
        check(&newer).err(),
        backup(&newer, &absent, &mut |_, _| {}).err(),
        restore(&newer, &path, &mut |_, _| {}).err(),
    ] {
        assert!(matches!(
            refused,
            Some(MaintenanceError::Schema { found: 99, .. })
        ));
    }
    let nowhere = folder.path().join("nowhere/copy");
    assert!(matches!(
        backup(&path, &nowhere, &mut |_, _| {}),
        Err(MaintenanceError::Write { source, .. }) if source.kind() == std::io::ErrorKind::NotFound
    ));
    let mut torn = std::fs::read(&path).unwrap();
    let middle = torn.len() / 2;
    torn[middle..].fill(0xa5);
    std::fs::write(&newer, torn).unwrap();
    assert!(
        !matches!(check(&newer), Ok(problems) if problems.is_empty()),
        "a torn file is seen"
    );
}

/// A store with one network, one subnet and one port.
async fn cloud() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("hextet.db")).await;
    let written: Result<(), WriteError<EngineError>> = store
        .write(|tx| {
            Box::pin(async move {
                let (network, subnet, port) = nouns();
                tx.insert_network(&network).await?;
                tx.insert_subnet(&subnet).await?;
                assert!(
                    tx.take_mac(Pick::Drawn, (network.id, port.mac_address), port.id)
                        .await?
                );
                for fixed in &port.fixed_ips {
                    assert!(
                        tx.take_address(Pick::Drawn, (fixed.subnet_id, fixed.ip_address), port.id)
                            .await?
                    );
                }
                tx.insert_port(&port).await
            })
        })
        .await;
    written.unwrap();
    (folder, store)
}

fn nouns() -> (Network, Subnet, Port) {
    let common = json!({
        "name": "n", "project_id": "p", "admin_state_up": true, "status": "ACTIVE", "revision_number": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    let with = |members: serde_json::Value| {
        let mut all = common.as_object().unwrap().clone();
        all.extend(members.as_object().unwrap().clone());
        serde_json::Value::Object(all)
    };
    let network = json!({
        "id": NETWORK_ID, "subnets": [SUBNET_ID], "mtu": 1430, "provider:segmentation_id": 7,
    });
    let subnet = json!({
        "id": SUBNET_ID, "network_id": NETWORK_ID, "ip_version": 6, "cidr": "2001:db8::/64", "gateway_ip": null,
        "allocation_pools": [], "dns_nameservers": [], "enable_dhcp": true, "ipv6_ra_mode": null,
        "ipv6_address_mode": null, "sequence": 1,
    });
    let port = json!({
        "id": PORT_ID, "network_id": NETWORK_ID, "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": [{"subnet_id": SUBNET_ID, "ip_address": "2001:db8::5"}], "status": "DOWN", "device_id": "",
        "device_owner": "", "binding:host_id": "", "number": 1, "bound_at": 0,
    });
    (
        serde_json::from_value(with(network)).unwrap(),
        serde_json::from_value(with(subnet)).unwrap(),
        serde_json::from_value(with(port)).unwrap(),
    )
}

async fn rename(store: &Store, name: &'static str) -> Result<(), WriteError<EngineError>> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let (mut network, _, _) = nouns();
                network.name = name.to_owned();
                tx.update_network(&network).await
            })
        })
        .await
}

async fn name(store: &Store) -> String {
    store
        .read(|model| {
            let network: Network = model
                .document(hextet_store::NETWORK, NETWORK_ID)
                .unwrap()
                .parse(hextet_store::NETWORK)
                .unwrap();
            network.name
        })
        .await
        .unwrap()
}

async fn generation(store: &Store) -> (u64, u64) {
    store
        .read(|model| (model.generation().epoch, model.generation().revision))
        .await
        .unwrap()
}

async fn open(path: &Path) -> Store {
    let settings = CloudSettings::with_defaults(Uuid::from_u128(1));
    Store::open(StoreConfig::new(path, settings)).await.unwrap()
}
