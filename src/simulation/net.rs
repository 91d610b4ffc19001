//! Connections as the kernels of both hosts keep them.
//!
//! ```text
//! connect --SYN--> listener's backlog --accept--> stream      a host that is on answers for its process,
//!         <-SYN-ACK or RST-'                                  paused or not; one without power is silent
//! ```
//! A connection is two pipes. What is written waits in its pipe until its time has come and the link is whole; then
//! it lies in the other end's inbox. A pipe keeps its order and loses nothing, until one end is reset or dropped.

use super::link::{Link, RESEND};
use super::world::World;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Waker;
use std::time::Duration;

/// All connections and listening sockets.
#[derive(Default)]
pub(super) struct Network {
    links: BTreeMap<(usize, usize), Link>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) listeners: BTreeMap<(usize, u16), Listening>,
    /// Pipes that have something on the way.
    busy: BTreeSet<(u64, usize)>,
    pub(super) next: u64,
    /// Whom to wake once the world is not held any more.
    pub(super) woken: Vec<Waker>,
}

#[derive(Default)]
pub(super) struct Listening {
    pub(super) backlog: VecDeque<u64>,
    pub(super) waiting: Option<Waker>,
}

pub(super) struct Connection {
    pub(super) ends: [End; 2],
    pub(super) pipes: [Pipe; 2],
}

pub(super) struct End {
    pub(super) host: usize,
    pub(super) port: u16,
    pub(super) boot: u64,
    pub(super) is_connected: bool,
    pub(super) is_closed: bool,
    pub(super) is_reset: bool,
}

/// What one end sends to the other.
#[derive(Default)]
pub(super) struct Pipe {
    under_way: VecDeque<(Duration, Segment)>,
    pub(super) inbox: VecDeque<Bytes>,
    /// On the way and unread.
    pub(super) bytes: usize,
    pub(super) is_finished: bool,
    pub(super) end_arrived: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

pub(super) enum Segment {
    Syn,
    SynAck,
    Data(Bytes),
    Fin,
    Reset,
}

pub(super) fn address(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host as u8 + 1)), port)
}

fn link_of(world: &World, from: usize, to: usize) -> Link {
    let link = world.net.links.get(&(from, to));
    link.copied().unwrap_or_default()
}

pub(super) fn change_link(
    world: &mut World,
    from: usize,
    to: usize,
    change: impl FnOnce(&mut Link),
) {
    let before = link_of(world, from, to);
    let mut link = before;
    change(&mut link);
    world.net.links.insert((from, to), link);
    if before.is_cut && !link.is_cut {
        // Each connection sends again what was not acknowledged, when its own timer says so.
        let busy: Vec<_> = world.net.busy.iter().copied().collect();
        for (id, way) in busy {
            let later = world.now + world.up_to(RESEND);
            let Some(connection) = world.net.connections.get_mut(&id) else {
                continue;
            };
            let hosts = (connection.ends[way].host, connection.ends[1 - way].host);
            if hosts == (from, to) {
                let segments = &mut connection.pipes[way].under_way;
                segments.iter_mut().for_each(|(at, _)| *at = later.max(*at));
            }
        }
    }
}

/// Forgets what the kernel of a host without power knew.
pub(super) fn forget(world: &mut World, host: usize) {
    world.net.listeners.retain(|(on, _), _| *on != host);
}

/// Sends a segment from one end to the other.
pub(super) fn send(world: &mut World, id: u64, way: usize, segment: Segment) {
    let Some(connection) = world.net.connections.get(&id) else {
        return;
    };
    let (from, to) = (connection.ends[way].host, connection.ends[1 - way].host);
    let link = link_of(world, from, to);
    let mut delay = link.min + world.up_to(link.max.saturating_sub(link.min));
    while world.chance(link.loss) {
        world.count("segments lost");
        delay += RESEND;
    }
    let at = world.now + delay;
    let Some(connection) = world.net.connections.get_mut(&id) else {
        return;
    };
    let pipe = &mut connection.pipes[way];
    let at = pipe.under_way.back().map_or(at, |(last, _)| at.max(*last));
    pipe.under_way.push_back((at, segment));
    world.net.busy.insert((id, way));
}

/// Delivers what is due.
pub(super) fn deliver(world: &mut World) {
    let busy: Vec<_> = world.net.busy.iter().copied().collect();
    for (id, way) in busy {
        while let Some(segment) = due(world, id, way) {
            arrive(world, id, way, segment);
        }
        let connection = world.net.connections.get(&id);
        if connection.is_none_or(|c| c.pipes[way].under_way.is_empty()) {
            world.net.busy.remove(&(id, way));
        }
        if connection.is_some_and(is_over) {
            world.net.connections.remove(&id);
        }
    }
}

/// Whether nobody has an end of it any more, and nothing is on its way.
fn is_over(connection: &Connection) -> bool {
    let is_empty = |pipe: &Pipe| pipe.under_way.is_empty();
    connection.ends.iter().all(|end| end.is_closed) && connection.pipes.iter().all(is_empty)
}

/// The next segment of a pipe that arrives now.
fn due(world: &mut World, id: u64, way: usize) -> Option<Segment> {
    let connection = world.net.connections.get(&id)?;
    let (from, to) = (connection.ends[way].host, connection.ends[1 - way].host);
    let is_whole = !link_of(world, from, to).is_cut && world.hosts[to].is_on;
    let sender = &connection.ends[way];
    if sender.boot != world.hosts[from].boot {
        // The kernel that would send it again is gone.
        let connection = world.net.connections.get_mut(&id)?;
        connection.ends[way].is_closed = true;
        connection.pipes[way].under_way.clear();
        return None;
    }
    if !is_whole || connection.pipes[way].under_way.front()?.0 > world.now {
        return None;
    }
    let connection = world.net.connections.get_mut(&id)?;
    let (_, segment) = connection.pipes[way].under_way.pop_front()?;
    let facts = [id as u8, way as u8, from as u8, to as u8];
    world.trace(1, &facts);
    if let Segment::Data(data) = &segment {
        world.trace(2, data);
    }
    Some(segment)
}

/// A segment of the pipe `way` reaches the other end.
fn arrive(world: &mut World, id: u64, way: usize, segment: Segment) {
    let Some(connection) = world.net.connections.get_mut(&id) else {
        return;
    };
    let (host, port) = (connection.ends[1 - way].host, connection.ends[1 - way].port);
    let boot = world.hosts[host].boot;
    if let Segment::Syn = segment {
        connection.ends[1].boot = boot;
        let answer = match world.net.listeners.get_mut(&(host, port)) {
            Some(listening) => {
                connection.ends[1].is_closed = false;
                listening.backlog.push_back(id);
                world.net.woken.extend(listening.waiting.take());
                Segment::SynAck
            }
            None => Segment::Reset,
        };
        return send(world, id, 1, answer);
    }
    let end = &mut connection.ends[1 - way];
    let is_there = end.boot == boot && !end.is_closed && !end.is_reset;
    if !is_there {
        if end.boot != boot {
            end.boot = boot;
            end.is_closed = true;
        }
        if let Segment::Data(_) = segment {
            send(world, id, 1 - way, Segment::Reset);
        }
        return;
    }
    let pipe = &mut connection.pipes[way];
    match segment {
        Segment::Syn => {}
        Segment::SynAck => end.is_connected = true,
        Segment::Data(data) => pipe.inbox.push_back(data),
        Segment::Fin => pipe.end_arrived = true,
        Segment::Reset => reset(connection, 1 - way, &mut world.net.woken),
    }
    if let Some(connection) = world.net.connections.get_mut(&id) {
        world.net.woken.extend(connection.pipes[way].reader.take());
    }
}

/// One end learns that the other knows nothing of the connection any more.
fn reset(connection: &mut Connection, end: usize, woken: &mut Vec<Waker>) {
    connection.ends[end].is_reset = true;
    connection.pipes[end].under_way.clear();
    connection.pipes[1 - end].inbox.clear();
    for pipe in &mut connection.pipes {
        pipe.bytes = 0;
    }
    woken.extend(connection.pipes[end].writer.take());
    woken.extend(connection.pipes[1 - end].reader.take());
}

/// One end is dropped by its process.
pub(super) fn close(world: &mut World, id: u64, end: usize) {
    let Some(connection) = world.net.connections.get_mut(&id) else {
        return;
    };
    let host = connection.ends[end].host;
    let is_known = connection.ends[end].boot == world.hosts[host].boot;
    if connection.ends[end].is_closed || !is_known {
        connection.ends[end].is_closed = true;
        return;
    }
    connection.ends[end].is_closed = true;
    let has_unread = !connection.pipes[1 - end].inbox.is_empty();
    let is_finished = std::mem::replace(&mut connection.pipes[end].is_finished, true);
    if connection.ends[end].is_reset {
        return;
    }
    if has_unread || !connection.ends[end].is_connected {
        send(world, id, end, Segment::Reset);
    } else if !is_finished {
        send(world, id, end, Segment::Fin);
    }
}
