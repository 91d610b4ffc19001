//! The set-up of logs: text for people, one JSON object per line for everything else, always on stderr.
//!
//! Standard output belongs to the data a verb prints. `ZOOGATE_LOG` filters, in the syntax of
//! `tracing-subscriber`'s `EnvFilter` (`info`, `zoogate::registry=debug,warn`).

use super::log_line::JsonLine;
use super::panics::log_panics;
use std::io::{self, IsTerminal};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The environment variable that filters logs.
pub const LOG_VARIABLE: &str = "ZOOGATE_LOG";

/// The filter where the variable is absent or empty. One line per exchange is for those who ask for it
/// (`info,access=info`), and Raft's own account of every lost peer and election for those who debug it.
const DEFAULT_FILTER: &str = "info,access=warn,openraft=error";

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter does not parse.
    #[error("{LOG_VARIABLE}={filter:?} is not a log filter")]
    Filter {
        /// What the variable holds.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process has a log already.
    #[error("logs are set up already")]
    Twice(#[source] TryInitError),
}

/// Sends the process's log, panics included, to stderr: text when it is a terminal, with colours unless `NO_COLOR` is set
/// (<https://no-color.org>), else JSON lines that carry the name of the `node`.
///
/// # Errors
/// [`LogsError`] when `ZOOGATE_LOG` does not parse or the process has a log already.
pub fn init_logs(node: &str) -> Result<(), LogsError> {
    let filter = filter(std::env::var(LOG_VARIABLE).ok())?;
    let made = if io::stderr().is_terminal() {
        let colours = colours(std::env::var("NO_COLOR").ok().as_deref());
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(colours)
            .finish()
            .try_init()
    } else {
        json(node, filter, io::stderr).try_init()
    };
    made.map_err(LogsError::Twice)?;
    log_panics();
    Ok(())
}

/// What writes JSON lines for `node` to `writer`.
fn json<W>(node: &str, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine::new(node))
        .finish()
}

fn filter(text: Option<String>) -> Result<EnvFilter, LogsError> {
    let filter = text
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| DEFAULT_FILTER.into());
    EnvFilter::builder()
        .parse(&filter)
        .map_err(|source| LogsError::Filter { filter, source })
}

/// Any value but the empty one switches colours off.
fn colours(no_color: Option<&str>) -> bool {
    no_color.is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use serde_json::{Value, json};
    use std::io::Write;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `log` writes under `level`.
    fn lines(level: &str, log: impl FnOnce()) -> Vec<Value> {
        let memory = Memory::default();
        let writer = memory.clone();
        let filter = filter(Some(level.into())).expect("valid filter");
        let subscriber = super::json("n1", filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = memory.0.lock().clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("one JSON object per line"))
            .collect()
    }

    #[test]
    fn json_line_carries_time_level_node_target_message_and_fields() {
        let mut lines = lines("info", || {
            tracing::info!(
                service = "web",
                endpoints = 2_u64,
                up = true,
                "table\nbuilt"
            );
        });
        let line = lines[0].as_object_mut().expect("an object");
        let time = line.remove("ts").expect("a time");
        let time = time.as_str().expect("text");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
        let expected = json!({
            "level": "INFO",
            "node": "n1",
            "target": module_path!(),
            "message": "table\nbuilt",
            "fields": { "service": "web", "endpoints": 2, "up": true },
        });
        assert_eq!(lines[0], expected);
    }

    #[test]
    fn json_line_prints_the_chain_of_an_error() {
        let error = LogsError::Filter {
            filter: "=".into(),
            source: EnvFilter::builder().parse("a=b=c").expect_err("invalid"),
        };
        let expected = crate::telemetry::chain(&error).to_string();
        let lines = lines("info", || {
            tracing::warn!(error = &error as &dyn std::error::Error, "no logs");
        });
        assert_eq!(lines[0]["fields"]["error"], expected);
    }

    #[test]
    fn json_line_names_the_spans_around_it() {
        let lines = lines("info", || {
            let outer = tracing::info_span!("listener", name = "web");
            let inner = tracing::info_span!(parent: &outer, "exchange", id = 7);
            inner.in_scope(|| tracing::info!("relayed"));
        });
        assert_eq!(
            lines[0]["spans"],
            json!([{ "span": "listener", "name": "web" }, { "span": "exchange", "id": 7 }])
        );
    }

    #[test]
    fn filter_hides_what_is_below_the_level() {
        let lines = lines("warn", || {
            tracing::info!("hidden");
            tracing::warn!("shown");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "shown");
    }

    #[test]
    fn absent_or_empty_filter_means_info() {
        for text in [None, Some(String::new()), Some(" ".into())] {
            let default = filter(text).expect("valid").to_string();
            assert_eq!(
                default,
                filter(Some(DEFAULT_FILTER.into()))
                    .expect("valid")
                    .to_string()
            );
        }
        assert!(matches!(
            filter(Some("zoogate=loud".into())),
            Err(LogsError::Filter { .. })
        ));
    }

    #[test]
    fn no_color_counts_only_when_it_is_not_empty() {
        assert!(colours(None));
        assert!(colours(Some("")));
        assert!(!colours(Some("1")));
    }
}
