//! What the registry copies out of the tree while `apply` waits: no more than it needs, and nothing is parsed.
//!
//! Data is copied by reference ([`Bytes`]), names are copied as they are. Everything else happens after the tree
//! was let go.

use super::layout::{self, ADMIN, SERVICES, SETTINGS};
use crate::config::ServiceName;
use crate::tree::{SessionId, Tree, Zxid};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most registrations of one service that are used. Each costs memory in every node's table and time in each
/// change of the service; a service of more is better cut in two.
pub const MAX_INSTANCES: usize = 10_000;

/// Which services to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that the tree has.
    All,
    /// These.
    Services(BTreeSet<ServiceName>),
}

/// What the tree says about some services, or all, as of one transaction.
#[derive(Debug, Default)]
pub struct Reading {
    /// The last transaction applied.
    pub zxid: u64,
    /// Whether every service of the tree is in it.
    pub is_whole: bool,
    /// What was read. A service that was asked for and that the tree does not have is there, and empty.
    pub services: BTreeMap<ServiceName, Registered>,
}

/// What the tree says about one service.
#[derive(Debug)]
pub struct Registered {
    /// Whether it has a znode below `/services`.
    pub exists: bool,
    /// Its registrations, in no particular order.
    pub entries: Vec<Entry>,
    /// How many more there are than [`MAX_INSTANCES`].
    pub omitted: usize,
    /// Its settings, if the tree has any.
    pub settings: Option<Bytes>,
    /// What operators want of instances, in no particular order.
    pub orders: Vec<Entry>,
    /// How many more of those there are than [`MAX_INSTANCES`].
    pub orders_omitted: usize,
}

/// A znode that is about one instance.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The instance: the znode's name.
    pub instance: Arc<str>,
    /// What it says.
    pub data: Bytes,
    /// The transaction that created it.
    pub created: Zxid,
    /// The transaction that last changed what it says.
    pub changed: Zxid,
    /// The session it lives with; [`SessionId::NONE`] if with none.
    pub owner: SessionId,
}

impl Registered {
    /// What is said about a service that the tree does not know.
    pub const NOTHING: Registered = Registered {
        exists: false,
        entries: Vec::new(),
        omitted: 0,
        settings: None,
        orders: Vec::new(),
        orders_omitted: 0,
    };
}

/// Reads the services in `scope`. Costs O(registrations read).
pub fn read(tree: &Tree, scope: &Scope) -> Reading {
    let names = match scope {
        Scope::Services(names) => names.clone(),
        Scope::All => [SERVICES, SETTINGS, ADMIN]
            .iter()
            .filter_map(|parent| tree.get(parent))
            .flat_map(|znode| znode.children())
            .filter_map(|name| ServiceName::new(name).ok())
            .collect(),
    };
    let read = |name: ServiceName| {
        let registered = read_service(tree, &name);
        (name, registered)
    };
    Reading {
        zxid: tree.last_zxid().0,
        is_whole: *scope == Scope::All,
        services: names.into_iter().map(read).collect(),
    }
}

fn read_service(tree: &Tree, service: &ServiceName) -> Registered {
    let settings = tree
        .get(&layout::settings_path(service))
        .map(|znode| znode.data().cloned().unwrap_or_default());
    let (orders, orders_omitted) = children(tree, &layout::admin_path(service)).unwrap_or_default();
    let entries = children(tree, &layout::service_path(service));
    let exists = entries.is_some();
    let (entries, omitted) = entries.unwrap_or_default();
    Registered {
        exists,
        entries,
        omitted,
        settings,
        orders,
        orders_omitted,
    }
}

/// The children of the znode at `path`, and how many more it has than [`MAX_INSTANCES`]; `None` if it is not there.
fn children(tree: &Tree, path: &str) -> Option<(Vec<Entry>, usize)> {
    let mut names: Vec<&str> = tree.get(path)?.children().collect();
    let omitted = names.len().saturating_sub(MAX_INSTANCES);
    if omitted > 0 {
        // The first in order of their names, so that all nodes use the same ones.
        names.select_nth_unstable(MAX_INSTANCES);
        names.truncate(MAX_INSTANCES);
    }
    let child = |name: &str| {
        let znode = tree.get(&format!("{path}/{name}"))?;
        let stat = znode.stat();
        Some(Entry {
            instance: Arc::from(name),
            data: znode.data().cloned().unwrap_or_default(),
            created: stat.czxid,
            changed: stat.mzxid,
            owner: stat.ephemeral_owner,
        })
    };
    Some((names.into_iter().filter_map(child).collect(), omitted))
}
