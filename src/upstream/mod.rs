//! Connections to endpoints: how they are made, and those kept for the next request.
//!
//! ```text
//! proxy --> dial(address, timeout) --> TcpStream --> Connection      one deadline over resolving and connecting
//! proxy --> Idle::take(endpoint)   ----------------> Connection      per worker: no lock, no foreign wake-up
//!       --> Idle::keep(endpoint, connection)                         after the last byte of a response
//! ```
mod connection;
mod dial;
mod idle;

pub use connection::Connection;
pub use dial::{DialError, dial};
pub use idle::Idle;
