use super::{SigningKey, User};

#[test]
fn debugging_shows_neither_the_hash_nor_the_key() {
    let user = User {
        id: "1".to_owned(),
        name: "admin".to_owned(),
        description: String::new(),
        email: None,
        default_project_id: None,
        enabled: true,
        password_hash: Some("$argon2id$v=19$hush".to_owned()),
        logins_from: 0,
    };
    let shown = format!("{user:?}");
    assert!(shown.contains("admin") && !shown.contains("argon2"));
    let key = SigningKey::random("k");
    assert_eq!(format!("{key:?}"), "SigningKey(k)");
}

#[test]
fn a_key_is_thirty_two_octets_or_damaged() {
    let key = SigningKey::random("k");
    assert_eq!(key.octets().unwrap().len(), 32);
    assert_ne!(key, SigningKey::random("k"));
    for damaged in ["", "AAAA", "not base64"] {
        let key = SigningKey {
            secret: damaged.to_owned(),
            ..SigningKey::random("k")
        };
        assert_eq!(key.octets(), None);
    }
}

#[test]
fn the_key_of_an_earlier_program_is_the_first() {
    let octets = "A".repeat(43) + "=";
    let key: SigningKey = serde_json::from_str(&format!("{{\"secret\":\"{octets}\"}}")).unwrap();
    assert_eq!(key.id, SigningKey::FIRST);
    assert!(key.verifies(u64::MAX) && key.octets().is_some());
}
