//! Runs every scenario of the tree.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the scripts are files, and everything here is a test"
)]

use std::path::{Path, PathBuf};

use hextet_testkit::scenario;

#[test]
fn every_scenario_runs_to_its_end() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut failures = Vec::new();
    for folder in &folders {
        let script = std::fs::read_to_string(folder.join("steps.txt")).unwrap();
        if let Err(error) = scenario::run(&script) {
            failures.push(format!("{}\n{error}", folder.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(
        folders.len() >= 12,
        "{} scenarios were found",
        folders.len()
    );
}

#[test]
fn a_wrong_expectation_fails_and_names_its_step() {
    let script = "1. subnet a 2001:db8:1::/64 slaac\n\
                  2. port g1 fa:16:3e:00:00:01\n\
                  3. guest g1 up\n\
                  4. wait 3s\n\
                  5. expect g1 advert M=1\n";
    let error = scenario::run(script).unwrap_err();
    assert!(error.starts_with("5. expect g1 advert M=1: M=0"), "{error}");
}

#[test]
fn a_script_that_expects_nothing_is_refused() {
    assert!(scenario::run("1. wait 1s\n").is_err());
}

#[test]
fn a_gap_in_the_numbers_is_refused() {
    assert!(scenario::run("1. wait 1s\n3. wait 1s\n").is_err());
}
