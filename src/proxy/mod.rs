//! The traffic door: from a client's connection to an endpoint's, and the record of what happened.
//!
//! ```text
//!            listener          greeting            http / tcp          connect             relay / body          account
//! client --> accept ---------> greet ------------> route ------------> balance ----------> relay --------------> record
//!            seat              who the client is   table.load() once   lease, dial, retry  bytes both ways       on drop
//!              |                 |                   |                   |                   |
//!   every exit:| no seat: wait   | proxy-refused     | no-route          | no-endpoints      | done
//!              | rate: wait      | proxy-malformed   | bad-request       | queue-full        | client-reset, client-closed
//!              | exhausted       | handshake-timeout | method-refused    | queue-timeout     | upstream-reset, upstream-truncated
//!              | source-limit    |                   | head-timeout      | connect-refused   | client-lost, upstream-lost
//!              |                 |                   |                   | connect-failed    | upstream-closed, upstream-protocol
//!              |                 |                   |                   |                   | response-timeout, idle-timeout
//!              |                 |                   |                   | connect-timeout   | lifetime
//!              |                 |                   |                   | unresolved        |
//!              |                 |                   |                   | ports-exhausted   | drained, stopped
//!              |                 |                   |                   | exhausted         |
//! ```
//! [`Outcome`] is that list; what each means for the client, the log and the metrics is one `match` each.
//!
//! | file | owns |
//! |---|---|
//! | `serve` | starting and stopping the workers; `bind` binding listeners, `reload` changing them while they serve |
//! | `worker` | what the flows of one thread share; the phases of stopping; `posts` its listening sockets |
//! | `listener` | the accept loop; `admission` its limits, with `sources` and `rate` |
//! | `greeting` | what comes before a client's own bytes; `origin` what is known by it, for us and for endpoints |
//! | `tcp` | the flow of a TCP connection, and `relay` its bytes |
//! | `http` | the flow of an HTTP connection: `client` its phases, `headers` what is changed, `forward` one request, `body` what follows the head |
//! | `connect` | picking and dialling, with one retry; `queue` waiting while endpoints are full; `hash_key` what a pick hashes |
//! | `watch` | idle timeouts, deadlines and live byte counts, by one sweep per worker |
//! | `options` | settings as the options of sockets |
//! | `stopwatch` | how long endpoints take, for strategies that ask |
//! | `account`, `outcome` | the record, and how exchanges end; `ledger` the access log, `access_line` its formats, `termination` HAProxy's two characters |
//!
//! Invariants:
//! - An exchange loads the routing table once, unless it has to wait for an endpoint, and holds no part of it but its
//!   service and its lease.
//! - A worker shares nothing with another but the table and counters; no lock is taken on the path of a byte.
//! - Whatever ends an exchange, a cancelled future included, writes its record and gives its lease back.
//! - A response that is not complete never looks complete.
mod access_line;
mod account;
mod admission;
mod bind;
mod body;
mod client;
mod connect;
mod forward;
mod greeting;
mod hash_key;
mod headers;
mod http;
mod ledger;
mod listener;
mod options;
mod origin;
mod outcome;
mod posts;
mod queue;
mod rate;
mod relay;
mod reload;
mod serve;
mod sources;
mod stopwatch;
mod tcp;
mod termination;
mod watch;
mod worker;

pub use account::ACCESS;
pub use bind::BindError;
pub use ledger::Ledger;
pub use outcome::{Outcome, Side};
pub use reload::{Leaving, Prepared, ReloadError};
pub use serve::{Proxy, Serving};
pub use worker::Means;
