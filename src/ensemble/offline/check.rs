//! Is this a backup, and is all of it what was written?

use crate::ensemble::log::DiskError;
use crate::ensemble::log::disk::DataFile;
use crate::ensemble::snapshot::{FormatError, Meta, Part, SnapshotStream};
use crate::tree::{Contents, SnapshotError, Survey, Surveyed};
use std::path::Path;

/// Bytes read from a file at once.
const READ_BYTES: usize = 1 << 20;

/// Why something is no whole backup.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The bytes are not what was written.
    #[error("damaged at byte {offset}")]
    Damaged {
        /// Where the part begins that is.
        offset: u64,
        /// How it shows.
        #[source]
        source: FormatError,
    },
    /// All checksums are right, but what is in it is no tree.
    #[error("the block at byte {offset} holds no part of a tree")]
    Contents {
        /// Where the block begins.
        offset: u64,
        /// How it shows.
        #[source]
        source: SnapshotError,
    },
    /// A file could not be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Whoever looks on gave up.
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
}

/// What a whole backup is.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The tree in it.
    pub contents: Contents,
    /// Index and term of the last log entry in it.
    pub last: Option<(u64, u64)>,
    /// The members then: number, name, address and whether they voted.
    pub members: Vec<(u64, String, String, bool)>,
    /// Length of the file.
    pub bytes: u64,
    /// Its blocks.
    pub blocks: u64,
}

/// Checks a backup as it arrives. Holds a block, and 20 bytes per znode; with paths their names too.
#[derive(Debug)]
pub struct Check {
    stream: SnapshotStream,
    survey: Survey,
    meta: Option<Meta>,
    blocks: u64,
}

/// What the survey or its visitor said.
enum Stopped {
    Contents(SnapshotError),
    Visitor(std::io::Error),
}

impl From<SnapshotError> for Stopped {
    fn from(error: SnapshotError) -> Stopped {
        Stopped::Contents(error)
    }
}

impl Check {
    /// Nothing read yet.
    pub fn new(wants_paths: bool) -> Check {
        Check {
            stream: SnapshotStream::default(),
            survey: Survey::new(wants_paths),
            meta: None,
            blocks: 0,
        }
    }

    /// Checks the next bytes.
    ///
    /// # Errors
    /// [`CheckError`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), CheckError> {
        self.push_showing(bytes, &mut |_| Ok(()))
    }

    /// Checks the next bytes, and shows what is in them.
    ///
    /// # Errors
    /// [`CheckError`].
    pub fn push_showing(
        &mut self,
        bytes: &[u8],
        show: &mut impl FnMut(Surveyed<'_>) -> std::io::Result<()>,
    ) -> Result<(), CheckError> {
        self.stream.push(bytes);
        loop {
            let offset = self.stream.offset();
            let part = self.stream.part();
            match part.map_err(|source| CheckError::Damaged { offset, source })? {
                None => return Ok(()),
                Some(Part::Header(meta)) => self.meta = Some(*meta),
                Some(Part::Block(block)) => {
                    self.blocks += 1;
                    let mut visit = |item: Surveyed<'_>| show(item).map_err(Stopped::Visitor);
                    let surveyed = self.survey.chunk(&block, &mut visit);
                    surveyed.map_err(|stopped| match stopped {
                        Stopped::Contents(source) => CheckError::Contents { offset, source },
                        Stopped::Visitor(error) => CheckError::Output(error),
                    })?;
                }
                Some(Part::Footer) => {}
            }
        }
    }

    /// Whether all of it was there, and right.
    ///
    /// # Errors
    /// [`CheckError`].
    pub fn finish(self) -> Result<Checked, CheckError> {
        let offset = self.stream.offset();
        let ended = self.stream.end();
        ended.map_err(|source| CheckError::Damaged { offset, source })?;
        let contents = self.survey.finish();
        let contents = contents.map_err(|source| CheckError::Contents { offset: 0, source })?;
        // The stream does not end without a header.
        let meta = self.meta.unwrap_or_default();
        let membership = meta.last_membership.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let members = membership.nodes().map(|(id, member)| {
            let (name, address) = (member.name.clone(), member.address.clone());
            (*id, name, address, voters.contains(id))
        });
        Ok(Checked {
            contents,
            last: meta.last_log_id.map(|id| (id.index, id.leader_id.term)),
            members: members.collect(),
            bytes: offset,
            blocks: self.blocks,
        })
    }
}

/// Checks a file, and shows what is in it. Never writes to it.
///
/// # Errors
/// [`CheckError`].
pub fn check_file(
    path: &Path,
    wants_paths: bool,
    show: &mut impl FnMut(Surveyed<'_>) -> std::io::Result<()>,
) -> Result<Checked, CheckError> {
    let file = DataFile::open_to_read(path.to_owned())?;
    let length = file.bytes()?;
    let mut check = Check::new(wants_paths);
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0;
    while offset < length {
        let count = (length - offset).min(READ_BYTES as u64) as usize;
        file.read(&mut buffer[..count], offset)?;
        check.push_showing(&buffer[..count], show)?;
        offset += count as u64;
    }
    check.finish()
}
