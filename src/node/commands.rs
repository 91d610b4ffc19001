//! Joins the admin door's commands to the ZooKeeper port that answers them: doors do not know each other.

use crate::admin::{CommandAnswer, Commands, Refusal};
use crate::zk::{Command, CommandFailure, Monitor};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The commands that `monitor` answers.
pub(super) fn commands(monitor: Monitor) -> Commands {
    Commands {
        names: Command::ALL.iter().map(|command| command.name).collect(),
        run: Arc::new(move |name| {
            let (name, monitor) = (name.to_owned(), monitor.clone());
            Box::pin(async move { run(&monitor, name).await })
        }),
    }
}

async fn run(monitor: &Monitor, asked: String) -> CommandAnswer {
    match Command::find(&asked) {
        Some(command) => CommandAnswer {
            name: command.name.to_owned(),
            result: monitor.command(command).await.map_err(refusal),
        },
        None => CommandAnswer {
            result: unknown(&asked),
            name: asked,
        },
    }
}

fn unknown(asked: &str) -> Result<Map<String, Value>, Refusal> {
    let why = format!("Unknown command: {asked}");
    Err(Refusal::Unknown(why))
}

fn refusal(failure: CommandFailure) -> Refusal {
    match failure {
        CommandFailure::Unserved(why) => Refusal::Unserved(why.to_owned()),
        CommandFailure::NotNow(why) => Refusal::NotNow(why),
    }
}
