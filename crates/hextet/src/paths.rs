//! What lies where in an instance's directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The files of one instance.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The directory itself, absolute.
    pub dir: PathBuf,
}

impl Paths {
    /// The files under this directory, which need not be there.
    pub fn new(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).with_context(|| dir.display().to_string())?;
        Ok(Self { dir })
    }

    /// What comes and goes with the processes.
    pub fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// Held by a running `up`.
    pub fn up_lock(&self) -> PathBuf {
        self.run().join("up.lock")
    }

    /// The process id of one of `up`, `server`, `agent`.
    pub fn pid(&self, name: &str) -> PathBuf {
        self.run().join(format!("{name}.pid"))
    }

    /// The agent's socket.
    pub fn agent_socket(&self) -> PathBuf {
        self.run().join("agent.sock")
    }

    /// Where the server's feed listens.
    pub fn feed_address(&self) -> PathBuf {
        self.run().join("feed.addr")
    }

    /// The server's configuration.
    pub fn server_toml(&self) -> PathBuf {
        self.dir.join("server.toml")
    }

    /// The agent's configuration.
    pub fn agent_toml(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }

    /// The first accounts.
    pub fn identity_toml(&self) -> PathBuf {
        self.dir.join("identity.toml")
    }

    /// How clients sign in.
    pub fn clouds_yaml(&self) -> PathBuf {
        self.dir.join("clouds.yaml")
    }

    /// Certificates and keys.
    pub fn tls(&self) -> PathBuf {
        self.dir.join("tls")
    }
}
