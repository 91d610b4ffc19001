//! The network between members of one process, with each direction of each link cut and healed by itself.
//!
//! ```text
//!   member 1 --dials--> front of member 2 --dials--> member 2        every member is told the others' fronts
//!                       who dials is in the greeting; a cut holds bytes and ends back, as lost packets would
//! ```
//! A cut loses nothing that was sent: as with TCP, it arrives once the link is healed, unless an end gave up before.
//! A snapshot can be held in its midst: it goes no further than so many bytes until it is let go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections through one front at once: several times what a member keeps.
const CONNECTIONS: usize = 512;
/// Bytes taken from a sender that are not yet given to the receiver.
const HELD: usize = 64 << 10;
/// Longest greeting.
const GREETING: usize = 256;
/// The first field of a greeting.
const MAGIC: u64 = 0x5a47_5250;
/// What a greeting calls the connection that carries a snapshot.
const SNAPSHOT: u64 = 3;

/// What does not pass.
#[derive(Default)]
struct Rules {
    /// Directions that are cut: bytes from the first to the second do not arrive.
    cuts: BTreeSet<(u64, u64)>,
    /// How many bytes of each snapshot for a member arrive.
    snapshots: BTreeMap<u64, usize>,
}

impl Rules {
    /// Whether what follows the first `passed` bytes of this flow may pass.
    fn let_pass(&self, flow: &Flow, passed: usize) -> bool {
        let is_held = |limit: &usize| flow.is_snapshot && passed >= *limit;
        let cut = self.cuts.contains(&(flow.from, flow.to));
        !cut && !self.snapshots.get(&flow.to).is_some_and(is_held)
    }
}

/// One direction of a connection.
struct Flow {
    from: u64,
    to: u64,
    is_snapshot: bool,
}

/// All links of an ensemble. Its fronts end with it.
pub struct Links {
    rules: Arc<watch::Sender<Rules>>,
    fronts: JoinSet<()>,
}

impl Default for Links {
    fn default() -> Links {
        Links {
            rules: Arc::new(watch::Sender::new(Rules::default())),
            fronts: JoinSet::new(),
        }
    }
}

impl Links {
    /// Opens the front of `member`, which listens at `target`.
    pub async fn front(&mut self, member: u64, target: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let front = Front {
            member,
            target,
            rules: self.rules.clone(),
        };
        self.fronts.spawn(Arc::new(front).serve(listener));
        addr
    }

    /// What `from` sends to `to` does not arrive any more.
    pub fn cut(&self, from: u64, to: u64) {
        self.rules
            .send_if_modified(|rules| rules.cuts.insert((from, to)));
    }

    /// No snapshot that is sent to `to` gets further than `bytes` bytes, until [`Links::let_snapshots_go`].
    pub fn hold_snapshots(&self, to: u64, bytes: usize) {
        self.rules.send_modify(|rules| {
            rules.snapshots.insert(to, bytes);
        });
    }

    /// The snapshots that are held go on.
    pub fn let_snapshots_go(&self) {
        self.rules.send_modify(|rules| rules.snapshots.clear());
    }

    /// Nothing passes between any of `these` and any of `those`.
    pub fn part(&self, these: &[u64], those: &[u64]) {
        for (a, b) in these
            .iter()
            .flat_map(|a| those.iter().map(move |b| (*a, *b)))
        {
            self.cut(a, b);
            self.cut(b, a);
        }
    }

    /// Everything passes.
    pub fn heal(&self) {
        self.rules.send_replace(Rules::default());
    }
}

/// Where the others find one member.
struct Front {
    member: u64,
    target: SocketAddr,
    rules: Arc<watch::Sender<Rules>>,
}

impl Front {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let permit = room.clone().acquire_owned().await.expect("never closed");
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let front = self.clone();
            connections.spawn(async move {
                // An end of any kind is what the two members make of it.
                let _ = front.relay(stream).await;
                drop(permit);
            });
            while connections.try_join_next().is_some() {}
        }
    }

    async fn relay(&self, mut dialler: TcpStream) -> std::io::Result<()> {
        let greeting = greeting(&mut dialler).await?;
        let (from, purpose) = sender(&greeting).expect("members begin with a greeting");
        let there = Flow {
            from,
            to: self.member,
            is_snapshot: purpose == SNAPSHOT,
        };
        let back = Flow {
            from: self.member,
            to: from,
            is_snapshot: false,
        };
        self.passes(&there, 0).await;
        let mut member = TcpStream::connect(self.target).await?;
        dialler.set_nodelay(true)?;
        member.set_nodelay(true)?;
        member.write_all(&greeting).await?;
        let ((from_dialler, to_dialler), (from_member, to_member)) =
            (dialler.into_split(), member.into_split());
        let ends_at_once = there.is_snapshot;
        let there = self.pump(from_dialler, to_member, there);
        let back = self.pump(from_member, to_dialler, back);
        match ends_at_once {
            // Who receives a snapshot has the last word; if it ends before, what is held is for nobody.
            true => tokio::select! {
                () = there => {}
                () = back => {}
            },
            false => drop(tokio::join!(there, back)),
        }
        Ok(())
    }

    /// Waits until what follows the first `passed` bytes may pass.
    async fn passes(&self, flow: &Flow, passed: usize) {
        let mut rules = self.rules.subscribe();
        let _ = rules.wait_for(|rules| rules.let_pass(flow, passed)).await;
    }

    async fn pump(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, flow: Flow) {
        let mut held = vec![0; HELD];
        let mut passed = 0;
        loop {
            let count = from.read(&mut held).await.unwrap_or(0);
            self.passes(&flow, passed).await;
            if count == 0 || to.write_all(&held[..count]).await.is_err() {
                return;
            }
            passed += count;
        }
    }
}

/// The first frame, with its length.
async fn greeting(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    assert!(length as usize <= GREETING, "not a greeting");
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(4 + length as usize, 0);
    stream.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

/// Who greets, and what for: the fifth field, after magic, two versions and the ensemble, and the one behind whom it
/// is for.
fn sender(greeting: &[u8]) -> Option<(u64, u64)> {
    let mut rest = &greeting[4..];
    let magic = number(&mut rest)?;
    let _versions = (number(&mut rest)?, number(&mut rest)?);
    let (_ensemble, from) = (number(&mut rest)?, number(&mut rest)?);
    let is_for_one = number(&mut rest)? == 1;
    if is_for_one {
        number(&mut rest)?;
    }
    let purpose = number(&mut rest)?;
    (magic == MAGIC).then_some((from, purpose))
}

/// The next number as postcard writes it: seven bits per byte, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
