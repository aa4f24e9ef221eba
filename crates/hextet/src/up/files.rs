//! The files that `up` writes once, and reads the next time.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hextet_agent::config::Config as AgentConfig;
use hextet_server::ServerConfig;
use hextet_server::identity::Bootstrap;

use super::certificates::{self, SERVER_NAME};
use crate::paths::Paths;

/// Where the API answers if nothing else is said.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 9696);

/// Where the API answers.
#[derive(Clone, Copy)]
pub struct Door {
    /// The address that is listened on.
    pub listen: SocketAddr,
    https: bool,
}

impl Door {
    /// As clients write it.
    pub fn url(self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.listen)
    }
}

/// Writes what is not there, and says where the API answers.
pub fn ensure(paths: &Paths, asked: Option<SocketAddr>) -> Result<Door> {
    let door = if paths.server_toml().exists() {
        let config = ServerConfig::load(&paths.server_toml())?;
        let listen = config.listen;
        if asked.is_some_and(|asked| asked != listen && asked.port() != 0) {
            bail!(
                "{} says listen = \"{listen}\": change it there and in {}, or leave --listen out",
                paths.server_toml().display(),
                paths.clouds_yaml().display(),
            );
        }
        Door {
            listen,
            https: config.tls.is_some(),
        }
    } else {
        Door {
            listen: free(asked.unwrap_or(LISTEN))?,
            https: false,
        }
    };
    let host = host_name(paths)?;
    certificates::ensure(&paths.tls(), &host)?;
    once(&paths.server_toml(), 0o644, || {
        Ok(server_toml(paths, door.listen, &host))
    })?;
    once(&paths.agent_toml(), 0o644, || Ok(agent_toml(paths, &host)))?;
    once(&paths.clouds_yaml(), 0o600, || {
        clouds_yaml(&Bootstrap::ensure(&paths.identity_toml())?, door)
    })?;
    Ok(door)
}

/// A port 0 becomes one that is free now, so that it stays the same from then on.
fn free(listen: SocketAddr) -> Result<SocketAddr> {
    let listener =
        TcpListener::bind(listen).with_context(|| format!("could not listen on {listen}"))?;
    Ok(listener.local_addr()?)
}

/// The name that ports are bound to: the one of the first start, whatever the machine is called now.
fn host_name(paths: &Paths) -> Result<String> {
    if paths.agent_toml().exists() {
        return Ok(AgentConfig::load(&paths.agent_toml())?.host.0);
    }
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").context("the machine's name")?;
    match name.trim() {
        "" => bail!("this machine has no name: set one (hostname NAME)"),
        name => Ok(name.to_owned()),
    }
}

fn server_toml(paths: &Paths, listen: SocketAddr, host: &str) -> String {
    let dir = paths.dir.display();
    format!(
        "# Written by `hextet up`, once. hextet.example.toml explains every key.\n\
        listen = \"{listen}\"\n\
        database = \"sqlite:{dir}/hextet.db\"\n\
        \n\
        [feed]\n\
        listen = \"[::1]:0\"\n\
        address_file = \"{}\"\n\
        claim_hosts = [\"{host}\"]\n\
        \n\
        [feed.tls]\n\
        ca = \"{dir}/tls/ca.pem\"\n\
        cert = \"{dir}/tls/server.pem\"\n\
        key = \"{dir}/tls/server.key\"\n\
        \n\
        [identity]\n\
        accounts = \"{}\"\n",
        paths.feed_address().display(),
        paths.identity_toml().display(),
    )
}

fn agent_toml(paths: &Paths, host: &str) -> String {
    let dir = paths.dir.display();
    // Random: several instances share one machine's bpffs.
    let instance: u32 = rand::random();
    format!(
        "# Written by `hextet up`, once. hextet.example.toml explains every key.\n\
        host = \"{host}\"\n\
        state_dir = \"{dir}/agent\"\n\
        socket = \"{}\"\n\
        instance = \"i{instance:08x}\"\n\
        \n\
        [server]\n\
        address_file = \"{}\"\n\
        name = \"{SERVER_NAME}\"\n\
        ca = \"{dir}/tls/ca.pem\"\n\
        cert = \"{dir}/tls/agent.pem\"\n\
        key = \"{dir}/tls/agent.key\"\n",
        paths.agent_socket().display(),
        paths.feed_address().display(),
    )
}

fn clouds_yaml(accounts: &Bootstrap, door: Door) -> Result<String> {
    let mut text = "# Written by `hextet up`, once: how clients sign in.\nclouds:\n".to_owned();
    for (cloud, name) in [("hextet", "admin"), ("hextet-demo", "demo")] {
        let user = accounts
            .user(name)
            .with_context(|| format!("identity.toml has no user {name}"))?;
        text.push_str(&format!(
            "  {cloud}:\n    auth:\n      auth_url: {}/identity/v3\n      \
            username: {name}\n      password: \"{}\"\n      project_name: {}\n      \
            user_domain_name: Default\n      project_domain_name: Default\n    \
            region_name: RegionOne\n    identity_api_version: 3\n    interface: public\n",
            door.url(),
            user.password.expose(),
            user.project,
        ));
    }
    Ok(text)
}

/// Writes a file that is not there; whole or not at all.
fn once(path: &Path, mode: u32, text: impl FnOnce() -> Result<String>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .with_context(|| new.display().to_string())?;
    file.write_all(text()?.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path).with_context(|| path.display().to_string())
}
