use super::*;

#[test]
fn both_forms_are_taken_and_shown_without_a_password() {
    for (text, expected) in [
        ("sqlite:/var/lib/hextet.db", "/var/lib/hextet.db"),
        (
            "postgresql://hextet:top%40secret@db.example:5433/cloud",
            "postgresql://hextet@db.example:5433/cloud",
        ),
        (
            "postgresql:///cloud?host=/run/postgresql&user=hextet&password=secret",
            "postgresql:///cloud?host=/run/postgresql&user=hextet",
        ),
        (
            "postgres://hextet:a%40b@[::1]/cloud?password=secret",
            "postgres://hextet@[::1]/cloud",
        ),
    ] {
        let database: Database = text.parse().unwrap();
        assert_eq!(database.to_string(), expected);
        assert!(!format!("{database:?}").contains("secret"), "{database:?}");
    }
}

#[test]
fn what_leaves_the_machine_is_protected_unless_the_operator_says_otherwise() {
    let roots = |path: &str| Tls::Verified {
        roots: Some(path.into()),
    };
    let system = Tls::Verified { roots: None };
    for (url, expected) in [
        ("postgresql://u@db.example/n", system.clone()),
        (
            "postgresql://u@db.example/n?sslmode=require",
            system.clone(),
        ),
        (
            "postgresql://u@db.example/n?sslmode=verify-full",
            system.clone(),
        ),
        ("postgresql://u@db.example/n?sslmode=disable", Tls::Off),
        (
            "postgresql://u@db.example/n?sslrootcert=/etc/a%20b.pem",
            roots("/etc/a b.pem"),
        ),
        ("postgresql://u@localhost/n", Tls::Off),
        ("postgresql://u@[::1]/n?sslmode=require", system.clone()),
        ("postgresql://u@localhost,db.example/n", system),
        ("postgresql:///n?host=/run/postgresql&user=u", Tls::Off),
    ] {
        let Ok(Database::Postgres(parsed)) = url.parse() else {
            panic!("{url}");
        };
        assert_eq!(parsed.tls, expected, "{url}");
        let mode = match expected {
            Tls::Off => SslMode::Disable,
            Tls::Verified { .. } => SslMode::Require,
        };
        assert_eq!(parsed.config.get_ssl_mode(), mode, "{url}");
    }
}

#[test]
fn what_cannot_be_used_is_named_with_what_is_allowed_and_never_quoted() {
    for (text, why) in [
        ("sqlite:", "sqlite:PATH or postgresql://"),
        ("mysql://u:secret@h/n", "sqlite:PATH or postgresql://"),
        ("postgresql://u:secret@h", "names no database"),
        ("postgresql://h/secret", "names no user"),
        ("postgresql://u:secret@/n", "names no host"),
        (
            "postgresql://u:secret@h/n?sslmode=prefer",
            "sslmode: disable, require",
        ),
        (
            "postgresql://u:secret@h/n?sslmode=allow",
            "sslmode: disable, require",
        ),
        (
            "postgresql://u:secret@h/n?sslmode=disable&sslrootcert=/x",
            "no meaning",
        ),
        ("postgresql://u:secret@h/n?sslrootcert=%zz", "sslrootcert:"),
        ("postgresql://u:secret@h/n?colour=blue", "`colour`"),
        ("postgresql://u:secret@h:no/n", "port"),
    ] {
        let refused = text.parse::<Database>().unwrap_err().to_string();
        assert!(refused.contains(why), "{text}: {refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
