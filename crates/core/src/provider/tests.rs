use super::*;

fn underlay() -> Underlay {
    Underlay {
        mtu: 1500,
        physical_mtu: 9000,
        physical_networks: ["lab", "office"].map(str::to_owned).into(),
        vni_range: Vni::MIN.0..=Vni::MAX.0,
    }
}

fn provider(
    network_type: Option<&str>,
    physical_network: Option<&str>,
    segmentation_id: Option<i64>,
) -> Provider {
    Provider {
        network_type: network_type.map(str::to_owned),
        physical_network: physical_network.map(str::to_owned),
        segmentation_id,
    }
}

/// Type, physical network, number, and what carries it or the end of the refusal.
type Asked = (
    Option<&'static str>,
    Option<&'static str>,
    Option<i64>,
    &'static str,
);

#[rustfmt::skip]
const ASKED: &[Asked] = &[
    (None, None, None, "Vxlan(None)"),
    (Some("vxlan"), None, None, "Vxlan(None)"),
    (Some("vxlan"), None, Some(1), "Vxlan(Some(Vni(1)))"),
    (Some("vxlan"), None, Some(16_777_215), "Vxlan(Some(Vni(16777215)))"),
    (Some("vxlan"), None, Some(0), "segmentation_id 0 out of range: 1 to 16777215 are allowed."),
    (Some("vxlan"), None, Some(16_777_216), "segmentation_id 16777216 out of range: 1 to 16777215 are allowed."),
    (Some("vxlan"), None, Some(-1), "segmentation_id -1 out of range: 1 to 16777215 are allowed."),
    (Some("vxlan"), Some("lab"), None, "provider:physical_network specified for vxlan network."),
    (None, None, Some(5), "network_type required."),
    (None, Some("lab"), None, "network_type required."),
    (Some("flat"), Some("lab"), None, "Flat(\"lab\")"),
    (Some("flat"), Some("lab"), Some(5), "provider:segmentation_id prohibited for flat provider network."),
    (Some("flat"), None, None, "physical_network required for flat provider network: known are lab, office."),
    (Some("flat"), Some("attic"), None, "physical_network 'attic' unknown for flat provider network: known are lab, office."),
    (Some("vlan"), Some("lab"), Some(5), "network_type value 'vlan' not supported: vxlan and flat are."),
    (Some("gre"), None, Some(5), "network_type value 'gre' not supported: vxlan and flat are."),
    (Some("geneve"), None, None, "network_type value 'geneve' not supported: vxlan and flat are."),
    (Some("local"), None, None, "network_type value 'local' not supported: vxlan and flat are."),
    (Some(""), None, None, "network_type value '' not supported: vxlan and flat are."),
];

#[test]
fn provider_attributes_say_what_carries_a_network_or_are_refused() {
    for (network_type, physical_network, segmentation_id, expected) in ASKED {
        let asked = provider(*network_type, *physical_network, *segmentation_id);
        match underlay().carrier(&asked) {
            Ok(carrier) => assert_eq!(format!("{carrier:?}"), *expected, "{asked:?}"),
            Err(refusal) => {
                assert_eq!(refusal.kind, RefusalKind::InvalidInput, "{asked:?}");
                assert!(refusal.message.ends_with(expected), "{asked:?}: {refusal}");
            }
        }
    }
    let none = Underlay {
        physical_networks: BTreeSet::new(),
        ..underlay()
    };
    let refusal = none.carrier(&provider(Some("flat"), Some("lab"), None));
    let message = refusal.unwrap_err().message;
    assert!(message.ends_with("none is known here."), "{message}");
}

#[test]
fn the_overlay_costs_its_headers_and_a_flat_network_nothing() {
    assert_eq!(underlay().mtu_max(None), 1430);
    assert_eq!(underlay().mtu_max(Some("lab")), 9000);
}

#[test]
fn a_network_keeps_what_carries_it() {
    let holds = provider(Some("vxlan"), None, Some(5));
    for (asked, ok) in [
        (provider(None, None, None), true),
        (provider(Some("vxlan"), None, Some(5)), true),
        (provider(Some("flat"), None, None), false),
        (provider(None, Some("lab"), None), false),
        (provider(None, None, Some(6)), false),
    ] {
        assert_eq!(asked.check_unchanged(&holds).is_ok(), ok, "{asked:?}");
    }
}
