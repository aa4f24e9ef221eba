//! Ports attached through the agent's socket, as `hextet port attach` does.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use hextet_feed::v1::local_client::LocalClient;
use hextet_feed::v1::target::Target;
use hextet_feed::v1::{AttachRequest, NetnsTarget};
use serde_json::{Value as Json, json};
use tonic::transport::{Channel, Endpoint};

/// One line of the input: `PORT NETNS IFNAME`.
fn request(line: &str, down: bool) -> Result<AttachRequest> {
    let mut words = line.split_whitespace();
    let mut word = || words.next().context("PORT NETNS IFNAME");
    let digits = word()?.replace('-', "");
    let port = (0..digits.len()).step_by(2).map(|at| {
        let octet = digits.get(at..at + 2).context("a port's id")?;
        Ok(u8::from_str_radix(octet, 16)?)
    });
    Ok(AttachRequest {
        port: port.collect::<Result<_>>()?,
        target: Some(hextet_feed::v1::Target {
            target: Some(Target::Netns(NetnsTarget {
                name: word()?.to_owned(),
                ifname: word()?.to_owned(),
                down,
            })),
        }),
    })
}

/// Attaches the ports of the input, so many at once, with the guests' ends down or up; how long each took until the agent said that it is done, ms.
///
/// # Errors
/// When the agent refuses one.
pub fn attach(socket: &Path, at_once: usize, down: bool) -> Result<Json> {
    let lines = std::io::stdin().lock().lines();
    let requests = lines.map(|line| request(&line?, down));
    let requests: Vec<AttachRequest> = requests.collect::<Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let start = Instant::now();
    let mut took = Vec::with_capacity(requests.len());
    runtime.block_on(async {
        let channel = Endpoint::from_shared(format!("unix:{}", socket.display()))?
            .connect()
            .await
            .context("no agent answers")?;
        for some in requests.chunks(at_once) {
            let calls = some
                .iter()
                .map(|one| one_call(channel.clone(), one.clone()));
            let calls: Vec<_> = calls.map(tokio::spawn).collect();
            for call in calls {
                took.push(call.await??);
            }
        }
        anyhow::Ok(())
    })?;
    Ok(json!({"ms": took, "seconds": start.elapsed().as_secs_f64()}))
}

async fn one_call(channel: Channel, request: AttachRequest) -> Result<f64> {
    let start = Instant::now();
    LocalClient::new(channel).attach(request).await?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}
