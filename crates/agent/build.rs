//! Compiles the fast path (`bpf/`) and turns its two lists into Rust enums, so that C and Rust share one list.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let bpf = root.join("../../bpf").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    for input in [
        "guest.bpf.c",
        "frame.h",
        "helpers.h",
        "maps.h",
        "verdicts.def",
        "reasons.def",
        "stages",
    ] {
        println!("cargo:rerun-if-changed={}", bpf.join(input).display());
    }
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=LLVM_STRIP");
    compile(&bpf, &out.join("guest.bpf.o"))?;
    fs::write(
        out.join("verdicts.rs"),
        verdicts(&fs::read_to_string(bpf.join("verdicts.def"))?)?,
    )?;
    fs::write(
        out.join("reasons.rs"),
        reasons(&fs::read_to_string(bpf.join("reasons.def"))?)?,
    )
}

/// Compiles to an object with BTF and without DWARF, whose bytes do not depend on where the sources lie.
fn compile(bpf: &Path, object: &Path) -> io::Result<()> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let strip = env::var("LLVM_STRIP").unwrap_or_else(|_| "llvm-strip".into());
    let mut command = Command::new(&clang);
    command
        .current_dir(bpf)
        .args([
            "-g", "-O2", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v3",
        ])
        .arg("-fdebug-compilation-dir=.")
        .args(["-c", "guest.bpf.c", "-o"])
        .arg(object);
    // Debian keeps asm/ in a directory of the architecture's own.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(io::Error::other)?;
    let headers = format!("/usr/include/{arch}-linux-gnu");
    if Path::new(&headers).is_dir() {
        command.arg(format!("-I{headers}"));
    }
    run(&mut command)?;
    run(Command::new(strip).arg("-g").arg(object))
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status().map_err(|error| {
        io::Error::other(format!(
            "{command:?}: {error} (is clang and llvm installed?)"
        ))
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{command:?}: {status}")))
    }
}

/// The rows of a list: the arguments of each `MACRO(...)` line, the last one a quoted sentence.
fn rows(list: &str, macro_name: &str) -> io::Result<Vec<(Vec<String>, String)>> {
    let bad = |line: &str| io::Error::other(format!("not a row: {line}"));
    let prefix = format!("{macro_name}(");
    let mut rows = Vec::new();
    for line in list.lines().filter(|line| line.starts_with(&prefix)) {
        let inner = line
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix("\")"))
            .ok_or_else(|| bad(line))?;
        let (words, why) = inner.split_once(", \"").ok_or_else(|| bad(line))?;
        rows.push((
            words.split(", ").map(str::to_owned).collect(),
            why.to_owned(),
        ));
    }
    Ok(rows)
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| word[..1].to_owned() + &word[1..].to_lowercase())
        .collect()
}

/// The enum of `rows` with `from_raw`, `ALL` and `name`.
fn enumeration(name: &str, doc: &str, rows: &[(Vec<String>, String)]) -> String {
    let mut text = format!(
        "/// {doc}\n#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(u32)]\npub enum {name} {{\n"
    );
    let mut raw = String::new();
    let mut all = String::new();
    let mut names = String::new();
    let mut whys = String::new();
    for (words, why) in rows {
        let (value, variant) = (&words[0], camel(&words[1]));
        let _ = writeln!(text, "    /// {why}\n    {variant} = {value},");
        let _ = writeln!(raw, "            {value} => Some(Self::{variant}),");
        let _ = write!(all, "Self::{variant}, ");
        let _ = writeln!(
            names,
            "            Self::{variant} => \"{}\",",
            words[1].to_lowercase()
        );
        let _ = writeln!(whys, "            Self::{variant} => {why:?},");
    }
    let _ = write!(
        text,
        "}}\n\nimpl {name} {{\n    /// Every one, in the order of the list.\n    pub const ALL: [Self; {}] = [{all}];\n\n    \
         /// The one of this number.\n    pub fn from_raw(raw: u32) -> Option<Self> {{\n        match raw {{\n{raw}            \
         _ => None,\n        }}\n    }}\n\n    /// Its name in the list, in lower case.\n    pub fn name(self) -> &'static str {{\n        \
         match self {{\n{names}        }}\n    }}\n\n    \
         /// The list's sentence about it.\n    pub fn why(self) -> &'static str {{\n        \
         match self {{\n{whys}        }}\n    }}\n}}\n",
        rows.len()
    );
    text
}

fn verdicts(list: &str) -> io::Result<String> {
    let rows = rows(list, "VERDICT")?;
    let mut text = enumeration(
        "Verdict",
        "What the fast path decided about a frame.",
        &rows,
    );
    let mut kinds = String::new();
    for (words, _) in &rows {
        let _ = writeln!(
            kinds,
            "            Self::{} => Kind::{},",
            camel(&words[1]),
            camel(&words[2].to_uppercase())
        );
    }
    let _ = write!(
        text,
        "\nimpl Verdict {{\n    /// What became of such a frame.\n    pub fn kind(self) -> Kind {{\n        match self {{\n{kinds}        }}\n    }}\n}}\n"
    );
    Ok(text)
}

fn reasons(list: &str) -> io::Result<String> {
    Ok(enumeration(
        "PuntReason",
        "Why the fast path shows a frame to the agent.",
        &rows(list, "REASON")?,
    ))
}
