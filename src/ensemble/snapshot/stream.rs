//! A snapshot that arrives as bytes: cut into its parts, each checked as soon as it is complete.

use super::format::{BLOCK_HEADER_BYTES, FOOTER_BYTES, HEADER_BYTES, Progress};
use super::{FormatError, Meta};

/// A part of a snapshot whose checksum is right.
#[derive(Debug)]
pub enum Part {
    /// The header.
    Header(Box<Meta>),
    /// A block's payload.
    Block(Vec<u8>),
    /// The footer.
    Footer,
}

/// Cuts a snapshot into its parts. Holds one part and what was pushed last, at most
/// [`MAX_BLOCK_BYTES`](super::format::MAX_BLOCK_BYTES) and that.
#[derive(Debug, Default)]
pub struct SnapshotStream {
    buffer: Vec<u8>,
    /// Where `buffer` begins.
    offset: u64,
    progress: Progress,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Header,
    Blocks,
    Over,
}

impl SnapshotStream {
    /// Takes the next bytes. Take all parts out before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part, if all of it is there.
    ///
    /// # Errors
    /// [`FormatError`]: what begins at [`offset`](SnapshotStream::offset) is not what was written.
    pub fn part(&mut self) -> Result<Option<Part>, FormatError> {
        match self.stage {
            Stage::Header => self.header(),
            Stage::Blocks => self.block(),
            Stage::Over => match self.buffer.len() as u64 {
                0 => Ok(None),
                trailing => Err(FormatError::Trailing(trailing)),
            },
        }
    }

    /// Where the part begins that is to come next, or that was refused.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// [`FormatError::Truncated`] unless the footer was there.
    pub fn end(&self) -> Result<(), FormatError> {
        match self.stage {
            Stage::Over => Ok(()),
            Stage::Header | Stage::Blocks => Err(FormatError::Truncated),
        }
    }

    fn header(&mut self) -> Result<Option<Part>, FormatError> {
        let Some(first) = self.buffer.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let end = HEADER_BYTES + Progress::header_rest(first)?;
        let Some(rest) = self.buffer.get(HEADER_BYTES..end) else {
            return Ok(None);
        };
        let meta = self.progress.read_header(first, rest)?;
        self.take(end);
        self.stage = Stage::Blocks;
        Ok(Some(Part::Header(Box::new(meta))))
    }

    fn block(&mut self) -> Result<Option<Part>, FormatError> {
        let Some(length) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = Progress::block_length(*length)?;
        if length == 0 {
            return self.footer();
        }
        let end = BLOCK_HEADER_BYTES + length;
        let (Some(checksum), Some(payload)) = (
            self.buffer[4..].first_chunk::<4>(),
            self.buffer.get(BLOCK_HEADER_BYTES..end),
        ) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.progress.read_block(*checksum, &payload)?;
        self.take(end);
        Ok(Some(Part::Block(payload)))
    }

    fn footer(&mut self) -> Result<Option<Part>, FormatError> {
        let Some(footer) = self.buffer.first_chunk::<FOOTER_BYTES>() else {
            return Ok(None);
        };
        let rest = footer[4..].first_chunk();
        self.progress
            .read_footer(rest.ok_or(FormatError::Truncated)?)?;
        self.take(FOOTER_BYTES);
        self.stage = Stage::Over;
        Ok(Some(Part::Footer))
    }

    fn take(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
    }
}
