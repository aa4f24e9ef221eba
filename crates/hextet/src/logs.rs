//! Where logs go: stderr, by `HEXTET_LOG` (`info` by default; `debug`, or `hextet_agent=debug,info`).

use std::io::IsTerminal;

use hextet_server::LogFormat;
use tracing_subscriber::EnvFilter;

/// Begins to log.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env("HEXTET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
