//! Log replication: streams of append requests over a connection that is kept between streams.
//!
//! openraft opens a stream per heartbeat and one long stream for replication. A stream that ends in order
//! (requests ended, every result read) leaves its connection for the next one; any other end drops it, and
//! the far side notices.
//!
//! ```text
//!   pump task:   input -> Request, Request, …, End ->        hands the writing half back at its end
//!   this stream: <- Result, Result, …, End                   then both halves are kept
//! ```

use super::frame::{FrameReader, FrameWriter, Framed};
use super::hello::{Me, Purpose, Refusal, dial};
use super::link::LinkError;
use super::message::{AppendFrame, AppendReply};
use super::reach::Reach;
use crate::ensemble::census::Census;
use crate::ensemble::contact::Contact;
use crate::ensemble::limits::APPEND_STALL;
use crate::ensemble::types::Types;
use futures_util::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The append connection to one member.
pub(super) struct AppendLink {
    me: Me,
    to: u64,
    address: String,
    contact: Arc<Contact>,
    reach: Reach,
    census: Arc<Census>,
    kept: Option<Framed>,
}

impl AppendLink {
    /// A link to member `to` at `address`; connects on first use and tells `reach` how that went. Carries nothing while
    /// `contact` is silenced, and to nobody whom `census` objects to.
    pub(super) fn new(
        me: &Me,
        to: u64,
        address: &str,
        contact: Arc<Contact>,
        reach: Reach,
        census: Arc<Census>,
    ) -> AppendLink {
        AppendLink {
            me: me.clone(),
            to,
            address: address.into(),
            contact,
            reach,
            census,
            kept: None,
        }
    }

    /// Sends `input` and returns the results in the same order. Ends without an error once the input has
    /// ended and all results are in.
    ///
    /// # Errors
    /// [`LinkError`] when the member cannot be reached, now or, inside the stream, later.
    pub(super) async fn stream<'s, S>(
        &'s mut self,
        mut input: S,
    ) -> Result<
        impl Stream<Item = Result<StreamAppendResult<Types>, LinkError>> + use<'s, S>,
        LinkError,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        // Before dialling: openraft pauses in here after a failure, and only in here.
        let results = match input.next().await {
            Some(first) => Some(self.send(first, input).await?),
            None => None,
        };
        Ok(futures_util::stream::unfold(results, |state| async move {
            state?.next().await
        }))
    }

    async fn send<S>(
        &mut self,
        first: AppendEntriesRequest<Types>,
        rest: S,
    ) -> Result<Results<'_>, LinkError>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let framed = match self.kept.take() {
            Some(framed) => framed,
            None => self.dial().await?,
        };
        let owed = Arc::new(AtomicUsize::new(0));
        let input = futures_util::stream::iter([first]).chain(rest);
        let (pumped, contact) = (
            pump(input, framed.writer, owed.clone()),
            self.contact.clone(),
        );
        let pump = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = contact.silenced() => Err(io::ErrorKind::ConnectionAborted.into()),
                pumped = pumped => pumped,
            }
        });
        Ok(Results {
            link: self,
            reader: framed.reader,
            pump: AbortOnDrop(pump),
            owed,
        })
    }
}

impl AppendLink {
    async fn dial(&self) -> Result<Framed, LinkError> {
        let dialled = dial(&self.address, &self.me, Some(self.to), Purpose::Append).await;
        let dialled = dialled.and_then(|(framed, welcome)| {
            let judged = match self.census.is_reverted(self.to, welcome.last) {
                true => Err(Refusal::Outdated(self.to)),
                false => self.census.judge(&welcome.host()),
            };
            let address = self.address.clone();
            judged.map_err(|refusal| LinkError::Refused { address, refusal })?;
            Ok(framed)
        });
        self.reach
            .dialled(self.to, &self.address, dialled.as_ref().err());
        dialled
    }
}

/// The receiving side of one stream.
struct Results<'s> {
    link: &'s mut AppendLink,
    reader: FrameReader,
    pump: AbortOnDrop,
    /// Requests sent and not yet answered.
    owed: Arc<AtomicUsize>,
}

/// What `unfold` wants: an item and the state to go on with.
type Step<'s> = Option<(
    Result<StreamAppendResult<Types>, LinkError>,
    Option<Results<'s>>,
)>;

impl<'s> Results<'s> {
    async fn next(mut self) -> Step<'s> {
        match self.reply().await {
            Ok(AppendReply::Result(result)) => {
                self.owed.fetch_sub(1, Ordering::Relaxed);
                if let Ok(Some(matched)) = &result {
                    self.link.census.acknowledged(self.link.to, matched.index());
                }
                // openraft sends nothing more on a stream after a rejection, so neither is the rest read.
                let rest = result.is_ok().then_some(self);
                Some((Ok(result), rest))
            }
            Ok(AppendReply::End) => {
                self.keep().await;
                None
            }
            // The far end closes once our input has ended: that is the end of the stream, not a fault.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && self.pump.0.is_finished() => None,
            Err(source) => Some((
                Err(LinkError::Io {
                    address: self.link.address.clone(),
                    source,
                }),
                None,
            )),
        }
    }

    /// The next reply. Waits for ever while nothing is owed, else only as long as the member makes progress.
    async fn reply(&mut self) -> io::Result<AppendReply> {
        loop {
            match timeout(APPEND_STALL, self.reader.raw()).await {
                Ok(frame) => {
                    return super::frame::decode(&frame?.ok_or(io::ErrorKind::UnexpectedEof)?);
                }
                Err(_) if self.owed.load(Ordering::Relaxed) == 0 => continue,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Puts the connection back for the next stream.
    async fn keep(mut self) {
        if let Ok(Ok(writer)) = (&mut self.pump.0).await {
            self.link.kept = Some(Framed {
                reader: self.reader,
                writer,
            });
        }
    }
}

/// Sends the input; gives the writing half back when it has ended.
async fn pump<S>(
    mut input: S,
    mut writer: FrameWriter,
    owed: Arc<AtomicUsize>,
) -> io::Result<FrameWriter>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + Unpin,
{
    while let Some(request) = writer.next_of(&mut input).await? {
        owed.fetch_add(1, Ordering::Relaxed);
        writer.queue(&AppendFrame::Request(request))?;
    }
    // Behind the last request at once, if that has not left yet: a heartbeat is one system call.
    writer.send(&AppendFrame::End).await?;
    Ok(writer)
}

/// A task that ends with its owner.
struct AbortOnDrop(JoinHandle<io::Result<FrameWriter>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
