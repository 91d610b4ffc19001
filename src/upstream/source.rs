//! Where connections to endpoints come from.
//!
//! One address has some 28,000 ports towards each endpoint (`net.ipv4.ip_local_port_range`), and each closed
//! connection keeps its port for a minute. More connections need more addresses. They take turns, and one that has no
//! port left towards an endpoint, or that this machine has lost, is passed over.
//!
//! `IP_BIND_ADDRESS_NO_PORT` lets the kernel choose the port when it knows the endpoint. Without it the choice would be made before,
//! among ports that nobody uses towards anybody, and all endpoints together would share the 28,000.
//!
//! Source: ip(7).

use super::dial::Failure;
use crate::net::SocketOptions;
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpSocket, TcpStream};

/// Addresses that connections come from, by family; none leaves it to the kernel.
#[derive(Debug, Default)]
pub(super) struct Sources {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    next: AtomicUsize,
}

impl Sources {
    /// These, in turn.
    pub(super) fn new(addresses: &[IpAddr]) -> Sources {
        let (v4, v6) = addresses.iter().copied().partition(IpAddr::is_ipv4);
        let next = AtomicUsize::new(0);
        Sources { v4, v6, next }
    }

    /// A connection to `addr` from the next address that has a port for it.
    ///
    /// # Errors
    /// The first one's that is not for want of a port or an address; else the last one's.
    pub(super) async fn connect(
        &self,
        addr: SocketAddr,
        options: &SocketOptions,
    ) -> Result<TcpStream, Failure> {
        let sources = match addr {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        if sources.is_empty() {
            return Ok(socket_for(addr, options)?.connect(addr).await?);
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut failure = None;
        for turn in 0..sources.len() {
            let source = sources[first.wrapping_add(turn) % sources.len()];
            let socket = socket_for(addr, options)?;
            if let Err(error) = bind(&socket, source) {
                failure = Some(Failure::Source(source, error));
                continue;
            }
            match socket.connect(addr).await {
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    failure = Some(Failure::Connect(error));
                }
                connected => return Ok(connected?),
            }
        }
        Err(failure.expect("there is a source, and each has failed"))
    }
}

/// A socket for a connection to `addr`.
fn socket_for(addr: SocketAddr, options: &SocketOptions) -> io::Result<TcpSocket> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    options.apply(SockRef::from(&socket))?;
    Ok(socket)
}

fn bind(socket: &TcpSocket, source: IpAddr) -> io::Result<()> {
    setsockopt(socket, IpBindAddressNoPort, &true)?;
    socket.bind(SocketAddr::new(source, 0))
}

/// Whether a connection can come from `source`: whether it is an address of this machine.
///
/// # Errors
/// The kernel's reason why not.
pub fn check_source(source: IpAddr) -> io::Result<()> {
    let any = SocketAddr::new(source, 0);
    bind(&socket_for(any, &SocketOptions::default())?, source)
}
