//! A world in which a member cannot tell that it is simulated: network, disks and wall clocks that a seed decides.
//!
//! Built only with the feature `simulation`, for `tests/simulation`, which runs the members. `net`, `ensemble` and
//! `zk` then take sockets, files and the wall clock from here; everything else of them is what production runs.
//!
//! ```text
//!   host 0 (a runtime with paused time)   host 1                host 2
//!      | TcpStream, disk::File               |                     |
//!      v                                     v                     v
//!   world: now, links (latency, loss, cut), connections on the way, one disk each (written | durable), faults
//! ```
//! One thread runs one world: it gives each host one tick in turn, moves the time, and delivers what is due. So the
//! same seed makes the same run, and [`trace_hash`] proves it.
//!
//! Own code instead of the crate `turmoil`, because that one answers "connection refused" across a partition, which
//! is just what a member here takes as proof that another one is dead; it loses bytes of a TCP connection without
//! either side ever being told; its synchronous file operations take no time, and its torn writes are prefixes only.
//!
//! | file | owns |
//! |---|---|
//! | `world` | the time, the hosts, chance, the trace |
//! | `net` | connections as a host's kernel keeps them; `socket` as a process holds them; `link` the way between two hosts |
//! | `disk` | files, what of them is durable, what a power cut leaves; `file` as a process holds them |
//! | `mutant` | errors put in on purpose, to see whether a checker finds them |
//! | `facts` | what a member did to its log, told to checkers |
mod disk;
mod facts;
mod file;
mod link;
mod mutant;
mod net;
mod socket;
mod world;

pub use disk::{
    DirEntry, DiskFault, ReadDir, create_dir_all, disk_fault, exists, read_dir, remove_file,
    rename, set_disk_fault, space, sync_delay,
};
pub use facts::{Fact, note, take_facts};
pub use file::{File, Metadata, OpenOptions, TryLockError, metadata};
pub use link::Link;
pub use mutant::{Mutant, is_mutant, one_in, set_mutant};
pub use socket::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpListener, TcpStream, WriteHalf};
pub use world::{
    HostId, add, add_host, boot, count, counts, current, deliver, enter, kill, link, now,
    now_and_current, power_cut, random, set_clock_skew, set_now, start, trace, trace_hash,
    wall_clock_ms,
};

/// Bytes of a log segment in a simulation: a few dozen entries, so that segments are left and recycled all the time.
pub const SEGMENT_BYTES: usize = 8 << 10;

/// Bytes of recent entries that are kept in memory in a simulation: few, so that followers are served from disk.
pub const RECENT_BYTES: usize = 4 << 10;
