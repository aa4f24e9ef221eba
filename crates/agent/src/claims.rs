//! Claims on the server: which taps of this host have the names of ports that are not in the plan, and what the server says
//! of them. Told anew when they change and after each connection, so nothing is lost with a server that is away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hextet_core::report::ClaimOutcome;
use hextet_feed::v1;
use hextet_feed::v1::feed_client::FeedClient;
use tokio::sync::{mpsc, watch};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tracing::{debug, info};

use crate::host::Input;

/// How long changes are gathered before the server is told: a host that starts makes many taps.
const GATHER: Duration = Duration::from_millis(200);
/// How long until a claim that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// The taps to claim, as the host's thread sees them.
pub type Taps = Arc<BTreeSet<String>>;

/// Claims for as long as the connection lasts. Ends only when the agent does.
pub(crate) async fn follow(
    mut client: FeedClient<Channel>,
    host: String,
    mut taps: watch::Receiver<Taps>,
    answers: mpsc::Sender<Input>,
) {
    loop {
        let claimed = taps.borrow_and_update().clone();
        if claimed.is_empty() {
            if taps.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(GATHER).await;
            continue;
        }
        let request = v1::ClaimRequest {
            host: host.clone(),
            taps: claimed.iter().cloned().collect(),
        };
        let kept = async {
            let mut replies = client.claim(request).await?.into_inner();
            hear(&mut replies, &answers).await
        };
        let ended = tokio::select! {
            ended = kept => ended,
            changed = taps.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(GATHER).await;
                continue;
            }
        };
        match ended {
            Ok(()) => return,
            Err(status) if status.code() == Code::Unimplemented => {
                info!("the server is older and takes no claims");
                // Another one may answer the next connection.
                return std::future::pending().await;
            }
            Err(status) => debug!(reason = status.message(), "claims ended"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Hands on what the server says, until it says no more; `Ok` when the agent ends.
async fn hear(
    replies: &mut Streaming<v1::ClaimReply>,
    answers: &mpsc::Sender<Input>,
) -> Result<(), Status> {
    while let Some(reply) = replies.message().await? {
        let Some(outcome) = outcome(&reply) else {
            continue;
        };
        let answer = Input::Claimed(reply.tap, outcome);
        if answers.send(answer).await.is_err() {
            return Ok(());
        }
    }
    Err(Status::unavailable("the server ended the stream"))
}

/// `None` of a newer server, which may say more.
fn outcome(reply: &v1::ClaimReply) -> Option<ClaimOutcome> {
    let said = v1::ClaimOutcome::try_from(reply.outcome).ok()?;
    ClaimOutcome::try_from(said).ok()
}
