//! Projects and users.

use anyhow::Result;
use clap::{ArgAction, Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::roles::role_id;
use super::{find_id, list, password};
use crate::api::Api;
use crate::format::FormatArgs;

/// The subcommands of `hextet identity project`.
#[derive(Subcommand)]
pub enum ProjectCommand {
    /// List the projects: all to an administrator, to others their own
    List(FormatArgs),
    /// Make a project
    #[command(
        after_help = "Example:\n  hextet identity project create blue --description 'the blue team'"
    )]
    Create {
        /// Its name, unique
        name: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Rename, describe, enable or disable a project
    #[command(
        after_help = "Example:\n  hextet identity project set blue --disable\n\n\
        Tokens for a disabled project open nothing, and stay closed when it is enabled again."
    )]
    Set {
        /// Its name or id
        project: String,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a project, the roles in it and the credentials for it; its networks stay
    Delete {
        /// Its name or id
        project: String,
    },
}

/// The subcommands of `hextet identity user`.
#[derive(Subcommand)]
pub enum UserCommand {
    /// List the users
    List(FormatArgs),
    /// Make a user
    #[command(
        after_help = "Examples:\n  hextet identity user create bob --project blue --role member\n      \
        prints a random password, once\n  \
        pass show bob | hextet identity user create bob --password-stdin"
    )]
    Create(NewUser),
    /// Rename, describe, enable or disable a user
    #[command(after_help = "Example:\n  hextet identity user set bob --disable\n\n\
        A disabled user's tokens open nothing, and stay closed when the user is enabled again.")]
    Set {
        /// Name or id
        user: String,
        #[command(flatten)]
        change: Change,
    },
    /// Give a user a new password; earlier logins end
    #[command(after_help = "Examples:\n  hextet identity user password bob\n      \
        prints a random one, once\n  \
        pass show bob | hextet identity user password bob --password-stdin")]
    Password {
        /// Name or id
        user: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete a user, its roles and its credentials
    Delete {
        /// Name or id
        user: String,
    },
}

/// Arguments of `hextet identity user create`.
#[derive(Args)]
pub struct NewUser {
    /// The name, unique
    name: String,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// The project of logins that name none
    #[arg(long)]
    project: Option<String>,
    /// Grant this role there: admin, manager, member, reader or service
    #[arg(long, requires = "project")]
    role: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

/// What can be changed of both.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Change {
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Let in again
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "disable")]
    enable: bool,
    /// Let in no longer
    #[arg(long, action = ArgAction::SetTrue)]
    disable: bool,
}

impl Change {
    fn members(self) -> Value {
        let mut members = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("name", self.name.map(Value::from));
        set("description", self.description.map(Value::from));
        if self.enable || self.disable {
            set("enabled", Some(Value::from(self.enable)));
        }
        Value::Object(members)
    }
}

/// Runs a verb of projects.
pub async fn project(api: &Api, command: ProjectCommand) -> Result<()> {
    match command {
        ProjectCommand::List(format) => {
            let projects = list(api, "/projects", "projects").await?;
            let columns = [
                ("NAME", "name"),
                ("ID", "id"),
                ("ENABLED", "enabled"),
                ("DESCRIPTION", "description"),
            ];
            format.print_list(&projects, &columns);
        }
        ProjectCommand::Create {
            name,
            description,
            format,
        } => {
            let body = json!({"project": {"name": name, "description": description}});
            let made = api.identity(Method::POST, "/projects", Some(body)).await?;
            format.print_one(&made["project"], &["name", "id", "description"]);
        }
        ProjectCommand::Set { project, change } => {
            let id = find_id(api, "projects", "project", &project).await?;
            let body = json!({"project": change.members()});
            let path = format!("/projects/{id}");
            api.identity(Method::PATCH, &path, Some(body)).await?;
        }
        ProjectCommand::Delete { project } => {
            let id = find_id(api, "projects", "project", &project).await?;
            let path = format!("/projects/{id}");
            api.identity(Method::DELETE, &path, None).await?;
        }
    }
    Ok(())
}

/// Runs a verb of users.
pub async fn user(api: &Api, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::List(format) => {
            let users = list(api, "/users", "users").await?;
            let columns = [
                ("NAME", "name"),
                ("ID", "id"),
                ("ENABLED", "enabled"),
                ("DESCRIPTION", "description"),
            ];
            format.print_list(&users, &columns);
        }
        UserCommand::Create(args) => create_user(api, args).await?,
        UserCommand::Set { user, change } => {
            let id = find_id(api, "users", "user", &user).await?;
            let body = json!({"user": change.members()});
            let path = format!("/users/{id}");
            api.identity(Method::PATCH, &path, Some(body)).await?;
        }
        UserCommand::Password {
            user,
            password_stdin,
        } => {
            let id = find_id(api, "users", "user", &user).await?;
            let (password, random) = password(password_stdin)?;
            let body = json!({"user": {"password": password.expose()}});
            let path = format!("/users/{id}");
            api.identity(Method::PATCH, &path, Some(body)).await?;
            if random {
                println!("{}", password.expose());
            }
        }
        UserCommand::Delete { user } => {
            let id = find_id(api, "users", "user", &user).await?;
            let path = format!("/users/{id}");
            api.identity(Method::DELETE, &path, None).await?;
        }
    }
    Ok(())
}

async fn create_user(api: &Api, args: NewUser) -> Result<()> {
    let project = match &args.project {
        Some(project) => Some(find_id(api, "projects", "project", project).await?),
        None => None,
    };
    // What is wrong is said before anything is made.
    let role = match &args.role {
        Some(role) => Some(role_id(api, role).await?),
        None => None,
    };
    let (password, random) = password(args.password_stdin)?;
    let body = json!({"user": {
        "name": args.name, "password": password.expose(), "default_project_id": project,
        "description": args.description,
    }});
    let mut made = api.identity(Method::POST, "/users", Some(body)).await?;
    let user = &mut made["user"];
    let id = user["id"].as_str().unwrap_or_default();
    if let (Some(project), Some(role)) = (&project, &role) {
        let path = format!("/projects/{project}/users/{id}/roles/{role}");
        api.identity(Method::PUT, &path, None).await?;
    }
    let mut members = vec!["name", "id", "default_project_id"];
    if random {
        user["password"] = json!(password.expose());
        members.push("password");
    }
    args.format.print_one(user, &members);
    Ok(())
}
