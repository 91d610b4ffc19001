//! From settings to the options of sockets.

use crate::config::{Keepalive, ListenerSocket, ServicePolicy};
use crate::net::{Probes, SocketOptions};

/// What a listener's socket has, and its clients' connections inherit.
pub fn of_listener(socket: &ListenerSocket) -> SocketOptions {
    SocketOptions {
        keepalive: probes(socket.keepalive),
        user_timeout: socket.user_timeout,
        receive_buffer: socket.receive_buffer,
        send_buffer: socket.send_buffer,
    }
}

/// What connections to a service's endpoints have from the start.
pub fn of_service(policy: &ServicePolicy) -> SocketOptions {
    SocketOptions {
        user_timeout: policy.user_timeout,
        ..SocketOptions::default()
    }
}

/// What those connections to a service's endpoints get in addition that last.
pub fn keepalive_of(policy: &ServicePolicy) -> SocketOptions {
    SocketOptions {
        keepalive: probes(policy.keepalive),
        ..SocketOptions::default()
    }
}

fn probes(keepalive: Keepalive) -> Option<Probes> {
    match keepalive {
        Keepalive::Off => None,
        Keepalive::Probes {
            idle,
            interval,
            probes: count,
        } => Some(Probes {
            idle,
            interval,
            count,
        }),
    }
}
