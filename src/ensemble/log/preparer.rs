//! The thread that makes the next segment before it is needed and clears away the old ones.
//!
//! Zeroing a segment and syncing directories takes milliseconds to tens of them; the writer, on whom every
//! client waits, only ever takes a file that is ready.
//!
//! ```text
//! purged segment --rename--> reserve.recycled --rename--> <next>.wal      one file is kept in reserve
//!               `--unlink                        create, zero --'         when there is none
//! ```
//! Segments go oldest first, one directory sync each, so that what is on disk is always a row without gaps.

use super::disk::{self, DataFile, DiskError};
use super::segment::{RESERVE, SegmentFile, segment_path};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

/// Jobs that may wait. Each rotation and each purge makes one, so more than two never wait unless the disk
/// is stuck, and then the writer may as well.
const JOBS: usize = 8;

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
    thread: Option<JoinHandle<()>>,
}

impl Preparer {
    /// Starts the thread. Segments are made in `dir`, each `bytes` long.
    pub(super) fn start(dir: PathBuf, bytes: u64) -> io::Result<Preparer> {
        let (jobs, queue) = sync_channel(JOBS);
        let (made, ready) = sync_channel(1);
        let worker = Worker {
            dir,
            bytes,
            queue,
            made,
        };
        let thread = thread::Builder::new()
            .name("log-prepare".into())
            .spawn(move || worker.run())?;
        Ok(Preparer {
            jobs: Some(jobs),
            ready,
            thread: Some(thread),
        })
    }

    /// Asks for the segment `number`.
    pub(super) fn prepare(&self, number: u64) {
        self.send(Job::Prepare(number));
    }

    /// Waits for the segment asked for last.
    pub(super) fn take(&self) -> Result<SegmentFile, DiskError> {
        self.ready
            .recv()
            .expect("the thread answers each job and outlives this handle")
    }

    /// Hands over segments that are not needed any more, oldest first.
    pub(super) fn retire(&self, segments: Vec<Arc<SegmentFile>>) {
        self.send(Job::Retire(segments));
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.as_ref().expect("taken only by drop");
        jobs.send(job)
            .expect("the thread runs until this handle is dropped");
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.jobs = None;
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
}

impl Worker {
    fn run(self) {
        let mut retired = VecDeque::new();
        let mut open = true;
        let mut is_stuck = false;
        while open || !retired.is_empty() {
            match self.next(retired.is_empty()) {
                Ok(Job::Prepare(number)) => {
                    let made = self.make(number).inspect_err(|_| {
                        // So that a second attempt finds nothing in its way; there may be nothing here either.
                        let _ = disk::remove(&segment_path(&self.dir, number));
                    });
                    // One is asked for at a time, so there is room, unless the writer has gone.
                    let _ = self.made.try_send(made);
                }
                Ok(Job::Retire(segments)) => retired.extend(segments),
                Err(end) => {
                    open = end == TryRecvError::Empty;
                    if let Some(segment) = retired.pop_front()
                        && !is_stuck
                        && let Err(error) = self.clear(segment)
                    {
                        // Removing later ones would leave a gap. The next process clears them away.
                        tracing::warn!(%error, cause = %error.source, "old log segments stay");
                        is_stuck = true;
                    }
                }
            }
        }
    }

    /// The next job; waits for one only if there is nothing else to do.
    fn next(&self, idle: bool) -> Result<Job, TryRecvError> {
        match idle {
            true => self.queue.recv().map_err(|_| TryRecvError::Disconnected),
            false => self.queue.try_recv(),
        }
    }

    fn make(&self, number: u64) -> Result<SegmentFile, DiskError> {
        let path = segment_path(&self.dir, number);
        let reserve = self.dir.join(RESERVE);
        let segment = match disk::rename(&reserve, &path) {
            Ok(()) => {
                let data = DataFile::open(path)?;
                SegmentFile { number, data }
            }
            Err(e) if e.source.kind() == io::ErrorKind::NotFound => {
                SegmentFile::create(&self.dir, number, self.bytes)?
            }
            Err(e) => return Err(e),
        };
        // What the file's earlier life left is not valid under its new number, only its length may be wrong.
        let length = segment.data.bytes()?;
        if length != self.bytes {
            segment.data.zero(length.min(self.bytes), self.bytes)?;
        }
        disk::sync_dir(&self.dir)?;
        Ok(segment)
    }

    /// Takes a segment out of the log: into the reserve if that is empty and nobody reads the segment any more.
    fn clear(&self, segment: Arc<SegmentFile>) -> Result<(), DiskError> {
        let reserve = self.dir.join(RESERVE);
        let is_unread = Arc::strong_count(&segment) == 1;
        match is_unread && !disk::exists(&reserve)? {
            true => disk::rename(&segment.data.path, &reserve)?,
            false => disk::remove(&segment.data.path)?,
        }
        disk::sync_dir(&self.dir)
    }
}
