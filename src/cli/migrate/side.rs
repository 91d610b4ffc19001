//! One side of a migration: a session, and requests that outlast a lost connection.

use super::rules::Rules;
use crate::cli::CliError;
use crate::client::{Client, ClientError};
use crate::tree::{Acl, CreateMode, ErrorCode, Lifetime, Stat};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often a request is made whose connection was lost, and the pause before the next: together a minute, in
/// which an ensemble elects a leader many times over.
const TRIES: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// A znode as it is copied and compared.
#[derive(Clone, Debug)]
pub(super) struct Znode {
    pub(super) data: Option<Bytes>,
    /// Everything for everybody, if ACLs are not kept.
    pub(super) acl: Vec<Acl>,
    pub(super) stat: Stat,
    pub(super) children: Vec<Arc<str>>,
}

impl Znode {
    /// Whether it belongs to a session.
    pub(super) fn is_ephemeral(&self) -> bool {
        self.stat.ephemeral_owner.0 > 0
    }

    /// What is different, if anything is.
    pub(super) fn difference(&self, other: &Znode) -> Option<&'static str> {
        let is_same = |a: &Option<Bytes>, b: &Option<Bytes>| {
            a.as_deref().unwrap_or_default() == b.as_deref().unwrap_or_default()
        };
        match (is_same(&self.data, &other.data), self.acl == other.acl) {
            (true, true) => None,
            (false, true) => Some("data"),
            (true, false) => Some("acl"),
            (false, false) => Some("data,acl"),
        }
    }

    /// The server hides hashes of passwords from those who may not change the ACL.
    pub(super) fn has_hidden_acl(&self) -> bool {
        let is_hidden = |entry: &Acl| entry.scheme == "digest" && entry.id.ends_with(":x");
        self.acl.iter().any(is_hidden)
    }
}

/// A session with one of the two ensembles.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) client: Client,
    /// Whether ACLs are read.
    pub(super) reads_acls: bool,
}

impl Side {
    /// A znode with its children's names; `None` if there is none. Reads it as it is at about one time: what is
    /// changed in between is changed once more as far as a follower hears.
    pub(super) async fn znode(&self, path: &str) -> Result<Option<Znode>, CliError> {
        let reading = async || {
            let acl = async {
                match self.reads_acls {
                    true => self.client.acl(path).await,
                    false => Ok(Acl::open()),
                }
            };
            let children = self.client.children(path, crate::client::Watch::No);
            tokio::try_join!(self.client.read(path), acl, children)
        };
        match retried(reading).await {
            Ok(((data, stat), acl, (children, _))) => Ok(Some(Znode {
                data,
                acl,
                stat,
                children,
            })),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a znode; false if it exists.
    pub(super) async fn create(
        &self,
        path: &str,
        znode: &Znode,
        lifetime: Lifetime,
    ) -> Result<bool, CliError> {
        let mode = CreateMode {
            lifetime,
            sequential: false,
        };
        let create = async || {
            let (data, acl) = (znode.data.clone(), znode.acl.clone());
            self.client.create_as(path, data, acl, mode).await
        };
        match retried(create).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an existing znode like another.
    pub(super) async fn make_like(
        &self,
        path: &str,
        znode: &Znode,
        difference: &str,
    ) -> Result<(), CliError> {
        if difference.contains("data") {
            retried(async || self.client.write(path, znode.data.clone()).await).await?;
        }
        if difference.contains("acl") {
            retried(async || self.client.set_acl(path, znode.acl.clone()).await).await?;
        }
        Ok(())
    }

    /// Deletes a znode without children. True unless it has some, or belongs to a session.
    pub(super) async fn delete(&self, path: &str) -> Result<bool, CliError> {
        let look = async || self.client.exists(path, crate::client::Watch::No).await;
        match retried(look).await? {
            Some(stat) if stat.ephemeral_owner.0 > 0 => return Ok(false),
            Some(_) => {}
            None => return Ok(true),
        }
        match retried(async || self.client.delete(path, None).await).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::NotEmpty) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Brings the session's server up to date.
    pub(super) async fn sync(&self) -> Result<(), CliError> {
        Ok(retried(async || self.client.sync("/").await).await?)
    }

    /// Creates the znodes above the root of what is copied.
    pub(super) async fn make_room(&self, rules: &Rules, root: &str) -> Result<(), CliError> {
        let target = rules.target(root);
        let above = target.rsplit_once('/').map_or("", |(above, _)| above);
        if !above.is_empty() {
            retried(async || self.client.create_all(above).await).await?;
        }
        Ok(())
    }
}

/// Does `work` again when the connection was lost meanwhile. Everything done here may be done twice.
pub(super) async fn retried<T, F: Future<Output = Result<T, ClientError>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut tries = 1;
    loop {
        match work().await {
            Err(ClientError::ConnectionLoss | ClientError::Timeout(_)) if tries < TRIES => {
                tries += 1;
                sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}
