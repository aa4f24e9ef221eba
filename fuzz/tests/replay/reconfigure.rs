//! Reconfigure messages, signed by the key that the target has.

use hextet_wire::dhcpv6::{Duid, Reconfigure, ReconfigureKey, ReconfigureKind};

/// One of each kind, by the name of what the client is to send.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let kinds = [
        ReconfigureKind::Renew,
        ReconfigureKind::Rebind,
        ReconfigureKind::InformationRequest,
    ];
    let seed = |kind: ReconfigureKind| {
        let message = Reconfigure {
            client: Duid::from_uuid([1; 16]),
            server: Duid::from_uuid([2; 16]),
            kind,
            replay: 7,
        };
        let name = format!("reconfigure-{}", kind.name().to_lowercase());
        (name, message.emit(&ReconfigureKey::new([7; 16])))
    };
    kinds.into_iter().map(seed).collect()
}
