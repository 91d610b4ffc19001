//! Reads. Each shows exactly the state at the zxid in its header; one that follows a `sync` shows everything that anybody
//! was told of before that `sync` was sent. Since all writes are in one order, that makes sync and read linearizable.

use crate::truth::Truth;
use bytes::Bytes;
use std::collections::BTreeSet;

/// A read of one znode at `zxid`.
pub fn value(truth: &Truth, path: &str, zxid: u64, found: Option<&Bytes>) -> Result<(), String> {
    let expected = truth.data(path, zxid);
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "{path} at {zxid} was read as {found:?}, it was {expected:?}"
        )),
    }
}

/// A read of the children of one znode at `zxid`.
pub fn children(
    truth: &Truth,
    path: &str,
    zxid: u64,
    found: &BTreeSet<String>,
) -> Result<(), String> {
    let prefix = format!("{path}/");
    let below = truth.below(&prefix, zxid);
    let names: BTreeSet<String> = below
        .map(|child| child[prefix.len()..].to_owned())
        .collect();
    match names == *found {
        true => Ok(()),
        false => Err(format!(
            "the children of {path} at {zxid} were read as {found:?}, they were {names:?}"
        )),
    }
}

/// A read at `zxid` behind a `sync` that was sent when a client had been told of `floor`.
pub fn behind(zxid: u64, floor: u64) -> Result<(), String> {
    match zxid >= floor {
        true => Ok(()),
        false => Err(format!(
            "a read behind a sync is at {zxid}, when {floor} was acknowledged before the sync"
        )),
    }
}
