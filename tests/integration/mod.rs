//! Real sockets, real disks, several members in one process.

mod ensemble;
mod membership;
mod proxy_bodies;
mod proxy_http;
mod proxy_limits;
mod proxy_smuggling;
mod proxy_tcp;
mod reconfig;
mod zookeeper;
