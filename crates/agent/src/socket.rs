//! `agent.sock`: the command line's door, for this machine's root only.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hextet_core::ids::PortId;
use hextet_feed::convert::{Malformed, uuid};
use hextet_feed::v1;
use hextet_feed::v1::local_server::{Local, LocalServer};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::handover::Successor;
use crate::host::{Input, Local as Question};
use crate::ledger::Target;

/// Listens; a socket that an earlier process left is replaced.
///
/// # Errors
/// The file system's.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else can connect between the two: it gets its name only when its mode is right.
    let unnamed = path.with_extension("new");
    let _ = std::fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed)?;
    std::fs::set_permissions(&unnamed, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&unnamed, path)?;
    Ok(listener)
}

/// Serves until `stop`, and then what was asked before.
///
/// # Errors
/// The transport's.
pub async fn serve(
    listener: tokio::net::UnixListener,
    door: Door,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .add_service(LocalServer::new(door))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop)
        .await
}

/// What answers.
pub struct Door {
    config: Arc<Config>,
    inputs: mpsc::Sender<Input>,
    successors: mpsc::Sender<Successor>,
    tracing: tokio::sync::Mutex<()>,
    /// This start of the agent.
    run: String,
}

impl Door {
    /// Asks the host's thread, and hands on who takes the agent's place.
    pub fn new(
        config: Arc<Config>,
        inputs: mpsc::Sender<Input>,
        successors: mpsc::Sender<Successor>,
    ) -> Self {
        Self {
            config,
            inputs,
            successors,
            tracing: tokio::sync::Mutex::default(),
            run: uuid::Uuid::from_bytes(rand::random()).to_string(),
        }
    }

    async fn ask<R>(
        &self,
        question: impl FnOnce(oneshot::Sender<R>) -> Question,
    ) -> Result<R, Status> {
        let (reply, answer) = oneshot::channel();
        let ending = |()| Status::unavailable("the agent ends");
        self.inputs
            .send(Input::Local(question(reply)))
            .await
            .map_err(|_| ending(()))?;
        answer.await.map_err(|_| ending(()))
    }
}

#[tonic::async_trait]
impl Local for Door {
    async fn attach(
        &self,
        request: Request<v1::AttachRequest>,
    ) -> Result<Response<v1::AttachReply>, Status> {
        let request = request.into_inner();
        let port = port(&request.port)?;
        let target = request.target.as_ref().ok_or(Malformed::Missing("target"));
        let target = target.and_then(Target::try_from).map_err(malformed)?;
        self.ask(|reply| Question::Attach(port, target, reply))
            .await??;
        Ok(Response::new(v1::AttachReply {}))
    }

    async fn detach(
        &self,
        request: Request<v1::DetachRequest>,
    ) -> Result<Response<v1::DetachReply>, Status> {
        let port = port(&request.into_inner().port)?;
        self.ask(|reply| Question::Detach(port, reply)).await??;
        Ok(Response::new(v1::DetachReply {}))
    }

    async fn list_ports(
        &self,
        _: Request<v1::ListPortsRequest>,
    ) -> Result<Response<v1::ListPortsReply>, Status> {
        Ok(Response::new(self.ask(Question::List).await?))
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusReply>, Status> {
        let mut status = self.ask(Question::Status).await?;
        status.run.clone_from(&self.run);
        env!("CARGO_PKG_VERSION").clone_into(&mut status.version);
        status.pid = std::process::id();
        Ok(Response::new(status))
    }

    async fn show_port(
        &self,
        request: Request<v1::ShowPortRequest>,
    ) -> Result<Response<v1::ShowPortReply>, Status> {
        let port = request.into_inner().port;
        let shown = self.ask(|reply| Question::Show(port, reply)).await??;
        Ok(Response::new(*shown))
    }

    async fn trace(
        &self,
        request: Request<v1::TraceRequest>,
    ) -> Result<Response<v1::TraceReply>, Status> {
        let v1::TraceRequest { port, packet } = request.into_inner();
        // Loading a program is work for the kernel: one at a time.
        let _turn = self.tracing.lock().await;
        let scene = self.ask(|reply| Question::Trace(port, reply)).await??;
        let traced = tokio::task::spawn_blocking(move || scene.trace(&packet)).await;
        let reply = traced.map_err(|_| Status::internal("tracing failed"))??;
        Ok(Response::new(reply))
    }

    async fn replace(
        &self,
        request: Request<v1::ReplaceRequest>,
    ) -> Result<Response<v1::ReplaceReply>, Status> {
        let successor = Successor::asked(&request.into_inner(), &self.config)?;
        successor.probe().await?;
        let busy = |_| Status::unavailable("the agent is being replaced already, or ends");
        self.successors.try_send(successor).map_err(busy)?;
        Ok(Response::new(v1::ReplaceReply {}))
    }

    async fn down(&self, _: Request<v1::DownRequest>) -> Result<Response<v1::DownReply>, Status> {
        self.ask(Question::Down).await??;
        Ok(Response::new(v1::DownReply {}))
    }
}

fn port(bytes: &[u8]) -> Result<PortId, Status> {
    uuid("port", bytes).map(PortId).map_err(malformed)
}

fn malformed(error: Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}
