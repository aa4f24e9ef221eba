//! Changes of projects.

use hextet_store::Store;

use super::credentials::delete_credentials_of;
use super::{delete_assignments, find, insert, refuse_last, take_name, update, write};
use crate::identity::error::Failure;
use crate::identity::records::{Named, Project, Record};
use crate::identity::request::ProjectFields;

/// Stores a new project.
pub async fn create_project(store: &Store, project: Project) -> Result<Project, Failure> {
    write(store, move |tx| {
        let project = project.clone();
        Box::pin(async move {
            take_name::<Project>(tx, &project.name, &project.id).await?;
            insert(tx, &project).await?;
            Ok(project)
        })
    })
    .await
}

/// Changes a project's given attributes; `now` is in milliseconds since 1970.
pub async fn update_project(
    store: &Store,
    id: String,
    fields: ProjectFields,
    now: u64,
) -> Result<Project, Failure> {
    let (name, description, enabled) = (fields.name, fields.description, fields.enabled);
    write(store, move |tx| {
        let (id, name, description) = (id.clone(), name.clone(), description.clone());
        Box::pin(async move {
            let mut project: Project = find(tx, "project", &id).await?;
            if enabled == Some(false) {
                refuse_last(tx, |grant| grant.project_id == id).await?;
            }
            if let Some(name) = name.filter(|name| *name != project.name) {
                take_name::<Project>(tx, &name, &id).await?;
                tx.delete(Project::NAMES, &project.name).await?;
                project.name = name;
            }
            if let Some(description) = description {
                project.description = description.unwrap_or_default();
            }
            if project.enabled && enabled == Some(false) {
                project.logins_from = now.saturating_add(1);
            }
            project.enabled = enabled.unwrap_or(project.enabled);
            update(tx, &project).await?;
            Ok(project)
        })
    })
    .await
}

/// Deletes a project, the roles in it and the credentials for it. What the project owns elsewhere stays (as with Keystone).
pub async fn delete_project(store: &Store, id: String) -> Result<(), Failure> {
    write(store, move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let project: Project = find(tx, "project", &id).await?;
            refuse_last(tx, |grant| grant.project_id == id).await?;
            delete_credentials_of(tx, (Project::KIND, &id), |_| true).await?;
            delete_assignments(tx, |grant| grant.project_id == id).await?;
            tx.delete(Project::NAMES, &project.name).await?;
            tx.delete(Project::KIND, &id).await?;
            Ok(())
        })
    })
    .await
}
