//! A load generator for any ensemble that speaks ZooKeeper's protocol; `benches/coordination` runs it.
//!
//! A closed loop: a given number of operations is outstanding at any time, over at most
//! [`MOST_CONNECTIONS`] connections that are spread evenly over the servers. Bare frames instead of
//! `zoogate::client`, because the generator shares the machine with the servers and must cost little beside
//! them. Whatever was measured is one JSON object on standard output.
//!
//! ```text
//! main        what is asked for, and the answer as JSON
//! steady      one operation over and over: set, create, get, sync and get
//! churn       sessions that come, create an ephemeral and go
//! failover    from kill -9 of a server to the next write that is answered
//! connection  one session's frames, and why there are none
//! latency     what was counted and how long it took
//! ```
mod churn;
mod connection;
mod failover;
mod latency;
mod steady;

use clap::{Parser, Subcommand, ValueEnum};
use connection::{Connection, LoadError, prepare};
use latency::Tally;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// Measures an ensemble that speaks ZooKeeper's protocol.
#[derive(Parser)]
struct Arguments {
    /// Client ports of the servers, HOST:PORT, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    hosts: Vec<String>,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// Creates the znodes that the operations use.
    Prepare,
    /// Repeats an operation for a time, or a number of times.
    Run(Run),
    /// Kills a process and measures until the hosts answer a write again.
    Failover {
        /// The process that serves none of the hosts and leads them all.
        #[arg(long)]
        kill: i32,
    },
}

#[derive(clap::Args)]
struct Run {
    operation: Operation,
    /// Operations under way at any time.
    #[arg(long, default_value_t = 1)]
    outstanding: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Seconds before, not measured.
    #[arg(long, default_value_t = 0.2)]
    warm_up: f64,
    /// Ends after so many operations instead, and measures them all.
    #[arg(long)]
    count: Option<u64>,
}

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Operation {
    /// Replaces the data of one of a thousand znodes.
    Set,
    /// Creates a znode.
    Create,
    /// Reads one of a thousand znodes from the server at hand.
    Get,
    /// The same behind a barrier through the leader: `sync` and `get`, sent together, counted as one.
    SyncGet,
    /// Connects, opens a session, creates an ephemeral, closes the session.
    Churn,
}

/// More operations outstanding than this share connections, as those of busy clients do.
const MOST_CONNECTIONS: usize = 32;

/// When a run counts and when it ends.
#[derive(Clone, Copy)]
struct Window {
    /// What ends earlier is not counted.
    begin: Instant,
    /// Nothing begins later.
    end: Instant,
    /// Operations each worker may begin.
    quota: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).await {
        Ok(result) => match writeln!(std::io::stdout().lock(), "{result}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            // Nobody is left to tell if this fails too.
            let _ = writeln!(std::io::stderr().lock(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<serde_json::Value, LoadError> {
    let hosts = &arguments.hosts;
    match &arguments.measure {
        Measure::Prepare => {
            let mut connection = Connection::open(&hosts[0]).await?;
            prepare(&mut connection).await?;
            connection.close().await?;
            Ok(json!({}))
        }
        Measure::Run(run) => {
            let (mut tally, seconds) = match (run.operation, run.outstanding) {
                (_, 0) => return Err(LoadError::NothingOutstanding),
                (Operation::Churn, outstanding) => churn(hosts, run, outstanding).await?,
                (_, outstanding) if outstanding < hosts.len() => in_turn(hosts, run).await?,
                _ => steady(hosts, run).await?,
            };
            Ok(tally.report(seconds))
        }
        Measure::Failover { kill } => {
            let took = failover::first_write(hosts, *kill).await?;
            Ok(json!({ "milliseconds": took.as_secs_f64() * 1e3 }))
        }
    }
}

/// Fewer connections than servers: each server in turn gets its share of the time, because leader and
/// followers differ.
async fn in_turn(hosts: &[String], run: &Run) -> Result<(Tally, f64), LoadError> {
    let share = hosts.len() as f64;
    let run = Run {
        seconds: run.seconds / share,
        warm_up: run.warm_up / share,
        count: run.count.map(|count| count.div_ceil(hosts.len() as u64)),
        ..*run
    };
    let (mut all, mut seconds) = (Tally::default(), 0.0);
    for host in hosts {
        let (tally, took) = steady(std::slice::from_ref(host), &run).await?;
        all.merge(tally);
        seconds += took;
    }
    Ok((all, seconds))
}

/// The operation on all servers at once.
async fn steady(hosts: &[String], run: &Run) -> Result<(Tally, f64), LoadError> {
    let connections = run.outstanding.min(MOST_CONNECTIONS);
    let mut workers = Vec::new();
    for number in 0..connections {
        let extra = usize::from(number < run.outstanding % connections);
        let depth = run.outstanding / connections + extra;
        let host = &hosts[number % hosts.len()];
        workers.push(steady::Worker::open(host, run.operation, depth).await?);
    }
    let window = run.window(connections);
    let start = Instant::now();
    let running = workers.into_iter().map(|worker| worker.run(window));
    let tally = gather(running).await?;
    Ok((tally, run.measured(start)))
}

/// Sessions that come and go on all servers at once.
async fn churn(hosts: &[String], run: &Run, outstanding: usize) -> Result<(Tally, f64), LoadError> {
    let window = run.window(outstanding);
    let start = Instant::now();
    let running = (0..outstanding).map(|number| churn::run(hosts.to_vec(), number, window));
    let tally = gather(running).await?;
    Ok((tally, run.measured(start)))
}

/// Runs the workers at once, and sums up what they counted.
async fn gather(
    running: impl Iterator<Item = impl Future<Output = Result<Tally, LoadError>> + Send + 'static>,
) -> Result<Tally, LoadError> {
    let mut workers: tokio::task::JoinSet<_> = running.collect();
    let mut all = Tally::default();
    while let Some(ended) = workers.join_next().await {
        all.merge(ended.expect("workers neither panic nor are aborted")?);
    }
    Ok(all)
}

impl Run {
    fn window(&self, workers: usize) -> Window {
        let now = Instant::now();
        let Some(count) = self.count else {
            let begin = now + Duration::from_secs_f64(self.warm_up);
            let end = begin + Duration::from_secs_f64(self.seconds);
            let quota = u64::MAX;
            return Window { begin, end, quota };
        };
        Window {
            begin: now,
            end: now + LONGEST,
            quota: count.div_ceil(workers as u64),
        }
    }

    /// Seconds that the tally is of.
    fn measured(&self, start: Instant) -> f64 {
        match self.count {
            None => self.seconds,
            Some(_) => start.elapsed().as_secs_f64(),
        }
    }
}

/// After this a counted run ends as it is.
const LONGEST: Duration = Duration::from_secs(120);
