//! The end of a listening socket, without losing who is already in it.
//!
//! Closing a listening socket resets what the kernel has completed and nobody has accepted, and those whose handshake
//! is under way. So newcomers are turned away first, and what is in the socket is accepted until it is empty. The
//! kernel offers no such state; a filter on the socket makes it, which drops the first packet of a handshake and
//! nothing else. A client that comes then tries again after a second, when the socket is gone or another has its place.
//!
//! Source: socket(7) for `SO_ATTACH_FILTER`; Documentation/networking/filter.rst of Linux for the instructions; RFC 9293
//! section 3.1 for the header.

use socket2::SockRef;
use std::io;
use tokio::net::TcpListener;

/// From now on no handshake begins on `socket`; those under way go on.
///
/// # Errors
/// Those of setsockopt(2).
#[cfg(target_os = "linux")]
pub fn refuse_newcomers(socket: &TcpListener) -> io::Result<()> {
    use socket2::SockFilter;
    /// Where the flags are in a TCP header, and two of them.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    SockRef::from(socket).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Only Linux can do that: elsewhere newcomers of the last moment are reset.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn refuse_newcomers(_socket: &TcpListener) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    #[tokio::test]
    async fn who_is_connected_stays_and_nobody_else_comes() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let mut early = TcpStream::connect(addr).await.unwrap();
        refuse_newcomers(&socket).unwrap();
        let late = timeout(Duration::from_millis(100), TcpStream::connect(addr)).await;
        assert!(late.is_err(), "neither connected nor refused");
        let (accepted, _) = socket.accept().await.unwrap();
        drop(accepted);
        assert_eq!(early.read(&mut [0]).await.unwrap(), 0);
    }
}
