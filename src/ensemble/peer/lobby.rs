//! The listening side of a node that is no member yet: it says what it is, and refuses everything else.

use super::frame::decode;
use super::hello::{Greeted, Me, accept};
use super::message::{Answer, Ask, Presence};
use crate::ensemble::limits::{LOBBY_PAUSE, LOBBY_TALK, PEER_CONNECTIONS};
use crate::net::{TcpListener, TcpStream};
use std::io;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Answers everybody who asks `me`, who is nobody yet, on `listener` with what `presence` says at that moment, until dropped.
pub(in crate::ensemble) async fn attend(
    listener: &TcpListener,
    me: Me,
    presence: impl Fn() -> Presence + Send + Sync + 'static,
) -> std::convert::Infallible {
    let presence = Arc::new(presence);
    let room = Arc::new(Semaphore::new(PEER_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (Ok((stream, _)), Ok(permit)) =
            (listener.accept().await, room.clone().try_acquire_owned())
        else {
            // Out of descriptors, or far too many: do not spin.
            sleep(LOBBY_PAUSE).await;
            continue;
        };
        let (presence, me) = (presence.clone(), me.clone());
        connections.spawn(async move {
            // Who is refused or fails asks again.
            let _ = timeout(LOBBY_TALK, converse(stream, &me, &*presence)).await;
            drop(permit);
        });
    }
}

async fn converse(
    stream: TcpStream,
    me: &Me,
    presence: &(dyn Fn() -> Presence + Sync),
) -> io::Result<()> {
    let Some(Greeted { mut framed, .. }) = accept(stream, me, None, |_| Ok(())).await? else {
        return Ok(());
    };
    while let Some(frame) = framed.reader.raw().await? {
        let answer = match decode(&frame)? {
            Ask::Standing => Answer::Standing(presence()),
            _ => Answer::NotNow,
        };
        framed.writer.send(&answer).await?;
    }
    Ok(())
}
