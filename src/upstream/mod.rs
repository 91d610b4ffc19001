//! Connections to endpoints: how they are made, and those kept for the next request.
//!
//! ```text
//! proxy --> Opening::open() ---------> TcpStream --> Connection      one deadline over resolving, connecting, announcing;
//!            by a Dialer, which knows the source addresses
//! proxy --> Idle::take(endpoint)   ----------------> Connection      per worker: no lock, no foreign wake-up
//!       --> Idle::keep(endpoint, connection)                         after the last byte of a response
//! ```
//! and, in [`health`], whether endpoints are well.
mod connection;
mod dial;
pub mod health;
mod idle;
mod opening;
mod source;

pub use connection::Connection;
pub use dial::{DialError, Dialer};
pub use idle::Idle;
pub use opening::Opening;
pub use source::check_source;
