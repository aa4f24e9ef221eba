//! The fuzzer's seeds: whoever adds an operation adds one, or its decoder is not reached.

use crate::identity::OPERATIONS;

/// Method, target and body of each seed.
fn seeds() -> Vec<(String, String, Vec<u8>)> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/decode_request"
    );
    let files = std::fs::read_dir(folder).unwrap();
    let seeds = files.map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let lines = text.lines().map(|line| line.split('#').next().unwrap());
        let octets = lines.flat_map(str::split_whitespace);
        let octets: Vec<u8> = octets
            .map(|octet| u8::from_str_radix(octet, 16).unwrap())
            .collect();
        let mut parts = octets.splitn(2, |octet| *octet == b'\n');
        let head = String::from_utf8_lossy(parts.next().unwrap()).into_owned();
        let (method, target) = head.split_once(' ').unwrap_or_default();
        let body = parts.next().unwrap_or_default().to_vec();
        (method.to_owned(), target.to_owned(), body)
    });
    seeds.collect()
}

#[test]
fn every_operation_that_reads_a_body_or_a_query_has_a_seed_that_it_takes() {
    let seeds = seeds();
    assert!(seeds.len() > 30);
    for operation in OPERATIONS {
        let (method, path) = (operation.method, operation.path);
        let mine: Vec<_> = seeds
            .iter()
            .map(|(method, target, body)| {
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                (method, path, query, body)
            })
            .filter(|(method, path, _, _)| operation.is(method, path))
            .collect();
        if let Some(wanted) = operation.body {
            let taken = mine.iter().any(|(_, _, _, body)| (wanted.decode)(body));
            assert!(taken, "{method} {path}: no seed with a body that it takes");
        }
        for filter in operation.filters {
            let named = |query: &str| {
                let mut names = form_urlencoded::parse(query.as_bytes());
                names.any(|(name, _)| name == *filter)
            };
            let taken = mine.iter().any(|(method, path, query, body)| {
                named(query) && crate::identity::decode(method, path, Some(query), body)
            });
            assert!(taken, "{method} {path}: no seed with {filter}");
        }
    }
}
