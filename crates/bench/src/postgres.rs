//! A PostgreSQL of the benchmark's own: a new cluster with its defaults, so with every commit synced, on loopback.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

/// Where Debian puts each version's programs.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user that PostgreSQL runs as where the benchmark runs as root, which PostgreSQL refuses.
const USER: &str = "postgres";
/// How long it may take to come up.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running cluster.
pub struct Postgres {
    process: Child,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes a cluster in a folder and starts it.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or it does not come up.
    pub fn start(folder: &Path) -> Result<Self> {
        let programs = programs()?;
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        if geteuid().is_root() {
            let user = User::from_name(USER)?.context("there is no user postgres")?;
            for owned in [folder, &data] {
                std::os::unix::fs::chown(owned, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
        }
        let log_path = folder.join("log");
        let log = File::create(&log_path)?;
        let made = as_user(&programs.join("initdb"))
            .args(["--auth=trust", "--username=hextet", "--encoding=UTF8"])
            .args(["--locale=C", "--pgdata"])
            .arg(&data)
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .status()?;
        if !made.success() {
            bail!("initdb failed: {}", std::fs::read_to_string(&log_path)?);
        }
        let port = TcpListener::bind("[::1]:0")?.local_addr()?.port();
        let process = as_user(&programs.join("postgres"))
            .args(["-h", "::1", "-k", "", "-p", &port.to_string(), "-D"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut postgres = Self {
            process,
            programs,
            port,
        };
        let start = Instant::now();
        while !postgres.command("psql", &["-c", "SELECT 1", "postgres"])? {
            let ended = postgres.process.try_wait()?.is_some();
            if ended || start.elapsed() > READY_WITHIN {
                bail!("no PostgreSQL: {}", std::fs::read_to_string(&log_path)?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(postgres)
    }

    /// Makes an empty database and answers its URL.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self, name: &str) -> Result<String> {
        if !self.command("createdb", &[name])? {
            bail!("the database {name} could not be made");
        }
        Ok(format!("postgresql://hextet@[::1]:{}/{name}", self.port))
    }

    fn command(&self, program: &str, args: &[&str]) -> Result<bool> {
        let status = Command::new(self.programs.join(program))
            .args(["-h", "::1", "-U", "hextet", "-p", &self.port.to_string()])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown. Whatever happens, nothing is to be kept of it.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        let _ = self.process.wait();
    }
}

/// The programs of the newest version.
fn programs() -> Result<PathBuf> {
    let missing = "no PostgreSQL server here: install Debian's package postgresql";
    let versions = std::fs::read_dir(VERSIONS).context(missing)?.flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = versions.map(|entry| entry.path());
    let programs = versions
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(number)
        .context(missing)?;
    Ok(programs.join("bin"))
}

fn as_user(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(program)
        .current_dir("/");
    command
}
