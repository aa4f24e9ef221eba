use std::collections::BTreeSet;

use super::{Role, effective};

#[test]
fn a_role_includes_those_below_it_and_service_includes_none() {
    let cases: [(Role, &[Role]); 5] = [
        (
            Role::Admin,
            &[Role::Admin, Role::Manager, Role::Member, Role::Reader],
        ),
        (Role::Manager, &[Role::Manager, Role::Member, Role::Reader]),
        (Role::Member, &[Role::Member, Role::Reader]),
        (Role::Reader, &[Role::Reader]),
        (Role::Service, &[Role::Service]),
    ];
    for (given, expected) in cases {
        let expected: BTreeSet<Role> = expected.iter().copied().collect();
        assert_eq!(effective(&BTreeSet::from([given])), expected, "{given}");
    }
}

#[test]
fn names_and_ids_lead_back_to_their_role() {
    for role in Role::ALL {
        assert_eq!(role.name().parse(), Ok(role));
        assert_eq!(Role::from_id(role.id()), Some(role));
    }
    assert!("Admin".parse::<Role>().is_err());
}
