//! What the documents promise about the tree, as tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lanes::root;

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

/// Which of our crates each may use. The dev-only ones are not in the list of anybody's own dependencies.
const MAY_USE: &[(&str, &[&str])] = &[
    ("hextet-core", &[]),
    ("hextet-wire", &["hextet-core"]),
    ("hextet-proto", &["hextet-core", "hextet-wire"]),
    ("hextet-store", &["hextet-core"]),
    ("hextet-feed", &["hextet-core"]),
    (
        "hextet-server",
        &["hextet-core", "hextet-store", "hextet-feed"],
    ),
    (
        "hextet-agent",
        &["hextet-core", "hextet-wire", "hextet-proto", "hextet-feed"],
    ),
    ("hextet-lab", &["hextet-core"]),
    (
        "hextet",
        &[
            "hextet-core",
            "hextet-feed",
            "hextet-server",
            "hextet-agent",
            "hextet-lab",
        ],
    ),
    (
        "hextet-testkit",
        &["hextet-core", "hextet-wire", "hextet-proto"],
    ),
    (
        "hextet-fuzz",
        &[
            "hextet-core",
            "hextet-wire",
            "hextet-proto",
            "hextet-store",
            "hextet-server",
        ],
    ),
    ("hextet-bench", &["hextet-feed", "hextet-testdb"]),
    ("hextet-testdb", &[]),
    ("xtask", &["hextet-lab", "hextet-testdb"]),
];

#[test]
fn crates_depend_only_downward() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let packages = metadata["packages"].as_array().expect("packages");
    assert_eq!(packages.len(), MAY_USE.len(), "every crate has its row");
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            if used.starts_with("hextet") && dependency["kind"].is_null() {
                assert!(allowed[name].contains(&used), "{name} may not use {used}");
            }
        }
    }
}

/// A word that only one place of the tree may name: (needle, where it may stand, why).
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["crates/store/"], "only the store knows SQL"),
    (
        "INSERT INTO",
        &["crates/store/"],
        "only the store knows SQL",
    ),
    (
        "libbpf_rs",
        &["crates/agent/src/kernel", "crates/agent/tests/"],
        "only the agent's kernel folder names BPF types",
    ),
    (
        "rtnetlink",
        &["crates/agent/src/kernel"],
        "only the agent's kernel folder names netlink types",
    ),
    (
        "netlink_packet",
        &["crates/agent/src/kernel"],
        "only the agent's kernel folder names netlink types",
    ),
    (
        "unsafe {",
        &[
            "crates/agent/src/kernel",
            "crates/agent/tests/support/tun.rs",
            "crates/hextet/tests/first_light/vhost_net/queue.rs",
            "crates/store/src/redo/early.rs",
        ],
        "unsafe code sits in the agent's kernel folder, but for one call of the redo file and the taps and vhost-net of tests",
    ),
    ("#[ignore", &[], "every test runs"),
];

#[test]
fn what_one_place_knows_no_other_names() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&["rs"]) {
        if path.starts_with("crates/xtask/") {
            continue;
        }
        for (needle, places, why) in ONLY_IN {
            if text.contains(needle) && !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path} names {needle:?}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_keep_to_their_size() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&["rs", "c", "h"]) {
        if is_test(&path) {
            continue;
        }
        let body = text.split("\n#[cfg(test)]").next().unwrap_or(&text);
        let lines: Vec<&str> = body.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            wrong.push(format!("{path}: {} lines", lines.len()));
        }
        wrong.extend(
            long_functions(&lines)
                .into_iter()
                .map(|(name, size)| format!("{path}: {name} has {size} lines")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Formatted Rust closes a function at the indentation of its first line.
fn long_functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words: Vec<&str> = code
            .split_whitespace()
            .take_while(|word| *word != "fn")
            .collect();
        let is_function = code.contains("fn ")
            && words.iter().all(|word| {
                [
                    "pub",
                    "pub(crate)",
                    "pub(super)",
                    "async",
                    "const",
                    "unsafe",
                ]
                .contains(word)
            });
        if !is_function {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[start..]
            .iter()
            .position(|line| *line == closing)
            .map_or(1, |end| end + 1);
        if length > FUNCTION_LINES_MAX {
            let name = code
                .split("fn ")
                .nth(1)
                .and_then(|rest| rest.split(['(', '<']).next())
                .unwrap_or("?");
            long.push((name.to_owned(), length));
        }
    }
    long
}

#[test]
fn the_tree_names_no_machine_and_no_loose_end() {
    // Written apart, so that this file does not name them.
    let needles = [
        ["/wo", "rk/"],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["crates", ".io"],
        ["pypi", ".org"],
    ]
    .map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for (path, text) in sources(&["rs", "c", "h", "md", "toml", "py", "sh", "tsv", "proto"]) {
        for (number, line) in text.lines().enumerate() {
            if needles.iter().any(|needle| line.contains(needle.as_str())) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documents_name_files_and_functions_that_are_there() {
    let mut wrong = Vec::new();
    let mut named = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/rfc.md",
        "docs/testing.md",
    ] {
        let text = std::fs::read_to_string(root().join(document))
            .unwrap_or_else(|_| panic!("{document} is there"));
        for quoted in text.split('`').skip(1).step_by(2) {
            let Some((path, function)) = reference(quoted) else {
                continue;
            };
            named += 1;
            let full = root().join(path);
            if !full.exists() {
                wrong.push(format!("{document}: {path} is not there"));
            } else if let Some(function) = function {
                let text = std::fs::read_to_string(&full).unwrap_or_default();
                if !text.contains(&format!("fn {function}"))
                    && !text.contains(&format!("rpc {function}"))
                {
                    wrong.push(format!("{document}: {path} has no {function}"));
                }
            }
        }
    }
    assert!(
        named > 20,
        "the documents refer to the code ({named} times)"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `crates/core/src/link.rs link_plan` is a path and a function; a word without a known folder is neither.
fn reference(quoted: &str) -> Option<(&str, Option<&str>)> {
    let mut words = quoted.split(' ');
    let path = words.next()?;
    let folders = [
        "crates/",
        "bpf/",
        "docs/",
        "fuzz/",
        "scenarios/",
        "tests/",
        "tools/",
        "bench/",
        ".ci/",
    ];
    folders
        .iter()
        .any(|folder| path.starts_with(folder))
        .then(|| (path, words.next()))
}

#[test]
fn every_scenario_says_why_and_every_decision_says_what() {
    let scenarios: Vec<PathBuf> = folders(&root().join("scenarios"));
    assert!(!scenarios.is_empty());
    for folder in scenarios {
        let why = std::fs::read_to_string(folder.join("why.md")).unwrap_or_default();
        assert!(
            !why.trim().is_empty(),
            "{} has a why.md that says something",
            folder.display()
        );
    }
    let mut numbers = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("docs/decisions"))
        .expect("decisions")
        .flatten()
    {
        let name = entry.file_name().into_string().expect("UTF-8");
        let number: u32 = name
            .split('-')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or_else(|| panic!("{name} has a number"));
        assert!(numbers.insert(number), "{number} is given twice");
    }
    assert_eq!(
        numbers.len() as u32,
        *numbers.last().expect("there are decisions"),
        "numbers have no gap"
    );
}

/// The tracked text files with one of these endings, by their path from the root.
fn sources(endings: &[&str]) -> Vec<(String, String)> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let list = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let wanted = list.lines().filter(|path| {
        endings
            .iter()
            .any(|ending| path.ends_with(&format!(".{ending}")))
    });
    let files: Vec<(String, String)> = wanted
        .filter_map(|path| {
            Some((
                path.to_owned(),
                std::fs::read_to_string(root().join(path)).ok()?,
            ))
        })
        .collect();
    assert!(!files.is_empty(), "git lists files with {endings:?}");
    files
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("tests/")
}
