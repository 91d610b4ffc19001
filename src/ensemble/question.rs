//! Questions that the rooms above ask of all members, through the connections that members have anyway.
//!
//! An operator's port is usually within reach of its own machine only, so who wants to know something of every node
//! asks one of them, and that one asks the others here. What is asked and answered are bytes that this room does not
//! look into; an answer is made at once, from what the other member knows.

use super::handle::Ensemble;
use super::limits::{ANSWER_BYTES, ASK_TIMEOUT, QUESTION_BYTES};
use super::peer::{Answer, Ask, Link};
use crate::telemetry::chain;
use bytes::Bytes;
use futures_util::future::join_all;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;

/// Answers a question of another member; `None` if it makes no sense. Must be quick and must not wait.
pub type Answerer = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

/// What one member said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAnswer {
    /// The member's number.
    pub number: u64,
    /// Its `[node] name`.
    pub name: String,
    /// What it said.
    pub answer: Result<Bytes, Unanswered>,
}

/// Why a member said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It cannot be reached, is of a version that does not know such questions, or has no time.
    #[error("it does not answer: {0}")]
    Silent(String),
    /// It does not understand this one.
    #[error("it does not understand the question; its version may be another one")]
    NotUnderstood,
}

impl Ensemble {
    /// From now on questions of members, this one included, are answered by `answerer`; the first one stays.
    pub fn answer_members(&self, answerer: Arc<Answerer>) {
        // A second one would be a second node in one process's member, which there is not.
        let _ = self.inner().answerer.set(answerer);
    }

    /// Asks all members at once, observers and this one included, and waits for the answers, at most `ASK_TIMEOUT`.
    /// In the order of their numbers.
    ///
    /// # Cancel safety
    /// A cancelled call leaves nothing behind.
    pub async fn ask_members(&self, question: Bytes) -> Vec<MemberAnswer> {
        debug_assert!(question.len() <= QUESTION_BYTES);
        let inner = self.inner();
        let members: Vec<(u64, String, String)> = {
            let facts = inner.raft.server_metrics();
            let facts = facts.borrow_watched();
            let membership = facts.membership_config.membership();
            let nodes = membership.nodes();
            nodes
                .map(|(id, member)| (*id, member.name.clone(), member.address.clone()))
                .collect()
        };
        let asking = members.into_iter().map(|(number, name, address)| {
            let question = question.clone();
            async move {
                let answer = match number == inner.me.member {
                    true => self.own_answer(&question).ok_or(Unanswered::NotUnderstood),
                    false => self.ask_member(number, &address, question).await,
                };
                MemberAnswer {
                    number,
                    name,
                    answer,
                }
            }
        });
        let mut answers = join_all(asking).await;
        answers.sort_by_key(|answer| answer.number);
        answers
    }

    async fn ask_member(
        &self,
        number: u64,
        address: &str,
        question: Bytes,
    ) -> Result<Bytes, Unanswered> {
        // A link of its own: one that does not know the question closes the connection.
        let mut link = Link::new(&self.inner().me, Some(number), address);
        match link.ask(&Ask::Question(question), ASK_TIMEOUT).await {
            Ok(Answer::Question(Some(answer))) => Ok(answer),
            Ok(_) => Err(Unanswered::NotUnderstood),
            Err(error) => Err(Unanswered::Silent(chain(&error).to_string())),
        }
    }

    /// This member's answer.
    pub(super) fn own_answer(&self, question: &[u8]) -> Option<Bytes> {
        if question.len() > QUESTION_BYTES {
            return None;
        }
        let answer = self.inner().answerer.get()?(question)?;
        (answer.len() <= ANSWER_BYTES).then(|| answer.into())
    }
}
