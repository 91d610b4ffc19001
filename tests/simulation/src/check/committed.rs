//! A committed entry never changes: whoever applies an index, whenever, after whatever restart, applies the same.
//!
//! Source: Ongaro, 3.2 State Machine Safety.

use std::collections::BTreeMap;

/// What was applied at each index: the entry's term and a hash of its contents.
#[derive(Default)]
pub struct Committed(BTreeMap<u64, (u64, u64, usize)>);

impl Committed {
    /// A member applies an entry.
    pub fn applied(&mut self, host: usize, index: u64, term: u64, hash: u64) -> Result<(), String> {
        let (known_term, known, by) = *self.0.entry(index).or_insert((term, hash, host));
        match (known_term, known) == (term, hash) {
            true => Ok(()),
            false => Err(format!(
                "member {} applied entry {index} of term {term} with contents {hash:016x}; member {} applied it in \
                 term {known_term} with contents {known:016x}",
                host + 1,
                by + 1
            )),
        }
    }
}
