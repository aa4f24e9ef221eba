//! The first accounts: a file that is written once, with random passwords, and that the first start reads.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::request::{check_project_name, check_user_name};
use super::role::Role;
use super::secret::Secret;

/// The projects and users that a cloud starts with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Projects to make, by name.
    pub projects: Vec<String>,
    /// Users to make.
    #[serde(rename = "user")]
    pub users: Vec<BootstrapUser>,
}

/// A user to make, and the one role that it gets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootstrapUser {
    /// The name.
    pub name: String,
    /// The password, in clear: the file is readable to its owner alone.
    pub password: Secret,
    /// The project's name, one of `projects`; it becomes the user's default project.
    pub project: String,
    /// The role in that project.
    pub role: Role,
}

/// Why there are no first accounts.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Reading or writing failed.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file says something that cannot be used. The text of it is not quoted, it holds passwords.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Bootstrap {
    /// Projects `admin`, `demo` and `service`; user `admin` (administrator) and user `demo` (member of `demo`), with
    /// fresh random passwords.
    pub fn random() -> Self {
        let user = |name: &str, role| BootstrapUser {
            name: name.to_owned(),
            password: Secret::random(),
            project: name.to_owned(),
            role,
        };
        Self {
            projects: vec!["admin".to_owned(), "demo".to_owned(), "service".to_owned()],
            users: vec![user("admin", Role::Admin), user("demo", Role::Member)],
        }
    }

    /// What the file at `path` says; where there is none, writes it with [`Bootstrap::random`] accounts first (mode
    /// 0600, never over an existing file, complete or not there at all).
    pub fn ensure(path: &Path) -> Result<Self, BootstrapError> {
        match Self::read(path) {
            Err(BootstrapError::File { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Self::random().write_new(path)?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// What the file at `path` says.
    pub fn read(path: &Path) -> Result<Self, BootstrapError> {
        let text = std::fs::read_to_string(path).map_err(|source| BootstrapError::File {
            path: path.to_owned(),
            source,
        })?;
        let content = |reason: String| BootstrapError::Content {
            path: path.to_owned(),
            reason,
        };
        let read: Self =
            toml::from_str(&text).map_err(|error| content(error.message().to_owned()))?;
        for project in &read.projects {
            check_project_name(project)
                .map_err(|refusal| content(format!("project {project:?}: {refusal}")))?;
        }
        for user in &read.users {
            check_user_name(&user.name)
                .map_err(|refusal| content(format!("user {:?}: {refusal}", user.name)))?;
            if !read.projects.contains(&user.project) {
                return Err(content(format!(
                    "user {}: project {} is not in projects",
                    user.name, user.project
                )));
            }
            if user.password.expose().is_empty() {
                return Err(content(format!(
                    "user {}: the password is empty",
                    user.name
                )));
            }
        }
        Ok(read)
    }

    /// The user of this name.
    pub fn user(&self, name: &str) -> Option<&BootstrapUser> {
        self.users.iter().find(|user| user.name == name)
    }

    fn write_new(&self, path: &Path) -> Result<(), BootstrapError> {
        let failed = |source| BootstrapError::File {
            path: path.to_owned(),
            source,
        };
        let unfinished = path.with_extension("new");
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(failed)?;
        file.write_all(self.to_toml().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        // A link, unlike a rename, never replaces a file that somebody else wrote meanwhile.
        let linked = match std::fs::hard_link(&unfinished, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        };
        linked
            .and_then(|()| std::fs::remove_file(&unfinished))
            .map_err(failed)
    }

    fn to_toml(&self) -> String {
        let mut text = String::from(
            "# The accounts that this cloud started with. Read when the database has no administrator, else not.\n",
        );
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let names: Vec<String> = self.projects.iter().map(|name| quoted(name)).collect();
        writeln!(text, "projects = [{}]", names.join(", "))
            .expect("writing to a String cannot fail");
        for user in &self.users {
            let password = quoted(user.password.expose());
            let (name, project, role) = (
                quoted(&user.name),
                quoted(&user.project),
                quoted(user.role.name()),
            );
            write!(text, "\n[[user]]\nname = {name}\npassword = {password}\nproject = {project}\nrole = {role}\n")
                .expect("writing to a String cannot fail");
        }
        text
    }
}

#[cfg(test)]
mod tests;
