//! Everything about one port, for people and for programs.

use std::fmt::Write as _;

use hextet_feed::v1;
use serde_json::{Map, Value, json};

use super::list;

/// For people: the verdict first, then what it rests on.
pub fn text(shown: &v1::ShowPortReply) -> String {
    let mut text = String::new();
    let port = shown.port.clone().unwrap_or_default();
    let state = port
        .down
        .as_ref()
        .map_or_else(|| "up".to_owned(), |why| format!("down: {why}"));
    let _ = writeln!(text, "port {}  {state}", list::id(&port));
    let _ = writeln!(text, "\n{}", shown.verdict);
    for found in &shown.findings {
        let mark = if found.harmful { "!" } else { "-" };
        let _ = writeln!(text, "  {mark} {}: {}", found.name, found.words);
    }
    facts(&mut text, "Promised", &shown.promised);
    facts(&mut text, "Installed", &shown.installed);
    section(&mut text, "Seen, the last of each since the link came up");
    if shown.last.is_empty() {
        let _ = writeln!(text, "  nothing");
    }
    for seen in &shown.last {
        let _ = writeln!(
            text,
            "  {:<24}{} ago, {} so far: {}",
            seen.topic,
            span(seen.ago_ms),
            seen.count,
            seen.words
        );
    }
    if !port.learned.is_empty() {
        let _ = writeln!(
            text,
            "  {:<24}{}",
            "learned addresses",
            port.learned.join(", ")
        );
    }
    section(&mut text, "Dropped");
    if port.drops.is_empty() {
        let _ = writeln!(text, "  nothing");
    }
    for drop in &port.drops {
        let _ = writeln!(text, "  {:<24}{} frames", drop.reason, drop.packets);
    }
    section(&mut text, "Newest");
    for seen in &shown.recent {
        let ago = format!("{} ago", span(seen.ago_ms));
        let _ = writeln!(text, "  {ago:<12}{}: {}", seen.topic, seen.words);
    }
    text
}

/// For programs.
pub fn json(shown: &v1::ShowPortReply) -> Value {
    let port = shown.port.clone().unwrap_or_default();
    let mut ports = list::json(std::slice::from_ref(&port));
    let facts = |facts: &[v1::Fact]| -> Map<String, Value> {
        let pairs = facts.iter();
        pairs
            .map(|fact| (fact.name.clone(), json!(fact.value)))
            .collect()
    };
    let seen = |seen: &[v1::Seen]| -> Value {
        seen.iter()
            .map(|seen| {
                json!({ "topic": seen.topic, "ago_ms": seen.ago_ms, "count": seen.count, "words": seen.words })
            })
            .collect()
    };
    json!({
        "port": ports[0].take(),
        "verdict": shown.verdict,
        "findings": shown.findings.iter().map(|found| json!({
            "name": found.name, "harmful": found.harmful, "words": found.words,
        })).collect::<Vec<_>>(),
        "promised": facts(&shown.promised),
        "installed": facts(&shown.installed),
        "last": seen(&shown.last),
        "recent": seen(&shown.recent),
    })
}

fn facts(text: &mut String, title: &str, facts: &[v1::Fact]) {
    section(text, title);
    for fact in facts {
        let _ = writeln!(text, "  {:<24}{}", fact.name, fact.value);
    }
}

fn section(text: &mut String, title: &str) {
    let _ = writeln!(text, "\n{title}");
}

/// A span that people can take in.
fn span(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..600_000 => format!("{} s", ms / 1000),
        600_000..36_000_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
