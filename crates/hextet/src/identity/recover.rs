//! `hextet identity recover-admin`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use hextet_server::ServerConfig;

use super::password;
use crate::paths::Paths;

/// Arguments of `hextet identity recover-admin`.
#[derive(Args)]
pub struct RecoverArgs {
    /// The user that administrates afterwards; made where it is not there
    #[arg(default_value = "admin")]
    user: String,
    /// Read the new password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// The server's configuration, which names the database [default: server.toml in --dir]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Works on the database itself.
pub async fn run(paths: &Paths, args: RecoverArgs) -> Result<()> {
    let config = args.config.unwrap_or_else(|| paths.server_toml());
    let config = ServerConfig::load(&config)
        .with_context(|| format!("{}: no database is known", config.display()))?;
    let (password, random) = password(args.password_stdin)?;
    let recovered = hextet_server::recover_administrator(&config, args.user, password)
        .await
        .context("nothing was changed; is the server stopped?")?;
    let what = if recovered.made { "made" } else { "recovered" };
    println!(
        "{what} user {} of project {}, role admin",
        recovered.user, recovered.project
    );
    if random {
        println!("password {}", recovered.password.expose());
    }
    Ok(())
}
