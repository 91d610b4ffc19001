//! `zoogate explain` and `zoogate services`: what a node knows of services, for people.

mod show;

use super::args::{ExplainArgs, Form, ServicesArgs, ShowArgs, Subject};
use super::ask::Asking;
use super::output::Output;
use super::{CliError, Exit};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::timeout;

/// Explains a service or an instance.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: ExplainArgs, output: Output) -> Result<Exit, CliError> {
    let shown = match args.subject.instance {
        Some(_) => show::instance,
        None => show::service,
    };
    answer(args.show, &path(&args.subject), shown, output).await
}

/// Lists all services.
///
/// # Errors
/// [`CliError`].
pub(super) async fn services(args: ServicesArgs, output: Output) -> Result<Exit, CliError> {
    answer(args.show, "/v1/services", show::services, output).await
}

async fn answer(
    args: ShowArgs,
    path: &str,
    shown: fn(&Value) -> Vec<String>,
    output: Output,
) -> Result<Exit, CliError> {
    let asking = Asking::of(args.nodes)?;
    let limit = args.timeout;
    let asked = timeout(limit, asking.ask(&Method::GET, path, None)).await;
    let found = asked.map_err(|_| CliError::TimedOut {
        what: "the answer".into(),
        limit,
    })??;
    match args.output {
        Form::Json => output.lines([found])?,
        Form::Table => output.lines(shown(&found))?,
    }
    Ok(Exit::Ok)
}

fn path(subject: &Subject) -> String {
    let encoded = |name| utf8_percent_encode(name, NON_ALPHANUMERIC);
    let service = encoded(&subject.service);
    match &subject.instance {
        Some(instance) => format!("/v1/services/{service}/endpoints/{}", encoded(instance)),
        None => format!("/v1/services/{service}"),
    }
}
