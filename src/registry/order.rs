//! What an operator wants of an instance, as its znode `/zoogate/admin/<service>/<instance>` holds it.
//!
//! ```text
//! {"state":"drain","deadline":"30s","by":"10.0.0.9","since":"2026-11-30T12:00:00Z"}
//! drain
//! ```
//! | key | value |
//! |---|---|
//! | `state` | `drain`, or `ready`, which is as good as no znode |
//! | `deadline` | how long exchanges under way may go on once a node has seen it, in place of the service's `drain_timeout` |
//! | `by`, `since` | for people |
//!
//! The bare word does as well, for those who write it by hand. Unknown keys are tolerated: whoever wrote them may be
//! newer. What cannot be read changes nothing, and is reported.

use super::payload::quoted;
use crate::config::limits::DRAIN_TIMEOUT;
use crate::routing::DrainOrder;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest text that is read, in bytes: an order has a hundred.
const MAX_BYTES: usize = 4096;

/// Longest `by` and `since`, in bytes.
const MAX_WORDS: usize = 255;

/// Why an order cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Longer than any order.
    #[error("it has {0} bytes; expected at most {MAX_BYTES}")]
    TooLong(usize),
    /// Neither a known word nor JSON of the right shape.
    #[error("found {0}; expected drain, ready, or {{\"state\":\"drain\"}}")]
    Form(String),
    /// The state is none.
    #[error("found \"state\": {0:?}; expected \"drain\" or \"ready\"")]
    State(String),
    /// The deadline is none.
    #[error("found \"deadline\": {0:?}; expected a duration like \"30s\", at most one day")]
    Deadline(String),
    /// A text for people that could harm their terminals.
    #[error("found {0:?} with a control character or more than {MAX_WORDS} bytes")]
    Words(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Text {
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

/// Reads the data of an order's znode; `None` if it says that the instance is in use.
///
/// # Errors
/// [`OrderError`].
pub fn parse(data: &[u8]) -> Result<Option<DrainOrder>, OrderError> {
    if data.len() > MAX_BYTES {
        return Err(OrderError::TooLong(data.len()));
    }
    let text = String::from_utf8_lossy(data);
    let found = match text.trim() {
        "ready" => return Ok(None),
        "drain" => return Ok(Some(DrainOrder::default())),
        "" => return Err(OrderError::Form("nothing".into())),
        text => serde_json::from_str::<Text>(text),
    };
    let found = found.map_err(|_| OrderError::Form(format!("{:?}", quoted(text.trim()))))?;
    match found.state.as_str() {
        "ready" => return Ok(None),
        "drain" => {}
        other => return Err(OrderError::State(quoted(other))),
    }
    Ok(Some(DrainOrder {
        deadline: found.deadline.as_deref().map(deadline).transpose()?,
        by: words("by", found.by)?,
        since: words("since", found.since)?,
    }))
}

/// The data of an order's znode.
pub fn to_json(order: &DrainOrder) -> String {
    let deadline = order.deadline.map(humantime::format_duration);
    let text = Text {
        state: "drain".into(),
        deadline: deadline.map(|deadline| deadline.to_string()),
        by: order.by.clone(),
        since: order.since.clone(),
    };
    serde_json::to_string(&text).expect("its keys are text and its values plain")
}

/// Reads a deadline as orders and requests for them have it.
///
/// # Errors
/// [`OrderError::Deadline`].
pub fn deadline(text: &str) -> Result<Duration, OrderError> {
    let deadline = humantime::parse_duration(text).ok();
    deadline
        .filter(|deadline| DRAIN_TIMEOUT.contains(deadline))
        .ok_or_else(|| OrderError::Deadline(quoted(text)))
}

fn words(key: &'static str, text: Option<String>) -> Result<Option<String>, OrderError> {
    let is_fit = |text: &String| text.len() <= MAX_WORDS && !text.chars().any(char::is_control);
    match text {
        Some(text) if !is_fit(&text) => Err(OrderError::Words(key)),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for order in [
            DrainOrder::default(),
            DrainOrder {
                deadline: Some(Duration::from_millis(1500)),
                by: Some("10.0.0.9".into()),
                since: Some("2026-11-30T12:00:00Z".into()),
            },
        ] {
            assert_eq!(parse(to_json(&order).as_bytes()), Ok(Some(order)));
        }
    }

    #[test]
    fn words_and_newer_keys_do_as_well() {
        let drained = || Ok(Some(DrainOrder::default()));
        for (data, expected) in [
            ("drain\n", drained()),
            (r#"{"state":"drain","weight":3}"#, drained()),
            (r#"{"state":"drain","deadline":null}"#, drained()),
            ("ready", Ok(None)),
            (r#"{"state":"ready","deadline":"1s"}"#, Ok(None)),
        ] {
            assert_eq!(parse(data.as_bytes()), expected, "{data}");
        }
        let zero = parse(br#"{"state":"drain","deadline":"0s"}"#).unwrap();
        assert_eq!(zero.unwrap().deadline, Some(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_read_says_what_is_expected() {
        let form = r#"; expected drain, ready, or {"state":"drain"}"#;
        let deadline = r#"; expected a duration like "30s", at most one day"#;
        let control = r#"{"state":"drain","by":"\u001b[2J"}"#;
        for (data, expected) in [
            ("", format!("found nothing{form}")),
            ("drained", format!("found \"drained\"{form}")),
            ("[1]", format!("found \"[1]\"{form}")),
            ("{}", format!("found \"{{}}\"{form}")),
            (
                r#"{"state":"down"}"#,
                r#"found "state": "down"; expected "drain" or "ready""#.into(),
            ),
            (
                r#"{"state":"drain","deadline":"30"}"#,
                format!(r#"found "deadline": "30"{deadline}"#),
            ),
            (
                r#"{"state":"drain","deadline":"2d"}"#,
                format!(r#"found "deadline": "2d"{deadline}"#),
            ),
            (
                control,
                r#"found "by" with a control character or more than 255 bytes"#.into(),
            ),
            (
                &"x".repeat(5000),
                "it has 5000 bytes; expected at most 4096".into(),
            ),
        ] {
            let found = parse(data.as_bytes()).unwrap_err().to_string();
            assert_eq!(found, expected, "{data}");
        }
        assert!(parse(b"\xff\xfe").is_err());
    }
}
