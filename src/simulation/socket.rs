//! Listening sockets and connections as a process holds them; their names and methods are tokio's.

use super::net::{Connection, End, Listening, Segment, address, close, send};
use super::world;
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes on the way and unread, per direction, beyond which a writer waits.
const WINDOW: usize = 256 << 10;

/// One end of a connection, as its process holds it.
#[derive(Debug)]
struct Socket {
    id: u64,
    end: usize,
}

impl Drop for Socket {
    fn drop(&mut self) {
        world::with_if_there(|world| close(world, self.id, self.end));
    }
}

impl Socket {
    fn on<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> io::Result<R> {
        world::with(|world| {
            let connection = world.net.connections.get_mut(&self.id);
            connection.map(work).ok_or_else(|| broken().into())
        })
    }

    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.on(|connection| {
            let end = &connection.ends[self.end];
            match (end.is_reset, end.is_connected) {
                (true, _) => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
                (_, true) => Poll::Ready(Ok(())),
                _ => {
                    connection.pipes[1 - self.end].reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        polled.unwrap_or_else(|error| Poll::Ready(Err(error)))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        world::with(|world| {
            let Some(connection) = world.net.connections.get_mut(&self.id) else {
                return Poll::Ready(Err(broken().into()));
            };
            if connection.ends[self.end].is_reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let pipe = &mut connection.pipes[1 - self.end];
            let Some(first) = pipe.inbox.front_mut() else {
                if pipe.end_arrived {
                    return Poll::Ready(Ok(()));
                }
                pipe.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let taken = first.split_to(first.len().min(buffer.remaining()));
            if first.is_empty() {
                pipe.inbox.pop_front();
            }
            buffer.put_slice(&taken);
            pipe.bytes = pipe.bytes.saturating_sub(taken.len());
            world.net.woken.extend(pipe.writer.take());
            Poll::Ready(Ok(()))
        })
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        world::with(|world| {
            let Some(connection) = world.net.connections.get_mut(&self.id) else {
                return Poll::Ready(Err(broken().into()));
            };
            if connection.ends[self.end].is_reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let pipe = &mut connection.pipes[1 - self.end];
            match pipe.inbox.front() {
                Some(first) => {
                    let count = first.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&first[..count]);
                    Poll::Ready(Ok(count))
                }
                None if pipe.end_arrived => Poll::Ready(Ok(0)),
                None => {
                    pipe.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        world::with(|world| {
            let Some(connection) = world.net.connections.get_mut(&self.id) else {
                return Poll::Ready(Err(broken().into()));
            };
            let pipe = &mut connection.pipes[self.end];
            if connection.ends[self.end].is_reset || pipe.is_finished {
                return Poll::Ready(Err(broken().into()));
            }
            let room = WINDOW.saturating_sub(pipe.bytes).min(data.len());
            if room == 0 && !data.is_empty() {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            pipe.bytes += room;
            let data = Bytes::copy_from_slice(&data[..room]);
            send(world, self.id, self.end, Segment::Data(data));
            Poll::Ready(Ok(room))
        })
    }

    fn finish(&self) {
        world::with_if_there(|world| {
            let Some(connection) = world.net.connections.get_mut(&self.id) else {
                return;
            };
            let end = &connection.ends[self.end];
            let is_known = end.boot == world.hosts[end.host].boot && !end.is_closed;
            if is_known && !std::mem::replace(&mut connection.pipes[self.end].is_finished, true) {
                send(world, self.id, self.end, Segment::Fin);
            }
        });
    }

    fn address_of(&self, end: usize) -> io::Result<SocketAddr> {
        self.on(|connection| address(connection.ends[end].host, connection.ends[end].port))
    }
}

fn broken() -> io::ErrorKind {
    io::ErrorKind::BrokenPipe
}

/// A listening socket.
#[derive(Debug)]
pub struct TcpListener {
    host: usize,
    port: u16,
    boot: u64,
}

impl TcpListener {
    /// Listens on a port of the host whose code runs.
    ///
    /// # Errors
    /// `AddrInUse`.
    pub fn bind(port: u16) -> io::Result<TcpListener> {
        world::with(|world| {
            let host = world.current;
            if world.net.listeners.contains_key(&(host, port)) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let listening = Listening::default();
            world.net.listeners.insert((host, port), listening);
            let boot = world.hosts[host].boot;
            Ok(TcpListener { host, port, boot })
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// None; as tokio's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.host, self.port))
    }

    /// The next connection.
    ///
    /// # Errors
    /// None; as tokio's.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let id = poll_fn(|cx| {
            world::with(|world| {
                let Some(listening) = world.net.listeners.get_mut(&(self.host, self.port)) else {
                    return Poll::Pending;
                };
                while let Some(id) = listening.backlog.pop_front() {
                    if let Some(connection) = world.net.connections.get_mut(&id)
                        && !connection.ends[1].is_reset
                    {
                        connection.ends[1].is_connected = true;
                        return Poll::Ready(id);
                    }
                }
                listening.waiting = Some(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
        let socket = Socket { id, end: 1 };
        let peer = socket.address_of(0);
        Ok((TcpStream { socket }, peer?))
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        world::with_if_there(|world| {
            let is_known = world.hosts.get(self.host).map(|host| host.boot) == Some(self.boot);
            if is_known && let Some(gone) = world.net.listeners.remove(&(self.host, self.port)) {
                gone.backlog.into_iter().for_each(|id| close(world, id, 1));
            }
        });
    }
}

/// A connection.
#[derive(Debug)]
pub struct TcpStream {
    socket: Socket,
}

impl TcpStream {
    /// Connects to `10.0.0.n:port`.
    ///
    /// # Errors
    /// `ConnectionRefused` when that host is on and nobody listens there.
    pub async fn connect(to: &str) -> io::Result<TcpStream> {
        let to: SocketAddr = to.parse().map_err(io::Error::other)?;
        let IpAddr::V4(ip) = to.ip() else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let target = usize::from(ip.octets()[3]).wrapping_sub(1);
        let id = world::with(|world| {
            let (id, from) = (world.net.next, world.current);
            if target >= world.hosts.len() {
                return Err(io::Error::from(io::ErrorKind::HostUnreachable));
            }
            world.net.next += 1;
            let end = |host: usize, port, is_closed| End {
                host,
                port,
                boot: world.hosts[host].boot,
                is_connected: false,
                is_closed,
                is_reset: false,
            };
            let ephemeral = 49_152 + (id % 16_000) as u16;
            let connection = Connection {
                ends: [end(from, ephemeral, false), end(target, to.port(), true)],
                pipes: Default::default(),
            };
            world.net.connections.insert(id, connection);
            send(world, id, 0, Segment::Syn);
            Ok(id)
        })?;
        let socket = Socket { id, end: 0 };
        poll_fn(|cx| socket.poll_connected(cx)).await?;
        Ok(TcpStream { socket })
    }

    /// Has no effect here.
    ///
    /// # Errors
    /// None; as tokio's.
    pub fn set_nodelay(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Waits for bytes and copies them without taking them; 0 at the end of the connection.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.socket.poll_peek(cx, buffer)).await
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.address_of(1 - self.socket.end)
    }

    /// Both directions, borrowed.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(&self.socket), WriteHalf(&self.socket))
    }

    /// Both directions. Dropping the second one ends it; dropping both closes the connection.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let socket = Arc::new(self.socket);
        (OwnedReadHalf(socket.clone()), OwnedWriteHalf(socket))
    }
}

/// The reading direction, borrowed.
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a Socket);

/// The writing direction, borrowed.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a Socket);

/// The reading direction.
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<Socket>);

/// The writing direction.
#[derive(Debug)]
pub struct OwnedWriteHalf(Arc<Socket>);

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        self.0.finish();
    }
}

macro_rules! reads {
    ($type:ty, $socket:tt) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.$socket.poll_read(cx, buffer)
            }
        }
    };
}

macro_rules! writes {
    ($type:ty, $socket:tt) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.$socket.poll_write(cx, data)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.$socket.finish();
                Poll::Ready(Ok(()))
            }
        }
    };
}

reads!(TcpStream, socket);
reads!(ReadHalf<'_>, 0);
reads!(OwnedReadHalf, 0);
writes!(TcpStream, socket);
writes!(WriteHalf<'_>, 0);
writes!(OwnedWriteHalf, 0);
