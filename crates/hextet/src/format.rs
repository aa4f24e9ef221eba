//! How answers are printed.

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

/// The argument of every verb that shows something.
#[derive(Args, Clone, Copy)]
pub struct FormatArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// For people, or for programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns
    Table,
    /// JSON
    Json,
}

impl FormatArgs {
    /// Prints rows: these members of each, or all of them as JSON.
    pub fn print_list(self, rows: &[Value], columns: &[(&str, &str)]) {
        if self.format == Format::Json {
            println!("{:#}", Value::from(rows.to_vec()));
            return;
        }
        let mut table = Table::new();
        let heads = columns.iter().map(|(head, _)| *head);
        table.load_style(NOTHING).set_header(heads);
        for row in rows {
            table.add_row(columns.iter().map(|(_, path)| word(row, path)));
        }
        println!("{table}");
    }

    /// Prints one thing: these members of it, one on a line, or all of them as JSON.
    pub fn print_one(self, thing: &Value, members: &[&str]) {
        if self.format == Format::Json {
            println!("{thing:#}");
            return;
        }
        let mut table = Table::new();
        table.load_style(NOTHING);
        for member in members {
            table.add_row([(*member).to_owned(), word(thing, member)]);
        }
        println!("{table}");
    }
}

/// A member, by its path of names with dots between; of a list of things, their names.
fn word(thing: &Value, path: &str) -> String {
    let found = path.split('.').fold(thing, |thing, name| &thing[name]);
    match found {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items
            .iter()
            .map(|item| word(item, "name"))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
