//! Histories as the recorder writes them: one JSON object per line and operation.
//!
//! ```text
//! {"client": 3, "invoke": 17, "complete": 19, "outcome": "ok",
//!  "steps": [{"kind": "set", "key": "/r/1", "value": "c3-8", "expected": 4, "version": 5}]}
//! ```
//! Times are nanoseconds of one monotonic clock. `outcome` is `ok`; `error`, then `failed` is the number of the step that was
//! refused and `code` why; or `unknown`, and `complete` says nothing. More steps than one are a transaction: all or none. Other
//! members of the object are the recorder's.

use serde::Deserialize;

/// What one step wants of one znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Reads value and version.
    Get,
    /// Writes a value, if the version is the expected one.
    Set,
    /// Makes the znode with version 0.
    Create,
    /// Removes it, if the version is the expected one.
    Delete,
    /// Only compares the version.
    Check,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// What it wants.
    pub kind: Kind,
    /// Of which znode.
    pub key: String,
    /// The value written, or of a `get` the one seen.
    #[serde(default)]
    pub value: Option<String>,
    /// The version wanted; absent or -1 is any.
    #[serde(default)]
    pub expected: Option<i32>,
    /// The version that the answer tells, where it tells one.
    #[serde(default)]
    pub version: Option<i32>,
}

/// Why a step was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Another version than the expected one.
    BadVersion,
    /// It does not exist.
    NoNode,
    /// It exists already.
    NodeExists,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All steps happened.
    Ok,
    /// None happened, because this one was refused.
    Refused {
        /// The step's number.
        step: usize,
        /// Why.
        why: Refusal,
    },
    /// Nobody can tell.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it was asked for.
    pub invoke: u64,
    /// When it was answered.
    pub complete: u64,
    /// The answer.
    pub answer: Answer,
    /// Its steps, one at least.
    pub steps: Vec<Step>,
    /// The line it was read from, for people.
    pub line: usize,
}

/// Why a history cannot be read.
#[derive(Debug)]
pub struct HistoryError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl std::fmt::Display for HistoryError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for HistoryError {}

#[derive(Deserialize)]
struct Raw {
    invoke: u64,
    #[serde(default)]
    complete: Option<u64>,
    outcome: Outcome,
    steps: Vec<Step>,
    #[serde(default)]
    failed: Option<usize>,
    #[serde(default)]
    code: Option<Refusal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Error,
    Unknown,
}

/// Reads a whole history. One that cannot be understood to its last line is not judged.
pub fn read(text: &str) -> Result<Vec<Operation>, HistoryError> {
    let mut operations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        let wrong = |problem: String| HistoryError {
            line: line_number,
            problem,
        };
        let raw: Raw = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        operations.push(understand(raw, line_number).map_err(wrong)?);
    }
    Ok(operations)
}

fn understand(raw: Raw, line: usize) -> Result<Operation, String> {
    if raw.steps.is_empty() {
        return Err("an operation without a step".into());
    }
    let answer = match (raw.outcome, raw.failed, raw.code) {
        (Outcome::Ok, None, None) => Answer::Ok,
        (Outcome::Unknown, None, None) => Answer::Unknown,
        (Outcome::Error, Some(step), Some(why)) if step < raw.steps.len() => {
            Answer::Refused { step, why }
        }
        _ => return Err("outcome, failed and code do not go together".into()),
    };
    let complete = match (answer, raw.complete) {
        (Answer::Unknown, _) => u64::MAX,
        (_, Some(complete)) if complete >= raw.invoke => complete,
        (_, Some(_)) => return Err("answered before it was asked for".into()),
        (_, None) => return Err("an answer without its time".into()),
    };
    for step in &raw.steps {
        let writes = matches!(step.kind, Kind::Set | Kind::Create);
        if writes && step.value.is_none() {
            return Err(format!("nothing is written to {}", step.key));
        }
        if step.kind == Kind::Get && answer == Answer::Ok && step.value.is_none() {
            return Err(format!("nothing was read of {}", step.key));
        }
    }
    Ok(Operation {
        invoke: raw.invoke,
        complete,
        answer,
        steps: raw.steps,
        line,
    })
}
