//! What a machine boots into: busybox, the kernel's modules, programs of this machine with their libraries, and files, as
//! an archive in the format that the kernel unpacks ("newc", Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Kernel;
use crate::run::run;

/// The first program of every machine.
const INIT: &str = include_str!("init.sh");

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// The folders that the first program mounts on and writes to.
const FOLDERS: [&str; 6] = ["dev", "etc", "proc", "run", "sys", "tmp"];

/// An initrd that is being put together.
#[derive(Debug)]
pub struct Initrd {
    archive: Vec<u8>,
    names: BTreeSet<PathBuf>,
}

impl Initrd {
    /// For a machine that loads this kernel's modules, then runs `start`, a shell script without a first line.
    ///
    /// # Errors
    /// When busybox or a module cannot be read.
    pub fn new(kernel: &Kernel, start: &str) -> Result<Self> {
        let mut initrd = Self {
            archive: Vec::new(),
            names: BTreeSet::new(),
        };
        for folder in FOLDERS {
            initrd.add(Path::new(folder), FOLDER, &[]);
        }
        initrd.put(Path::new("init"), PROGRAM, INIT.as_bytes());
        initrd.put(Path::new("start"), FILE, start.as_bytes());
        initrd.with_libraries(Path::new("bin/busybox"), &find("busybox")?)?;
        initrd.modules(kernel, "modules")?;
        Ok(initrd)
    }

    /// The modules of this folder of the kernel's, which the machine loads besides.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn modules(&mut self, kernel: &Kernel, folder: &str) -> Result<()> {
        for module in kernel.modules(folder)? {
            let name = module.file_name().context("a module without a name")?;
            let contents = fs::read(&module)?;
            self.put(&Path::new("modules").join(name), FILE, &contents);
        }
        Ok(())
    }

    /// A program of this machine by its name, which the machine finds before busybox's own of that name.
    ///
    /// # Errors
    /// When this machine lacks it.
    pub fn program(&mut self, name: &str) -> Result<()> {
        self.with_libraries(&Path::new("programs").join(name), &find(name)?)
    }

    /// A program from this file, under this name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn built_program(&mut self, name: &str, file: &Path) -> Result<()> {
        self.with_libraries(&Path::new("programs").join(name), file)
    }

    /// A copy of this machine's file, in the same place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn copy(&mut self, file: &Path) -> Result<()> {
        let contents = fs::read(file).with_context(|| file.display().to_string())?;
        let mode = fs::metadata(file)?.permissions().mode();
        self.put(relative(file), mode, &contents);
        Ok(())
    }

    /// Writes it to this file.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(mut self, file: &Path) -> Result<()> {
        self.add(Path::new("TRAILER!!!"), 0, &[]);
        fs::write(file, &self.archive).with_context(|| file.display().to_string())
    }

    fn with_libraries(&mut self, name: &Path, program: &Path) -> Result<()> {
        let contents = fs::read(program).with_context(|| program.display().to_string())?;
        self.put(name, PROGRAM, &contents);
        let listed = run("ldd", &[&program.to_string_lossy()])?;
        for library in libraries(&listed) {
            if self.names.contains(relative(&library)) {
                continue;
            }
            let contents = fs::read(&library).with_context(|| library.display().to_string())?;
            self.put(relative(&library), PROGRAM, &contents);
        }
        Ok(())
    }

    /// A file, and the folders that lead to it.
    fn put(&mut self, name: &Path, mode: u32, contents: &[u8]) {
        let folders: Vec<&Path> = name.ancestors().skip(1).collect();
        for folder in folders.into_iter().rev() {
            if folder != Path::new("") && !self.names.contains(folder) {
                self.add(folder, FOLDER, &[]);
            }
        }
        self.add(name, mode, contents);
    }

    fn add(&mut self, name: &Path, mode: u32, contents: &[u8]) {
        self.names.insert(name.to_owned());
        let text = name.to_string_lossy();
        // inode, mode, uid, gid, links, time, size, device (2), device of a device file (2), length of the name, checksum
        let (inode, size, length) = (self.names.len(), contents.len(), text.len() + 1);
        let fields = [
            inode,
            mode as usize,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            length,
            0,
        ];
        let header: String = fields.iter().map(|field| format!("{field:08x}")).collect();
        self.archive.extend(b"070701");
        self.archive
            .extend(header.bytes().chain(text.bytes()).chain([0]));
        self.pad();
        self.archive.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.archive.len().next_multiple_of(4);
        self.archive.resize(length, 0);
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Where this machine has a program; a user's PATH may lack the folders of the administrator.
fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    match folders.find(|folder| folder.join(name).is_file()) {
        Some(folder) => Ok(folder.join(name)),
        None => bail!("no program named {name} here"),
    }
}

/// The files that `ldd` names: `libc.so.6 => /lib/libc.so.6 (0x…)`, and the loader alone.
fn libraries(listed: &str) -> Vec<PathBuf> {
    let words = listed.split_whitespace();
    words
        .filter(|word| word.starts_with('/'))
        .map(|word| word.trim_end_matches(':').into())
        .collect()
}

#[cfg(test)]
mod tests;
