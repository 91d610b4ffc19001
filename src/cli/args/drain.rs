//! `zoogate drain` and `zoogate undrain`.

use super::{NodeArgs, values};
use crate::config::limits::DRAIN_TIMEOUT;
use clap::Args as ClapArgs;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// `zoogate drain`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate drain web/10.0.0.5:8080                     nothing new for it; what it has may go on for drain_timeout
  zoogate drain web/a web/b --deadline 10m --wait --timeout 11m && ssh a reboot
  zoogate drain web/a --wait --without n3             n3 is down: do not wait for its answer
  zoogate undrain web/a

An endpoint is SERVICE/INSTANCE, where INSTANCE is the name of its znode below /services/SERVICE, or HOST:PORT of \
an endpoint from the settings; `zoogate explain SERVICE` lists them. The order is the znode \
/zoogate/admin/SERVICE/INSTANCE: it holds on every node, until it is taken back, whether the instance is \
registered or not.

Any node may be asked. With --wait it asks all the others: it is over when each of them follows the order and has no \
connection or request under way with the endpoint. What is under way at the deadline is ended (TCP: FIN).

Exit codes: 0 done, 1 failed, 2 it makes no sense, 3 no such service or instance, 5 no node reachable, no leader or \
no quorum, 6 not permitted, 7 timed out: the drain goes on.")]
pub(in crate::cli) struct DrainArgs {
    /// The endpoints
    #[arg(value_name = "SERVICE/INSTANCE", required = true)]
    pub(in crate::cli) endpoints: Vec<Target>,
    /// Wait until no node has anything under way with them
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// How long what is under way may go on, at most one day; 0s ends it at once [default: the service's drain_timeout]
    #[arg(long, value_name = "DURATION", value_parser = drain_deadline)]
    pub(in crate::cli) deadline: Option<Duration>,
    /// Longest wait for all of it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::deadline)]
    pub(in crate::cli) timeout: Duration,
    /// With --wait: do not wait for this node, by its name; for nodes that are known to be down
    #[arg(long, value_name = "NODE", requires = "wait")]
    pub(in crate::cli) without: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) nodes: NodeArgs,
}

/// `zoogate undrain`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate undrain web/10.0.0.5:8080
  zoogate undrain web/a web/b

Takes back what `zoogate drain` asked for, and nothing else: what the settings list under `drain`, or the instance \
itself registers, still holds, and is told. To take back what was not asked for is no error.

Exit codes: as `zoogate drain`.")]
pub(in crate::cli) struct UndrainArgs {
    /// The endpoints
    #[arg(value_name = "SERVICE/INSTANCE", required = true)]
    pub(in crate::cli) endpoints: Vec<Target>,
    /// Longest wait for all of it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::deadline)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) nodes: NodeArgs,
}

/// An endpoint, by the names of its service and its instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Target {
    /// The service.
    pub(in crate::cli) service: String,
    /// The instance.
    pub(in crate::cli) instance: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (service, instance) = text.split_once('/').ok_or("write it as SERVICE/INSTANCE")?;
        Ok(Target {
            service: values::segment(service)?,
            instance: values::segment(instance)?,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.instance)
    }
}

fn drain_deadline(text: &str) -> Result<Duration, String> {
    match values::duration(text)? {
        deadline if DRAIN_TIMEOUT.contains(&deadline) => Ok(deadline),
        _ => Err("at most one day".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_service_and_an_instance() {
        let target: Target = "web/10.0.0.5:80".parse().unwrap();
        let (service, instance) = ("web".into(), "10.0.0.5:80".into());
        assert_eq!(target, Target { service, instance });
        assert_eq!(target.to_string(), "web/10.0.0.5:80");
        for bad in ["", "web", "web/", "/a", "web/a/b", "../a", "web/.."] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn deadlines_are_as_long_as_settings_allow() {
        assert_eq!(drain_deadline("0s"), Ok(Duration::ZERO));
        assert!(drain_deadline("25h").is_err());
    }
}
