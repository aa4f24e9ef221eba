//! A PostgreSQL of a test's own, from the distribution's package: a folder below the temporary one, a unix socket and no
//! port, gone with the test program however that ends.
//!
//! A test that asks for one and cannot have it fails.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

/// The cluster's only user.
const USER: &str = "hextet";
/// The user that runs it where the test is root, which PostgreSQL refuses to be.
const UNPRIVILEGED: &str = "postgres";
/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What ends the server and removes its folder once the test program is gone: its standard input ends then.
const GUARDIAN: &str = r#"cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && grep -q "$1" "/proc/$pid/cmdline" 2>/dev/null; then
  kill -QUIT "$pid"
  while [ -d "/proc/$pid" ]; do sleep 0.05; done
fi
rm -rf "$1""#;

/// Whether what was committed must outlive the machine. Killing a process loses nothing either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Commits wait for it, as in production.
    Synced,
    /// They do not.
    Unsynced,
}

/// A running server.
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    owner: Option<User>,
    disk: Disk,
    databases: AtomicU64,
    /// More settings of the server, from its next start on.
    settings: Mutex<Vec<String>>,
    guardian: Child,
}

impl Cluster {
    /// The one that the tests of a program share.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Cluster::start(Disk::Unsynced))
    }

    /// A new one.
    pub fn start(disk: Disk) -> Cluster {
        let programs = programs();
        let owner = geteuid().is_root().then(|| {
            User::from_name(UNPRIVILEGED)
                .expect("the user database can be read")
                .expect("the package makes the user postgres")
        });
        let folder = TempDir::with_prefix("hextet-pg-")
            .expect("a temporary folder")
            .keep();
        if let Some(owner) = &owner {
            let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("root may");
        }
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(&folder)
            .stdin(Stdio::piped())
            // Not in our group: what ends the test by a signal to all of it must not end this.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let cluster = Cluster {
            folder,
            programs,
            owner,
            disk,
            databases: AtomicU64::new(0),
            settings: Mutex::default(),
            guardian,
        };
        let made = cluster
            .command("initdb")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--username", USER])
            .arg("--pgdata")
            .arg(cluster.data())
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        cluster.run();
        cluster
    }

    /// A fresh database; its URL.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display();
        format!("postgresql:///{database}?host={folder}&user={USER}")
    }

    /// Runs SQL in a database, by name or by URL; the answer's rows, columns apart by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let asked = self.try_sql(database, sql);
        asked.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`Cluster::sql`]; with what psql said where it failed.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut url = match database.contains("://") {
            true => database.to_owned(),
            false => self.url(database),
        };
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        // The port is a part of the socket's name.
        for port in settings.iter().filter_map(|one| one.strip_prefix("port=")) {
            url.push_str(&format!("&port={port}"));
        }
        drop(settings);
        let asked = self
            .command("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
            .output()
            .expect("psql runs");
        match asked.status.success() {
            true => Ok(String::from_utf8_lossy(&asked.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&asked.stderr).into_owned()),
        }
    }

    /// Starts the server again; it takes requests when this returns.
    pub fn run(&self) {
        let begin = Instant::now();
        let mut server = self.spawn();
        while self.try_sql("postgres", "SELECT 1").is_err() {
            assert!(
                begin.elapsed() < PATIENCE,
                "PostgreSQL does not start: {}",
                self.log()
            );
            if server.try_wait().is_ok_and(|ended| ended.is_some()) {
                // Processes of the one before still go.
                server = self.spawn();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // Nobody need wait for it: it ends with the guardian, or by `kill`.
        std::thread::spawn(move || server.wait());
    }

    /// Sends the server's first process a signal and waits until it is gone, and those of its connections, which may
    /// outlive it for a moment. `SIGKILL` takes it away as it stands; `SIGINT` ends it in peace, connections cut.
    pub fn kill(&self, signal: Signal) {
        let pid = self.pid().expect("the server runs");
        let mut all = children(pid);
        all.push(pid);
        kill(Pid::from_raw(pid), signal).expect("it is ours");
        let begin = Instant::now();
        while all
            .iter()
            .any(|pid| Path::new(&format!("/proc/{pid}")).exists())
        {
            assert!(begin.elapsed() < PATIENCE, "PostgreSQL does not end");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts the server anew, so that it listens on the loopback too: answers the port. With PEM files of a certificate
    /// and its key it speaks TLS to who wants it.
    pub fn listen(&self, tls: Option<(&Path, &Path)>) -> u16 {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
        ];
        if let Some((certificate, key)) = tls {
            for (from, name, setting) in [
                (certificate, "server.pem", "ssl_cert_file"),
                (key, "server.key", "ssl_key_file"),
            ] {
                let to = self.folder.join(name);
                std::fs::copy(from, &to).expect("a copy");
                std::fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("ours");
                if let Some(owner) = &self.owner {
                    let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
                    std::os::unix::fs::chown(&to, Some(uid), Some(gid)).expect("root may");
                }
                settings.push(format!("{setting}={}", to.display()));
            }
            settings.push("ssl=on".to_owned());
        }
        self.kill(Signal::SIGINT);
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        self.run();
        port
    }

    fn pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    fn spawn(&self) -> Child {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(&self.folder);
        for setting in [
            "listen_addresses=",
            "max_connections=100",
            "shared_buffers=32MB",
        ] {
            command.args(["-c", setting]);
        }
        // Later ones win.
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        for setting in settings.iter() {
            command.args(["-c", setting]);
        }
        if self.disk == Disk::Unsynced {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("postgres runs")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

/// The processes that a process has started.
fn children(of: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything; the state and the parent come after it.
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(1) == Some(&of.to_string())
    })
    .collect()
}

/// Where the package has put the newest version that is installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .max();
    let (_, programs) = newest.expect("no PostgreSQL below /usr/lib/postgresql: run tools/setup");
    programs
}
