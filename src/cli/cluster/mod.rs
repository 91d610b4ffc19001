//! `zoogate cluster`: asks a node's admin address about the members, and for changes.

mod ask;
mod table;

use super::admin::Access;
use super::args::{ClusterArgs, ClusterVerb};
use super::output::Output;
use super::{CliError, Exit};
use ask::{AskError, Asking};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Pause before a change is asked for again.
const RETRY: Duration = Duration::from_millis(300);

/// Does one verb.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: ClusterArgs, output: Output) -> Result<Exit, CliError> {
    let asking = Asking {
        access: Access::of(&args.access)?,
        nodes: args.admin,
    };
    let limit = args.timeout;
    let verb = perform(&asking, args.verb, output);
    timeout(limit, verb).await.unwrap_or_else(|_| {
        let what = "the change, whose outcome is not known,".into();
        Err(CliError::TimedOut { what, limit })
    })
}

async fn perform(asking: &Asking, verb: ClusterVerb, output: Output) -> Result<Exit, CliError> {
    let change = |method, path: String| insist(asking, method, path, None);
    let path = |number: u64, verb: &str| format!("/v1/cluster/members/{number}{verb}");
    match verb {
        ClusterVerb::Members { json } => {
            let found = survey(asking).await?;
            match json {
                true => output.lines([found])?,
                false => output.lines(table::members(&found))?,
            }
        }
        ClusterVerb::Status { json } => {
            let found = survey(asking).await?;
            let has_quorum = found["quorum"] == Value::Bool(true);
            match json {
                true => output.lines([found])?,
                false => output.lines([table::status(&found)])?,
            }
            if !has_quorum {
                return Ok(Exit::Unreachable);
            }
        }
        ClusterVerb::Add {
            observer,
            name,
            address,
        } => {
            let body = json!({ "name": name, "address": address, "observer": observer });
            let path = "/v1/cluster/members".into();
            let done = insist(asking, Method::POST, path, Some(body)).await?;
            output.lines([&done["member"]])?;
        }
        ClusterVerb::Remove { member } => {
            let number = number(asking, &member).await?;
            change(Method::DELETE, path(number, "")).await?;
        }
        ClusterVerb::Promote { member } => {
            let number = number(asking, &member).await?;
            change(Method::POST, path(number, "/promote")).await?;
        }
        ClusterVerb::Demote { member } => {
            let number = number(asking, &member).await?;
            change(Method::POST, path(number, "/demote")).await?;
        }
        ClusterVerb::TransferLeader { member } => {
            let body = match member {
                Some(member) => json!({ "member": number(asking, &member).await? }),
                None => json!({}),
            };
            let path = "/v1/cluster/leader".into();
            let done = insist(asking, Method::POST, path, Some(body)).await?;
            output.lines([&done["leader"]])?;
        }
    }
    Ok(Exit::Ok)
}

async fn survey(asking: &Asking) -> Result<Value, CliError> {
    let found = asking.ask(&Method::GET, "/v1/cluster", None).await;
    found.map_err(failed)
}

/// Asks until it is done or refused for good: what is under way ends, and a leader is found.
async fn insist(
    asking: &Asking,
    method: Method,
    path: String,
    body: Option<Value>,
) -> Result<Value, CliError> {
    loop {
        match asking.ask(&method, &path, body.as_ref()).await {
            Err(AskError::Refused { error, .. })
                if error == "in-progress" || error == "no-leader" => {}
            other => return other.map_err(failed),
        }
        sleep(RETRY).await;
    }
}

/// The number of a member that is given by its number or name.
async fn number(asking: &Asking, member: &str) -> Result<u64, CliError> {
    if let Ok(number) = member.parse() {
        return Ok(number);
    }
    let found = survey(asking).await?;
    let members = found["members"].as_array();
    let mut named = members
        .into_iter()
        .flatten()
        .filter(|m| m["name"] == member);
    let number = named.next().and_then(|m| m["number"].as_u64());
    match (number, named.next()) {
        (Some(number), None) => Ok(number),
        (Some(_), Some(_)) => {
            let why = format!("several members are called {member:?}: give a number");
            Err(CliError::Usage(why))
        }
        (None, _) => {
            let why = format!("no member is called {member:?}");
            Err(CliError::failed(Exit::NotFound, why))
        }
    }
}

fn failed(error: AskError) -> CliError {
    CliError::failed(error.exit(), error)
}
