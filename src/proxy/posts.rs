//! The listening sockets of one worker, which come and go with reloads.
//!
//! ```text
//! Hold -> registered, its connections wait in the kernel -- Switch: open --> accepting -- Switch: close --> last call -> gone
//!           '-- Close (the reload came to nothing) --> gone
//! ```
//! A socket that a reload has nothing to do with is not touched: the kernel spreads connections over the sockets that
//! share an address by their number, so each that comes or goes would move connections under way to another.

use super::listener::{Entrance, accept};
use super::worker::Worker;
use crate::net::{SocketOptions, retune};
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// What a worker is told about its sockets.
pub enum Order {
    /// A socket to have ready.
    Hold {
        /// What it is for.
        entrance: Arc<Entrance>,
        /// The socket; it listens.
        socket: StdListener,
        /// Whether it is ready.
        ready: oneshot::Sender<io::Result<()>>,
    },
    /// It is not needed.
    Close(Arc<Entrance>),
    /// A reload takes effect.
    Switch(Arc<Switch>),
}

/// What a reload means for the sockets of each worker.
#[derive(Default)]
pub struct Switch {
    /// Those to accept from now.
    pub open: Vec<Arc<Entrance>>,
    /// Those to end.
    pub close: Vec<Arc<Entrance>>,
    /// Those whose options change: backlog, and what connections inherit.
    pub retune: Vec<(Arc<Entrance>, u32, SocketOptions)>,
    /// Some listener is no more: its connections have to look around.
    pub wakes: bool,
}

/// The sockets.
pub struct Posts {
    worker: Rc<Worker>,
    posts: Vec<Post>,
    accepting: JoinSet<()>,
}

struct Post {
    entrance: Arc<Entrance>,
    socket: Rc<TcpListener>,
    closing: CancellationToken,
}

impl Posts {
    /// No sockets yet.
    pub fn new(worker: Rc<Worker>) -> Posts {
        Posts {
            worker,
            posts: Vec::new(),
            accepting: JoinSet::new(),
        }
    }

    /// Has a socket ready.
    pub fn hold(&mut self, entrance: Arc<Entrance>, socket: TcpListener) {
        self.posts.push(Post {
            entrance,
            socket: Rc::new(socket),
            closing: self.worker.draining.child_token(),
        });
    }

    /// Accepts from what is held for `entrance`.
    pub fn open(&mut self, entrance: &Arc<Entrance>) {
        let posts = self.posts.iter();
        for post in posts.filter(|post| Arc::ptr_eq(&post.entrance, entrance)) {
            let socket = post.socket.clone();
            let accepting = accept(
                self.worker.clone(),
                post.entrance.clone(),
                socket,
                post.closing.clone(),
            );
            self.accepting.spawn_local(accepting);
        }
    }

    fn close(&mut self, entrance: &Arc<Entrance>) {
        self.posts.retain(|post| {
            let stays = !Arc::ptr_eq(&post.entrance, entrance);
            if !stays {
                post.closing.cancel();
            }
            stays
        });
    }

    /// Does as it is told.
    pub fn obey(&mut self, order: Order) {
        match order {
            Order::Hold {
                entrance,
                socket,
                ready,
            } => {
                let registered = TcpListener::from_std(socket);
                // Whoever does not wait for the answer any more sends `Close`.
                let _ = ready.send(registered.map(|socket| self.hold(entrance, socket)));
            }
            Order::Close(entrance) => self.close(&entrance),
            Order::Switch(switch) => self.switch(&switch),
        }
    }

    fn switch(&mut self, switch: &Switch) {
        for entrance in &switch.open {
            self.open(entrance);
        }
        for (entrance, backlog, options) in &switch.retune {
            let posts = self.posts.iter();
            for post in posts.filter(|post| Arc::ptr_eq(&post.entrance, entrance)) {
                if let Err(error) = retune(&post.socket, *backlog, options) {
                    tracing::warn!(addr = %entrance.addr, %error, "a socket keeps its old options");
                }
            }
        }
        for entrance in &switch.close {
            self.close(entrance);
        }
        if switch.wakes {
            self.worker.watches.wake_all();
        }
    }

    /// The next end of an accept loop; `None` while there is none.
    pub async fn ended(&mut self) -> Option<Result<(), JoinError>> {
        self.accepting.join_next().await
    }

    /// Resolves when no accept loop is left.
    pub async fn all_ended(&mut self) {
        self.posts.clear();
        while self.accepting.join_next().await.is_some() {}
    }

    /// Ends the accept loops at once.
    pub fn abort(&mut self) {
        self.accepting.abort_all();
    }
}
