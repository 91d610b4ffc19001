//! The bytes of a snapshot file.
//!
//! All integers are little-endian.
//!
//! ```text
//! header   "ZGATSNAP"  8    version  1 (now 2)    length of meta  4    meta (postcard)    checksum  4
//! block    length  4 (1 to MAX_BLOCK_BYTES)    checksum  4    payload        as often as there are blocks
//! footer   zero  4    blocks  8    payload bytes  8    checksum  4            then the file ends
//! ```
//!
//! Each checksum is the CRC-32C of the checksum before it (zero, for the header), then of its own part's other
//! bytes. So a block is valid only behind the blocks it was written behind, and the footer only behind all.

use super::Meta;

/// Most bytes of one block. The tree ends a block after 1 MiB, but between znodes only. Behind that may come a
/// znode whose name and data one request made long and whose ACL another did, of 1 MiB each; the rest is room
/// for what tags and lengths add. A reader holds one block in memory; more would only make that more.
pub const MAX_BLOCK_BYTES: usize = 8 << 20;

/// Most bytes the meta may take: a thousand members' names and addresses at their longest are below half of it.
pub(super) const MAX_META_BYTES: usize = 1 << 20;

/// Bytes of a header in front of the meta.
pub(super) const HEADER_BYTES: usize = MAGIC.len() + 1 + 4;

/// Bytes of a block in front of its payload.
pub(super) const BLOCK_HEADER_BYTES: usize = 8;

/// Bytes of a footer.
pub(super) const FOOTER_BYTES: usize = 4 + FOOTER_REST_BYTES;

/// Bytes of a footer behind its leading zero.
pub(super) const FOOTER_REST_BYTES: usize = 8 + 8 + 4;

const MAGIC: &[u8; 8] = b"ZGATSNAP";
const VERSION: u8 = 2;

/// Why bytes are not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It does not begin as one.
    #[error("it does not begin as a snapshot")]
    Magic,
    /// A later version of Zoogate wrote it.
    #[error("it has snapshot format version {0}, this program knows version {VERSION}")]
    Version(u8),
    /// It ends too early.
    #[error("it ends in the middle")]
    Truncated,
    /// A checksum is wrong.
    #[error("the checksum of its {0} is wrong")]
    Checksum(&'static str),
    /// A length is out of range.
    #[error("its {part} claims {claimed} bytes, at most {limit} are allowed")]
    Length {
        /// Of what.
        part: &'static str,
        /// What it claims.
        claimed: usize,
        /// What it may be.
        limit: usize,
    },
    /// The meta cannot be read, though its checksum is right.
    #[error("its meta cannot be read")]
    Meta(#[source] postcard::Error),
    /// The footer counts other blocks or bytes than there are.
    #[error("its footer counts {claimed} {what}, there are {found}")]
    Count {
        /// Blocks or bytes.
        what: &'static str,
        /// What the footer says.
        claimed: u64,
        /// What is there.
        found: u64,
    },
    /// Something follows the footer.
    #[error("{0} bytes follow its footer")]
    Trailing(u64),
}

/// What has been written or read of a snapshot so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The last checksum.
    checksum: u32,
    pub(super) blocks: u64,
    /// Payload bytes in them.
    pub(super) bytes: u64,
}

impl Progress {
    /// The header for `meta`.
    pub(super) fn header(&mut self, meta: &Meta) -> Result<Vec<u8>, FormatError> {
        let meta = postcard::to_stdvec(meta).map_err(FormatError::Meta)?;
        check_length("meta", meta.len(), MAX_META_BYTES)?;
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        out.extend_from_slice(&(meta.len() as u32).to_le_bytes());
        out.extend_from_slice(&meta);
        self.checksum = self.after(&[&out]);
        out.extend_from_slice(&self.checksum.to_le_bytes());
        Ok(out)
    }

    /// What goes in front of the block `payload`.
    pub(super) fn block_header(
        &mut self,
        payload: &[u8],
    ) -> Result<[u8; BLOCK_HEADER_BYTES], FormatError> {
        check_length("block", payload.len(), MAX_BLOCK_BYTES)?;
        let length = (payload.len() as u32).to_le_bytes();
        self.take_block(length, payload);
        let mut out = [0; BLOCK_HEADER_BYTES];
        out[..4].copy_from_slice(&length);
        out[4..].copy_from_slice(&self.checksum.to_le_bytes());
        Ok(out)
    }

    /// The footer.
    pub(super) fn footer(&self) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        out[4..12].copy_from_slice(&self.blocks.to_le_bytes());
        out[12..20].copy_from_slice(&self.bytes.to_le_bytes());
        let checksum = self.after(&[&out[..20]]);
        out[20..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// How many bytes of meta and checksum follow a header's first bytes.
    pub(super) fn header_rest(first: &[u8; HEADER_BYTES]) -> Result<usize, FormatError> {
        let (magic, rest) = first.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(FormatError::Magic);
        }
        if rest[0] != VERSION {
            return Err(FormatError::Version(rest[0]));
        }
        let length = word(&rest[1..]) as usize;
        check_length("meta", length, MAX_META_BYTES)?;
        Ok(length + 4)
    }

    /// Checks a header and reads its meta.
    pub(super) fn read_header(
        &mut self,
        first: &[u8; HEADER_BYTES],
        rest: &[u8],
    ) -> Result<Meta, FormatError> {
        let (meta, checksum) = rest.split_at(rest.len() - 4);
        self.checksum = self.after(&[first, meta]);
        if self.checksum != word(checksum) {
            return Err(FormatError::Checksum("header"));
        }
        match postcard::take_from_bytes(meta).map_err(FormatError::Meta)? {
            (meta, []) => Ok(meta),
            _ => Err(FormatError::Meta(postcard::Error::DeserializeUnexpectedEnd)),
        }
    }

    /// The length a block claims; zero stands for the footer.
    pub(super) fn block_length(first: [u8; 4]) -> Result<usize, FormatError> {
        let length = u32::from_le_bytes(first) as usize;
        check_length("block", length, MAX_BLOCK_BYTES)?;
        Ok(length)
    }

    /// Checks a block.
    pub(super) fn read_block(
        &mut self,
        checksum: [u8; 4],
        payload: &[u8],
    ) -> Result<(), FormatError> {
        self.take_block((payload.len() as u32).to_le_bytes(), payload);
        match self.checksum == u32::from_le_bytes(checksum) {
            true => Ok(()),
            false => Err(FormatError::Checksum("block")),
        }
    }

    /// Checks what follows a footer's zero.
    pub(super) fn read_footer(&self, rest: &[u8; FOOTER_REST_BYTES]) -> Result<(), FormatError> {
        if self.after(&[&[0; 4], &rest[..16]]) != word(&rest[16..]) {
            return Err(FormatError::Checksum("footer"));
        }
        let counts = [
            ("blocks", &rest[..8], self.blocks),
            ("bytes", &rest[8..16], self.bytes),
        ];
        for (what, claimed, found) in counts {
            let claimed = claimed.try_into().map_or(0, u64::from_le_bytes);
            if claimed != found {
                return Err(FormatError::Count {
                    what,
                    claimed,
                    found,
                });
            }
        }
        Ok(())
    }

    fn take_block(&mut self, length: [u8; 4], payload: &[u8]) {
        self.checksum = self.after(&[&length, payload]);
        self.blocks += 1;
        self.bytes += payload.len() as u64;
    }

    /// The checksum of `parts` behind what there is so far.
    fn after(&self, parts: &[&[u8]]) -> u32 {
        let before = crc32c::crc32c(&self.checksum.to_le_bytes());
        parts
            .iter()
            .fold(before, |crc, part| crc32c::crc32c_append(crc, part))
    }
}

fn check_length(part: &'static str, claimed: usize, limit: usize) -> Result<(), FormatError> {
    match claimed <= limit {
        true => Ok(()),
        false => Err(FormatError::Length {
            part,
            claimed,
            limit,
        }),
    }
}

/// The integer in the first four bytes.
fn word(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |word| u32::from_le_bytes(*word))
}
