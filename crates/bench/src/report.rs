//! The figures: a table for people, JSON for programs, and whether the targets are met.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value as Json, json};

/// What a row is measured in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A rate, one a second; more is better.
    PerSecond,
    /// Milliseconds; less is better.
    Milliseconds,
    /// Millions of bytes; less is better.
    Megabytes,
    /// A quotient; less is better.
    Times,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::PerSecond => "/s",
            Unit::Milliseconds => "ms",
            Unit::Megabytes => "MB",
            Unit::Times => "x",
        }
    }
}

/// One thing that was measured.
pub struct Row {
    /// What.
    pub what: String,
    /// In what.
    pub unit: Unit,
    /// One value of each run or window.
    pub values: Vec<f64>,
    /// What the peer takes, if it is known.
    pub reference: Option<f64>,
    /// What is to be reached: at least for rates, at most for all else.
    pub target: Option<f64>,
    /// What else is worth knowing.
    pub note: String,
}

impl Row {
    /// A row with no peer and no target.
    pub fn new(what: impl Into<String>, unit: Unit, values: Vec<f64>) -> Self {
        Self {
            what: what.into(),
            unit,
            values,
            reference: None,
            target: None,
            note: String::new(),
        }
    }

    /// With what the peer takes.
    pub fn against(mut self, reference: f64) -> Self {
        self.reference = Some(reference);
        self
    }

    /// With what is to be reached.
    pub fn target(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// With what else is worth knowing.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn median(&self) -> f64 {
        median(self.values.clone())
    }

    /// How many times better than the peer.
    fn ratio(&self) -> Option<f64> {
        let reference = self.reference?;
        Some(match self.unit {
            Unit::PerSecond => self.median() / reference,
            Unit::Milliseconds | Unit::Megabytes | Unit::Times => reference / self.median(),
        })
    }

    fn met(&self) -> Option<bool> {
        let target = self.target?;
        Some(match self.unit {
            Unit::PerSecond => self.median() >= target,
            Unit::Milliseconds | Unit::Megabytes | Unit::Times => self.median() <= target,
        })
    }

    fn line(&self) -> String {
        let bound = match self.unit {
            Unit::PerSecond => ">=",
            Unit::Milliseconds | Unit::Megabytes | Unit::Times => "<=",
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        format!(
            "{:<46} {:>9} {:<3} {:>9} {:>9} {:>3} {:>9} {:>7} {:>9} {:<6} {}",
            self.what,
            digits(self.median()),
            self.unit.name(),
            digits(self.low()),
            digits(self.high()),
            self.values.len(),
            or_dash(self.reference.map(digits)),
            or_dash(self.ratio().map(digits)),
            or_dash(
                self.target
                    .map(|target| format!("{bound}{}", digits(target)))
            ),
            match self.met() {
                None => "",
                Some(true) => "met",
                Some(false) => "MISSED",
            },
            self.note,
        )
    }

    /// A row of the table in `docs/performance.md`.
    fn markdown(&self) -> String {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let unit = self.unit.name();
        let target = self.target.map(|target| {
            let met = if self.met() == Some(true) {
                "met"
            } else {
                "**missed**"
            };
            format!("{} {unit}: {met}", digits(target))
        });
        format!(
            "| {} | {} {unit} | {} to {} | {} | {} | {} | {} |\n",
            self.what,
            digits(self.median()),
            digits(self.low()),
            digits(self.high()),
            or_dash(self.reference.map(digits)),
            or_dash(self.ratio().map(|ratio| format!("{} ×", digits(ratio)))),
            or_dash(target),
            self.note,
        )
    }

    fn low(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn high(&self) -> f64 {
        self.values.iter().copied().fold(0.0, f64::max)
    }

    fn json(&self) -> Json {
        json!({
            "what": self.what,
            "unit": self.unit.name(),
            "median": self.median(),
            "values": self.values,
            "reference": self.reference,
            "times_better": self.ratio(),
            "target": self.target,
            "met": self.met(),
            "note": self.note,
        })
    }
}

/// The rows of a run, printed as they come.
pub struct Report {
    rows: Vec<Row>,
    judges: bool,
}

impl Report {
    /// No rows yet. One that does not judge shows neither peer nor target: its sizes are not theirs.
    pub fn new(judges: bool) -> Self {
        Self {
            rows: Vec::new(),
            judges,
        }
    }

    /// Takes a row in and prints it.
    pub fn add(&mut self, mut row: Row) {
        if !self.judges {
            row.reference = None;
            row.target = None;
        }
        if self.rows.is_empty() {
            println!(
                "{:<46} {:>9} {:<3} {:>9} {:>9} {:>3} {:>9} {:>7} {:>9}",
                "", "median", "", "min", "max", "n", "Neutron", "better", "target"
            );
        }
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Writes everything to a file, and the table for the documents beside it, as `.md`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path, conditions: &Json) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let rows: Vec<Json> = self.rows.iter().map(Row::json).collect();
        let all = json!({"conditions": conditions, "rows": rows});
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
        let mut table = "| What | Median | Windows | Neutron 29 | Better | Target | |\n|---|---|---|---|---|---|---|\n".to_owned();
        table.extend(self.rows.iter().map(Row::markdown));
        std::fs::write(path.with_extension("md"), table)?;
        Ok(())
    }

    /// How many rows have a target, and what those are that miss it.
    pub fn verdict(&self) -> (usize, Vec<&str>) {
        let judged = self.rows.iter().filter(|row| row.target.is_some());
        let missed = self.rows.iter().filter(|row| row.met() == Some(false));
        (
            judged.count(),
            missed.map(|row| row.what.as_str()).collect(),
        )
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small if small >= 1.0 => format!("{small:.2}"),
        tiny => format!("{tiny:.3}"),
    }
}
