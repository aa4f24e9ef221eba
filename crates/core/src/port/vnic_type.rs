//! `binding:vnic_type`: what kind of NIC a port's guest has. Neutron's list; hosts carry one kind of it.

use serde::{Deserialize, Serialize};

/// A port's `binding:vnic_type`, as Neutron's extension `binding` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VnicType {
    /// A virtual NIC on a link of its host: the kind that hosts carry.
    #[default]
    Normal,
    /// A virtual function of a physical NIC, handed to the guest.
    Direct,
    /// The same behind a macvtap.
    Macvtap,
    /// A NIC of a physical server.
    Baremetal,
    /// A whole physical NIC, handed to the guest.
    DirectPhysical,
    /// A virtio NIC that a physical one serves.
    VirtioForwarder,
    /// A NIC with an agent of its own.
    SmartNic,
    /// A virtio NIC that a physical one serves by vDPA.
    Vdpa,
    /// A virtual function of an accelerator.
    AcceleratorDirect,
    /// A whole accelerator.
    AcceleratorDirectPhysical,
    /// A NIC that another host manages.
    RemoteManaged,
}

impl VnicType {
    /// What they are called, in the order of the values.
    pub const NAMES: [&str; 11] = [
        "normal",
        "direct",
        "macvtap",
        "baremetal",
        "direct-physical",
        "virtio-forwarder",
        "smart-nic",
        "vdpa",
        "accelerator-direct",
        "accelerator-direct-physical",
        "remote-managed",
    ];

    /// Whether there are hosts that carry such ports.
    pub fn is_carried(self) -> bool {
        self == VnicType::Normal
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}
