use tracing_subscriber::filter::LevelFilter;

use super::*;

/// The lines that a loading logs whose documents come at these times, milliseconds after its start.
fn lines(documents: &[u64]) -> Vec<String> {
    let kept = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_ansi(false)
        .with_writer(Arc::new(kept.reopen().unwrap()))
        .finish();
    // With one dispatcher alone, a place that logs is asked about on whichever thread comes there first.
    let silent = tracing_subscriber::fmt().with_max_level(LevelFilter::OFF);
    let _second = tracing::Dispatch::new(silent.finish());
    tracing::subscriber::with_default(subscriber, || {
        let start = Instant::now();
        let mut told = Progress::new(start);
        for at in documents {
            told.one_more("port", start + Duration::from_millis(*at));
        }
    });
    let text = std::fs::read_to_string(kept.path()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_long_loading_says_each_second_how_far_it_is_and_a_short_one_nothing() {
    assert!(lines(&[0, 1, 500, 999]).is_empty());
    let told = lines(&[0, 999, 1000, 1001, 1999, 2000, 2500, 3500]);
    let documents = ["documents=3", "documents=6", "documents=8"];
    assert_eq!(told.len(), documents.len(), "{told:?}");
    for (line, documents) in told.iter().zip(documents) {
        assert!(line.contains("INFO"), "{line}");
        for part in ["reading the database", documents, "kind=port"] {
            assert!(line.contains(part), "{line}");
        }
    }
}
