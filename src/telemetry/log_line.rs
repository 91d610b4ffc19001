//! One log line as a JSON object.
//!
//! ```text
//! {"ts":"2026-11-20T10:00:00.000000Z","level":"INFO","node":"n1","target":"zoogate::registry",
//!  "message":"table in use","fields":{"zxid":42},"spans":[{"span":"exchange","listener":"web"}]}
//! ```
//! `fields` and `spans` are left out where empty. The keys come in this order, so that a line can be read
//! without a tool. An error given as a field is printed with its chain.

use super::chain::chain;
use serde::Serialize;
use serde_json::{Map, Value};
use std::error::Error;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events as JSON objects that carry the name of the node.
pub(super) struct JsonLine {
    node: String,
}

#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    level: &'a str,
    node: &'a str,
    target: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Map<String, Value>>,
}

impl JsonLine {
    /// The format for the lines of `node`.
    pub(super) fn new(node: &str) -> JsonLine {
        JsonLine { node: node.into() }
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut ts = String::new();
        SystemTime.format_time(&mut Writer::new(&mut ts))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = Line {
            ts,
            level: event.metadata().level().as_str(),
            node: &self.node,
            target: event.metadata().target(),
            message: fields.message,
            fields: fields.others,
            spans: spans(context),
        };
        let text = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{text}")
    }
}

/// The spans around an event, outermost first: their fields and, as `span`, their name.
fn spans<S>(context: &FmtContext<'_, S, JsonFields>) -> Vec<Map<String, Value>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let scope = context.event_scope().into_iter();
    let around = scope.flat_map(|scope| scope.from_root());
    around
        .map(|span| {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let mut object: Map<String, Value> = fields
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            object.insert("span".into(), span.name().into());
            object
        })
        .collect()
}

/// What an event says: its message and everything else.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().into(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.put(field, format!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.into(),
            _ => self.put(field, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, chain(value).to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}
