//! Both ends of HTTP: endpoints that answer as told, and clients that send exactly the bytes they are told to.
mod origin;
mod raw;

pub use origin::{Body, Origin, echo, mirror, scripted, text};
pub use raw::{Reply, read_head, request, talk};
