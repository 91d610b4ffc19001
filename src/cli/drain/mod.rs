//! `zoogate drain` and `zoogate undrain`: asks a node's admin address for it, and waits for all nodes through it.

mod progress;

use super::args::{DrainArgs, Target, UndrainArgs};
use super::ask::{AskError, Asking};
use super::output::Output;
use super::{CliError, Exit};
use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use progress::Progress;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Time between questions while waiting: a node asks all others for each of them.
const LOOK: Duration = Duration::from_millis(250);

/// Time between lines that tell how far it is.
const TELL: Duration = Duration::from_secs(2);

/// Drains, and waits if that was asked for.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: DrainArgs, output: Output) -> Result<Exit, CliError> {
    let DrainArgs {
        endpoints,
        wait,
        deadline,
        timeout,
        without,
        nodes,
    } = args;
    let asking = Asking::of(nodes)?;
    let until = Instant::now() + timeout;
    let mut body = json!({ "by": std::env::var("USER").ok().filter(|user| is_name(user)) });
    if let Some(deadline) = deadline {
        body["deadline"] = humantime::format_duration(deadline).to_string().into();
    }
    let mut drained = Vec::new();
    for target in endpoints {
        let done = order(&asking, &target, "drain", &body, until, timeout).await?;
        drained.push((target, done["zxid"].as_u64().unwrap_or(0)));
    }
    if !wait {
        return Ok(Exit::Ok);
    }
    for (target, zxid) in &drained {
        let (mut last, mut told) = (None, None);
        let waiting = async {
            loop {
                let progress = look(&asking, target, *zxid, &without).await?;
                if progress.is_over() {
                    return Ok(());
                }
                if is_news(told.as_ref(), &progress) {
                    output.message(format_args!("{target}: {progress}"));
                    told = Some((Instant::now(), progress.clone()));
                }
                last = Some(progress);
                sleep(LOOK).await;
            }
        };
        let waited: Result<Result<(), CliError>, _> = timeout_at(until, waiting).await;
        waited.unwrap_or_else(|_| Err(late(target, last.as_ref(), timeout)))?;
    }
    Ok(Exit::Ok)
}

/// Whether it is to be told: the first of it at once, and later what is different, but not all the time.
fn is_news(told: Option<&(Instant, Progress)>, progress: &Progress) -> bool {
    told.is_none_or(|(at, before)| at.elapsed() >= TELL && before != progress)
}

/// Takes drains back.
///
/// # Errors
/// [`CliError`].
pub(super) async fn undo(args: UndrainArgs, output: Output) -> Result<Exit, CliError> {
    let asking = Asking::of(args.nodes)?;
    let until = Instant::now() + args.timeout;
    for target in &args.endpoints {
        let done = order(&asking, target, "undrain", &json!({}), until, args.timeout).await?;
        let still = done["drained_by"].as_array();
        let still: Vec<&str> = still
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !still.is_empty() {
            let who = still.join(" and ");
            output.message(format_args!("{target} is still drained, by its {who}"));
        }
    }
    Ok(Exit::Ok)
}

async fn order(
    asking: &Asking,
    target: &Target,
    verb: &str,
    body: &Value,
    until: Instant,
    limit: Duration,
) -> Result<Value, CliError> {
    let path = path(target, verb);
    let insisting = asking.insist(&Method::POST, &path, Some(body));
    match timeout_at(until, insisting).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(CliError::TimedOut {
            what: format!("the {verb} of {target}, whose outcome is not known,"),
            limit,
        }),
    }
}

fn path(target: &Target, what: &str) -> String {
    let encoded = |name| utf8_percent_encode(name, NON_ALPHANUMERIC);
    let (service, instance) = (encoded(&target.service), encoded(&target.instance));
    format!("/v1/services/{service}/endpoints/{instance}/{what}")
}

/// Asks how far it is. A node that is away for a moment is no reason to give up.
async fn look(
    asking: &Asking,
    target: &Target,
    zxid: u64,
    without: &[String],
) -> Result<Progress, CliError> {
    let path = path(target, "exchanges");
    match asking.ask(&Method::GET, &path, None).await {
        Ok(answer) => Ok(Progress::of(&answer, zxid, without)),
        Err(AskError::Refused { status, .. }) if status == StatusCode::SERVICE_UNAVAILABLE => {
            Ok(Progress::unknown())
        }
        Err(AskError::Connect { .. } | AskError::Http { .. }) => Ok(Progress::unknown()),
        Err(error) => Err(error.into()),
    }
}

fn late(target: &Target, last: Option<&Progress>, limit: Duration) -> CliError {
    let how = match last {
        Some(progress) => progress.to_string(),
        None => Progress::unknown().to_string(),
    };
    CliError::TimedOut {
        what: format!("the drain of {target}, which goes on ({how}),"),
        limit,
    }
}

/// Whether a name may stand in an order: it is shown to others.
fn is_name(user: &str) -> bool {
    (1..=64).contains(&user.len()) && !user.chars().any(char::is_control)
}
