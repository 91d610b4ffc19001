//! `zoogate explain` and `zoogate services`.

use super::{NodeArgs, values};
use clap::{Args as ClapArgs, ValueEnum};
use std::str::FromStr;
use std::time::Duration;

/// `zoogate explain`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate explain web                           the service and all its endpoints, and why each is in or out
  zoogate explain web/10.0.0.5:8080             one of them, with everything that is known of it
  zoogate explain web --output json | jq '.endpoints[] | select(.in | not) | .why'
  zoogate explain web --admin 10.0.0.2:9180     as that node sees it

States: up, warming, held, suspect, ejected, unhealthy, draining; and of what is no endpoint: starting, stopped, \
unparsed, gone, absent (an order for what is not registered). An instance that has left is explained as well, as long \
as the node remembers it: some thousand departures.

Exit codes: 0 done, 1 failed, 2 it makes no sense, 3 no such service or instance, 5 no node reachable, 6 not \
permitted, 7 timed out.")]
pub(in crate::cli) struct ExplainArgs {
    /// What to explain
    #[arg(value_name = "SERVICE[/INSTANCE]")]
    pub(in crate::cli) subject: Subject,
    #[command(flatten)]
    pub(in crate::cli) show: ShowArgs,
}

/// `zoogate services`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate services
  zoogate services --output json | jq .zxid

Exit codes: as `zoogate explain`.")]
pub(in crate::cli) struct ServicesArgs {
    #[command(flatten)]
    pub(in crate::cli) show: ShowArgs,
}

/// Whom to ask, and how to show the answer.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ShowArgs {
    /// For people or for programs
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    pub(in crate::cli) output: Form,
    /// Longest wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::deadline)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) nodes: NodeArgs,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Form {
    /// Aligned columns
    Table,
    /// The node's own answer
    Json,
}

/// A service, or one of its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Subject {
    /// The service.
    pub(in crate::cli) service: String,
    /// The instance; all of them if there is none.
    pub(in crate::cli) instance: Option<String>,
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Subject, String> {
        let (service, instance) = match text.split_once('/') {
            Some((service, instance)) => (service, Some(values::segment(instance)?)),
            None => (text, None),
        };
        Ok(Subject {
            service: values::segment(service)?,
            instance,
        })
    }
}
