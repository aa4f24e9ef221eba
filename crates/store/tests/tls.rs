//! A PostgreSQL over TCP: TLS with a verified name, or by the operator's word none; never plain text in the place of TLS.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hextet_store::{Database, Store};
use hextet_testdb::{Cluster, Disk};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use support::{Bed, put};

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_name_is_verified_and_plain_text_is_never_taken_for_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority(folder.path(), "ours");
    let theirs = authority(folder.path(), "theirs");
    let (certificate, key) = ours.certificate(folder.path(), "localhost");
    let cluster = Cluster::start(Disk::Unsynced);
    let port = cluster.listen(Some((&certificate, &key)));
    let bed = Bed::on(&cluster);
    let name = cluster_database(&bed.database);
    let url = |host: &str, more: &str| format!("postgresql://hextet@{host}:{port}/{name}?{more}");
    let (ours, theirs) = (ours.pem.display(), theirs.pem.display());

    let open = url("localhost", &format!("sslrootcert={ours}"));
    let store = opened(&open).await.unwrap();
    put(&store, "a", json!({})).await;
    let protected = "SELECT COUNT(*), BOOL_AND(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a \
                     USING (pid) WHERE a.application_name = 'hextet'";
    assert_eq!(bed_sql(&cluster, &name, protected), "2|t");
    store.close().await;
    drop(store);

    for (url, why) in [
        (
            url("localhost", &format!("sslrootcert={theirs}")),
            "UnknownIssuer",
        ),
        (url("localhost", "sslmode=require"), "UnknownIssuer"),
        (
            url("127.0.0.1", &format!("sslmode=require&sslrootcert={ours}")),
            "NotValidForName",
        ),
        (url("localhost", "sslrootcert=/nowhere.pem"), "/nowhere.pem"),
    ] {
        let refused = opened(&url).await.err().unwrap();
        assert!(
            refused.contains(why) || refused.contains("not valid for name"),
            "{url}: {refused}"
        );
    }

    let port = cluster.listen(None);
    let url = |more: &str| format!("postgresql://hextet@localhost:{port}/{name}?{more}");
    let refused = opened(&url(&format!("sslrootcert={ours}")))
        .await
        .err()
        .unwrap();
    assert!(refused.contains("does not support TLS"), "{refused}");
    put(
        &opened(&url("sslmode=disable")).await.unwrap(),
        "b",
        json!({}),
    )
    .await;
}

async fn opened(url: &str) -> Result<Store, String> {
    let mut config = Bed::sqlite().config();
    config.database = url.parse().unwrap();
    // What does not get better by waiting is not waited for.
    config.patience = Duration::from_secs(3600);
    Store::open(config)
        .await
        .map_err(|error| hextet_core::errors::chain(&error))
}

fn cluster_database(database: &Database) -> String {
    let url = database.to_string();
    let name = url.strip_prefix("postgresql:///").unwrap();
    name.split('?').next().unwrap().to_owned()
}

fn bed_sql(cluster: &Cluster, database: &str, sql: &str) -> String {
    cluster.sql(database, sql)
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: PathBuf,
}

fn authority(folder: &Path, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = folder.join(format!("{name}.pem"));
    std::fs::write(&pem, certificate.pem()).unwrap();
    Authority {
        issuer: Issuer::new(params, key),
        pem,
    }
}

impl Authority {
    /// PEM files of a certificate for a host, and of its key.
    fn certificate(&self, folder: &Path, host: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = (folder.join("server.pem"), folder.join("server.key"));
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }
}
