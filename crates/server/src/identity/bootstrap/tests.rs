use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Bootstrap, BootstrapError};
use crate::identity::Role;

#[test]
fn the_file_is_written_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    let first = Bootstrap::ensure(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Bootstrap::ensure(&path).unwrap(), first);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing unfinished stays: {left:?}");

    let admin = first.user("admin").unwrap();
    assert_eq!((admin.project.as_str(), admin.role), ("admin", Role::Admin));
    let demo = first.user("demo").unwrap();
    assert_eq!((demo.project.as_str(), demo.role), ("demo", Role::Member));
    assert_eq!(admin.password.expose().len(), 32);
    assert_ne!(admin.password, demo.password);
}

#[test]
fn an_interrupted_writing_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    std::fs::write(folder.path().join("identity.new"), "projects = [\"ad").unwrap();
    assert!(Bootstrap::ensure(&path).is_ok());
}

#[test]
fn what_cannot_be_used_is_said_without_the_passwords() {
    let user = "[[user]]\nname = \"a\"\npassword = \"hush-hush\"\nrole = \"admin\"\n";
    let cases = [
        (
            format!("projects = [\"x\"]\n{user}project = \"y\"\n"),
            "project y",
        ),
        (format!("projects = []\n{user}"), "project"),
        (
            format!("projects = []\n{user}project = \"x\"\nshoe = 1\n"),
            "shoe",
        ),
        (
            "projects = [\"x\"]\n[[user]]\nname = \"a\"\npassword = [\"hush-hush\"]\n".to_owned(),
            "invalid type",
        ),
        (
            "projects = [\"x\"]\n[[user]]\nname = \"a\"\npassword = \"\"\nproject = \"x\"\nrole = \"reader\"\n"
                .to_owned(),
            "empty",
        ),
    ];
    for (text, named) in cases {
        let error = check(&text);
        assert!(error.contains(named), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

fn check(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    std::fs::write(&path, text).unwrap();
    let error = Bootstrap::read(Path::new(&path)).unwrap_err();
    assert!(matches!(error, BootstrapError::Content { .. }));
    format!("{error} {error:?}")
}

#[test]
fn names_that_the_api_would_refuse_are_refused_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    let user = "[[user]]\nname = \"NAME\"\npassword = \"pw\"\nproject = \"p\"\nrole = \"admin\"\n";
    for (projects, name) in [("[\"p\", \"a\\u0000b\"]", "u"), ("[\"p\"]", " u")] {
        let text = format!("projects = {projects}\n{}", user.replace("NAME", name));
        std::fs::write(&path, text).unwrap();
        let refused = Bootstrap::read(&path).unwrap_err().to_string();
        assert!(refused.contains("1 to "), "{refused}");
    }
}
