//! Real sockets, real disks, several members in one process.

mod backup;
mod damage;
mod digests;
mod ensemble;
mod expiry;
#[cfg(feature = "failpoints")]
mod failstop;
mod health;
mod lagging;
mod members;
mod membership;
mod partitions;
mod proxy_access_log;
mod proxy_bodies;
mod proxy_http;
mod proxy_limits;
mod proxy_network;
mod proxy_protocol;
mod proxy_queue;
mod proxy_relay;
mod proxy_reload;
mod proxy_smuggling;
mod proxy_sni;
mod proxy_strategies;
mod proxy_tcp;
mod proxy_tls;
mod questions;
mod reconfig;
mod rolling;
mod secure;
mod zookeeper;
