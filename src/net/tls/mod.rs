//! TLS for sockets: certificates from files, replaced while connections go on.
//!
//! ```text
//! server    a port for clients: shows a certificate, may ask for one      -> stream, the client's subject
//! client    towards a server: judges its certificate, may show one       -> stream
//! peer      between members: both show a node's certificate               -> stream, the node's name
//! hello     what a client says first, for who passes it on as it is       -> the host it wants
//! front     a listener of traffic: one of many certificates, by name       -> stream, what was agreed upon
//! live      files, read again when they change;  files: what is in them;  identity: which node a certificate names
//! ```
//! A connection keeps the certificates it was made with. Nothing here knows what is spoken inside.
//!
//! Source: RFC 8446 and 5246 (TLS 1.3 and 1.2, by rustls), RFC 5280 (certificates), RFC 7468 (PEM).

mod client;
mod error;
mod facts;
mod failure;
mod files;
#[cfg(test)]
pub mod fixture;
#[cfg(not(feature = "simulation"))]
mod front;
mod hello;
mod identity;
mod live;
mod peer;
mod server;
mod subject;
#[cfg(test)]
mod tests;
mod unverified;

pub use client::{ClientFiles, ClientTls};
pub use error::TlsError;
pub use facts::{CertificateFacts, certificate_facts, check_pair};
pub use failure::TlsFailure;
#[cfg(not(feature = "simulation"))]
pub use front::{FrontFiles, FrontTls, Secured};
pub use hello::{Alert, Hello, HelloError, HelloReader, MAX_HELLO};
pub use identity::{NotTheNode, node_uri};
pub use live::{Files, Live};
pub use peer::{PeerFiles, PeerTls};
pub use server::{AcceptedTls, ClientAuthorities, ServerTls, TlsFiles};
pub use unverified::UnverifiedTls;
