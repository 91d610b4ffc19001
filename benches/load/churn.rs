//! Sessions that come, create an ephemeral and go: what a service that is deployed anew asks of its registry.

use crate::Window;
use crate::connection::{Connection, LoadError};
use crate::latency::Tally;
use tokio::time::Instant;

/// One such session after the other, each on the next server; `number` tells this worker from others.
pub(crate) async fn run(
    hosts: Vec<String>,
    number: usize,
    window: Window,
) -> Result<Tally, LoadError> {
    let mut tally = Tally::default();
    let mut begun = 0;
    loop {
        let now = Instant::now();
        if now >= window.end || begun == window.quota {
            return Ok(tally);
        }
        let host = &hosts[(number + begun as usize) % hosts.len()];
        match live(host, &format!("/bench/live/{number}-{begun}")).await {
            Ok(0) => tally.answered(now, window),
            Ok(code) => tally.failed(&format!("code {code}")),
            // A session that was not to be had is counted, and the others go on.
            Err(error) => tally.failed(&error.to_string()),
        }
        begun += 1;
    }
}

/// One session's whole life; the first error code there is, 0 for none.
async fn live(host: &str, path: &str) -> Result<i32, LoadError> {
    let mut connection = Connection::open(host).await?;
    connection.ask_create(path, true);
    let created = connection.finish().await?;
    let closed = connection.close().await?;
    Ok(if created != 0 { created } else { closed })
}
