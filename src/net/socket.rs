//! Socket options: listening sockets that share a port, options that connections inherit, ends with a reset.
//!
//! Source: socket(7) for `SO_REUSEPORT`, `SO_REUSEADDR`, `SO_LINGER` and buffers, tcp(7) for keepalive and
//! `TCP_USER_TIMEOUT`, listen(2) for the backlog.

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::net::TcpStream;

/// Options of connections. What stands at zero or `None` is left to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// How a silent peer is probed.
    pub keepalive: Option<Probes>,
    /// How long sent bytes may stay unacknowledged, or the peer's window closed.
    pub user_timeout: Duration,
    /// Bytes of what has arrived and was not read. The kernel counts its own overhead too, and adapts no more.
    pub receive_buffer: usize,
    /// Bytes of what was sent and has not arrived. The kernel counts its own overhead too, and adapts no more.
    pub send_buffer: usize,
}

/// Probes of a silent connection, which is given up after `idle` and `count` times `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Silence before the first, in whole seconds.
    pub idle: Duration,
    /// Time between two, in whole seconds.
    pub interval: Duration,
    /// How many may stay without an answer.
    pub count: u32,
}

impl SocketOptions {
    /// Sets them on a fresh socket, at one system call or more for each that is not left to the kernel.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn apply(&self, socket: SockRef<'_>) -> io::Result<()> {
        if let Some(probes) = self.keepalive {
            let keepalive = TcpKeepalive::new()
                .with_time(probes.idle)
                .with_interval(probes.interval)
                .with_retries(probes.count);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        if !self.user_timeout.is_zero() {
            socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        }
        if self.receive_buffer > 0 {
            socket.set_recv_buffer_size(self.receive_buffer)?;
        }
        if self.send_buffer > 0 {
            socket.set_send_buffer_size(self.send_buffer)?;
        }
        Ok(())
    }
}

/// A non-blocking socket that has an address and does not listen yet.
#[derive(Debug)]
pub struct Reserved(Socket);

/// Takes `addr` for a listening socket, and further ones of this user may share it.
///
/// Its connections inherit `options`, and that small writes leave at once, so that they cost nothing when one is
/// accepted.
///
/// The kernel spreads connections over the sockets that share an address by a hash of both ends, so with few
/// clients the shares are uneven.
///
/// # Errors
/// Those of socket(2), setsockopt(2) and bind(2).
pub fn reserve_shared(addr: SocketAddr, options: &SocketOptions) -> io::Result<Reserved> {
    let socket = stream_socket(addr)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    // Before listen: the window's scale, which a large receive buffer needs, is agreed upon with the first packet.
    options.apply(SockRef::from(&socket))?;
    socket.bind(&addr.into())?;
    Ok(Reserved(socket))
}

impl Reserved {
    /// Its address, with the port the kernel chose if it was asked to.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.0.local_addr()?.as_socket();
        addr.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Listens. The kernel completes up to `backlog` connections ahead of `accept`; it lowers the number to
    /// `net.core.somaxconn` (4,096 by default). Raising both costs a few hundred bytes for each waiting connection and
    /// lets clients wait longer before they learn that nobody serves them.
    ///
    /// # Errors
    /// Those of listen(2).
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0.listen(backlog_of(backlog))?;
        Ok(self.0.into())
    }
}

fn backlog_of(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

/// Gives a socket that listens another backlog, and connections that arrive from now on other options. Buffers that
/// `options` leave to the kernel stay as they are: it takes a size back from nobody.
///
/// # Errors
/// Those of setsockopt(2) and listen(2).
pub fn retune(
    socket: &tokio::net::TcpListener,
    backlog: u32,
    options: &SocketOptions,
) -> io::Result<()> {
    let socket = SockRef::from(socket);
    if options.keepalive.is_none() {
        socket.set_keepalive(false)?;
    }
    if options.user_timeout.is_zero() {
        socket.set_tcp_user_timeout(None)?;
    }
    socket.listen(backlog_of(backlog))?;
    options.apply(socket)
}

/// Fails when somebody listens on `addr` already, which [`reserve_shared`] by design does not notice: two
/// processes would then each get a share of the other's connections.
///
/// # Errors
/// `AddrInUse`, and the other errors of socket(2) and bind(2).
pub fn ensure_free(addr: SocketAddr) -> io::Result<()> {
    stream_socket(addr)?.bind(&addr.into())
}

/// Lets the coming close of `stream` send RST instead of FIN and discard what is not yet sent, so that the peer
/// cannot mistake it for a proper end.
pub fn reset_on_close(stream: &TcpStream) {
    // A socket on which the option cannot be set is gone already; there is nobody left to tell.
    let _ = stream.set_zero_linger();
}

/// EMFILE or ENFILE: this process or the machine has no file descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// A non-blocking TCP socket that may bind while connections of an earlier one linger in TIME_WAIT.
fn stream_socket(addr: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
    SockRef::from(&socket).set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(addr: SocketAddr, options: SocketOptions) -> io::Result<TcpListener> {
        reserve_shared(addr, &options)?.listen(16)
    }

    #[test]
    fn listeners_share_a_port_and_strangers_are_noticed() {
        let first = listen("127.0.0.1:0".parse().unwrap(), SocketOptions::default()).unwrap();
        let addr = first.local_addr().unwrap();
        assert!(listen(addr, SocketOptions::default()).is_ok());
        assert_eq!(
            ensure_free(addr).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }

    #[tokio::test]
    async fn a_socket_that_listens_gets_other_options() {
        let on = SocketOptions {
            keepalive: Some(Probes {
                idle: Duration::from_secs(17),
                interval: Duration::from_secs(3),
                count: 5,
            }),
            user_timeout: Duration::from_millis(4500),
            ..SocketOptions::default()
        };
        let socket = listen("127.0.0.1:0".parse().unwrap(), on).unwrap();
        let socket = tokio::net::TcpListener::from_std(socket).unwrap();
        for (options, keepalive) in [(SocketOptions::default(), false), (on, true)] {
            retune(&socket, 32, &options).unwrap();
            let _client = TcpStream::connect(socket.local_addr().unwrap())
                .await
                .unwrap();
            let (accepted, _) = socket.accept().await.unwrap();
            let accepted = SockRef::from(&accepted);
            assert_eq!(accepted.keepalive().unwrap(), keepalive);
            let timeout = accepted.tcp_user_timeout().unwrap();
            assert_eq!(timeout.unwrap_or_default(), options.user_timeout);
        }
    }

    #[test]
    fn accepted_connections_inherit_the_options() {
        let options = SocketOptions {
            keepalive: Some(Probes {
                idle: Duration::from_secs(17),
                interval: Duration::from_secs(3),
                count: 5,
            }),
            user_timeout: Duration::from_millis(4500),
            receive_buffer: 20_000,
            send_buffer: 30_000,
        };
        let listener = listen("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
        let probes = options.keepalive.unwrap();
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), probes.idle);
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), probes.interval);
        assert_eq!(accepted.tcp_keepalive_retries().unwrap(), probes.count);
        let user_timeout = accepted.tcp_user_timeout().unwrap();
        assert_eq!(user_timeout, Some(options.user_timeout));
        // Linux reports twice what was asked for.
        assert_eq!(accepted.recv_buffer_size().unwrap(), 40_000);
        assert_eq!(accepted.send_buffer_size().unwrap(), 60_000);

        SocketOptions::default()
            .apply(SockRef::from(&client))
            .unwrap();
        assert!(!SockRef::from(&client).keepalive().unwrap());
    }
}
