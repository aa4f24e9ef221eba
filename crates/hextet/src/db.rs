//! `hextet db`: copies of the database, and whether it holds together.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hextet_server::{Database, ServerConfig, maintenance};

use crate::paths::Paths;

#[derive(Subcommand)]
pub enum DbCommand {
    /// Copy the database to a file, while the server runs or not
    #[command(
        after_help = "Example:\n  hextet db backup /backup/hextet-$(date +%F).db\n\n\
        The copy is the database as it stands at one moment; the server goes on writing meanwhile. The file appears when\n\
        the copy is whole and on the disk; a file that is there already is not written over."
    )]
    Backup {
        /// Where the copy goes
        #[arg(value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        which: Which,
    },

    /// Put a copy in the database's place, while the server is stopped
    #[command(after_help = "Example:\n  systemctl stop hextet-server\n  \
        hextet db restore /backup/hextet-2026-11-21.db\n  systemctl start hextet-server\n\n\
        The copy is checked first. The database that was there is kept beside it, under the name that is printed.\n\
        Hosts then go back to what the copy says: guests whose ports it does not know lose their link.")]
    Restore {
        /// A copy that `hextet db backup` made
        #[arg(value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        which: Which,
    },

    /// Look the database, or a copy, through; the server may run
    #[command(after_help = "Example:\n  hextet db check\n  \
        hextet db check --file /backup/hextet-2026-11-21.db\n\n\
        Nothing is changed. Exit codes: 0 it holds together, 1 it does not (one line each says what).")]
    Check {
        /// A copy to look at, instead of the database
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
pub struct Which {
    /// The server's configuration, which names the database [default: server.toml in --dir]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs one of the verbs.
pub fn run(paths: &Paths, command: DbCommand) -> Result<ExitCode> {
    match command {
        DbCommand::Backup { to, which } => {
            maintenance::backup(&database(paths, &which)?, &to, &mut said("copied"))?;
            println!("backup {}", to.display());
        }
        DbCommand::Restore { from, which } => {
            let database = database(paths, &which)?;
            let kept = maintenance::restore(&from, &database, &mut said("copied"))?;
            println!("restored {}", database.display());
            if let Some(kept) = kept {
                println!("before {}", kept.display());
            }
        }
        DbCommand::Check { file, which } => {
            let path = file.map_or_else(|| database(paths, &which), Ok)?;
            let problems = maintenance::check(&path)?;
            for problem in &problems {
                println!("{problem}");
            }
            if !problems.is_empty() {
                eprintln!("hextet: {}: {} problems", path.display(), problems.len());
                return Ok(ExitCode::FAILURE);
            }
            println!("sound {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The database's file.
fn database(paths: &Paths, which: &Which) -> Result<PathBuf> {
    let config: &Path = &which.config.clone().unwrap_or_else(|| paths.server_toml());
    let loaded = ServerConfig::load(config)
        .with_context(|| format!("{}: no database is known", config.display()))?;
    match &loaded.database {
        Database::Sqlite(path) => Ok(path.clone()),
        Database::Postgres(_) => bail!(
            "the database {} is a PostgreSQL: use its own tools (pg_dump, pg_restore, pg_amcheck)",
            loaded.database
        ),
    }
}

/// Says how far a long copy is, to people.
fn said(verb: &'static str) -> impl FnMut(u64, u64) {
    let shown = std::io::stderr().is_terminal();
    move |done, total| {
        if shown {
            eprint!("\r{verb} {done} of {total} pages");
            if done == total {
                eprintln!();
            }
        }
    }
}
