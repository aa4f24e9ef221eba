//! What every engine must do, said through the store's door.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hextet_core::address::AddressRange;
use hextet_core::ids::{HostId, NetworkId, PortId, PortNumber, ProjectId, SubnetId, Vni};
use hextet_core::mac::Mac;
use hextet_core::modes::Ipv6Modes;
use hextet_core::network::Network;
use hextet_core::plan::PlanKey;
use hextet_core::port::{FixedIp, IpAllocation, Port, PortStatus};
use hextet_core::subnet::Subnet;
use hextet_store::{
    Counter, Database, EngineError, Layout, Model, NETWORK, OpenError, PORT, Pick, SCHEMA_VERSION,
    Store, WriteError,
};
use serde_json::{Value as Json, json};
use support::{Bed, Refused, put, write};
use uuid::Uuid;

on_both_engines! {
    a_write_is_in_the_model_when_it_is_acknowledged_and_after_a_restart,
    a_document_of_an_earlier_program_gets_the_members_of_this_one,
    what_a_project_has_is_counted,
    a_refused_write_changes_nothing_and_takes_no_revision,
    revisions_are_the_order_of_commits_and_subscribers_see_each_once,
    contended_writes_count_exactly,
    a_transaction_that_waits_or_panics_is_undone_and_the_next_runs,
    names_addresses_macs_and_ids_are_given_once,
    what_was_counted_on_and_is_taken_is_told_and_nothing_else_is_changed,
    ports_and_subnets_of_a_network_are_those_of_this_transaction,
    the_lowest_free_address_is_found_without_counting_through_the_range,
    ipv4_addresses_are_handed_out_and_sorted_as_ipv6_ones_are,
    a_resource_that_others_stand_on_cannot_go_before_them,
    what_a_commit_touches_is_told_by_host_and_key,
    documents_are_cut_for_each_kind_of_reader,
    a_second_server_of_a_file_and_a_newer_schema_are_refused_clearly,
    the_identity_of_the_cloud_stays_and_an_epoch_can_be_renewed,
    a_closed_store_takes_no_more,
}

async fn a_write_is_in_the_model_when_it_is_acknowledged_and_after_a_restart(bed: Bed) {
    let store = bed.open().await;
    let epoch = store.read(|model| model.generation().epoch).await.unwrap();
    for count in 1..=3_u64 {
        put(&store, "a", json!({"count": count})).await;
        let (revision, text) = store
            .read(|model| {
                let text = model.document("thing", "a").unwrap().text().to_owned();
                (model.generation().revision, text)
            })
            .await
            .unwrap();
        assert_eq!((revision, text), (count, format!("{{\"count\":{count}}}")));
    }
    store.close().await;
    let store = bed.open().await;
    let model = store.read(Model::clone).await.unwrap();
    assert_eq!(
        (model.generation().epoch, model.generation().revision),
        (epoch, 3)
    );
    assert_eq!(model.document("thing", "a").unwrap().revision, 3);
}

async fn a_document_of_an_earlier_program_gets_the_members_of_this_one(bed: Bed) {
    let store = bed.open().await;
    let mut old = serde_json::to_value(network()).unwrap();
    for member in [
        "description",
        "tags",
        "shared",
        "hextet:address_policy",
        "port_security_enabled",
        "hextet:fast_dad",
        "provider:physical_network",
    ] {
        old.as_object_mut().unwrap().shift_remove(member).unwrap();
    }
    let layout = Layout {
        first_admin: Some("provider:segmentation_id"),
        first_internal: None,
    };
    let written: Result<(), WriteError<Refused>> = write(&store, move |tx| {
        let old = old.clone();
        Box::pin(async move {
            let id = network().id.to_string();
            assert!(tx.insert(NETWORK, &id, "p", &old, layout).await?);
            Ok(())
        })
    })
    .await;
    written.unwrap();
    store.close().await;
    // Once in memory and on the disk, and then from there.
    for _ in 0..2 {
        let store = bed.open().await;
        let model = store.read(Model::clone).await.unwrap();
        let document = model.document(NETWORK, &network().id.to_string()).unwrap();
        assert_eq!(document.parse::<Network>(NETWORK).unwrap(), network());
        assert!(
            document
                .public()
                .contains("\"description\":\"\",\"tags\":[],")
        );
        assert!(document.public().contains("\"shared\":false,"));
        assert!(!document.public().contains("provider:"));
        assert_eq!((document.revision, model.generation().revision), (1, 1));
        store.close().await;
    }
}

async fn what_a_project_has_is_counted(bed: Bed) {
    let store = bed.open().await;
    let counted: Result<Vec<u64>, WriteError<Refused>> = write(&store, |tx| {
        Box::pin(async move {
            let owner = network().project_id;
            let mut earlier = network();
            earlier.id = NetworkId(Uuid::from_u128(77));
            tx.insert_network(&earlier).await?;
            let mut counts = vec![tx.used(NETWORK, &owner).await?];
            tx.insert_network(&network()).await?;
            counts.push(tx.used(NETWORK, &owner).await?);
            tx.delete_network(earlier.id).await?;
            counts.push(tx.used(NETWORK, &owner).await?);
            tx.delete_network(network().id).await?;
            tx.delete_network(network().id).await?;
            counts.push(tx.used(NETWORK, &owner).await?);
            counts.push(tx.used(PORT, &owner).await?);
            Ok(counts)
        })
    })
    .await;
    assert_eq!(counted.unwrap(), [1, 2, 1, 0, 0]);
}

async fn a_refused_write_changes_nothing_and_takes_no_revision(bed: Bed) {
    let store = bed.open().await;
    put(&store, "a", json!({})).await;
    let refused: Result<(), WriteError<Refused>> = write(&store, |tx| {
        Box::pin(async move {
            tx.insert("thing", "b", "", &json!({}), Layout::default())
                .await?;
            tx.delete("thing", "a").await?;
            tx.claim(Pick::Named, ("name", "x"), "b").await?;
            tx.next(Counter::PortNumber).await?;
            Err(Refused::No)
        })
    })
    .await;
    assert!(matches!(refused, Err(WriteError::Refused(Refused::No))));
    let number = write(&store, |tx| {
        Box::pin(async move {
            assert!(tx.document("thing", "b").await?.is_none());
            assert!(tx.document("thing", "a").await?.is_some());
            assert_eq!(tx.holder("name", "x").await?, None);
            Ok::<_, Refused>(tx.next(Counter::PortNumber).await?)
        })
    })
    .await;
    assert_eq!(number.unwrap(), 1);
    assert_eq!(
        store
            .read(|model| model.generation().revision)
            .await
            .unwrap(),
        1
    );
    put(&store, "c", json!({})).await;
    assert_eq!(
        store
            .read(|model| model.generation().revision)
            .await
            .unwrap(),
        2
    );
}

async fn revisions_are_the_order_of_commits_and_subscribers_see_each_once(bed: Bed) {
    let store = bed.open().await;
    let mut commits = store.subscribe();
    let writes = (0..200).map(|count| {
        let store = store.clone();
        async move {
            let id = format!("t{count}");
            if count % 3 == 0 {
                let refused: Result<(), WriteError<Refused>> = write(&store, |tx| {
                    Box::pin(async move {
                        tx.insert("thing", "no", "", &json!({}), Layout::default())
                            .await?;
                        Err(Refused::No)
                    })
                })
                .await;
                assert!(refused.is_err());
            } else {
                put(&store, &id, json!({})).await;
            }
        }
    });
    futures::future::join_all(writes).await;
    let newest = store
        .read(|model| model.generation().revision)
        .await
        .unwrap();
    assert_eq!(newest, 133);
    for expected in 1..=newest {
        assert_eq!(commits.recv().await.unwrap().revision, expected);
    }
    let mut revisions: Vec<u64> = store
        .read(|model| model.documents("thing").map(|one| one.revision).collect())
        .await
        .unwrap();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=newest).collect::<Vec<_>>());
}

async fn contended_writes_count_exactly(bed: Bed) {
    let store = bed.open().await;
    put(&store, "a", json!({"count": 0})).await;
    let writes = (0..200).map(|_| {
        let store = store.clone();
        async move {
            write(&store, |tx| {
                Box::pin(async move {
                    let value: Json = tx.value("thing", "a").await?.unwrap();
                    let count = value["count"].as_u64().unwrap() + 1;
                    tx.update("thing", "a", &json!({"count": count}), Layout::default())
                        .await?;
                    Ok::<_, Refused>(())
                })
            })
            .await
            .unwrap();
        }
    });
    futures::future::join_all(writes).await;
    let text = store
        .read(|model| model.document("thing", "a").unwrap().text().to_owned())
        .await
        .unwrap();
    assert_eq!(text, "{\"count\":200}");
}

async fn a_transaction_that_waits_or_panics_is_undone_and_the_next_runs(bed: Bed) {
    let store = bed.open().await;
    let waits: Result<(), WriteError<Refused>> = write(&store, |tx| {
        Box::pin(async move {
            tx.insert("thing", "a", "", &json!({}), Layout::default())
                .await?;
            tokio::task::yield_now().await;
            Ok(())
        })
    })
    .await;
    assert!(matches!(
        waits,
        Err(WriteError::Engine(EngineError::ForeignAwait))
    ));
    let panics: Result<(), WriteError<Refused>> = write(&store, |tx| {
        Box::pin(async move {
            tx.insert("thing", "a", "", &json!({}), Layout::default())
                .await?;
            panic!("on purpose");
        })
    })
    .await;
    assert!(matches!(
        panics,
        Err(WriteError::Engine(EngineError::Panicked))
    ));
    put(&store, "b", json!({})).await;
    store.close().await;
    for store in [store, bed.open().await] {
        let ids = store.read(|model| {
            let things = model.documents("thing");
            things.map(|one| one.id.to_string()).collect::<Vec<_>>()
        });
        assert_eq!(ids.await.unwrap(), ["b"]);
    }
}

async fn names_addresses_macs_and_ids_are_given_once(bed: Bed) {
    let store = bed.open().await;
    let done = write(&store, |tx| {
        Box::pin(async move {
            assert!(
                tx.insert("thing", "a", "", &json!({}), Layout::default())
                    .await?
            );
            assert!(
                !tx.insert("thing", "a", "", &json!({}), Layout::default())
                    .await?
            );
            assert!(tx.claim(Pick::Named, ("name", "x"), "a").await?);
            assert!(!tx.claim(Pick::Named, ("name", "x"), "a").await?);
            assert!(tx.claim(Pick::Named, ("other", "x"), "b").await?);
            assert_eq!(tx.holder("name", "x").await?.as_deref(), Some("a"));
            tx.release("name", "x").await?;
            assert!(tx.claim(Pick::Named, ("name", "x"), "b").await?);
            let (one, two) = (port_id(1), port_id(2));
            let address = "2001:db8::1".parse().unwrap();
            assert!(
                tx.take_address(Pick::Named, (subnet_id(1), address), one)
                    .await?
            );
            assert!(
                !tx.take_address(Pick::Named, (subnet_id(1), address), two)
                    .await?
            );
            assert!(
                tx.take_address(Pick::Named, (subnet_id(2), address), two)
                    .await?
            );
            tx.free_address(subnet_id(1), address).await?;
            assert!(
                tx.take_address(Pick::Named, (subnet_id(1), address), two)
                    .await?
            );
            let mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
            assert!(tx.take_mac(Pick::Named, (network_id(1), mac), one).await?);
            assert!(!tx.take_mac(Pick::Named, (network_id(1), mac), two).await?);
            assert!(tx.take_mac(Pick::Named, (network_id(2), mac), two).await?);
            assert_eq!(tx.next(Counter::SubnetSequence).await?, 1);
            assert_eq!(tx.next(Counter::SubnetSequence).await?, 2);
            assert_eq!(tx.next(Counter::PortNumber).await?, 1);
            Ok::<_, Refused>(())
        })
    });
    done.await.unwrap();
}

/// On PostgreSQL a closure that counts on something is run again where that was taken.
async fn what_was_counted_on_and_is_taken_is_told_and_nothing_else_is_changed(bed: Bed) {
    let store = bed.open().await;
    let draw = |id: &'static str| {
        write(&store, move |tx| {
            Box::pin(async move {
                let number = tx.next(Counter::PortNumber).await?;
                let free = tx.claim(Pick::Drawn, ("name", "x"), id).await?;
                let holder = tx.holder("name", "x").await?;
                assert_eq!(free, holder.as_deref() == Some(id));
                if free {
                    tx.insert("thing", id, "", &json!({}), Layout::default())
                        .await?;
                }
                Ok((free, number))
            })
        })
    };
    assert_eq!(draw("a").await.unwrap(), (true, 1));
    assert_eq!(draw("b").await.unwrap(), (false, 2));
    let ids = ["c", "d", "e", "f", "g", "h"];
    let mut numbers = Vec::new();
    for drawn in futures::future::join_all(ids.map(draw)).await {
        let (free, number) = drawn.unwrap();
        assert!(!free);
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4, 5, 6, 7, 8]);
    // Neither what is said without a further question, nor what is refused, stands on a wrong guess.
    let judge = |refuse: bool| {
        write(&store, move |tx| {
            Box::pin(async move {
                match tx.claim(Pick::Drawn, ("name", "x"), "i").await? {
                    true if refuse => Err(Refused::No),
                    free => Ok(free),
                }
            })
        })
    };
    let judged = [false, true, false, true].map(judge);
    for judged in futures::future::join_all(judged).await {
        assert!(!judged.unwrap());
    }
    assert!(!judge(true).await.unwrap());
    assert!(!judge(false).await.unwrap());
    let things = store.read(|model| model.documents("thing").count()).await;
    assert_eq!(things.unwrap(), 1);
}

async fn ports_and_subnets_of_a_network_are_those_of_this_transaction(bed: Bed) {
    let store = bed.open().await;
    insert(&store, vec![Noun::Network(network()), Noun::Port(port())]).await;
    let looks = (0..4).map(|place| {
        write(&store, move |tx| {
            Box::pin(async move {
                let mut other = port();
                other.id = port_id(100 + place);
                tx.insert_port(&other).await?;
                let mine = tx.ports_of(network_id(1)).await?;
                assert!(mine.iter().any(|port| port.id == other.id));
                assert!(mine.is_sorted_by_key(|port| port.id));
                tx.delete_port(&other).await?;
                let left = tx.ports_of(network_id(1)).await?;
                assert_eq!(left.len() + 1, mine.len());
                if place == 0 {
                    tx.insert_subnet(&subnet()).await?;
                    assert_eq!(tx.subnets_of(network_id(1)).await?, [subnet()]);
                }
                let mut changed = port();
                changed.name = format!("n{place}");
                tx.update_port(&changed).await?;
                let now = tx.ports_of(network_id(1)).await?;
                assert_eq!(now, [changed]);
                assert!(tx.ports_of(network_id(2)).await?.is_empty());
                Ok::<_, Refused>(tx.subnets_of(network_id(1)).await?.len())
            })
        })
    });
    for subnets in futures::future::join_all(looks).await {
        assert_eq!(subnets.unwrap(), 1);
    }
    let done = write(&store, |tx| {
        Box::pin(async move {
            tx.delete_port(&port()).await?;
            tx.delete_subnet(subnet_id(1)).await?;
            Ok::<_, Refused>(tx.subnets_of(network_id(1)).await?.len())
        })
    });
    assert_eq!(done.await.unwrap(), 0);
}

async fn the_lowest_free_address_is_found_without_counting_through_the_range(bed: Bed) {
    let store = bed.open().await;
    let range = |start: &str, end: &str| AddressRange {
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
    };
    let wide = range("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff");
    let narrow = range("2001:db8::2", "2001:db8::4");
    let full = range("2001:db8::2", "2001:db8::514");
    let done = write(&store, move |tx| {
        Box::pin(async move {
            let subnet = subnet_id(1);
            let mut lowest = Vec::new();
            // More than one page of them.
            for low in 2..2_u128 + 1500 {
                let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | low);
                if low != 1301 {
                    assert!(
                        tx.take_address(Pick::Named, (subnet, address.into()), port_id(1))
                            .await?
                    );
                }
                if low == 3 {
                    lowest.push(tx.lowest_free(subnet, narrow).await?);
                }
            }
            lowest.push(tx.lowest_free(subnet, narrow).await?);
            lowest.push(tx.lowest_free(subnet, wide).await?);
            lowest.push(tx.lowest_free(subnet, full).await?);
            lowest.push(tx.lowest_free(subnet_id(2), wide).await?);
            Ok::<_, Refused>(lowest)
        })
    });
    let lowest: Vec<Option<IpAddr>> = done.await.unwrap();
    let expected = ["2001:db8::4", "", "2001:db8::515", "", "2001:db8::2"];
    let expected: Vec<Option<IpAddr>> = expected.iter().map(|text| text.parse().ok()).collect();
    assert_eq!(lowest, expected);
}

async fn ipv4_addresses_are_handed_out_and_sorted_as_ipv6_ones_are(bed: Bed) {
    let store = bed.open().await;
    let range = AddressRange {
        start: "10.0.0.254".parse().unwrap(),
        end: "10.0.1.1".parse().unwrap(),
    };
    let done = write(&store, move |tx| {
        Box::pin(async move {
            let subnet = subnet_id(1);
            let mut lowest = Vec::new();
            for high in [0x0a00_00fe, 0x0a00_00ff, 0x0a00_0101, 0x0a00_0100] {
                lowest.push(tx.lowest_free(subnet, range).await?);
                let address = Ipv4Addr::from_bits(high).into();
                assert!(
                    tx.take_address(Pick::Named, (subnet, address), port_id(1))
                        .await?
                );
                assert!(
                    !tx.take_address(Pick::Named, (subnet, address), port_id(2))
                        .await?
                );
            }
            lowest.push(tx.lowest_free(subnet, range).await?);
            tx.free_address(subnet, "10.0.0.255".parse().unwrap())
                .await?;
            lowest.push(tx.lowest_free(subnet, range).await?);
            Ok::<_, Refused>(lowest)
        })
    });
    let lowest: Vec<Option<IpAddr>> = done.await.unwrap();
    let expected = [
        "10.0.0.254",
        "10.0.0.255",
        "10.0.1.0",
        "10.0.1.0",
        "",
        "10.0.0.255",
    ];
    let expected: Vec<Option<IpAddr>> = expected.iter().map(|text| text.parse().ok()).collect();
    assert_eq!(lowest, expected);
}

async fn a_resource_that_others_stand_on_cannot_go_before_them(bed: Bed) {
    let store = bed.open().await;
    insert(
        &store,
        vec![
            Noun::Network(network()),
            Noun::Subnet(subnet()),
            Noun::Port(port()),
        ],
    )
    .await;
    let refused: Result<(), WriteError<Refused>> = write(&store, |tx| {
        Box::pin(async move {
            assert!(tx.has_ports(network_id(1)).await? && tx.has_subnets(network_id(1)).await?);
            Ok(tx.delete_network(network_id(1)).await?)
        })
    })
    .await;
    assert!(
        matches!(refused, Err(WriteError::Refused(Refused::Engine(_)))),
        "{refused:?}"
    );
    let refused: Result<(), WriteError<Refused>> = write(&store, |tx| {
        Box::pin(async move { Ok(tx.delete_subnet(subnet_id(1)).await?) })
    })
    .await;
    assert!(
        matches!(refused, Err(WriteError::Refused(Refused::Engine(_)))),
        "{refused:?}"
    );
    let done = write(&store, |tx| {
        Box::pin(async move {
            tx.delete_port(&port()).await?;
            tx.delete_subnet(subnet_id(1)).await?;
            tx.delete_network(network_id(1)).await?;
            Ok::<_, Refused>(())
        })
    });
    done.await.unwrap();
    let left = store
        .read(|model| model.documents(NETWORK).count() + model.documents(PORT).count())
        .await
        .unwrap();
    assert_eq!(left, 0);
}

async fn what_a_commit_touches_is_told_by_host_and_key(bed: Bed) {
    let store = bed.open().await;
    insert(
        &store,
        vec![
            Noun::Network(network()),
            Noun::Subnet(subnet()),
            Noun::Port(port()),
        ],
    )
    .await;
    let mut commits = store.subscribe();
    let done = write(&store, |tx| {
        Box::pin(async move {
            let mut bound = port();
            bound.host_id = Some(HostId("h1".into()));
            bound.bound_at = tx.revision().await?;
            tx.update_port(&bound).await?;
            Ok::<_, Refused>(bound.bound_at)
        })
    });
    let revision = done.await.unwrap();
    let commit = commits.recv().await.unwrap();
    assert_eq!(commit.revision, revision);
    let keys = commit.touched[&HostId("h1".into())].clone();
    let expected = [
        PlanKey::Network(Vni(7)),
        PlanKey::Subnet(subnet_id(1)),
        PlanKey::Port(port_id(1)),
    ];
    assert_eq!(keys, expected.into_iter().collect());
    let snapshot = store.read(|model| model.snapshot().clone()).await.unwrap();
    store.close().await;
    let again = bed
        .open()
        .await
        .read(|model| model.snapshot().clone())
        .await
        .unwrap();
    assert_eq!(
        format!("{snapshot:?}"),
        format!("{again:?}"),
        "the log and the tables say the same"
    );
}

async fn documents_are_cut_for_each_kind_of_reader(bed: Bed) {
    let store = bed.open().await;
    insert(
        &store,
        vec![
            Noun::Network(network()),
            Noun::Subnet(subnet()),
            Noun::Port(port()),
        ],
    )
    .await;
    store
        .read(|model| {
            for (kind, public, admin, all) in [
                (
                    "network",
                    "updated_at",
                    "provider:physical_network",
                    "provider:segmentation_id",
                ),
                ("subnet", "updated_at", "updated_at", "sequence"),
                ("port", "binding:vnic_type", "binding:host_id", "bound_at"),
            ] {
                let document = model.documents(kind).next().unwrap();
                let last = |text: &str| {
                    let object: serde_json::Map<String, Json> =
                        serde_json::from_str(&format!("{}}}", text.trim_end_matches('}'))).unwrap();
                    object.keys().next_back().unwrap().clone()
                };
                assert_eq!(last(document.public()), public, "{kind}");
                assert_eq!(last(document.admin()), admin, "{kind}");
                assert_eq!(last(document.text()), all, "{kind}");
            }
        })
        .await
        .unwrap();
}

async fn a_second_server_of_a_file_and_a_newer_schema_are_refused_clearly(bed: Bed) {
    let store = bed.open().await;
    if let Database::Sqlite(_) = &bed.database {
        let refused = Store::open(bed.config()).await.err().unwrap();
        assert!(matches!(refused, OpenError::InUse { .. }), "{refused:?}");
    }
    store.close().await;
    bed.sql("UPDATE meta SET value = '99' WHERE name = 'schema'");
    let refused = Store::open(bed.config()).await.err().unwrap();
    assert!(matches!(
        refused,
        OpenError::NewerSchema {
            found: 99,
            known: SCHEMA_VERSION,
            ..
        }
    ));
    let told = refused.to_string();
    assert!(
        told.contains("schema version 99") && told.contains(&format!("up to {SCHEMA_VERSION}")),
        "{told}"
    );
}

async fn the_identity_of_the_cloud_stays_and_an_epoch_can_be_renewed(bed: Bed) {
    let store = bed.open().await;
    let before = store.read(Model::generation).await.unwrap();
    let renewed = store.renew_epoch().await.unwrap();
    assert_ne!(before.epoch, renewed);
    assert_eq!(store.read(Model::generation).await.unwrap().epoch, renewed);
    store.close().await;
    let mut other = bed.config();
    other.settings.server_duid = Uuid::from_u128(2);
    other.settings.dns_search = vec!["example.net".into()];
    let store = Store::open(other).await.unwrap();
    store
        .read(|model| {
            assert_eq!(model.generation().epoch, renewed);
            let settings = model.snapshot().settings();
            assert_eq!(settings.server_duid, Uuid::from_u128(1));
            assert_eq!(settings.dns_search, ["example.net"]);
        })
        .await
        .unwrap();
}

async fn a_closed_store_takes_no_more(bed: Bed) {
    let store = bed.open().await;
    store.close().await;
    let late: Result<(), WriteError<Refused>> = write(&store, |_| Box::pin(async { Ok(()) })).await;
    assert!(matches!(late, Err(WriteError::Engine(EngineError::Closed))));
}

enum Noun {
    Network(Network),
    Subnet(Subnet),
    Port(Port),
}

async fn insert(store: &Store, nouns: Vec<Noun>) {
    let nouns = std::sync::Arc::new(nouns);
    write(store, move |tx| {
        let nouns = nouns.clone();
        Box::pin(async move {
            for noun in nouns.iter() {
                match noun {
                    Noun::Network(network) => tx.insert_network(network).await?,
                    Noun::Subnet(subnet) => tx.insert_subnet(subnet).await?,
                    Noun::Port(port) => {
                        for fixed in &port.fixed_ips {
                            assert!(
                                tx.take_address(
                                    Pick::Drawn,
                                    (fixed.subnet_id, fixed.ip_address),
                                    port.id
                                )
                                .await?
                            );
                        }
                        tx.insert_port(port).await?;
                    }
                }
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

fn network_id(id: u128) -> NetworkId {
    NetworkId(Uuid::from_u128(id))
}

fn subnet_id(id: u128) -> SubnetId {
    SubnetId(Uuid::from_u128(id))
}

fn port_id(id: u128) -> PortId {
    PortId(Uuid::from_u128(id))
}

fn network() -> Network {
    Network {
        id: network_id(1),
        name: "n".into(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".into()),
        admin_state_up: true,
        status: "ACTIVE".into(),
        shared: false,
        physical_network: None,
        fast_dad: true,
        subnets: vec![subnet_id(1)],
        mtu: 1430,
        address_policy: Default::default(),
        port_security_enabled: true,
        revision_number: 1,
        created_at: "2026-01-01T00:00:00Z".into(),
        updated_at: "2026-01-01T00:00:00Z".into(),
        vni: Vni(7),
    }
}

fn subnet() -> Subnet {
    Subnet {
        id: subnet_id(1),
        name: "s".into(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".into()),
        network_id: network_id(1),
        ip_version: 6,
        cidr: "2001:db8::/64".parse().unwrap(),
        gateway_ip: None,
        allocation_pools: Vec::new(),
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        service_types: Vec::new(),
        enable_dhcp: true,
        modes: Ipv6Modes::default(),
        revision_number: 0,
        created_at: "2026-01-01T00:00:00Z".into(),
        updated_at: "2026-01-01T00:00:00Z".into(),
        sequence: 1,
    }
}

fn port() -> Port {
    Port {
        extra_dhcp_opts: Vec::new(),
        vnic_type: Default::default(),
        id: port_id(1),
        name: "\"binding:host_id\":".into(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".into()),
        network_id: network_id(1),
        mac_address: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        fixed_ips: vec![FixedIp {
            subnet_id: subnet_id(1),
            ip_address: "2001:db8::5".parse().unwrap(),
        }],
        admin_state_up: true,
        status: PortStatus::Down,
        device_id: String::new(),
        device_owner: String::new(),
        ip_allocation: IpAllocation::Immediate,
        data_plane_status: None,
        port_security_enabled: true,
        revision_number: 1,
        created_at: "2026-01-01T00:00:00Z".into(),
        updated_at: "2026-01-01T00:00:00Z".into(),
        profile: serde_json::Map::new(),
        host_id: None,
        number: PortNumber(1),
        bound_at: 0,
    }
}
