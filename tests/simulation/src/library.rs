//! A session of `zoogate::client`, the client that the command line uses: it reconnects, moves and watches by itself.

use crate::check::acknowledged::{Effect, Outcome};
use crate::check::sync;
use crate::history::History;
use crate::member::{CLIENTS, address};
use crate::plan::Plan;
use crate::workload::REGISTERS;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::sleep;
use zoogate::client::{Client, ClientError, Hosts, Watch};
use zoogate::simulation as world;

/// Works for ever.
pub async fn run(number: usize, plan: Plan, history: History) {
    let hosts: Vec<String> = (0..plan.members)
        .map(|host| address(host, CLIENTS))
        .collect();
    let hosts: Hosts = hosts.join(",").parse().expect("addresses");
    let mut values = 0;
    loop {
        let Ok((client, _events)) = Client::connect(&hosts, plan.session_timeout).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        world::count("sessions of the library");
        loop {
            if history.with(|record| record.is_quiet) {
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            values += 1;
            let value = Bytes::from(format!("l{number}.{values}"));
            let path = REGISTERS[values % REGISTERS.len()];
            match round(&client, &history, number, path, value).await {
                Err(ClientError::Expired | ClientError::Closed) => break,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

/// A write, then a read that must show it or something newer.
async fn round(
    client: &Client,
    history: &History,
    number: usize,
    path: &'static str,
    value: Bytes,
) -> Result<(), ClientError> {
    let effects = vec![Effect::Set(path.into(), value.clone())];
    let request = history.with(|record| record.checks.acknowledged.asked(effects));
    let sent = world::now();
    match client.set_data(path, value, None).await {
        Ok(stat) => history.with(|record| {
            let outcome = Outcome::Done(stat.mzxid.0);
            record.checks.acknowledged.answered(request, outcome);
            record.acknowledged = record.acknowledged.max(stat.mzxid.0);
            record.progress(number, sent);
        }),
        Err(error) => {
            if let ClientError::Refused { .. } = error {
                let refused = Outcome::Refused;
                history.with(|record| record.checks.acknowledged.answered(request, refused));
            }
            return Err(error);
        }
    }
    let floor = history.with(|record| record.acknowledged);
    client.sync("/").await?;
    let (data, stat) = client.data(path, Watch::Once).await?;
    history.with(|record| {
        let written = stat.mzxid.0;
        let verdict = sync::value(&record.truth, path, written, Some(&data));
        record.judge("sync", verdict);
        let newer = record.truth.since(path, written).next();
        if let Some((newer, _)) = newer
            && newer <= floor
        {
            let what = format!(
                "{path} was read as of {written} behind a sync sent after {newer} was acknowledged"
            );
            record.violated("sync", what);
        }
    });
    Ok(())
}
