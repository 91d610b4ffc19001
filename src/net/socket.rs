//! Socket options: listening sockets that share a port, and connections that end with a reset.
//!
//! Source: socket(7) for `SO_REUSEPORT`, `SO_REUSEADDR` and `SO_LINGER`, listen(2) for the backlog.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tokio::net::TcpStream;

/// Connections the kernel completes ahead of `accept`, per listening socket. The kernel lowers it to
/// `net.core.somaxconn` (4,096 by default). Raising both costs a few hundred bytes for each waiting connection
/// and lets clients wait longer before they learn that nobody serves them.
pub const BACKLOG: i32 = 4096;

/// Makes a non-blocking listening socket on `addr` that further sockets of this user may share.
///
/// The kernel spreads connections over the sockets that share an address by a hash of both ends, so with few
/// clients the shares are uneven.
///
/// # Errors
/// Those of socket(2), bind(2) and listen(2).
pub fn listen_shared(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = stream_socket(addr)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Fails when somebody listens on `addr` already, which [`listen_shared`] by design does not notice: two
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

    #[test]
    fn listeners_share_a_port_and_strangers_are_noticed() {
        let first = listen_shared("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = first.local_addr().unwrap();
        assert!(listen_shared(addr).is_ok());
        assert_eq!(
            ensure_free(addr).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
