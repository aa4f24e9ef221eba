use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Mutex;

use hextet_core::ids::{NetworkId, PortId, PortNumber, ProjectId, Vni};
use hextet_core::mac::Mac;
use hextet_core::network::Network;
use hextet_core::plan::{Generation, HostPlan};
use hextet_core::port::{IpAllocation, Port, PortStatus, VnicType};
use hextet_core::report::{PortReport, PortState};
use hextet_core::settings::CloudSettings;
use hextet_feed::sync::{Incoming, hello};
use hextet_feed::v1::agent_message::Body;
use hextet_feed::v1::feed_client::FeedClient;
use hextet_store::{Database, EngineError, StoreConfig, Synchronous};
use hextet_testdb::Cluster;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{ClientTlsConfig, Endpoint};
use uuid::Uuid;

use super::*;

/// The bound of a wait, far above what it takes.
const BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_certificate_names_its_host_and_no_other() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["host-1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    assert!(names(certificate.der(), "host-1"));
    assert!(!names(certificate.der(), "host-2"));
    assert!(!names(certificate.der(), "host-1.example"));
    assert!(!names(certificate.der(), ""));
    assert!(!names(&CertificateDer::from(vec![1, 2, 3]), "host-1"));
}

#[tokio::test]
async fn a_host_reads_its_own_plan_and_hears_its_own_changes() {
    let cloud = Cloud::start().await;
    cloud.bind(1, "host-1").await;
    cloud.bind(2, "host-2").await;
    let mut agent = cloud.agent("host-1", "host-1", &HostPlan::default()).await;
    agent.take().await;
    assert_eq!(agent.ports(), [port_id(1)]);
    cloud.bind(3, "host-2").await;
    cloud.bind(4, "host-1").await;
    let changes = agent.take().await;
    assert_eq!(changes, 1, "one entry for one port of this host");
    assert_eq!(agent.ports(), [port_id(1), port_id(4)]);
    let stranger = cloud.agent("host-1", "host-2", &HostPlan::default()).await;
    assert_eq!(stranger.refused().await, tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_there_is_no_connection() {
    let cloud = Cloud::start().await;
    let other = Authority::new();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(cloud.authority.pem()))
        .domain_name("hextet-server");
    for tls in [tls.clone(), tls.identity(other.identity("host-1"))] {
        let channel = cloud.endpoint(tls).connect().await;
        // TLS 1.3 tells the client of its rejection with the first answer.
        let greeted = match channel {
            Err(_) => continue,
            Ok(channel) => {
                FeedClient::new(channel)
                    .sync(tokio_stream::iter(Vec::<v1::AgentMessage>::new()))
                    .await
            }
        };
        assert!(greeted.is_err());
    }
}

#[tokio::test]
async fn a_host_reports_its_own_ports_only() {
    let cloud = Cloud::start().await;
    cloud.bind(1, "host-1").await;
    cloud.bind(2, "host-2").await;
    let mut agent = cloud.agent("host-1", "host-1", &HostPlan::default()).await;
    agent.take().await;
    let entry = |number| PortReport {
        port: port_id(number),
        state: PortState::Up,
        carrier: true,
        observed: Vec::new(),
        conflicts: Vec::new(),
    };
    let report = HostReport {
        generation: agent.plan.generation,
        ports: vec![entry(1), entry(2), entry(9)],
    };
    agent.say(Body::Report(v1::Report::from(&report))).await;
    let heard = async {
        loop {
            if let Some(heard) = cloud.reports.lock().unwrap().first().cloned() {
                return heard;
            }
            tokio::task::yield_now().await;
        }
    };
    let heard = tokio::time::timeout(BOUND, heard).await.expect("a report");
    assert_eq!(heard.0.0, "host-1");
    assert_eq!(heard.1.ports, [entry(1)]);
}

#[tokio::test]
async fn what_an_agent_holds_is_not_sent_again_but_a_new_binding_is_announced() {
    let cloud = Cloud::start().await;
    cloud.bind(1, "host-1").await;
    let mut agent = cloud.agent("host-1", "host-1", &HostPlan::default()).await;
    agent.take().await;
    let held = agent.plan.clone();
    cloud.bind(1, "").await;
    cloud.bind(1, "host-1").await;
    let mut agent = cloud.agent("host-1", "host-1", &held).await;
    assert_eq!(agent.take().await, 0, "no entry differs");
    assert!(
        agent.plan.generation > held.generation,
        "it can report on the new binding"
    );
}

#[tokio::test]
async fn an_agent_ahead_of_a_restored_database_begins_a_new_epoch() {
    let cloud = Cloud::start().await;
    cloud.bind(1, "host-1").await;
    let mut agent = cloud.agent("host-1", "host-1", &HostPlan::default()).await;
    agent.take().await;
    let mut ahead = agent.plan.clone();
    ahead.generation.revision += 1_000;
    let mut agent = cloud.agent("host-1", "host-1", &ahead).await;
    agent.take().await;
    let Generation { epoch, revision } = agent.plan.generation;
    assert_ne!(epoch, ahead.generation.epoch);
    assert!(revision < ahead.generation.revision);
    assert_eq!(agent.ports(), [port_id(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_one_server_hears_of_what_is_written_through_another() {
    let url = Cluster::shared().database();
    let on = async || {
        let dir = tempfile::tempdir().unwrap();
        Cloud::on(dir, url.parse().unwrap()).await
    };
    let (near, far) = (on().await, on().await);
    far.network().await;
    far.bind(1, "host-1").await;
    // What was there before it came, what comes while it is there, and what goes.
    let mut agent = near.agent("host-1", "host-1", &HostPlan::default()).await;
    agent.take().await;
    assert_eq!(agent.ports(), [port_id(1)]);
    for number in 2..20 {
        let through = if number % 3 == 0 { &near } else { &far };
        through.bind(number, "host-1").await;
        let changes = agent.take().await;
        assert_eq!(changes, 1);
        assert_eq!(agent.ports().last(), Some(&port_id(number)));
    }
    far.bind(1, "host-2").await;
    agent.take().await;
    assert_eq!(agent.ports().first(), Some(&port_id(2)));
    let newest = far.store.read(|model| model.generation()).await.unwrap();
    assert_eq!(agent.plan.generation, newest);
    // It goes on at the other server with what it holds, as if it were the same.
    let mut moved = far.agent("host-1", "host-1", &agent.plan).await;
    near.bind(20, "host-1").await;
    let changes = moved.take().await;
    assert!(changes <= 1, "the plan is not sent again: {changes}");
    while moved.ports().last() != Some(&port_id(20)) {
        moved.take().await;
    }
}

#[tokio::test]
async fn a_claim_waits_for_its_port_and_says_whose_it_is() {
    use v1::ClaimOutcome::{Bound, Elsewhere, NoPort};
    let cloud = Cloud::start().await;
    let tap = |number| port_id(number).tap_name();
    let mut one = cloud.claim("host-1", "host-1", vec![tap(7)]).await.unwrap();
    assert_eq!(one.next().await, (tap(7), NoPort), "the tap came first");
    cloud.bind(7, "").await;
    assert_eq!(one.next().await, (tap(7), Bound));
    assert_eq!(cloud.host_of(7).await.as_deref(), Some("host-1"));
    let mut two = cloud.claim("host-2", "host-2", vec![tap(7)]).await.unwrap();
    assert_eq!(two.next().await, (tap(7), Elsewhere));
    // The first claims it no more: whoever takes the binding away means it.
    cloud.bind(7, "").await;
    assert_eq!(two.next().await, (tap(7), Bound));
    assert_eq!(cloud.host_of(7).await.as_deref(), Some("host-2"));
    // A port that was there before its tap, and what a host has already.
    cloud.bind(8, "").await;
    let mut both = cloud
        .claim("host-2", "host-2", vec![tap(7), tap(8)])
        .await
        .unwrap();
    assert_eq!(both.next().await, (tap(7), Bound));
    assert_eq!(both.next().await, (tap(8), Bound));
    // The plan has it like any that was bound.
    let mut agent = cloud.agent("host-2", "host-2", &HostPlan::default()).await;
    agent.take().await;
    assert_eq!(agent.ports(), [port_id(7), port_id(8)]);
}

#[tokio::test]
async fn a_port_that_no_host_carries_is_claimed_by_none() {
    let cloud = Cloud::start().await;
    let of_kind = |vnic_type| Port {
        vnic_type,
        ..port(7)
    };
    cloud.keep(of_kind(VnicType::Direct)).await;
    let tap = port_id(7).tap_name();
    let mut one = cloud
        .claim("host-1", "host-1", vec![tap.clone()])
        .await
        .unwrap();
    assert_eq!(
        one.next().await,
        (tap.clone(), v1::ClaimOutcome::NotCarried)
    );
    assert_eq!(cloud.host_of(7).await, None);
    cloud.keep(of_kind(VnicType::Normal)).await;
    assert_eq!(one.next().await, (tap, v1::ClaimOutcome::Bound));
    assert_eq!(cloud.host_of(7).await.as_deref(), Some("host-1"));
}

#[tokio::test]
async fn only_hosts_that_may_claim_do_and_only_for_themselves() {
    let cloud = Cloud::start().await;
    cloud.bind(7, "").await;
    let tap = port_id(7).tap_name();
    let mut third = cloud
        .claim("host-3", "host-3", vec![tap.clone()])
        .await
        .unwrap();
    let said = third.next().await;
    assert_eq!(said, (tap.clone(), v1::ClaimOutcome::NotAllowed));
    let code = |refused: Result<Claim, Status>| refused.err().map(|status| status.code());
    let stranger = cloud.claim("host-3", "host-1", vec![tap.clone()]).await;
    assert_eq!(code(stranger), Some(tonic::Code::PermissionDenied));
    let many = (0..=CLAIMS_MAX).map(|number| format!("tap{number:08x}-00"));
    for taps in [
        many.collect(),
        vec!["eth0".to_owned()],
        vec![tap.to_uppercase()],
    ] {
        let refused = cloud.claim("host-1", "host-1", taps).await;
        assert_eq!(code(refused), Some(tonic::Code::InvalidArgument));
    }
    assert_eq!(cloud.host_of(7).await, None);
}

/// Each of many ports is claimed by two hosts at once, through these servers.
async fn race(near: &Cloud, far: &Cloud) {
    use v1::ClaimOutcome::{Bound, Elsewhere};
    for number in 10..30 {
        near.bind(number, "").await;
        let taps = vec![port_id(number).tap_name()];
        let (one, two) = tokio::join!(
            async {
                near.claim("host-1", "host-1", taps.clone())
                    .await
                    .unwrap()
                    .next()
                    .await
                    .1
            },
            async {
                far.claim("host-2", "host-2", taps.clone())
                    .await
                    .unwrap()
                    .next()
                    .await
                    .1
            },
        );
        let winner = match (one, two) {
            (Bound, Elsewhere) => "host-1",
            (Elsewhere, Bound) => "host-2",
            both => panic!("port {number}: {both:?}"),
        };
        assert_eq!(near.host_of(number).await.as_deref(), Some(winner));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_that_claim_a_port_at_once_exactly_one_gets_it() {
    let cloud = Cloud::start().await;
    race(&cloud, &cloud).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_that_claim_a_port_through_two_servers_exactly_one_gets_it() {
    let url = Cluster::shared().database();
    let on = async || {
        let dir = tempfile::tempdir().unwrap();
        Cloud::on(dir, url.parse().unwrap()).await
    };
    let (near, far) = (on().await, on().await);
    near.network().await;
    race(&near, &far).await;
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = self.issue(name);
        Identity::from_pem(certificate, key)
    }
}

type Heard = Arc<Mutex<Vec<(HostId, HostReport)>>>;

struct Cloud {
    authority: Authority,
    address: SocketAddr,
    store: Store,
    reports: Heard,
    _dir: tempfile::TempDir,
}

impl Cloud {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::from(dir.path().join("db").as_path());
        let cloud = Self::on(dir, database).await;
        cloud.network().await;
        cloud
    }

    /// A server on this database, with an authority of its own.
    async fn on(dir: tempfile::TempDir, database: Database) -> Self {
        let path = |name: &str| dir.path().join(name);
        let authority = Authority::new();
        let (certificate, key) = authority.issue("hextet-server");
        for (name, text) in [("ca", authority.pem()), ("cert", certificate), ("key", key)] {
            std::fs::write(path(name), text).unwrap();
        }
        let settings = CloudSettings::with_defaults(Uuid::nil());
        let mut config = StoreConfig::of(database, settings);
        config.synchronous = Synchronous::Off;
        let store = Store::open(config).await.unwrap();
        let bound = bind(&FeedConfig {
            listen: SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ca: path("ca"),
            cert: path("cert"),
            key: path("key"),
            address_file: Some(path("addr")),
            claim_hosts: ["host-1", "host-2"].map(str::to_owned).into(),
        })
        .await
        .unwrap();
        let address = bound.address;
        let written = std::fs::read_to_string(path("addr")).unwrap();
        assert_eq!(written, format!("{address}\n"));
        let reports = Heard::default();
        let heard = reports.clone();
        let take: Reports = Arc::new(move |host, report| {
            heard.lock().unwrap().push((host, report));
            Box::pin(std::future::ready(()))
        });
        let written_to = store.clone();
        let claims: Claims = Arc::new(move |host, ports| {
            let store = written_to.clone();
            Box::pin(async move {
                let done = crate::app::claims::claim(&store, host, ports).await;
                done.map_err(|failure| Status::unavailable(format!("{failure:?}")))
            })
        });
        let takers = Takers {
            reports: take,
            claims,
        };
        tokio::spawn(bound.serve(
            store.clone(),
            takers,
            Hosts::default(),
            std::future::pending(),
        ));
        Self {
            authority,
            address,
            store,
            reports,
            _dir: dir,
        }
    }

    /// Makes the network.
    async fn network(&self) {
        self.store
            .write(|tx| Box::pin(async move { tx.insert_network(&network()).await }))
            .await
            .unwrap_or_else(|error: hextet_store::WriteError<EngineError>| panic!("{error}"));
    }

    /// Makes the port if it is not there; an empty host unbinds it.
    async fn bind(&self, number: u32, host: &str) {
        let host_id = Some(HostId(host.to_owned())).filter(|host| !host.0.is_empty());
        let port = port(number);
        self.keep(Port { host_id, ..port }).await;
    }

    async fn keep(&self, port: Port) {
        self.store
            .write(move |tx| {
                let mut new = port.clone();
                Box::pin(async move {
                    new.bound_at = tx.revision().await?;
                    match tx.port(new.id).await? {
                        Some(_) => tx.update_port(&new).await,
                        None => tx.insert_port(&new).await,
                    }
                })
            })
            .await
            .unwrap_or_else(|error: hextet_store::WriteError<EngineError>| panic!("{error}"));
    }

    fn endpoint(&self, tls: ClientTlsConfig) -> Endpoint {
        Endpoint::from_shared(format!("https://{}", self.address))
            .unwrap()
            .tls_config(tls)
            .unwrap()
    }

    async fn channel(&self, certificate: &str) -> tonic::transport::Channel {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.authority.pem()))
            .identity(self.authority.identity(certificate))
            .domain_name("hextet-server");
        self.endpoint(tls).connect().await.unwrap()
    }

    /// A claim of a host's agent.
    async fn claim(
        &self,
        certificate: &str,
        host: &str,
        taps: Vec<String>,
    ) -> Result<Claim, Status> {
        let mut client = FeedClient::new(self.channel(certificate).await);
        let host = host.to_owned();
        let replies = client.claim(v1::ClaimRequest { host, taps }).await?;
        Ok(Claim(replies.into_inner()))
    }

    async fn host_of(&self, number: u32) -> Option<String> {
        let read = self.store.read(|model| {
            let port = model.snapshot().port(port_id(number)).cloned();
            port.and_then(|port| port.host_id).map(|host| host.0)
        });
        read.await.unwrap()
    }

    /// An agent with a certificate of one name that says it is a host, and what it holds.
    async fn agent(&self, certificate: &str, host: &str, held: &HostPlan) -> Agent {
        let channel = self.channel(certificate).await;
        let (outgoing, requests) = mpsc::channel(8);
        let agent = |stream| Agent {
            outgoing: outgoing.clone(),
            stream,
            plan: held.clone(),
        };
        for part in hello(host, held) {
            let body = Some(Body::Hello(part));
            outgoing.send(v1::AgentMessage { body }).await.unwrap();
        }
        let answer = FeedClient::new(channel)
            .sync(ReceiverStream::new(requests))
            .await
            .unwrap();
        agent(answer.into_inner())
    }
}

struct Claim(Streaming<v1::ClaimReply>);

impl Claim {
    /// What is said next.
    async fn next(&mut self) -> (String, v1::ClaimOutcome) {
        let reply = tokio::time::timeout(BOUND, self.0.message()).await;
        let reply = reply.expect("a reply in time").unwrap().expect("a reply");
        let outcome = reply.outcome();
        (reply.tap, outcome)
    }
}

struct Agent {
    outgoing: mpsc::Sender<v1::AgentMessage>,
    stream: Streaming<v1::ServerMessage>,
    plan: HostPlan,
}

impl Agent {
    /// Takes the next change in, and says how many entries it has.
    async fn take(&mut self) -> usize {
        let mut incoming = Incoming::default();
        loop {
            let message = tokio::time::timeout(BOUND, self.stream.message()).await;
            let message = message.expect("a message in time").unwrap();
            let message = message.expect("a message");
            if let Some(delta) = incoming.take(&message).unwrap() {
                let count = delta.changes.len();
                delta.apply(&mut self.plan);
                return count;
            }
        }
    }

    async fn say(&self, body: Body) {
        let body = Some(body);
        self.outgoing.send(v1::AgentMessage { body }).await.unwrap();
    }

    async fn refused(mut self) -> tonic::Code {
        self.stream.message().await.unwrap_err().code()
    }

    fn ports(&self) -> Vec<PortId> {
        self.plan.ports().map(|port| port.id).collect()
    }
}

fn port_id(number: u32) -> PortId {
    PortId(Uuid::from_u128(u128::from(number) << 96))
}

fn network() -> Network {
    Network {
        id: NetworkId(Uuid::from_u128(1)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".to_owned()),
        admin_state_up: true,
        status: "ACTIVE".to_owned(),
        shared: false,
        physical_network: None,
        fast_dad: true,
        subnets: Vec::new(),
        mtu: 1430,
        address_policy: Default::default(),
        port_security_enabled: true,
        revision_number: 1,
        created_at: String::new(),
        updated_at: String::new(),
        vni: Vni(5),
    }
}

fn port(number: u32) -> Port {
    Port {
        extra_dhcp_opts: Vec::new(),
        vnic_type: Default::default(),
        id: port_id(number),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".to_owned()),
        network_id: network().id,
        mac_address: Mac([2, 0, 0, 0, 0, u8::try_from(number).unwrap()]),
        fixed_ips: Vec::new(),
        admin_state_up: true,
        status: PortStatus::Down,
        device_id: String::new(),
        device_owner: String::new(),
        ip_allocation: IpAllocation::Immediate,
        data_plane_status: None,
        port_security_enabled: true,
        revision_number: 1,
        created_at: String::new(),
        updated_at: String::new(),
        profile: serde_json::Map::new(),
        host_id: None,
        number: PortNumber(number),
        bound_at: 0,
    }
}
