//! The agent of this machine, over its socket.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use hextet_feed::v1;
use hextet_feed::v1::local_client::LocalClient;
use tonic::transport::{Channel, Endpoint};

use crate::paths::Paths;

/// A connected agent.
pub type Agent = LocalClient<Channel>;

/// Connects to the agent of this directory.
pub async fn connect(paths: &Paths) -> Result<Agent> {
    connect_to(&paths.agent_socket()).await
}

/// Connects to the agent that listens here.
pub async fn connect_to(socket: &Path) -> Result<Agent> {
    let channel = Endpoint::from_shared(format!("unix:{}", socket.display()))?
        .connect()
        .await
        .with_context(|| {
            format!(
                "no agent answers at {} (is `hextet up` running on this directory?)",
                socket.display()
            )
        })?;
    Ok(LocalClient::new(channel))
}

/// What the agent says about itself.
pub async fn status(agent: &mut Agent) -> Result<v1::StatusReply> {
    Ok(agent
        .status(v1::StatusRequest {})
        .await
        .map_err(refused)?
        .into_inner())
}

/// Every port that it carries or is to carry.
pub async fn ports(agent: &mut Agent) -> Result<Vec<v1::LocalPort>> {
    Ok(agent
        .list_ports(v1::ListPortsRequest {})
        .await
        .map_err(refused)?
        .into_inner()
        .ports)
}

/// The agent's no, in its own words.
pub fn refused(status: tonic::Status) -> anyhow::Error {
    anyhow!("{}", status.message())
}
