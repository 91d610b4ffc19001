//! Where access lines go: a bounded queue, and one thread that writes what is in it.
//!
//! ```text
//! workers --try--> queue of 16,384 lines --thread--> standard output
//!            '-- full: the line is dropped and counted
//! ```
//! Traffic never waits for whoever reads the lines, and a worker makes no system call for one but, after a quiet time,
//! to wake the thread. The thread then gathers for some milliseconds and writes all at once.

use prometheus::IntCounter;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Lines that wait at most: of some 250 bytes each, 4 MiB, which is half a second of what a busy node writes. More only
/// keeps more of what a reader that is stuck does not read.
const LINES: usize = 16_384;

/// How long the thread gathers lines before it writes them.
const GATHER: Duration = Duration::from_millis(5);

/// Bytes that are written at once, or a line more.
const CHUNK: usize = 64 * 1024;

/// The way in for lines.
pub struct AccessLog {
    lines: SyncSender<String>,
    dropped: IntCounter,
    taken: AtomicU64,
    written: Arc<AtomicU64>,
}

impl AccessLog {
    /// Writes lines to `out` from a thread of its own; counts in `dropped` those that are not written.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(
        out: impl Write + Send + 'static,
        dropped: IntCounter,
    ) -> std::io::Result<AccessLog> {
        let (lines, queue) = sync_channel(LINES);
        let written = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            queue,
            out,
            dropped: dropped.clone(),
            written: written.clone(),
        };
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writer.work())?;
        Ok(AccessLog {
            lines,
            dropped,
            taken: AtomicU64::new(0),
            written,
        })
    }

    /// Takes a line, without its end; never waits.
    pub fn write(&self, line: String) {
        match self.lines.try_send(line) {
            Ok(()) => {
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => self.dropped.inc(),
        }
    }

    /// Waits until all that was taken is written, for up to `patience`.
    pub async fn finish(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.written.load(Ordering::Acquire) < self.taken.load(Ordering::Relaxed)
            && Instant::now() < deadline
        {
            sleep(GATHER).await;
        }
    }
}

struct Writer<W> {
    queue: Receiver<String>,
    out: W,
    dropped: IntCounter,
    written: Arc<AtomicU64>,
}

impl<W: Write> Writer<W> {
    fn work(mut self) {
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Ok(first) = self.queue.recv() {
            thread::sleep(GATHER);
            let mut count = 1;
            push(&mut chunk, &first);
            while chunk.len() < CHUNK
                && let Ok(line) = self.queue.try_recv()
            {
                push(&mut chunk, &line);
                count += 1;
            }
            // Whoever read them is gone: there is nobody to tell but the metric.
            let written = self.out.write_all(&chunk);
            if written.and_then(|()| self.out.flush()).is_err() {
                self.dropped.inc_by(count);
            }
            self.written.fetch_add(count, Ordering::Release);
            chunk.clear();
        }
    }
}

fn push(chunk: &mut Vec<u8>, line: &str) {
    chunk.extend_from_slice(line.as_bytes());
    chunk.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io;

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "dropped").unwrap()
    }

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_line_is_written_once_and_in_order() {
        let memory = Memory::default();
        let log = AccessLog::start(memory.clone(), counter()).unwrap();
        for number in 0..1000 {
            log.write(number.to_string());
        }
        log.finish(Duration::from_secs(10)).await;
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        let written = memory.0.lock().clone();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(log.dropped.get(), 0);
    }

    /// Whoever reads never does.
    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_no_time() {
        let log = AccessLog::start(Stuck, counter()).unwrap();
        let began = Instant::now();
        for _ in 0..4 * LINES {
            log.write("line".to_owned());
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        let dropped = log.dropped.get() as usize;
        assert!((2 * LINES..4 * LINES).contains(&dropped), "{dropped}");
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn lines_that_nobody_takes_are_counted() {
        let log = AccessLog::start(Gone, counter()).unwrap();
        (0..10).for_each(|_| log.write("line".to_owned()));
        log.finish(Duration::from_secs(10)).await;
        assert_eq!(log.dropped.get(), 10);
    }
}
