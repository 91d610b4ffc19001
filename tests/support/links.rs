//! The network between members of one process, with each direction of each link cut and healed by itself.
//!
//! ```text
//!   member 1 --dials--> front of member 2 --dials--> member 2        every member is told the others' fronts
//!                       who dials is in the greeting; a cut holds bytes and ends back, as lost packets would
//! ```
//! A cut loses nothing that was sent: as with TCP, it arrives once the link is healed, unless an end gave up before.

use std::collections::BTreeSet;
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

/// The directions that are cut: bytes from the first to the second do not arrive.
type Cuts = BTreeSet<(u64, u64)>;

/// All links of an ensemble. Its fronts end with it.
pub struct Links {
    cuts: Arc<watch::Sender<Cuts>>,
    fronts: JoinSet<()>,
}

impl Default for Links {
    fn default() -> Links {
        Links {
            cuts: Arc::new(watch::Sender::new(Cuts::new())),
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
            cuts: self.cuts.clone(),
        };
        self.fronts.spawn(Arc::new(front).serve(listener));
        addr
    }

    /// What `from` sends to `to` does not arrive any more.
    pub fn cut(&self, from: u64, to: u64) {
        self.cuts.send_if_modified(|cuts| cuts.insert((from, to)));
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
        self.cuts.send_replace(Cuts::new());
    }
}

/// Where the others find one member.
struct Front {
    member: u64,
    target: SocketAddr,
    cuts: Arc<watch::Sender<Cuts>>,
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
        let from = sender(&greeting).expect("members begin with a greeting");
        self.passes((from, self.member)).await;
        let mut member = TcpStream::connect(self.target).await?;
        dialler.set_nodelay(true)?;
        member.set_nodelay(true)?;
        member.write_all(&greeting).await?;
        let ((from_dialler, to_dialler), (from_member, to_member)) =
            (dialler.into_split(), member.into_split());
        tokio::join!(
            self.pump(from_dialler, to_member, (from, self.member)),
            self.pump(from_member, to_dialler, (self.member, from)),
        );
        Ok(())
    }

    /// Waits until the direction is not cut.
    async fn passes(&self, direction: (u64, u64)) {
        let mut cuts = self.cuts.subscribe();
        let _ = cuts.wait_for(|cuts| !cuts.contains(&direction)).await;
    }

    async fn pump(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: (u64, u64)) {
        let mut held = vec![0; HELD];
        loop {
            let count = from.read(&mut held).await.unwrap_or(0);
            self.passes(direction).await;
            if count == 0 || to.write_all(&held[..count]).await.is_err() {
                return;
            }
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

/// Who greets: the fifth field, after magic, two versions and the ensemble.
fn sender(greeting: &[u8]) -> Option<u64> {
    let mut rest = &greeting[4..];
    let magic = number(&mut rest)?;
    let _versions = (number(&mut rest)?, number(&mut rest)?);
    let (_ensemble, from) = (number(&mut rest)?, number(&mut rest)?);
    (magic == MAGIC).then_some(from)
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
