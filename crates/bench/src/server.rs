//! The server under load: a process of its own, as an operator starts it, with SQLite or PostgreSQL.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use crate::client::Client;

/// The administrator's password: these clouds live for a minute, on loopback.
pub const PASSWORD: &str = "measured";
/// How long a start may take.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two attempts to connect while a server starts: how exactly a start is timed.
const CONNECT_EVERY: Duration = Duration::from_millis(2);

/// A running server and the way in.
pub struct Server {
    binary: PathBuf,
    folder: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// An administrator's token.
    pub token: String,
    process: Option<Child>,
}

impl Server {
    /// Makes a cloud in a folder, starts its server, logs in, and lifts the administrator's quotas. `database` is a URL;
    /// without one it is an SQLite file in the folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(binary: &Path, folder: &Path, database: Option<&str>) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let address = TcpListener::bind("[::1]:0")?.local_addr()?;
        write_files(folder, address, database)?;
        let mut server = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            address,
            token: String::new(),
            process: None,
        };
        server.spawn()?;
        let mut client = server.wait()?;
        let (token, project) = client.login()?;
        server.token = token;
        let quota = json!({"quota": {"network": -1, "subnet": -1, "port": -1}});
        let path = format!("/v2.0/quotas/{project}");
        client.ask("PUT", &path, &quota.to_string(), 200)?;
        Ok(server)
    }

    /// A new connection with the token.
    ///
    /// # Errors
    /// When the server does not listen.
    pub fn client(&self) -> Result<Client> {
        Client::connect(self.address, &self.token)
    }

    /// Stops the server and starts it again; answers how long it took from the start of the process until it answered a
    /// question.
    ///
    /// # Errors
    /// When it does not end or does not come up.
    pub fn restart(&mut self, question: &str) -> Result<Duration> {
        self.stop()?;
        let start = Instant::now();
        self.spawn()?;
        self.wait()?.ask("GET", question, "", 200)?;
        Ok(start.elapsed())
    }

    /// The memory that is the process's own, and its part of what it shares: PSS, bytes.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn pss(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.pid()?);
        let text = std::fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.context("smaps_rollup has no Pss")?.parse()?;
        Ok(kilobytes * 1024)
    }

    /// The processor time that the process has used.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn cpu(&self) -> Result<Duration> {
        /// What the kernel counts in: USER_HZ, the same on every architecture that matters.
        const TICKS_PER_SECOND: u64 = 100;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let (_, fields) = text.rsplit_once(") ").context("stat")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// The folder that the database of an SQLite cloud is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the process as a service manager does.
    ///
    /// # Errors
    /// When it does not end well, or has logged a fault.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)?;
        let status = process.wait()?;
        if !status.success() {
            bail!("the server ended with {status}: {}", self.log());
        }
        if self.log().contains("ERROR") {
            bail!("the server met a fault: {}", self.log());
        }
        Ok(())
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::create(self.folder.join("log"))?;
        let process = Command::new(&self.binary)
            .arg("server")
            .arg("--config")
            .arg(self.folder.join("server.toml"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        self.process = Some(process);
        Ok(())
    }

    fn wait(&mut self) -> Result<Client> {
        let start = Instant::now();
        while start.elapsed() < READY_WITHIN {
            if let Ok(client) = self.client() {
                return Ok(client);
            }
            let process = self.process.as_mut().context("no process")?;
            if let Some(status) = process.try_wait()? {
                bail!("the server ended with {status}: {}", self.log());
            }
            std::thread::sleep(CONNECT_EVERY);
        }
        bail!("the server did not come up: {}", self.log())
    }

    fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the server runs not")?.id())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Left behind by an error: nothing is to be kept of it.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn write_files(folder: &Path, address: SocketAddr, database: Option<&str>) -> Result<()> {
    let database = database.unwrap_or("sqlite:hextet.db");
    let config = format!(
        "listen = \"{address}\"\ndatabase = \"{database}\"\n\
         [feed]\nlisten = \"[::1]:0\"\n\
         [feed.tls]\nca = \"ca.pem\"\ncert = \"server.pem\"\nkey = \"server.key\"\n\
         [identity]\naccounts = \"identity.toml\"\ntoken_lifetime_s = 86400\n"
    );
    std::fs::write(folder.join("server.toml"), config)?;
    let accounts = format!(
        "projects = [\"admin\"]\n[[user]]\nname = \"admin\"\npassword = \"{PASSWORD}\"\n\
         project = \"admin\"\nrole = \"admin\"\n"
    );
    std::fs::write(folder.join("identity.toml"), accounts)?;
    write_certificates(folder)
}

/// The feed wants certificates, though no agent comes.
fn write_certificates(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["hextet-server".to_owned()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &authority)?;
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    std::fs::write(folder.join("server.pem"), certificate.pem())?;
    std::fs::write(folder.join("server.key"), key.serialize_pem())?;
    Ok(())
}
