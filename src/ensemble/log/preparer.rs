//! The thread that makes the next segment before it is needed and clears away the old ones.
//!
//! Zeroing a segment and syncing directories takes milliseconds to tens of them; the writer, on whom every
//! client waits, only ever takes a file that is ready.
//!
//! ```text
//! purged segment --rename--> reserve-<n>.recycled --rename--> <next>.wal      a few files are kept in reserve
//!               `--unlink                          create, zero --'          when there is none
//! ```
//! Segments go oldest first, one directory sync each, so that what is on disk is always a row without gaps.
//!
//! A full disk is waited for: the log is told that it is short ([`headroom`](super::headroom)), and each file that is cleared away, or
//! half a second, is reason to try again. Every other failure is the log's end, at once.

use super::disk::{self, DataFile, DiskError};
use super::segment::{RESERVES, SegmentFile, reserve_path, segment_path, unused_reserve};
use super::shared::{FailureGuard, Shared};
use crate::telemetry::Metrics;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
#[cfg(not(feature = "simulation"))]
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Jobs that may wait. Each rotation and each purge makes one, so more than two never wait unless the disk
/// is stuck, and then the writer may as well.
const JOBS: usize = 8;

/// Bytes zeroed and synced at a time: a second on a very slow disk.
const ZEROED_BYTES: u64 = 4 << 20;

/// Pause between two looks whether a full disk has room again.
pub(super) const FULL_RETRY: Duration = Duration::from_millis(500);

/// How long the writer waits for room once the last prepared byte is used; the watchdog would end it soon after, and
/// say less. Nothing large gets so far, see
/// [`headroom`](super::headroom); then the process ends, since a log that cannot even take a vote is of no use to the others.
#[cfg(not(feature = "simulation"))]
const FULL_PATIENCE: Duration = Duration::from_secs(3);

/// Bytes that a new segment leaves free: snapshots and directories need some too.
const SPARE_BYTES: u64 = 4 << 20;

enum Job {
    /// Make the segment with this number.
    Prepare(u64),
    /// These are not needed any more; oldest first.
    Retire(Vec<Arc<SegmentFile>>),
}

/// The writer's side of the thread. Dropping it waits until everything retired is gone.
pub(super) struct Preparer {
    jobs: Option<SyncSender<Job>>,
    ready: Receiver<Result<SegmentFile, DiskError>>,
    #[cfg(not(feature = "simulation"))]
    thread: Option<JoinHandle<()>>,
    /// Works inside of each call, since virtual time does not wait for threads.
    #[cfg(feature = "simulation")]
    worker: Worker,
}

impl Preparer {
    /// Makes the segment `next` if there is room for it, and starts the thread for those that follow. Segments are
    /// made in `dir`, each `bytes` long.
    pub(super) fn start(
        dir: PathBuf,
        bytes: u64,
        next: u64,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Preparer> {
        let (jobs, queue) = sync_channel(JOBS);
        let (made, ready) = sync_channel(1);
        let guard = shared.failure_guard(&dir);
        let mut worker = Worker {
            dir,
            bytes,
            queue,
            made,
            guard,
            shared,
            metrics,
            wanted: Some(next),
            retired: VecDeque::new(),
            is_short: false,
        };
        // Before anything is accepted, since only this tells whether there is room for it.
        worker.prepare();
        #[cfg(not(feature = "simulation"))]
        let thread = thread::Builder::new()
            .name("log-prepare".into())
            .spawn(move || worker.run())?;
        Ok(Preparer {
            jobs: Some(jobs),
            ready,
            #[cfg(not(feature = "simulation"))]
            thread: Some(thread),
            #[cfg(feature = "simulation")]
            worker,
        })
    }

    /// Asks for the segment `number`.
    pub(super) fn prepare(&mut self, number: u64) {
        self.send(Job::Prepare(number));
    }

    /// Waits for the segment asked for last, long if the disk is full.
    pub(super) fn take(&mut self) -> Result<SegmentFile, DiskError> {
        #[cfg(not(feature = "simulation"))]
        let ready = self.ready.recv_timeout(FULL_PATIENCE);
        #[cfg(feature = "simulation")]
        let ready = {
            self.worker.catch_up();
            self.ready.try_recv()
        };
        ready.unwrap_or_else(|_| {
            let full = io::Error::new(io::ErrorKind::StorageFull, "the disk has stayed full");
            Err(disk::at(
                "go on in",
                &PathBuf::from("the next segment of the log"),
            )(full))
        })
    }

    /// Tries again what a full disk has kept it from; to be called every [`FULL_RETRY`].
    #[cfg(feature = "simulation")]
    pub(super) fn try_again(&mut self) {
        if self.worker.is_short {
            self.worker.catch_up();
        }
    }

    /// Hands over segments that are not needed any more, oldest first.
    pub(super) fn retire(&mut self, segments: Vec<Arc<SegmentFile>>) {
        self.send(Job::Retire(segments));
    }

    fn send(&mut self, job: Job) {
        let jobs = self.jobs.as_ref().expect("taken only by drop");
        jobs.send(job)
            .expect("the thread runs until this handle is dropped");
        #[cfg(feature = "simulation")]
        self.worker.catch_up();
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.jobs = None;
        #[cfg(not(feature = "simulation"))]
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by its thread, and every wait for it has failed.
            let _ = thread.join();
        }
    }
}

struct Worker {
    dir: PathBuf,
    bytes: u64,
    queue: Receiver<Job>,
    made: SyncSender<Result<SegmentFile, DiskError>>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    /// The segment that is still to be made.
    wanted: Option<u64>,
    /// Those that are still to be cleared away.
    retired: VecDeque<Arc<SegmentFile>>,
    /// The disk was full at the last attempt.
    is_short: bool,
    /// If this thread panics, the writer would wait for it in vain.
    guard: FailureGuard,
}

impl Worker {
    /// Does all there is to do and can be done now.
    #[cfg(feature = "simulation")]
    fn catch_up(&mut self) {
        while let Ok(job) = self.queue.try_recv() {
            self.turn(Ok(job));
        }
        while !self.retired.is_empty() && self.clear_one() {}
        self.prepare();
    }

    #[cfg(not(feature = "simulation"))]
    fn run(mut self) {
        failpoint!("log-prepare");
        let mut is_open = true;
        while is_open || !self.retired.is_empty() {
            let job = self.next(is_open);
            is_open = self.turn(job);
        }
    }

    /// Does a job or, if there is none, clears a segment away. False if there will be no more jobs.
    fn turn(&mut self, job: Result<Job, RecvTimeoutError>) -> bool {
        match job {
            Ok(Job::Prepare(number)) => {
                self.wanted = Some(number);
                self.prepare();
            }
            Ok(Job::Retire(segments)) => self.retired.extend(segments),
            Err(end) => {
                let is_open = end == RecvTimeoutError::Timeout;
                if !self.clear_one() && !is_open {
                    // The next process clears them away.
                    self.retired.clear();
                }
                self.prepare();
                return is_open;
            }
        }
        true
    }

    /// The next job; waits for one only if there is nothing else to do.
    #[cfg(not(feature = "simulation"))]
    fn next(&self, is_open: bool) -> Result<Job, RecvTimeoutError> {
        let is_idle = self.retired.is_empty() || self.is_short;
        match (is_open, is_idle, self.wanted) {
            (false, _, _) => Err(RecvTimeoutError::Disconnected),
            (true, false, _) => self.queue.recv_timeout(Duration::ZERO),
            (true, true, Some(_)) => self.queue.recv_timeout(FULL_RETRY),
            (true, true, None) => {
                let ended = |_| RecvTimeoutError::Disconnected;
                self.queue.recv().map_err(ended)
            }
        }
    }

    /// Makes the segment that is wanted, if one is and there is room.
    fn prepare(&mut self) {
        let Some(number) = self.wanted else { return };
        let made = self.make(number).inspect_err(|_| {
            // So that another attempt finds nothing in its way; there may be nothing here either.
            let _ = disk::remove(&segment_path(&self.dir, number));
        });
        match made {
            Err(error) if error.is_full() => self.tell_short(Some(&error)),
            Err(error) => {
                self.wanted = None;
                self.shared.fail(error.again());
                let _ = self.made.try_send(Err(error));
            }
            Ok(segment) => {
                self.wanted = None;
                self.tell_short(None);
                // One is asked for at a time, so there is room, unless the writer has gone.
                let _ = self.made.try_send(Ok(segment));
            }
        }
    }

    fn tell_short(&mut self, error: Option<&DiskError>) {
        match error {
            Some(error) if !self.is_short => tracing::error!(
                %error, cause = %error.source,
                "the disk is full: no room for the next segment of the log"
            ),
            None if self.is_short => tracing::info!("there is room for the log again"),
            _ => {}
        }
        self.is_short = error.is_some();
        self.shared.headroom.tell_short(self.is_short);
    }

    fn make(&self, number: u64) -> Result<SegmentFile, DiskError> {
        let path = segment_path(&self.dir, number);
        let segment = match self.rename_reserve(&path)? {
            true => {
                let data = DataFile::open(path)?;
                SegmentFile { number, data }
            }
            false => {
                self.check_space(&path)?;
                self.metrics.coordination.log_segments_zeroed.inc();
                let data = DataFile::create(path)?;
                SegmentFile { number, data }
            }
        };
        // What the file's earlier life left is not valid under its new number, only its length may be wrong.
        let length = segment.data.bytes()?;
        if length != self.bytes {
            // A piece at a time, because the writer may wait for this, and a slow disk is not one that hangs.
            let mut from = length.min(self.bytes);
            while from != self.bytes || segment.data.bytes()? != self.bytes {
                let to = (from + ZEROED_BYTES).min(self.bytes);
                segment.data.zero(from, to)?;
                self.guard.progress().step();
                from = to;
            }
        }
        disk::sync_dir(&self.dir)?;
        Ok(segment)
    }

    /// Gives a file of the reserve this name, if there is one.
    fn rename_reserve(&self, path: &std::path::Path) -> Result<bool, DiskError> {
        for number in 0..RESERVES {
            match disk::rename(&reserve_path(&self.dir, number), path) {
                Ok(()) => return Ok(true),
                Err(e) if e.source.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(false)
    }

    /// Whether a whole new segment fits, so that a full disk is not filled and emptied with every attempt.
    fn check_space(&self, path: &std::path::Path) -> Result<(), DiskError> {
        match disk::space(&self.dir) {
            Ok(space) if space.free < self.bytes + SPARE_BYTES => {
                let full = format!("{} bytes are free of {}", space.free, space.size);
                let full = io::Error::new(io::ErrorKind::StorageFull, full);
                Err(disk::at("create", path)(full))
            }
            // Who cannot tell how much there is finds out by writing.
            _ => Ok(()),
        }
    }

    /// Clears the oldest retired segment away, if there is one. False if it stays.
    fn clear_one(&mut self) -> bool {
        let Some(segment) = self.retired.front() else {
            return true;
        };
        match self.clear(segment) {
            Ok(()) => {
                self.retired.pop_front();
                true
            }
            Err(error) => {
                tracing::warn!(%error, cause = %error.source, "an old log segment stays");
                if !error.is_full() {
                    self.retired.clear();
                    self.shared.fail(error);
                }
                false
            }
        }
    }

    /// Takes a segment out of the log: into the reserve if that has room and nobody reads the segment any more.
    fn clear(&self, segment: &Arc<SegmentFile>) -> Result<(), DiskError> {
        let is_unread = Arc::strong_count(segment) == 1;
        match unused_reserve(&self.dir)?.filter(|_| is_unread) {
            Some(reserve) => disk::rename(&segment.data.path, &reserve)?,
            None => disk::remove(&segment.data.path)?,
        }
        disk::sync_dir(&self.dir)
    }
}
