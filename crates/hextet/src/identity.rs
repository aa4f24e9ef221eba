//! `hextet identity`: users, projects, roles, application credentials, tokens and their keys, through the API; and the
//! way back in when nobody can administrate.

mod accounts;
mod credentials;
mod recover;
mod roles;

use std::io::{BufRead, Read};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hextet_server::identity::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Api, quoted};
use crate::paths::Paths;

/// Longest line that is read from standard input, bytes: a password or a token.
const LINE_BYTES_MAX: u64 = 8192;

/// The subcommands of `hextet identity`.
#[derive(Subcommand)]
pub enum IdentityCommand {
    #[command(flatten)]
    Online(OnlineCommand),
    /// Make an administrator in the database itself, while the server is stopped
    #[command(after_help = "Example:\n  systemctl stop hextet-server\n  \
        hextet identity recover-admin\n  systemctl start hextet-server\n\n\
        For whoever can log in as nobody: run it on the server's host, as the user that the server runs as. The user gets\n\
        a new password, which is printed once, and the role admin in project admin; what is missing is made, what is\n\
        disabled is enabled, earlier logins of the user end. Put the password into clouds.yaml afterwards.")]
    RecoverAdmin(recover::RecoverArgs),
}

/// Those that ask the server.
#[derive(Subcommand)]
pub enum OnlineCommand {
    /// Projects: list, create, set, delete
    #[command(subcommand)]
    Project(accounts::ProjectCommand),
    /// Users: list, create, set, password, delete
    #[command(subcommand)]
    User(accounts::UserCommand),
    /// Roles of users in projects: list, grant, revoke
    #[command(subcommand)]
    Role(roles::RoleCommand),
    /// Application credentials of the user that signs in: list, create, delete
    #[command(subcommand)]
    Credential(credentials::CredentialCommand),
    /// Give a token back before its time
    #[command(
        after_help = "Example:\n  openstack token issue -f value -c id | hextet identity revoke-token\n\n\
        The token is read from standard input, so that it shows in no list of processes. It opens nothing from then on,\n\
        on every server."
    )]
    RevokeToken,
    /// Sign tokens with a new key from now on
    #[command(after_help = "Examples:\n  hextet identity rotate-keys\n      \
        tokens that are out there hold until they expire\n  \
        hextet identity rotate-keys --end-tokens\n      \
        a key leaked: every token of everybody ends now, and all sign in again")]
    RotateKeys(RotateArgs),
}

/// Arguments of `hextet identity rotate-keys`.
#[derive(Args)]
pub struct RotateArgs {
    /// End every token there is, at once
    #[arg(long)]
    end_tokens: bool,
}

/// Runs one of them.
pub fn run(paths: &Paths, command: IdentityCommand) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            IdentityCommand::Online(command) => ask(paths, command).await,
            IdentityCommand::RecoverAdmin(args) => recover::run(paths, args).await,
        }
    })
}

async fn ask(paths: &Paths, command: OnlineCommand) -> Result<()> {
    let api = Api::sign_in(&paths.clouds_yaml()).await?;
    match command {
        OnlineCommand::Project(command) => accounts::project(&api, command).await,
        OnlineCommand::User(command) => accounts::user(&api, command).await,
        OnlineCommand::Role(command) => roles::run(&api, command).await,
        OnlineCommand::Credential(command) => credentials::run(&api, command).await,
        OnlineCommand::RevokeToken => api.revoke(&line("a token")?).await,
        OnlineCommand::RotateKeys(args) => rotate(&api, &args).await,
    }
}

async fn rotate(api: &Api, args: &RotateArgs) -> Result<()> {
    let body = json!({"token_key": {"end_tokens": args.end_tokens}});
    let answer = api
        .identity(Method::POST, "/hextet/token_keys", Some(body))
        .await?;
    let key = &answer["token_key"];
    println!(
        "key {} signs from now on; earlier keys that still verify: {}",
        key["id"].as_str().unwrap_or_default(),
        key["earlier_keys"]
    );
    Ok(())
}

/// The thing of this unique name or id.
async fn find(api: &Api, collection: &str, noun: &str, name: &str) -> Result<Value> {
    let path = format!("/{collection}?name={}", quoted(name));
    let mut found = list(api, &path, collection).await?;
    if let Some(thing) = found.pop() {
        return Ok(thing);
    }
    let path = format!("/{collection}/{}", quoted(name));
    let mut answer = api
        .identity(Method::GET, &path, None)
        .await
        .with_context(|| format!("no {noun} has the name or the id {name:?}"))?;
    Ok(answer[noun].take())
}

/// As [`find`], the id alone.
async fn find_id(api: &Api, collection: &str, noun: &str, name: &str) -> Result<String> {
    let found = find(api, collection, noun, name).await?;
    let id = found["id"]
        .as_str()
        .with_context(|| format!("the server's {noun} has no id"))?;
    Ok(id.to_owned())
}

async fn list(api: &Api, path: &str, collection: &str) -> Result<Vec<Value>> {
    let mut answer = api.identity(Method::GET, path, None).await?;
    match answer[collection].take() {
        Value::Array(items) => Ok(items),
        _ => bail!("the server's answer has no {collection}"),
    }
}

/// A password: the first line of standard input, or a new random one.
fn password(from_stdin: bool) -> Result<(Secret, bool)> {
    if from_stdin {
        return Ok((Secret::new(line("a password")?), false));
    }
    Ok((Secret::random(), true))
}

/// The first line of standard input.
fn line(what: &str) -> Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(LINE_BYTES_MAX);
    input.read_line(&mut text).context("standard input")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        bail!("{what} is read from standard input, and there is none");
    }
    Ok(text.to_owned())
}
