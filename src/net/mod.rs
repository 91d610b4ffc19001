//! Addresses, socket options, the PROXY protocol, TLS and the monotonic clock.
//!
//! The ground that every room with sockets stands on: how a listening socket is made so that several workers
//! share its port, how a connection is told to hang up hard, how many descriptors traffic may have, and one clock
//! small enough for an atomic.
mod blocking;
mod clock;
mod descriptors;
mod last_call;
pub mod proxy_protocol;
mod secret;
mod socket;
#[cfg(not(feature = "simulation"))]
mod stream;
mod tls;

pub use blocking::off_runtime;
pub use clock::now_ms;
pub use descriptors::{Descriptors, DescriptorsTaken, open_files_limit, raise_open_files_limit};
pub use last_call::refuse_newcomers;
pub use secret::{Secret, SecretError};
pub use socket::{
    Probes, Reserved, SocketOptions, ensure_free, is_out_of_descriptors, reserve_shared,
    reset_on_close, retune,
};
#[cfg(test)]
pub use tls::fixture;
pub use tls::{
    AcceptedTls, Alert, CertificateFacts, ClientAuthorities, ClientFiles, ClientTls, Files, Hello,
    HelloError, HelloReader, Live, MAX_HELLO, NotTheNode, PeerFiles, PeerTls, ServerTls, TlsError,
    TlsFailure, TlsFiles, UnverifiedTls, certificate_facts, check_pair, node_uri,
};
#[cfg(not(feature = "simulation"))]
pub use {
    stream::Stream,
    tls::{FrontFiles, FrontTls, Secured},
};
// One place says where sockets come from, so that a simulated network can take their place.
#[cfg(feature = "simulation")]
pub use crate::simulation::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};
#[cfg(not(feature = "simulation"))]
pub use tokio::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
