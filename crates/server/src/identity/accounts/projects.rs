//! Changes of projects.

use hextet_store::Store;

use super::{claim_name, delete_assignments, find, insert, update, write};
use crate::identity::error::Failure;
use crate::identity::records::{Project, Record};
use crate::identity::request::ProjectFields;

/// Scope in which projects' names are unique.
pub(super) const PROJECT_NAMES: &str = "identity_project_name";

/// Stores a new project.
pub async fn create_project(store: &Store, project: Project) -> Result<Project, Failure> {
    write(store, move |tx| {
        let project = project.clone();
        Box::pin(async move {
            claim_name(tx, PROJECT_NAMES, "project", &project.name, &project.id).await?;
            insert(tx, &project).await?;
            Ok(project)
        })
    })
    .await
}

/// Changes a project's given attributes.
pub async fn update_project(
    store: &Store,
    id: String,
    fields: ProjectFields,
) -> Result<Project, Failure> {
    let (name, description, enabled) = (fields.name, fields.description, fields.enabled);
    write(store, move |tx| {
        let (id, name, description) = (id.clone(), name.clone(), description.clone());
        Box::pin(async move {
            let mut project: Project = find(tx, "project", &id).await?;
            if let Some(name) = name.filter(|name| *name != project.name) {
                claim_name(tx, PROJECT_NAMES, "project", &name, &id).await?;
                tx.release(PROJECT_NAMES, &project.name).await?;
                project.name = name;
            }
            if let Some(description) = description {
                project.description = description.unwrap_or_default();
            }
            project.enabled = enabled.unwrap_or(project.enabled);
            update(tx, &project).await?;
            Ok(project)
        })
    })
    .await
}

/// Deletes a project and the roles in it. What the project owns elsewhere stays (as with Keystone).
pub async fn delete_project(store: &Store, id: String) -> Result<(), Failure> {
    write(store, move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let project: Project = find(tx, "project", &id).await?;
            delete_assignments(tx, |grant| grant.project_id == id).await?;
            tx.release(PROJECT_NAMES, &project.name).await?;
            tx.delete(Project::KIND, &id).await?;
            Ok(())
        })
    })
    .await
}
