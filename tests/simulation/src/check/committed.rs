//! A committed entry never changes: whoever applies an index, whenever, after whatever restart, applies the same. And
//! entries are in the order of the leaders that proposed them, so that no two leaders commit at the same time.
//!
//! Source: Ongaro, 3.2 State Machine Safety, 3.6.2; openraft, `docs/data/leader_id.md`: of two leaders "only the last is
//! valid and can commit logs".

use std::collections::BTreeMap;

/// What was applied at each index: who proposed the entry, as term and member, and a hash of its contents.
#[derive(Default)]
pub struct Committed(BTreeMap<u64, ((u64, u64), u64, usize)>);

impl Committed {
    /// A member applies an entry.
    pub fn applied(
        &mut self,
        host: usize,
        index: u64,
        leader: (u64, u64),
        hash: u64,
    ) -> Result<(), String> {
        let (known_leader, known, by) = *self.0.entry(index).or_insert((leader, hash, host));
        if (known_leader, known) != (leader, hash) {
            return Err(format!(
                "member {} applied entry {index} of {leader:?} with contents {hash:016x}; member {} applied it of \
                 {known_leader:?} with contents {known:016x}",
                host + 1,
                by + 1
            ));
        }
        let around = (
            self.0.range(..index).next_back(),
            self.0.range(index + 1..).next(),
        );
        let is_behind = around.0.is_some_and(|(_, (before, ..))| *before > leader);
        let is_ahead = around.1.is_some_and(|(_, (after, ..))| *after < leader);
        match is_behind || is_ahead {
            false => Ok(()),
            true => Err(format!(
                "entry {index} is of {leader:?}, out of order with those around it: {around:?}"
            )),
        }
    }
}
