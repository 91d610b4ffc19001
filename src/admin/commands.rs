//! `/commands` and `/commands/<name>`: what ZooKeeper's AdminServer answers, as JSON.
//!
//! ```text
//! {"command":"ruok","error":null}
//! ```
//! The answers come from whoever assembles the node; this room knows only that each is an object or a failure,
//! and gives both the form that tools of ZooKeeper's expect: the fields of the answer beside `command` and `error`.
//!
//! Source: ZooKeeper 3.9 Administrator's Guide, "The AdminServer".

use super::routes::{JSON, Page, found, page};
use hyper::StatusCode;
use serde_json::{Map, Value};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Where commands begin.
pub(super) const PREFIX: &str = "/commands";

/// Answers a command by its name, when it is asked.
pub type Run = dyn Fn(&str) -> Pin<Box<dyn Future<Output = CommandAnswer> + Send>> + Send + Sync;

/// The commands there are, and who answers them.
#[derive(Clone)]
pub struct Commands {
    /// Their names, in order.
    pub names: Vec<&'static str>,
    /// Answers one; any name may be asked.
    pub run: Arc<Run>,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAnswer {
    /// The command's own name, or what was asked if there is no such command.
    pub name: String,
    /// Its fields, or why there are none.
    pub result: Result<Map<String, Value>, Refusal>,
}

/// Why a command was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none of this name.
    Unknown(String),
    /// It is never answered here.
    Unserved(String),
    /// It may be answered later.
    NotNow(String),
}

impl Commands {
    /// The page for what is behind [`PREFIX`]: the list of commands, or the answer of one.
    pub(super) async fn answer(&self, rest: &str) -> Page {
        match rest.trim_matches('/') {
            "" => found(JSON, listed(&self.names)),
            name => answered((self.run)(name).await),
        }
    }
}

/// The list: what to ask, by name.
fn listed(names: &[&str]) -> String {
    let paths = names
        .iter()
        .map(|name| Value::from(format!("{PREFIX}/{name}")));
    text(Map::from_iter([(
        "commands".to_owned(),
        paths.collect::<Vec<_>>().into(),
    )]))
}

fn answered(answer: CommandAnswer) -> Page {
    let (status, error, mut fields) = match answer.result {
        Ok(fields) => (StatusCode::OK, Value::Null, fields),
        Err(refusal) => {
            let (status, why) = refusal.parts();
            (status, why.into(), Map::new())
        }
    };
    fields.insert("command".to_owned(), answer.name.into());
    fields.insert("error".to_owned(), error);
    page(status, JSON, text(fields))
}

impl Refusal {
    fn parts(self) -> (StatusCode, String) {
        match self {
            Refusal::Unknown(why) => (StatusCode::NOT_FOUND, why),
            Refusal::Unserved(why) => (StatusCode::NOT_IMPLEMENTED, why),
            Refusal::NotNow(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        }
    }
}

/// Indented, since people read it.
fn text(fields: Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(fields))
}
