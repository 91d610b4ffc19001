//! What can be found in a log, in words rather than in openraft's types.

use super::record::{Checkpoint, Record};
use super::{Identity, LogId, Vote};
use crate::ensemble::types::Proposal;
use openraft::EntryPayload;
use std::path::PathBuf;
use std::sync::Arc;

/// Index and term.
pub type At = (u64, u64);

/// What was found at one place.
#[derive(Debug)]
pub enum Finding {
    /// A segment begins.
    Segment {
        /// Its path.
        path: PathBuf,
        /// Its length on disk.
        bytes: u64,
    },
    /// A record.
    Record {
        /// Where in the segment.
        offset: u64,
        /// How long.
        bytes: u64,
        /// What it says.
        fact: Box<Fact>,
    },
    /// The segment's records end.
    End {
        /// The segment.
        path: PathBuf,
        /// Behind the last record.
        offset: u64,
        /// What that means.
        ending: Ending,
    },
    /// Something that had been written is not there.
    Damage {
        /// In which file, or directory.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How it shows.
        reason: String,
    },
}

/// What follows the last record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The next segment.
    Continued,
    /// Nothing yet: this is the end of the log. Bytes of a write that was not finished may follow.
    Open {
        /// Whether they do.
        is_torn: bool,
    },
    /// There is none: the segment was prepared and not begun.
    Unbegun,
}

/// What a record says.
#[derive(Debug)]
pub enum Fact {
    /// What the log was when the segment was begun.
    Checkpoint {
        /// Whose log it is.
        identity: Identity,
        /// The vote.
        vote: Option<String>,
        /// The last entry known to be committed.
        committed: Option<At>,
        /// The last entry purged.
        purged: Option<At>,
        /// The last entry.
        last: Option<At>,
    },
    /// An entry.
    Entry {
        /// Its index and term.
        at: At,
        /// What it does.
        entry: Entry,
    },
    /// A vote.
    Vote(String),
    /// How far the log is committed.
    Committed(Option<At>),
    /// The entries behind this one are gone.
    Truncate(Option<At>),
    /// The entries up to this one are gone.
    Purge(At),
    /// Notes only what is durable.
    Mark,
}

/// What an entry does.
#[derive(Debug)]
pub enum Entry {
    /// Nothing: a leader's first.
    Blank,
    /// Changes the members.
    Membership(String),
    /// Changes the tree.
    Proposal(Arc<Proposal>),
}

/// A record as people read it.
pub(super) fn fact(record: Record) -> Fact {
    let at = |id: LogId| (id.index, id.leader_id.term);
    match record {
        Record::Checkpoint(Checkpoint {
            identity, position, ..
        }) => Fact::Checkpoint {
            identity,
            vote: position.vote.map(|vote| words(&vote)),
            committed: position.committed.map(at),
            purged: position.purged.map(at),
            last: position.last.map(at),
        },
        Record::Entry(entry) => Fact::Entry {
            at: at(entry.log_id),
            entry: match entry.payload {
                EntryPayload::Blank => Entry::Blank,
                EntryPayload::Membership(membership) => {
                    let voters: Vec<u64> = membership.voter_ids().collect();
                    let members = membership.nodes().map(|(id, member)| {
                        let role = if voters.contains(id) {
                            "voter"
                        } else {
                            "learner"
                        };
                        format!("{id}={}@{}:{role}", member.name, member.address)
                    });
                    Entry::Membership(members.collect::<Vec<_>>().join(" "))
                }
                EntryPayload::Normal(proposal) => Entry::Proposal(proposal),
            },
        },
        Record::Vote(vote) => Fact::Vote(words(&vote)),
        Record::Committed(id) => Fact::Committed(id.map(at)),
        Record::Truncate(id) => Fact::Truncate(id.map(at)),
        Record::Purge(id) => Fact::Purge(at(id)),
        Record::Mark => Fact::Mark,
    }
}

fn words(vote: &Vote) -> String {
    let verb = match vote.committed {
        true => "elected",
        false => "for",
    };
    let leader = vote.leader_id;
    format!("term {} {verb} {}", leader.term, leader)
}
