//! `zoogate cluster`: asks a node's admin address about the members, and for changes.

mod table;

use super::args::{ClusterArgs, ClusterVerb};
use super::ask::Asking;
use super::output::Output;
use super::{CliError, Exit};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

/// Does one verb.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: ClusterArgs, output: Output) -> Result<Exit, CliError> {
    let asking = Asking::of(args.nodes)?;
    let limit = args.timeout;
    let verb = perform(&asking, args.verb, output);
    timeout(limit, verb).await.unwrap_or_else(|_| {
        let what = "the change, whose outcome is not known,".into();
        Err(CliError::TimedOut { what, limit })
    })
}

async fn perform(asking: &Asking, verb: ClusterVerb, output: Output) -> Result<Exit, CliError> {
    let change = async |method, path: String| asking.insist(&method, &path, None).await;
    let post = async |path, body| asking.insist(&Method::POST, path, Some(&body)).await;
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
            let done = post("/v1/cluster/members", body).await?;
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
            let done = post("/v1/cluster/leader", body).await?;
            output.lines([&done["leader"]])?;
        }
    }
    Ok(Exit::Ok)
}

async fn survey(asking: &Asking) -> Result<Value, CliError> {
    Ok(asking.ask(&Method::GET, "/v1/cluster", None).await?)
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
