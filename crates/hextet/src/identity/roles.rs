//! Roles of users in projects.

use super::{find_id, list};
use crate::api::Api;
use crate::format::FormatArgs;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

/// The subcommands of `hextet identity role`.
#[derive(Subcommand)]
pub enum RoleCommand {
    /// List who holds which role where
    #[command(after_help = "Example:\n  hextet identity role list --user bob\n\n\
        Each role includes those after it: admin, manager, member, reader. service stands apart.")]
    List {
        /// Of this user alone
        #[arg(long)]
        user: Option<String>,
        /// In this project alone
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Grant a role; granting it again changes nothing
    #[command(
        after_help = "Example:\n  hextet identity role grant member --user bob --project blue"
    )]
    Grant(GrantArgs),
    /// Take a role away, with the user's credentials that stand on it
    #[command(
        after_help = "Example:\n  hextet identity role revoke member --user bob --project blue"
    )]
    Revoke(GrantArgs),
}

/// Which role of whom, where.
#[derive(Args)]
pub struct GrantArgs {
    /// admin, manager, member, reader or service
    role: String,
    /// The user's name or id
    #[arg(long)]
    user: String,
    /// The project's name or id
    #[arg(long)]
    project: String,
}

/// Runs one of them.
pub async fn run(api: &Api, command: RoleCommand) -> Result<()> {
    match command {
        RoleCommand::List {
            user,
            project,
            format,
        } => {
            let mut path = "/role_assignments?include_names".to_owned();
            if let Some(user) = user {
                let id = find_id(api, "users", "user", &user).await?;
                path.push_str(&format!("&user.id={id}"));
            }
            if let Some(project) = project {
                let id = find_id(api, "projects", "project", &project).await?;
                path.push_str(&format!("&scope.project.id={id}"));
            }
            let held = list(api, &path, "role_assignments").await?;
            let columns = [
                ("USER", "user.name"),
                ("ROLE", "role.name"),
                ("PROJECT", "scope.project.name"),
            ];
            format.print_list(&held, &columns);
            Ok(())
        }
        RoleCommand::Grant(args) => change(api, Method::PUT, args).await,
        RoleCommand::Revoke(args) => change(api, Method::DELETE, args).await,
    }
}

async fn change(api: &Api, method: Method, args: GrantArgs) -> Result<()> {
    let role = role_id(api, &args.role).await?;
    let user = find_id(api, "users", "user", &args.user).await?;
    let project = find_id(api, "projects", "project", &args.project).await?;
    let path = format!("/projects/{project}/users/{user}/roles/{role}");
    api.identity(method, &path, None).await?;
    Ok(())
}

/// The id of a role by its name.
pub async fn role_id(api: &Api, name: &str) -> Result<String> {
    let roles = list(api, "/roles", "roles").await?;
    let member = |role: &Value, member: &str| role[member].as_str().unwrap_or_default().to_owned();
    if let Some(role) = roles.iter().find(|role| role["name"] == name) {
        return Ok(member(role, "id"));
    }
    let names: Vec<String> = roles.iter().map(|role| member(role, "name")).collect();
    bail!("no role is called {name:?}; there are {}", names.join(", "))
}
