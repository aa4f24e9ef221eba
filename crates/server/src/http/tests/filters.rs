//! Every filter of subnets and ports finds the one of two that it is about; networks' stand with what Neutron was seen to answer.

use super::*;
use crate::http::attributes::Noun;

/// Attribute, a value that the first has and the second has not, and the other way round; `=` is what is shown of it, `-`: none finds
/// it.
type Filters = &'static [(&'static str, &'static str, &'static str)];

#[rustfmt::skip]
const SUBNETS: Filters = &[
    ("cidr", "=", "="),
    ("description", "one", ""),
    ("enable_dhcp", "true", "false"),
    ("gateway_ip", "=", "="),
    ("id", "=", "="),
    ("ip_version", "6", "4"),
    ("ipv6_address_mode", "slaac", "-"),
    ("ipv6_ra_mode", "slaac", "-"),
    ("name", "a", "b"),
    ("network_id", "=", "="),
    ("not-tags", "green", "red"),
    ("not-tags-any", "green,blue", "red,blue"),
    ("project_id", "=", "="),
    ("revision_number", "=", "="),
    ("shared", "true", "false"),
    ("tags", "red", "green"),
    ("tags-any", "red,blue", "green,blue"),
];

#[rustfmt::skip]
const PORTS: Filters = &[
    ("admin_state_up", "False", "True"),
    ("binding:host_id", "h1", "h2"),
    ("description", "one", ""),
    ("device_id", "d1", "d2"),
    ("device_owner", "compute:nova", "compute:other"),
    ("fixed_ips", "ip_address=2001:db8:1:0:f816:3eff:fe00:7", "-"),
    ("id", "=", "="),
    ("ip_allocation", "immediate", "none"),
    ("mac_address", "=", "="),
    ("name", "a", "b"),
    ("network_id", "=", "="),
    ("not-tags", "green", "red"),
    ("not-tags-any", "green,blue", "red,blue"),
    ("project_id", "=", "="),
    ("revision_number", "=", "="),
    ("tags", "red", "green"),
    ("tags-any", "red,blue", "green,blue"),
];

/// What two of a kind cannot differ by here.
const SAME: [&str; 4] = ["router:external", "segment_id", "status", "subnetpool_id"];

impl Cloud {
    /// Tags that tell them apart, and a revision more of the first.
    async fn tell_apart(&self, collection: &str, one: &str, two: &str) {
        for (id, tag) in [(one, "red"), (two, "green"), (one, "old")] {
            let path = format!("{collection}/{id}/tags/{tag}");
            let answer = self.put("admin", &path, Json::Null).await;
            answer.check("tag", 201, "");
        }
    }

    /// Two that differ come in the order of each key and the other way round.
    async fn sort(&self, noun: &Noun, ids: [&str; 2]) {
        let collection = noun.collection;
        let mut told = Vec::new();
        for key in noun.sortable {
            let sorted = async |direction: &str| {
                let path = format!("{collection}?sort_key={key}&sort_dir={direction}");
                let found = self.get("admin", &path).await;
                let members = found.body[collection].as_array().unwrap().clone();
                let one = |member: &Json| ids.contains(&member["id"].as_str().unwrap());
                assert!(members.len() == 2 && members.iter().all(one), "{path}");
                members
                    .iter()
                    .map(|member| member[key].clone())
                    .collect::<Vec<_>>()
            };
            let (up, down) = (sorted("asc").await, sorted("desc").await);
            if up[0] == up[1] {
                continue;
            }
            told.push(*key);
            assert_eq!(
                up.iter().rev().collect::<Vec<_>>(),
                down.iter().collect::<Vec<_>>(),
                "{key}"
            );
            let rises = match (&up[0], &up[1]) {
                (Json::Bool(first), Json::Bool(second)) => !first && *second,
                (Json::Number(first), Json::Number(second)) => first.as_u64() < second.as_u64(),
                (Json::String(first), Json::String(second)) => first < second,
                // Nothing comes before something or after it, but always the same.
                _ => up.contains(&Json::Null),
            };
            assert!(rises, "{key}: {up:?}");
        }
        let same = |key: &&&str| !told.contains(*key) && !SAME.contains(*key);
        assert_eq!(noun.sortable.iter().find(same), None, "{}", noun.name);
    }

    async fn filter(&self, noun: &Noun, table: Filters, ids: [&str; 2]) {
        let collection = noun.collection;
        for row in noun.attributes.iter().filter(|row| row.filter.is_some()) {
            let told = table.iter().any(|(name, ..)| *name == row.name) || SAME.contains(&row.name);
            assert!(
                told,
                "{} {} is in the table, or the same",
                noun.name, row.name
            );
        }
        for (name, of_one, of_two) in table {
            for (value, id) in [of_one, of_two].into_iter().zip(ids) {
                let shown = self.get("admin", &format!("{collection}/{id}")).await;
                let value = match (*value, &shown.body[noun.name][*name]) {
                    ("-", _) => continue,
                    ("=", Json::String(text)) => text.clone(),
                    ("=", other) => other.to_string(),
                    (value, _) => value.to_owned(),
                };
                let path = format!("{collection}?{name}={value}");
                let found = self.get("admin", &path).await;
                assert_eq!(found.ids(collection), [id], "{path}");
            }
        }
    }
}

#[tokio::test]
async fn every_filter_and_every_sort_key_of_subnets_and_ports_tells_two_apart() {
    let cloud = Cloud::new().await;
    let (demo, other) = (cloud.project("demo").await, cloud.project("other").await);
    let mut made: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (first, project) in [(true, &demo), (false, &other)] {
        let network = json!({"network": {"project_id": project, "shared": first}});
        let network = cloud
            .post("admin", "networks", network)
            .await
            .made("network");
        let (subnet, port) = match first {
            true => (
                json!({"network_id": network, "project_id": project, "ip_version": 6, "cidr": "2001:db8:1::/64",
                    "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "name": "a", "description": "one"}),
                json!({"network_id": network, "project_id": project, "admin_state_up": false, "binding:host_id": "h1",
                    "description": "one", "mac_address": "fa:16:3e:00:00:07", "device_id": "d1", "device_owner": "compute:nova", "name": "a"}),
            ),
            false => (
                json!({"network_id": network, "project_id": project, "ip_version": 4, "cidr": "192.0.2.0/24",
                    "enable_dhcp": false, "gateway_ip": "192.0.2.254", "name": "b"}),
                json!({"network_id": network, "project_id": project, "binding:host_id": "h2", "fixed_ips": [],
                    "device_id": "d2", "device_owner": "compute:other", "name": "b"}),
            ),
        };
        for (noun, said) in [("subnet", subnet), ("port", port)] {
            let answer = cloud
                .post("admin", &format!("{noun}s"), json!({noun: said}))
                .await;
            made.entry(noun).or_default().push(answer.made(noun));
        }
    }
    for (noun, table) in [
        (&crate::http::v2::subnets::SUBNET, SUBNETS),
        (&crate::http::v2::ports::PORT, PORTS),
    ] {
        let [one, two] = &made[noun.name][..] else {
            unreachable!("two of each");
        };
        cloud.tell_apart(noun.collection, one, two).await;
        cloud.filter(noun, table, [one, two]).await;
        cloud.sort(noun, [one, two]).await;
    }
}
