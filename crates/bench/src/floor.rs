//! The floor of a durable chain over HTTP: a server of the same parts that for each request writes a page over and syncs
//! it, and does nothing else. What it takes is the disk's, the kernel's and the HTTP library's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::serve::ListenerExt as _;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::disk::Disk;
use crate::load::{Until, repeat};

/// As long as the answer to a port's creation.
const ANSWER: [u8; 1000] = [b' '; 1000];
/// As long as a subnet's request.
const REQUEST: &str = "{\"subnet\":{\"network_id\":\"00000000-0000-0000-0000-000000000000\",\"ip_version\":6,\"cidr\":\"2001:db8:0:1::/64\",\"ipv6_ra_mode\":\"slaac\",\"ipv6_address_mode\":\"slaac\"}}";

/// The server; it ends with this.
pub struct Floor {
    client: Client,
    _runtime: Runtime,
}

impl Floor {
    /// Starts it with its file in a folder.
    ///
    /// # Errors
    /// When the file cannot be written or nothing can be listened on.
    pub fn start(folder: &Path) -> Result<Self> {
        let disk = Arc::new(Disk::named(folder, "floor")?);
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("[::1]:0"))?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // Answers are late without it, and the floor is higher than it needs to be.
            let _ = stream.set_nodelay(true);
        });
        let app = Router::new().fallback(move |body: Bytes| {
            let written = disk.overwrite(1).map(|_| body.len());
            async move {
                match written {
                    Ok(1..) => (StatusCode::CREATED, ANSWER.as_slice()),
                    Ok(0) | Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, b"".as_slice()),
                }
            }
        });
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            client: Client::connect(address, "")?,
            _runtime: runtime,
        })
    }

    /// The mean time of three requests, one after the other, over a window.
    ///
    /// # Errors
    /// With an answer that is not 201.
    pub fn chains(&mut self, window: Duration) -> Result<Duration> {
        let steps = repeat(&mut self.client, Until::Time(window), |client| {
            for _ in 0..3 {
                client.ask("POST", "/", REQUEST, 201)?;
            }
            Ok(())
        })?;
        let count = u32::try_from(steps.len())?;
        let all: Duration = steps.iter().sum();
        all.checked_div(count).context("no request was answered")
    }
}
