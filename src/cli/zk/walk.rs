//! Whole subtrees: listing and deleting them, many requests at a time.

use crate::client::{Client, ClientError, Watch};
use crate::tree::ErrorCode;
use futures_util::{StreamExt, TryStreamExt, stream};

/// The paths of everything below `root`, sorted so that parents come before their children. What goes
/// while it is being listed may or may not be in it.
///
/// # Errors
/// [`ClientError`]; `NoNode` only for `root` itself.
pub(super) async fn below(client: &Client, root: &str) -> Result<Vec<String>, ClientError> {
    let mut found: Vec<String> = Vec::new();
    let mut level = children(client, root).await?;
    while !level.is_empty() {
        found.extend(level.iter().cloned());
        let next: Vec<Vec<String>> = stream::iter(&level)
            .map(|path| async move {
                match children(client, path).await {
                    Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
                    other => other,
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        level = next.into_iter().flatten().collect();
    }
    found.sort_unstable_by(|a, b| a.split('/').cmp(b.split('/')));
    Ok(found)
}

/// Deletes everything below `root`, children before their parents. That something is gone already is no
/// error; a znode that gets a new child meanwhile is (`NotEmpty`).
///
/// # Errors
/// [`ClientError`]; what was deleted before the error stays deleted.
pub(super) async fn remove_below(client: &Client, root: &str) -> Result<(), ClientError> {
    let paths = below(client, root).await?;
    // Requests are answered in the order made, so a parent may be asked for before its children are answered.
    stream::iter(paths.iter().rev())
        .map(|path| async move {
            match client.delete(path, None).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
                other => other,
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn children(client: &Client, path: &str) -> Result<Vec<String>, ClientError> {
    let (names, _) = client.children(path, Watch::No).await?;
    let parent = path.trim_end_matches('/');
    Ok(names
        .iter()
        .map(|name| format!("{parent}/{name}"))
        .collect())
}

/// Requests under way together: enough to hide the round trip, few enough to share the server.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::scripted::{Peer, Server, hosts};
    use crate::tree::Stat;
    use crate::zk::wire::{ChildrenResponse, OpCode, ReadRequest, VersionRequest, Wire};
    use std::time::Duration;

    /// Answers listings of a tree of /r with a, b and b-c, where b has x and b-c goes while it is listed.
    async fn list(peer: &mut Peer) {
        for _ in 0..5 {
            let (xid, opcode, mut body) = peer.request().await;
            assert_eq!(opcode, OpCode::GetChildren2);
            let names: &[&str] = match &*ReadRequest::decode(&mut body).unwrap().path {
                "/r" => &["b-c", "b", "a"],
                "/r/b" => &["x"],
                "/r/b-c" => {
                    peer.refuse(xid, -101).await;
                    continue;
                }
                _ => &[],
            };
            let response = ChildrenResponse {
                children: names.iter().map(|name| (*name).into()).collect(),
                stat: Stat::default(),
            };
            peer.reply(xid, 1, &response).await;
        }
    }

    async fn connected(server: &Server) -> (Client, Peer) {
        let hosts = hosts(&[server]);
        let connecting = Client::connect(&hosts, Duration::from_secs(5));
        let (connected, peer) = tokio::join!(connecting, server.welcome(5_000));
        (connected.unwrap().0, peer)
    }

    #[tokio::test]
    async fn parents_are_listed_before_their_children() {
        let server = Server::start().await;
        let (client, mut peer) = connected(&server).await;
        let (found, ()) = tokio::join!(below(&client, "/r"), list(&mut peer));
        assert_eq!(found.unwrap(), ["/r/a", "/r/b", "/r/b/x", "/r/b-c"]);
    }

    #[tokio::test]
    async fn children_are_deleted_before_their_parents_and_may_be_gone_already() {
        let server = Server::start().await;
        let (client, mut peer) = connected(&server).await;
        let script = async {
            list(&mut peer).await;
            for expected in ["/r/b-c", "/r/b/x", "/r/b", "/r/a"] {
                let (xid, opcode, mut body) = peer.request().await;
                assert_eq!(opcode, OpCode::Delete);
                assert_eq!(&*VersionRequest::decode(&mut body).unwrap().path, expected);
                match expected {
                    "/r/b-c" => peer.refuse(xid, -101).await,
                    _ => peer.reply(xid, 1, &()).await,
                }
            }
        };
        let (removed, ()) = tokio::join!(remove_below(&client, "/r"), script);
        removed.unwrap();
    }

    #[tokio::test]
    async fn a_root_that_is_not_there_is_an_error() {
        let server = Server::start().await;
        let (client, mut peer) = connected(&server).await;
        let script = async {
            let (xid, ..) = peer.request().await;
            peer.refuse(xid, -101).await;
        };
        let (found, ()) = tokio::join!(below(&client, "/r"), script);
        assert_eq!(found.unwrap_err().code(), Some(ErrorCode::NoNode));
    }
}
