//! From kill -9 of the leader to the next write that is answered: how long clients are without a registry.

use crate::connection::{Connection, LoadError};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Gives up after this.
const LONGEST: Duration = Duration::from_secs(60);

/// Between two attempts: short beside what is measured, long beside what an attempt costs a server.
const PAUSE: Duration = Duration::from_millis(5);

/// One attempt's time. A write that a server holds for longer is made anew, as an impatient client would.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Kills `leader` and returns how long it then took until any of `hosts` answered a write that was made after
/// the leader was gone.
pub(crate) async fn first_write(hosts: &[String], leader: i32) -> Result<Duration, LoadError> {
    let mut connections = Vec::new();
    for host in hosts {
        let mut connection = Connection::open(host).await?;
        write(&mut connection).await?;
        connections.push(connection);
    }
    let refused = |source| LoadError::Kill {
        pid: leader,
        source,
    };
    let pid = Pid::from_raw(leader).ok_or_else(|| refused(std::io::ErrorKind::NotFound.into()))?;
    let killed = Instant::now();
    kill_process(pid, Signal::KILL).map_err(|error| refused(error.into()))?;
    while is_running(leader) {
        sleep(Duration::from_micros(200)).await;
    }
    let hosts = hosts.iter().cloned();
    let writers = hosts
        .zip(connections)
        .map(|(host, open)| until_written(host, open));
    let mut writers: JoinSet<_> = writers.collect();
    match timeout(LONGEST, writers.join_next()).await {
        Ok(Some(_)) => Ok(killed.elapsed()),
        _ => Err(LoadError::NoWrite(LONGEST)),
    }
}

/// Writes, over a new session whenever one fails, until a write is answered.
async fn until_written(host: String, open: Connection) {
    let mut open = Some(open);
    loop {
        let attempt = async {
            let mut connection = match open.take() {
                Some(connection) => connection,
                None => Connection::open(&host).await?,
            };
            write(&mut connection).await
        };
        if let Ok(Ok(())) = timeout(ATTEMPT, attempt).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn write(connection: &mut Connection) -> Result<(), LoadError> {
    connection.ask_set(0);
    match connection.finish().await? {
        0 => Ok(()),
        code => Err(LoadError::Unprepared {
            path: "the write".into(),
            code,
        }),
    }
}

/// Whether the process still has threads that could answer: a killed one stays as a zombie for its parent.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
