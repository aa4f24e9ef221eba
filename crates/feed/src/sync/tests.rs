use hextet_core::ids::{HostId, NetworkId, PortId, PortNumber, ProjectId, SubnetId, Vni};
use hextet_core::mac::Mac;
use hextet_core::modes::{Ipv6Mode, Ipv6Modes};
use hextet_core::network::Network;
use hextet_core::plan::compile::{compile, compile_key, keys};
use hextet_core::port::{FixedIp, IpAllocation, Port, PortStatus};
use hextet_core::settings::CloudSettings;
use hextet_core::snapshot::{Change, Snapshot};
use hextet_core::subnet::Subnet;
use proptest::prelude::*;
use prost::Message;
use uuid::Uuid;

use super::*;

/// What one change of one port may cost on the wire.
const ONE_PORT_BYTES_MAX: usize = 1000;

#[test]
fn one_port_changed_among_ten_thousand_sends_less_than_a_kilobyte() {
    let mut snapshot = cloud();
    for number in 1..=10_000 {
        snapshot.apply(Change::Port(port(number, Some(0))));
    }
    let mut wire = Wire::new(0);
    let first = wire.resync(&snapshot);
    assert!(
        first > 10_000 * 50,
        "the whole plan was sent: {first} bytes"
    );
    let mut changed = port(5_000, Some(0));
    changed.admin_state_up = false;
    let touched = snapshot.apply(Change::Port(changed));
    let bytes = wire.send(
        &snapshot,
        touched.get(&host(0)).cloned().unwrap_or_default(),
    );
    assert!(bytes > 0 && bytes < ONE_PORT_BYTES_MAX, "{bytes} bytes");
    assert_eq!(wire.agent, compile(&snapshot, &host(0), wire.generation));
    let bytes = wire.send(&snapshot, keys(&snapshot, &host(0)));
    assert_eq!(bytes, 0, "nothing is sent when nothing differs");
}

#[test]
fn an_agent_that_comes_back_is_sent_only_what_differs() {
    let mut snapshot = cloud();
    for number in 1..=2_500 {
        snapshot.apply(Change::Port(port(number, Some(0))));
    }
    let mut wire = Wire::new(0);
    wire.resync(&snapshot);
    snapshot.apply(Change::PortGone(port(7, None).id));
    snapshot.apply(Change::Port(port(2_501, Some(0))));
    let bytes = wire.resync(&snapshot);
    assert!(bytes > 0 && bytes < ONE_PORT_BYTES_MAX, "{bytes} bytes");
    assert_eq!(wire.agent, compile(&snapshot, &host(0), wire.generation));
}

#[test]
fn a_change_in_parts_is_taken_in_whole() {
    let mut snapshot = cloud();
    for number in 1..=2_500 {
        snapshot.apply(Change::Port(port(number, Some(0))));
    }
    let mut sent = Sent::default();
    let messages = sent.delta(
        keys(&snapshot, &host(0)),
        |key| compile_key(&snapshot, &host(0), key),
        Generation {
            epoch: 1,
            revision: 2,
        },
        false,
    );
    assert_eq!(messages.len(), 3);
    let mut incoming = Incoming::default();
    assert_eq!(incoming.take(&messages[0]), Ok(None));
    assert_eq!(incoming.take(&messages[1]), Ok(None));
    let delta = incoming.take(&messages[2]).unwrap().expect("the last part");
    assert_eq!(delta.changes.len(), 2_503);
}

#[test]
fn a_malformed_message_is_an_error_and_not_a_plan() {
    let part = v1::ServerMessage {
        last: true,
        ..Default::default()
    };
    assert_eq!(
        Incoming::default().take(&part),
        Err(Malformed::Missing("generation"))
    );
    let part = v1::Hello {
        generation: Some(Generation::default().into()),
        held: vec![v1::Held {
            key: Some(PlanKey::Cloud.into()),
            digest: vec![1],
        }],
        ..Default::default()
    };
    assert!(matches!(
        Greeting::default().take(&part),
        Err(Malformed::Size {
            field: "held.digest",
            ..
        })
    ));
}

proptest! {
    /// Through encoding and decoding, with reconnections at any point, an agent that is sent touched keys only holds
    /// what a fresh compile says.
    #[test]
    fn incremental_equals_whole_over_the_wire(
        steps in prop::collection::vec((1u32..12, prop::option::of(0u32..3), any::<bool>(), 0u8..10), 1..60)
    ) {
        let mut snapshot = cloud();
        let mut wires: Vec<Wire> = (0..3).map(Wire::new).collect();
        for wire in &mut wires {
            wire.resync(&snapshot);
        }
        for (number, on, up, reconnect) in steps {
            let mut changed = port(number, on);
            changed.admin_state_up = up;
            let change = if reconnect == 9 { Change::PortGone(changed.id) } else { Change::Port(changed) };
            let touched = snapshot.apply(change);
            for wire in &mut wires {
                let keys = touched.get(&wire.host).cloned().unwrap_or_default();
                if u32::from(reconnect) == wire.number {
                    wire.resync(&snapshot);
                } else {
                    wire.send(&snapshot, keys);
                }
                let whole = compile(&snapshot, &wire.host, wire.generation);
                prop_assert_eq!(&wire.agent.entries, &whole.entries);
            }
        }
    }
}

/// Both ends of a stream, with the bytes between them.
struct Wire {
    number: u32,
    host: HostId,
    generation: Generation,
    server: Sent,
    incoming: Incoming,
    agent: HostPlan,
}

impl Wire {
    fn new(number: u32) -> Self {
        Self {
            number,
            host: host(number),
            generation: Generation {
                epoch: 1,
                revision: 0,
            },
            server: Sent::default(),
            incoming: Incoming::default(),
            agent: HostPlan::default(),
        }
    }

    /// A new connection: the agent greets, the server sends what differs.
    fn resync(&mut self, snapshot: &Snapshot) -> usize {
        let mut greeting = Greeting::default();
        let mut parts = hello(&self.host.0, &self.agent).into_iter();
        while !greeting
            .take(&v1::Hello::decode(parts.next().unwrap().encode_to_vec().as_slice()).unwrap())
            .unwrap()
        {}
        assert!(parts.next().is_none());
        self.server = Sent::new(greeting.held);
        let mut all = keys(snapshot, &self.host);
        all.extend(self.server.keys());
        self.send(snapshot, all)
    }

    fn send(&mut self, snapshot: &Snapshot, keys: BTreeSet<PlanKey>) -> usize {
        self.generation.revision += 1;
        let mut bytes = 0;
        let host = &self.host;
        for message in self.server.delta(
            keys,
            |key| compile_key(snapshot, host, key),
            self.generation,
            false,
        ) {
            let encoded = message.encode_to_vec();
            bytes += encoded.len();
            let message = v1::ServerMessage::decode(encoded.as_slice()).unwrap();
            if let Some(delta) = self.incoming.take(&message).unwrap() {
                delta.apply(&mut self.agent);
            }
        }
        bytes
    }
}

fn host(number: u32) -> HostId {
    HostId(format!("host-{number}"))
}

fn cloud() -> Snapshot {
    let mut snapshot = Snapshot::new(CloudSettings::with_defaults(Uuid::from_u128(9)));
    snapshot.apply(Change::Network(Network {
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
        subnets: vec![SubnetId(Uuid::from_u128(2))],
        mtu: 1430,
        address_policy: Default::default(),
        port_security_enabled: true,
        revision_number: 1,
        created_at: String::new(),
        updated_at: String::new(),
        vni: Vni(5),
    }));
    snapshot.apply(Change::Subnet(Subnet {
        id: SubnetId(Uuid::from_u128(2)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".to_owned()),
        network_id: NetworkId(Uuid::from_u128(1)),
        ip_version: 6,
        cidr: "2001:db8::/64".parse().unwrap(),
        gateway_ip: None,
        allocation_pools: Vec::new(),
        dns_nameservers: vec!["2001:db8::53".parse().unwrap()],
        host_routes: Vec::new(),
        service_types: Vec::new(),
        enable_dhcp: true,
        modes: Ipv6Modes {
            ra: Some(Ipv6Mode::Slaac),
            address: Some(Ipv6Mode::Slaac),
        },
        revision_number: 1,
        created_at: String::new(),
        updated_at: String::new(),
        sequence: 1,
    }));
    snapshot
}

fn port(number: u32, on: Option<u32>) -> Port {
    let [_, _, a, b] = number.to_be_bytes();
    let mac = Mac([2, 0, 0, 1, a, b]);
    Port {
        extra_dhcp_opts: Vec::new(),
        vnic_type: Default::default(),
        id: PortId(Uuid::from_u128(u128::from(number) << 64)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".to_owned()),
        network_id: NetworkId(Uuid::from_u128(1)),
        mac_address: mac,
        fixed_ips: vec![FixedIp {
            subnet_id: SubnetId(Uuid::from_u128(2)),
            ip_address: mac.eui64("2001:db8::/64".parse().unwrap()).into(),
        }],
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
        profile: Default::default(),
        host_id: on.map(host),
        number: PortNumber(number),
        bound_at: 1,
    }
}
