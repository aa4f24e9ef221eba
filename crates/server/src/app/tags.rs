//! Tags: what owners mark their resources with.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{NetworkId, PortId, SubnetId};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::Tx;

use super::policy::{NETWORK, PORT, SUBNET, Target};
use super::{Ask, Change, Failure, networks, ports, subnets};

/// Most tags of a resource (Neutron's limit).
pub const TAGS_MAX: usize = 50;

/// What has tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagged {
    /// A network.
    Network(NetworkId),
    /// A subnet.
    Subnet(SubnetId),
    /// A port.
    Port(PortId),
}

/// What of the tags is asked to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// They are these.
    Replace(BTreeSet<String>),
    /// These are among them.
    Add(BTreeSet<String>),
    /// This one is not.
    Remove(String),
}

/// Whether a resource may have so many tags.
///
/// # Errors
/// `BadRequest` above [`TAGS_MAX`].
pub fn check(tags: &BTreeSet<String>) -> Result<(), Refusal> {
    if tags.len() <= TAGS_MAX {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::BadRequest,
        format!(
            "Bad tags request: The number of tags exceed the per-resource limit of {TAGS_MAX}."
        ),
    ))
}

/// Changes the tags of a resource; answers them.
pub(crate) fn change(
    tx: &mut Tx,
    ask: Arc<Ask<Change<Tagged, TagChange>>>,
) -> BoxFuture<'_, Result<BTreeSet<String>, Failure>> {
    Box::pin(async move {
        let Change {
            id,
            if_match,
            patch,
        } = &ask.what;
        match *id {
            Tagged::Network(id) => {
                let mut network = networks::found(tx, id).await?;
                NETWORK.may_update(&ask.caller, &Target::network(&network), id, &[])?;
                if_match.check(network.revision_number)?;
                if patch.apply(&mut network.tags)? {
                    networks::touch(&mut network, &ask.now);
                    tx.update_network(&network).await?;
                }
                Ok(network.tags)
            }
            Tagged::Subnet(id) => {
                let (mut subnet, mut network) = subnets::found(tx, id).await?;
                let target = Target::on(&network, &subnet.project_id);
                SUBNET.may_update(&ask.caller, &target, id, &[])?;
                if_match.check(subnet.revision_number)?;
                if patch.apply(&mut subnet.tags)? {
                    subnets::touch(&mut subnet, &ask.now);
                    tx.update_subnet(&subnet).await?;
                    networks::touch(&mut network, &ask.now);
                    tx.update_network(&network).await?;
                }
                Ok(subnet.tags)
            }
            Tagged::Port(id) => {
                let (mut port, network) = ports::found(tx, id).await?;
                PORT.may_update(&ask.caller, &Target::port(&port, &network), id, &[])?;
                if_match.check(port.revision_number)?;
                if patch.apply(&mut port.tags)? {
                    ports::touch(&mut port, &ask.now);
                    tx.update_port(&port).await?;
                }
                Ok(port.tags)
            }
        }
    })
}

impl TagChange {
    /// Carries it out; whether anything is different now.
    fn apply(&self, tags: &mut BTreeSet<String>) -> Result<bool, Refusal> {
        let before = tags.clone();
        match self {
            TagChange::Replace(with) => tags.clone_from(with),
            TagChange::Add(more) => tags.extend(more.iter().cloned()),
            TagChange::Remove(tag) if !tags.remove(tag) => return Err(unknown(tag)),
            TagChange::Remove(_) => {}
        }
        check(tags)?;
        Ok(*tags != before)
    }
}

/// The answer about a tag that a resource does not have.
pub fn unknown(tag: &str) -> Refusal {
    Refusal::new(
        RefusalKind::TagNotFound,
        format!("Tag {tag} could not be found."),
    )
}
