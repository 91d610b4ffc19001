//! Addresses, socket options, TLS and the monotonic clock.
//!
//! The ground that every room with sockets stands on: how a listening socket is made so that several workers
//! share its port, how a connection is told to hang up hard, and one clock small enough for an atomic.
mod clock;
mod socket;
mod tls;

pub use clock::now_ms;
pub use socket::{BACKLOG, ensure_free, is_out_of_descriptors, listen_shared, reset_on_close};
pub use tls::{AcceptedTls, ClientAuthorities, ServerTls, TlsError, TlsFiles};
