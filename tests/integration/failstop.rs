//! A critical part that panics, aborts or stands still ends the process, as a real process shows it.
//!
//! Needs places that fail on purpose: `cargo test --features failpoints --test suite failstop`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// Longest wait for a start, and for whatever should happen at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest a process may live on without a part that has panicked. The promise is 5 s; a loaded machine is slow.
const END_AFTER_PANIC: Duration = Duration::from_secs(5);
/// Longest a process may live on with a part that stands still. The promise is 5 s, from 4.5 s on.
const END_AFTER_STALL: Duration = Duration::from_secs(9);

/// A node of its own, as a process.
struct Process {
    dir: TempDir,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    zookeeper: SocketAddr,
    admin: SocketAddr,
    traffic: SocketAddr,
}

const SETTINGS: &str = r#"
[zookeeper]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[[listener]]
name = "web"
bind = "127.0.0.1:0"
protocol = "tcp"
service = "web"
"#;

impl Process {
    /// Starts a node that fails as `failures` say from the start, and waits until it says where it listens.
    fn start(failures: &str) -> Process {
        let dir = TempDir::new().expect("a directory");
        let data = dir.path().join("data");
        let config = dir.path().join("zoogate.toml");
        let node = format!("[node]\nname = \"n1\"\ndata_dir = {data:?}\nworkers = 1\n");
        fs::write(&config, node + SETTINGS).expect("written");
        fs::write(dir.path().join("failures"), failures).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_zoogate"))
            .arg("serve")
            .arg("-c")
            .arg(&config)
            .env("ZOOGATE_FAILPOINTS", dir.path().join("failures"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (log, stderr) = (Arc::new(Mutex::new(Vec::new())), child.stderr.take());
        let (written, lines) = (log.clone(), BufReader::new(stderr.expect("piped")).lines());
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().expect("no panic").push(line);
            }
        });
        let unbound = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Process {
            dir,
            child,
            log,
            zookeeper: unbound,
            admin: unbound,
            traffic: unbound,
        };
        let deadline = Instant::now() + PATIENCE;
        while !process.knows_where() {
            if process.child.try_wait().expect("a child").is_some() {
                return process;
            }
            assert!(Instant::now() < deadline, "no start: {}", process.text());
            thread::sleep(Duration::from_millis(10));
        }
        process
    }

    fn text(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    /// Finds its addresses in the line that says that it serves.
    fn knows_where(&mut self) -> bool {
        let text = self.text();
        let line = text
            .lines()
            .find(|line| line.contains("\"message\":\"serving\""));
        let Some(line) = line else { return false };
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let field = |name: &str| line["fields"][name].as_str().expect("a text").to_owned();
        self.zookeeper = field("zookeeper").parse().expect("an address");
        self.admin = field("admin").parse().expect("an address");
        let listeners = field("listeners");
        let addr = listeners.split(": ").nth(1).expect("one listener");
        self.traffic = addr.trim_end_matches('}').parse().expect("an address");
        true
    }

    /// The status of a page; `None` if there is no answer.
    fn status(&self, page: &str) -> Option<u16> {
        let limit = Duration::from_millis(500);
        let mut stream = TcpStream::connect_timeout(&self.admin, limit).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        write!(
            stream,
            "GET {page} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    fn await_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.status("/readyz") != Some(200) {
            assert!(Instant::now() < deadline, "not ready: {}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Registers an endpoint and looks in vain for an answer: enough to bring every part to work.
    fn disturb(&self, number: usize) -> Child {
        let _ = TcpStream::connect_timeout(&self.traffic, Duration::from_millis(100));
        Command::new(env!("CARGO_BIN_EXE_zoogate"))
            .args(["zk", "--server", &self.zookeeper.to_string()])
            .args([
                "create",
                "-p",
                &format!("/services/web/e{number}"),
                "127.0.0.1:9",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    }

    /// Has it fail, and disturbs it until it has ended. Tells its exit status, how long after the first sign of the
    /// failure it came, and every status of `/healthz` from that sign on.
    fn fail(&mut self, failures: &str, sign: &str) -> (ExitStatus, Duration, Vec<u16>) {
        fs::write(self.dir.path().join("failures"), failures).expect("written");
        let mut disturbers = Vec::new();
        let (mut seen, mut health) = (None, Vec::new());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < deadline, "lives on: {}", self.text());
            if seen.is_none() && self.text().contains(sign) {
                seen = Some(Instant::now());
            }
            match seen {
                None if disturbers.len() < 100 => disturbers.push(self.disturb(disturbers.len())),
                None => {}
                Some(_) => health.extend(self.status("/healthz")),
            }
            thread::sleep(Duration::from_millis(20));
        };
        for mut disturber in disturbers {
            let _ = disturber.kill();
            let _ = disturber.wait();
        }
        let lived_on = seen.map_or(Duration::ZERO, |at| at.elapsed());
        (status, lived_on, health)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A panic at `place` ends the process.
#[allow(
    clippy::print_stdout,
    reason = "a figure for who asks with --nocapture"
)]
fn panics_at(place: &str) {
    let mut process = Process::start("");
    process.await_ready();
    let (status, lived_on, health) = process.fail(&format!("{place}=panic\n"), "\"panicked: ");
    let text = process.text();
    let sign = format!("\"panicked: failpoint {place} panic\"");
    assert!(text.contains(&sign), "no panic at {place}: {text}");
    assert!(text.contains("\"location\":\""), "{text}");
    assert_eq!(status.code(), Some(1), "{place}: {text}");
    assert!(
        lived_on < END_AFTER_PANIC,
        "{place}: lived on for {lived_on:?}"
    );
    assert!(!health.contains(&200), "{place}: {health:?}");
    println!("{place}: panicked, ended {lived_on:?} later");
}

/// What stands still at `place` ends the process, which says that it is `part`.
#[allow(
    clippy::print_stdout,
    reason = "a figure for who asks with --nocapture"
)]
fn stalls_at(place: &str, part: &str) {
    let mut process = Process::start("");
    process.await_ready();
    let fault = "this member has a fault";
    let (status, lived_on, health) = process.fail(&format!("{place}=sleep(600000)\n"), fault);
    let text = process.text();
    assert!(
        text.contains(&format!("{fault}: {part} makes no progress")),
        "{text}"
    );
    assert!(
        text.contains("a critical part makes no progress; ending the process"),
        "{text}"
    );
    assert_eq!(status.code(), Some(1), "{place}: {text}");
    // The sign comes after 2 of the seconds.
    assert!(
        lived_on < END_AFTER_STALL,
        "{place}: lived on for {lived_on:?}"
    );
    assert!(!health.contains(&200), "{place}: {health:?}");
    println!("{place}: stood still, ended {lived_on:?} after the fault was seen");
}

macro_rules! panics {
    ($($test:ident: $place:literal;)+) => {
        $(#[test] fn $test() { panics_at($place); })+
    };
}

panics! {
    panic_of_the_logs_writer_ends_the_process: "log-before-sync";
    panic_of_apply_ends_the_process: "apply-before";
    panic_of_the_core_ends_the_process: "raft";
    panic_of_the_proposer_ends_the_process: "proposer";
    panic_of_the_leaders_duties_ends_the_process: "propose";
    panic_of_the_expiry_ends_the_process: "expiry";
    panic_of_the_registry_ends_the_process: "registry";
    panic_of_the_zookeeper_listener_ends_the_process: "zookeeper-accept";
    panic_of_a_traffic_listener_ends_the_process: "traffic-accept";
    panic_where_the_log_takes_entries_ends_the_process: "append-before";
}

#[test]
fn panic_of_the_thread_that_prepares_segments_ends_the_process() {
    let process = Process::start("log-prepare=panic\n");
    ends_by_itself(process, "log-prepare");
}

#[test]
fn panic_where_the_vote_is_saved_ends_the_process() {
    let process = Process::start("vote-before-save=panic\n");
    ends_by_itself(process, "vote-before-save");
}

fn ends_by_itself(mut process: Process, place: &str) {
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = process.child.try_wait().expect("a child") {
            break status;
        }
        assert!(Instant::now() < deadline, "lives on: {}", process.text());
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(1), "{}", process.text());
    let sign = format!("\"panicked: failpoint {place} panic\"");
    assert!(process.text().contains(&sign), "{}", process.text());
}

#[test]
fn stall_of_the_logs_writer_ends_the_process() {
    stalls_at("log-before-sync", "log");
}

#[test]
fn stall_of_apply_ends_the_process() {
    stalls_at("apply-before", "runtime");
}

#[test]
fn stall_of_the_core_ends_the_process() {
    stalls_at("raft", "runtime");
}

#[test]
fn abort_leaves_a_log_that_opens_again() {
    let mut process = Process::start("");
    process.await_ready();
    let (status, ..) = process.fail("log-before-sync=return\n", "never said");
    assert_eq!(status.signal(), Some(6), "{}", process.text());
    let log = PathBuf::from(process.dir.path()).join("data");
    assert!(log.is_dir(), "its log stays");
}

#[test]
fn panic_of_a_connection_ends_that_connection_and_is_counted() {
    let process = Process::start("zookeeper-connection=1*panic\n");
    process.await_ready();
    let (mut first, mut second) = (process.disturb(1), process.disturb(2));
    let ended = [first.wait(), second.wait()].map(|e| e.expect("a child"));
    assert!(ended.iter().any(ExitStatus::success), "one is served");
    let deadline = Instant::now() + PATIENCE;
    while !process.metrics().contains("\nzoogate_panics_total 1\n") {
        assert!(Instant::now() < deadline, "{}", process.metrics());
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(process.status("/healthz"), Some(200));
}

impl Process {
    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("it listens");
        let request = "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}
