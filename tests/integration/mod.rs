//! Real sockets, real disks, several members in one process.

mod ensemble;
mod proxy_bodies;
mod proxy_http;
mod proxy_limits;
mod proxy_smuggling;
mod proxy_tcp;
mod zookeeper;
