//! The whole cloud in memory, with the indexes that make one change touch only the plans that it can change.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::ids::{HostId, NetworkId, PortId, SubnetId, Vni};
use crate::network::Network;
use crate::plan::PlanKey;
use crate::port::Port;
use crate::settings::CloudSettings;
use crate::subnet::Subnet;

/// A change of the cloud: what the store's log says, in its order. A subnet or a port comes after its network and goes
/// before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The network is new, or now this.
    Network(Network),
    /// The subnet is new, or now this.
    Subnet(Subnet),
    /// The port is new, or now this.
    Port(Port),
    /// The network is gone.
    NetworkGone(NetworkId),
    /// The subnet is gone.
    SubnetGone(SubnetId),
    /// The port is gone.
    PortGone(PortId),
}

/// The keys that a change can touch, for each host. A key that stays as it was may be among them.
pub type Touched = BTreeMap<HostId, BTreeSet<PlanKey>>;

/// The whole cloud.
#[derive(Clone, Debug)]
pub struct Snapshot {
    settings: CloudSettings,
    networks: BTreeMap<NetworkId, Network>,
    subnets: BTreeMap<SubnetId, Subnet>,
    ports: BTreeMap<PortId, Port>,
    by_vni: BTreeMap<Vni, NetworkId>,
    subnets_of: BTreeMap<NetworkId, BTreeSet<SubnetId>>,
    /// One set of pairs, because most networks have few ports.
    ports_of: BTreeSet<(NetworkId, PortId)>,
    ports_on: BTreeMap<HostId, BTreeSet<PortId>>,
    /// How many ports of a network each host carries; no zeros.
    hosts_of: BTreeMap<NetworkId, BTreeMap<HostId, usize>>,
}

impl Snapshot {
    /// A cloud with nothing in it.
    pub fn new(settings: CloudSettings) -> Self {
        Self {
            settings,
            networks: BTreeMap::new(),
            subnets: BTreeMap::new(),
            ports: BTreeMap::new(),
            by_vni: BTreeMap::new(),
            subnets_of: BTreeMap::new(),
            ports_of: BTreeSet::new(),
            ports_on: BTreeMap::new(),
            hosts_of: BTreeMap::new(),
        }
    }

    /// The cloud's settings.
    pub fn settings(&self) -> &CloudSettings {
        &self.settings
    }

    /// The network of this id.
    pub fn network(&self, id: NetworkId) -> Option<&Network> {
        self.networks.get(&id)
    }

    /// The network of this number.
    pub fn network_of(&self, vni: Vni) -> Option<&Network> {
        self.by_vni.get(&vni).and_then(|id| self.networks.get(id))
    }

    /// The subnet of this id.
    pub fn subnet(&self, id: SubnetId) -> Option<&Subnet> {
        self.subnets.get(&id)
    }

    /// The port of this id.
    pub fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(&id)
    }

    /// The port whose link has this name. Two never have: the store keeps such names.
    pub fn port_of_tap(&self, name: &str) -> Option<&Port> {
        let (first, last) = PortId::of_tap_name(name)?;
        let mut named = self.ports.range(first..=last);
        named.next().map(|(_, port)| port)
    }

    /// Every port, in the order of their ids.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.values()
    }

    /// A network's ports, in the order of their ids.
    pub fn ports_of(&self, network: NetworkId) -> impl Iterator<Item = &Port> {
        let all = (network, PortId(Uuid::nil()))..=(network, PortId(Uuid::max()));
        self.ports_of
            .range(all)
            .filter_map(|(_, id)| self.ports.get(id))
    }

    /// A network's subnets, in the order of their ids.
    pub fn subnets_of(&self, network: NetworkId) -> impl Iterator<Item = &Subnet> {
        let ids = self.subnets_of.get(&network).into_iter().flatten();
        ids.filter_map(|id| self.subnets.get(id))
    }

    /// The ports that a host carries, in the order of their ids.
    pub fn ports_on(&self, host: &HostId) -> impl Iterator<Item = &Port> {
        self.ports_on
            .get(host)
            .into_iter()
            .flatten()
            .filter_map(|id| self.ports.get(id))
    }

    /// Whether the host carries a port of the network.
    pub fn is_on(&self, network: NetworkId, host: &HostId) -> bool {
        self.hosts_of
            .get(&network)
            .is_some_and(|hosts| hosts.contains_key(host))
    }

    /// The keys of a network and its subnets.
    pub fn network_keys(&self, network: NetworkId) -> BTreeSet<PlanKey> {
        let subnets = self.subnets_of.get(&network).into_iter().flatten();
        let mut keys: BTreeSet<PlanKey> = subnets.map(|id| PlanKey::Subnet(*id)).collect();
        keys.extend(
            self.networks
                .get(&network)
                .map(|network| PlanKey::Network(network.vni)),
        );
        keys
    }

    /// Takes a change in, and says which keys of which hosts it can touch.
    pub fn apply(&mut self, change: Change) -> Touched {
        match change {
            Change::Network(network) => {
                let (id, vni) = (network.id, network.vni);
                self.by_vni.insert(vni, id);
                self.networks.insert(id, network);
                self.touch_network(id, PlanKey::Network(vni))
            }
            Change::NetworkGone(id) => {
                let Some(network) = self.networks.remove(&id) else {
                    return Touched::new();
                };
                self.by_vni.remove(&network.vni);
                self.touch_network(id, PlanKey::Network(network.vni))
            }
            Change::Subnet(subnet) => {
                let (id, network) = (subnet.id, subnet.network_id);
                self.subnets_of.entry(network).or_default().insert(id);
                self.subnets.insert(id, subnet);
                self.touch_network(network, PlanKey::Subnet(id))
            }
            Change::SubnetGone(id) => {
                let Some(subnet) = self.subnets.remove(&id) else {
                    return Touched::new();
                };
                if let Some(siblings) = self.subnets_of.get_mut(&subnet.network_id) {
                    siblings.remove(&id);
                    if siblings.is_empty() {
                        self.subnets_of.remove(&subnet.network_id);
                    }
                }
                self.touch_network(subnet.network_id, PlanKey::Subnet(id))
            }
            Change::Port(port) => {
                let mut touched = self.remove_port(port.id);
                merge(&mut touched, self.insert_port(port));
                touched
            }
            Change::PortGone(id) => self.remove_port(id),
        }
    }

    /// A key of every host that carries a port of the network.
    fn touch_network(&self, network: NetworkId, key: PlanKey) -> Touched {
        let hosts = self
            .hosts_of
            .get(&network)
            .into_iter()
            .flat_map(BTreeMap::keys);
        hosts
            .map(|host| (host.clone(), BTreeSet::from([key])))
            .collect()
    }

    fn insert_port(&mut self, port: Port) -> Touched {
        let mut touched = Touched::new();
        if let Some(host) = port.carried_by().cloned() {
            self.ports_on
                .entry(host.clone())
                .or_default()
                .insert(port.id);
            let count = self
                .hosts_of
                .entry(port.network_id)
                .or_default()
                .entry(host.clone())
                .or_insert(0);
            *count += 1;
            let mut keys = BTreeSet::from([PlanKey::Port(port.id)]);
            if *count == 1 {
                keys.extend(self.network_keys(port.network_id));
            }
            touched.insert(host, keys);
        }
        self.ports_of.insert((port.network_id, port.id));
        self.ports.insert(port.id, port);
        touched
    }

    fn remove_port(&mut self, id: PortId) -> Touched {
        let Some(port) = self.ports.remove(&id) else {
            return Touched::new();
        };
        self.ports_of.remove(&(port.network_id, id));
        let Some(host) = port.carried_by().cloned() else {
            return Touched::new();
        };
        let mut keys = BTreeSet::from([PlanKey::Port(id)]);
        if let Some(ports) = self.ports_on.get_mut(&host) {
            ports.remove(&id);
            if ports.is_empty() {
                self.ports_on.remove(&host);
            }
        }
        if let Some(hosts) = self.hosts_of.get_mut(&port.network_id) {
            let count = hosts
                .get_mut(&host)
                .expect("a bound port is counted on its host");
            *count -= 1;
            if *count == 0 {
                hosts.remove(&host);
                if hosts.is_empty() {
                    self.hosts_of.remove(&port.network_id);
                }
                keys.extend(self.network_keys(port.network_id));
            }
        }
        Touched::from([(host, keys)])
    }
}

fn merge(into: &mut Touched, from: Touched) {
    for (host, keys) in from {
        into.entry(host).or_default().extend(keys);
    }
}
