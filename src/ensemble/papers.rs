//! What a node knows of itself before, and besides, its log: the file `member` in its data directory.
//!
//! ```text
//!   New --roll call--> Called --log made--> Member --refused as removed---> Removed
//!     \--admission---> Admitted --log made---^  \--outdated or damaged--> Outdated --admission--> Admitted
//! ```
//! The nonce is drawn before the node says anything to anybody, so whoever has heard it and hears another one later
//! knows that the disk was emptied in between. The count of starts goes up, durably, before each start says
//! anything; an older copy of the disk shows by it.
//!
//! Layout: `ZGATEMBR`, version (1 byte, now 1), postcard of [`Facts`], CRC-32C of all that (4 bytes, little-endian).
//! Written to a file beside and renamed, so there is always one whole version.

use super::census::Dismissal;
use super::log::DiskError;
use super::log::disk::{self, DataFile};
use super::roll::Roll;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"ZGATEMBR";
const VERSION: u8 = 1;
const NAME: &str = "member";
const TEMPORARY: &str = "member.tmp";

/// Longest file: a roll of seven members, with names and addresses of full length, is 4 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Drawn when the data directory was empty, or its contents were given up.
    pub(super) nonce: u64,
    /// How often the node was started.
    pub(super) boots: u64,
    /// Drawn at the last start.
    pub(super) boot: u64,
    /// What the node is.
    pub(super) standing: Standing,
    /// With whom it founded its ensemble.
    pub(super) roll: Option<Roll>,
}

/// How far a node is on its way to be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// It has nothing and has promised nothing.
    New,
    /// Its number is settled; it may not have a log yet.
    Settled(Number),
    /// It has a log, which may have made promises. Without the log it cannot be this member any more.
    Member(Number),
    /// It was removed from the ensemble.
    Removed(Number),
    /// Its disk is an older copy, or lost what it had promised.
    Outdated(Number),
}

/// A member's number in an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The ensemble.
    pub ensemble: u64,
    /// The number.
    pub member: u64,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PapersError {
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is not what was written. The promises of this member are not known any more.
    #[error(
        "{} is damaged; empty the data directory and start again to be admitted under a new number",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version.
    #[error("{} has format version {found}, which this program does not know", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
}

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Papers {
    dir: PathBuf,
    facts: Facts,
}

impl Papers {
    /// Reads the papers in `dir`, or makes new ones.
    ///
    /// # Errors
    /// [`PapersError`].
    pub(super) fn open(dir: &Path) -> Result<Papers, PapersError> {
        disk::create_dir(dir)?;
        let path = dir.join(NAME);
        if disk::exists(&path)? {
            let facts = read(path)?;
            let dir = dir.to_owned();
            return Ok(Papers { dir, facts });
        }
        let papers = Papers {
            dir: dir.to_owned(),
            facts: Facts {
                nonce: draw(),
                boots: 0,
                boot: 0,
                standing: Standing::New,
                roll: None,
            },
        };
        papers.write()?;
        Ok(papers)
    }

    /// What they say.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Changes them, durably.
    ///
    /// # Errors
    /// [`PapersError::Disk`]; what is on disk is the old or the new version then.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Facts)) -> Result<(), PapersError> {
        let before = self.facts.clone();
        change(&mut self.facts);
        match self.facts == before {
            true => Ok(()),
            false => self.write(),
        }
    }

    /// Gives up being `number`, durably: what it had promised may be lost. Until this node is admitted under another
    /// number it asks with the nonce that is drawn here, so that it is given one number however often it has to ask, and it
    /// never founds anything.
    ///
    /// # Errors
    /// As [`change`](Papers::change).
    pub(super) fn give_up(&mut self, number: Number) -> Result<(), PapersError> {
        self.change(|facts| {
            *facts = Facts {
                nonce: draw(),
                boots: 0,
                boot: 0,
                standing: Standing::Outdated(number),
                roll: None,
            }
        })
    }

    /// Notes, durably, that the others do not want this node as `number`.
    ///
    /// # Errors
    /// As [`change`](Papers::change).
    pub(super) fn dismiss(
        &mut self,
        number: Number,
        dismissal: Dismissal,
    ) -> Result<(), PapersError> {
        match dismissal {
            Dismissal::Removed => self.change(|facts| facts.standing = Standing::Removed(number)),
            Dismissal::Outdated => self.give_up(number),
        }
    }

    /// Notes a start, of which there were at least `known` before.
    ///
    /// # Errors
    /// [`PapersError::Disk`].
    pub(super) fn start(&mut self, known: u64) -> Result<(), PapersError> {
        self.change(|facts| {
            facts.boots = facts.boots.max(known).saturating_add(1);
            facts.boot = draw();
        })
    }

    fn write(&self) -> Result<(), PapersError> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        let mut bytes = postcard::to_extend(&self.facts, bytes)
            .expect("a growing buffer takes every type that the papers hold");
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        let temporary = self.dir.join(TEMPORARY);
        if disk::exists(&temporary)? {
            disk::remove(&temporary)?;
        }
        let file = DataFile::create(temporary.clone())?;
        file.write(&bytes, 0)?;
        file.sync()?;
        disk::rename(&temporary, &self.dir.join(NAME))?;
        Ok(disk::sync_dir(&self.dir)?)
    }
}

fn read(path: PathBuf) -> Result<Facts, PapersError> {
    let file = DataFile::open(path.clone())?;
    let length = file.bytes()?;
    let damaged = || PapersError::Damaged { path: path.clone() };
    if length > MAX_BYTES {
        return Err(damaged());
    }
    let mut bytes = vec![0; length as usize];
    file.read(&mut bytes, 0)?;
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    let (version, facts) = match body.strip_prefix(MAGIC) {
        Some([version, facts @ ..]) => (*version, facts),
        _ => return Err(damaged()),
    };
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    if version != VERSION {
        return Err(PapersError::Version {
            path,
            found: version,
        });
    }
    postcard::from_bytes(facts).map_err(|_| damaged())
}

/// A random number, not 0.
pub(super) fn draw() -> u64 {
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_was_written_is_read_and_the_nonce_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut papers = Papers::open(dir.path()).unwrap();
        let nonce = papers.facts().nonce;
        let number = Number {
            ensemble: 7,
            member: 3,
        };
        papers
            .change(|facts| facts.standing = Standing::Member(number))
            .unwrap();
        papers.start(0).unwrap();
        papers.start(9).unwrap();
        let again = Papers::open(dir.path()).unwrap();
        assert_eq!(again.facts(), papers.facts());
        assert_eq!((again.facts().nonce, again.facts().boots), (nonce, 10));
    }

    #[test]
    fn each_start_draws_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut papers = Papers::open(dir.path()).unwrap();
        papers.start(0).unwrap();
        let first = papers.facts().boot;
        papers.start(0).unwrap();
        assert_ne!(papers.facts().boot, first);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        Papers::open(dir.path()).unwrap();
        let path = dir.path().join(NAME);
        let sound = fs::read(&path).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            assert!(Papers::open(dir.path()).is_err(), "bit {bit}");
        }
        for length in 0..sound.len() {
            fs::write(&path, &sound[..length]).unwrap();
            assert!(Papers::open(dir.path()).is_err(), "{length} bytes");
        }
        fs::write(&path, sound).unwrap();
        assert!(Papers::open(dir.path()).is_ok());
    }
}
