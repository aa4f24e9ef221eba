//! Where logs go: stderr, by `HEXTET_LOG` (`info` by default; `debug`, or `hextet_agent=debug,info`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to log.
pub fn start() {
    let filter = EnvFilter::try_from_env("HEXTET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
