//! Nouns: the kinds whose values the model holds beside their documents, so that none is read back from its text.

use hextet_core::ids::{NetworkId, PortId, SubnetId};
use hextet_core::network::Network;
use hextet_core::port::Port;
use hextet_core::snapshot::{Change, Snapshot};
use hextet_core::subnet::Subnet;
use serde::Serialize;

use super::Tx;
use crate::document::Layout;
use crate::engine::EngineError;
use crate::{NETWORK, PORT, SUBNET, network, port, subnet};

/// A network, subnet or port.
pub(crate) trait Noun:
    Serialize + serde::de::DeserializeOwned + Clone + Send + Sync
{
    /// Its ids.
    type Id: Copy + std::fmt::Display + Send;
    const KIND: &'static str;
    const LAYOUT: Layout;

    fn id(&self) -> Self::Id;
    /// Its owner.
    fn project(&self) -> &str;
    /// That it is this now.
    fn put(self) -> Change;
    /// What a change makes of the one of this id: nothing if it is another's, else what it is now, if it still is.
    fn after(change: &Change, id: Self::Id) -> Option<Option<&Self>>;
    fn held(snapshot: &Snapshot, id: Self::Id) -> Option<&Self>;
}

/// The three are alike.
macro_rules! noun {
    ($noun:ident, $gone:ident, $id:ident, $kind:ident, $place:ident) => {
        impl Noun for $noun {
            type Id = $id;
            const KIND: &'static str = $kind;
            const LAYOUT: Layout = $place::LAYOUT;

            fn id(&self) -> $id {
                self.id
            }

            fn project(&self) -> &str {
                &self.project_id.0
            }

            fn put(self) -> Change {
                Change::$noun(self)
            }

            fn after(change: &Change, id: $id) -> Option<Option<&Self>> {
                match change {
                    Change::$noun(noun) if noun.id == id => Some(Some(noun)),
                    Change::$gone(gone) if *gone == id => Some(None),
                    _ => None,
                }
            }

            fn held(snapshot: &Snapshot, id: $id) -> Option<&Self> {
                snapshot.$place(id)
            }
        }
    };
}

noun!(Network, NetworkGone, NetworkId, NETWORK, network);
noun!(Subnet, SubnetGone, SubnetId, SUBNET, subnet);
noun!(Port, PortGone, PortId, PORT, port);

impl Tx {
    /// The noun of this id, if there is one.
    pub(crate) async fn noun<N: Noun>(&mut self, id: N::Id) -> Result<Option<N>, EngineError> {
        match &self.view {
            Some(view) => Ok(view.noun(&self.logged, id)),
            None => self.value(N::KIND, &id.to_string()).await,
        }
    }

    /// Stores a new one. False, and nothing is stored, when the id is taken.
    pub(crate) async fn insert_noun<N: Noun>(&mut self, noun: &N) -> Result<bool, EngineError> {
        let (id, change) = (noun.id().to_string(), Some(noun.clone().put()));
        let value = (noun, N::LAYOUT);
        self.insert_as(N::KIND, (&id, noun.project()), value, change)
            .await
    }

    /// Replaces one. False, and nothing is stored, when there is none.
    pub(crate) async fn update_noun<N: Noun>(&mut self, noun: &N) -> Result<bool, EngineError> {
        let (id, change) = (noun.id().to_string(), Some(noun.clone().put()));
        self.update_as(N::KIND, &id, (noun, N::LAYOUT), change)
            .await
    }
}
