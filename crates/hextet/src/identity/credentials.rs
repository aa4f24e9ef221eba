//! Application credentials of the user that signs in.

use anyhow::{Context, Result};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{line, list};
use crate::api::Api;
use crate::format::FormatArgs;

/// The subcommands of `hextet identity credential`.
#[derive(Subcommand)]
pub enum CredentialCommand {
    /// List one's application credentials
    List(FormatArgs),
    /// Make an application credential, for the project that is signed in to
    #[command(
        after_help = "Examples:\n  hextet identity credential create ci --role reader\n      \
        prints its id and its secret, which is not shown again\n  \
        hextet identity credential create night --expires 2030-01-31T12:00:00Z\n\n\
        A program signs in with OS_AUTH_URL, OS_APPLICATION_CREDENTIAL_ID, OS_APPLICATION_CREDENTIAL_SECRET and, for the\n\
        openstack command, OS_AUTH_TYPE=v3applicationcredential. It ends with its user, its project or the role it needs."
    )]
    Create {
        /// Its name, unique among one's own
        name: String,
        /// A role that it has, of those that one holds; several times for several. Default: all
        #[arg(long = "role")]
        roles: Vec<String>,
        /// When it ends, UTC; never, if not given
        #[arg(long, value_name = "MOMENT")]
        expires: Option<String>,
        /// Read the secret from the first line of standard input, instead of making one
        #[arg(long)]
        secret_stdin: bool,
        /// Let it make and delete credentials
        #[arg(long)]
        unrestricted: bool,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Delete an application credential; its tokens end
    Delete {
        /// Its name or id
        credential: String,
    },
}

/// Runs one of them.
pub async fn run(api: &Api, command: CredentialCommand) -> Result<()> {
    let path = format!("/users/{}/application_credentials", api.user);
    match command {
        CredentialCommand::List(format) => {
            let found = list(api, &path, "application_credentials").await?;
            let columns = [
                ("NAME", "name"),
                ("ID", "id"),
                ("ROLES", "roles"),
                ("EXPIRES", "expires_at"),
                ("DESCRIPTION", "description"),
            ];
            format.print_list(&found, &columns);
        }
        CredentialCommand::Create {
            name,
            roles,
            expires,
            secret_stdin,
            unrestricted,
            description,
            format,
        } => {
            let secret = match secret_stdin {
                true => Some(line("a secret")?),
                false => None,
            };
            let roles: Vec<Value> = roles.iter().map(|role| json!({"name": role})).collect();
            let roles = (!roles.is_empty()).then_some(roles);
            let body = json!({"application_credential": {
                "name": name, "description": description, "roles": roles, "expires_at": expires,
                "unrestricted": unrestricted, "secret": secret,
            }});
            let mut made = api.identity(Method::POST, &path, Some(body)).await?;
            let made = &mut made["application_credential"];
            let mut members = vec!["name", "id", "roles", "expires_at"];
            if secret_stdin {
                made.as_object_mut().map(|members| members.remove("secret"));
            } else {
                members.push("secret");
            }
            format.print_one(made, &members);
        }
        CredentialCommand::Delete { credential } => {
            let found = list(api, &path, "application_credentials").await?;
            let mine = found
                .iter()
                .find(|known| known["name"] == *credential || known["id"] == *credential)
                .and_then(|known| known["id"].as_str())
                .with_context(|| {
                    format!("no credential of yours has the name or the id {credential:?}")
                })?;
            let path = format!("{path}/{mine}");
            api.identity(Method::DELETE, &path, None).await?;
        }
    }
    Ok(())
}
