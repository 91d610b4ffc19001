//! Equal digests at equal zxids: the trees of all members are the same at each point, computed or from a snapshot.

use std::collections::BTreeMap;

/// The digest at each zxid, by the first who was there.
#[derive(Default)]
pub struct Digests(BTreeMap<u64, (u64, usize)>);

impl Digests {
    /// A member's tree has this digest.
    pub fn at(&mut self, host: usize, zxid: u64, digest: u64) -> Result<(), String> {
        if zxid == 0 {
            // The first membership is entry 0, and the tree before it is at 0 too.
            return Ok(());
        }
        let (known, by) = *self.0.entry(zxid).or_insert((digest, host));
        match known == digest {
            true => Ok(()),
            false => Err(format!(
                "at {zxid} member {} has digest {digest:016x}, member {} had {known:016x}",
                host + 1,
                by + 1
            )),
        }
    }
}
