use super::*;
use crate::identity::effective;

/// Everybody: a name, the project and the role of the token. Project p owns the resource, n the network.
const CALLERS: [(&str, &str, Role); 9] = [
    ("admin", "x", Role::Admin),
    ("service", "x", Role::Service),
    ("p-manager", "p", Role::Manager),
    ("p-member", "p", Role::Member),
    ("p-reader", "p", Role::Reader),
    ("n-manager", "n", Role::Manager),
    ("n-member", "n", Role::Member),
    ("n-reader", "n", Role::Reader),
    ("x-manager", "x", Role::Manager),
];
const ALL: &str = "admin service p-manager p-member p-reader n-manager n-member n-reader x-manager";

/// Of whom, whether the network is shared, the port's device owner, and who is one.
#[rustfmt::skip]
const WHO: &[(Who, bool, &str, &str)] = &[
    (Who::Admin, false, "", "admin"),
    (Who::Service, false, "", "service"),
    (Who::Reader, false, "", "p-manager p-member p-reader"),
    (Who::Member, false, "", "p-manager p-member"),
    (Who::NetworkReader, false, "", "n-manager n-member n-reader"),
    (Who::NetworkMember, false, "compute:nova", "n-manager n-member"),
    (Who::NetworkMemberUnlessDevice, false, "network:dhcp", "n-manager n-member"),
    (Who::NetworkMemberUnlessDevice, false, "compute:nova", ""),
    (Who::NetworkMemberUnlessDevice, false, "baremetal:none", ""),
    (Who::NetworkMemberUnlessDevice, false, "manila:share", ""),
    (Who::NetworkManager, false, "", "n-manager"),
    (Who::Shared, false, "", ""),
    (Who::Shared, true, "", ALL),
    (Who::SharedMember, false, "", ""),
    (Who::SharedMember, true, "", "p-manager p-member"),
];

#[test]
fn a_rule_lets_in_whom_it_names() {
    let (p, n) = (ProjectId("p".to_owned()), ProjectId("n".to_owned()));
    for (who, shared, device_owner, expected) in WHO {
        let target = Target {
            project: &p,
            network_owner: &n,
            shared: *shared,
            device_owner,
        };
        let names: Vec<&str> = CALLERS
            .iter()
            .filter(|(_, project, role)| who.is_to(&caller(project, *role), &target))
            .map(|(name, ..)| *name)
            .collect();
        assert_eq!(names.join(" "), *expected, "{who:?} {device_owner}");
    }
}

#[test]
fn what_is_given_decides_what_is_demanded() {
    let guard = |when| Guard {
        name: "a",
        when,
        create: &[Who::Admin],
        update: &[Who::Service],
    };
    for (when, value, post, put) in [
        (When::Given, r#"null"#, true, true),
        (When::Besides("false"), r#"false"#, false, true),
        (When::Besides("false"), r#"true"#, true, true),
        (When::Begins("network:"), r#""network:dhcp""#, true, true),
        (When::Begins("network:"), r#""compute:nova""#, false, false),
        (
            When::Names("ip"),
            r#"[{"subnet": 1}, {"ip": 2}]"#,
            true,
            true,
        ),
        (When::Names("ip"), r#"[{"subnet": 1}]"#, false, false),
        (When::Names("ip"), r#"null"#, false, false),
    ] {
        let value: Json = serde_json::from_str(value).unwrap();
        for (new, demanded, rule) in [(true, post, "create_x:a"), (false, put, "update_x:a")] {
            let demand = guard(when).demand("x", &value, new);
            let found = demand.map(|demand| demand.rule);
            assert_eq!(
                found.as_deref(),
                demanded.then_some(rule),
                "{when:?} {value}"
            );
        }
    }
}

#[test]
fn what_is_not_seen_is_not_there_and_what_is_seen_is_forbidden() {
    let (p, n) = (ProjectId("p".to_owned()), ProjectId("n".to_owned()));
    for (shared, kind) in [
        (false, RefusalKind::NetworkNotFound),
        (true, RefusalKind::PolicyNotAuthorized),
    ] {
        let target = Target {
            shared,
            ..Target::owned(&n)
        };
        let stranger = caller("p", Role::Manager);
        let refusal = NETWORK.may_update(&stranger, &target, "id", &[]);
        assert_eq!(refusal.unwrap_err().kind, kind);
        let refusal = NETWORK.may_delete(&stranger, &target, "id");
        assert_eq!(refusal.unwrap_err().kind, kind);
    }
    let asked = owner(&caller("p", Role::Manager), Some(n.clone()));
    assert_eq!(asked.unwrap_err().kind, RefusalKind::HttpBadRequest);
    assert_eq!(owner(&caller("x", Role::Service), Some(n.clone())), Ok(n));
    assert_eq!(owner(&caller("p", Role::Reader), None), Ok(p));
}

fn caller(project: &str, role: Role) -> Caller {
    Caller {
        user_id: "u".to_owned(),
        project_id: ProjectId(project.to_owned()),
        roles: effective(&[role].into()),
    }
}
