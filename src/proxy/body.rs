//! Bodies on their way through: streamed, counted, never collected.
//!
//! The body of a response owns everything the exchange still needs: the upstream connection that it drives, the
//! record and the lease. Its end is the end of the exchange, however it comes:
//! ```text
//! last byte passed on ---> Done: the connection is kept for the next request
//! endpoint broke off ----> UpstreamTruncated: the client's connection is cut, never ended properly
//! dropped before --------> ClientClosed (or the watch's verdict): the upstream connection closes
//! ```

use super::client::Turn;
use super::outcome::Outcome;
use super::watch::Watch;
use crate::balance::Endpoint;
use crate::config::SendProxy;
use crate::net::now_ms;
use crate::upstream::Connection;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The body of a request on its way to an endpoint.
pub enum RequestBody {
    /// There is none.
    Empty,
    /// Read from the client as the endpoint takes it.
    Streamed {
        /// What the client sends.
        incoming: Incoming,
        /// Counts it.
        watch: Rc<Watch>,
    },
}

impl RequestBody {
    /// The body that `incoming` turns out to be.
    pub fn new(incoming: Incoming, watch: &Rc<Watch>) -> RequestBody {
        if incoming.is_end_stream() {
            return RequestBody::Empty;
        }
        let watch = watch.clone();
        RequestBody::Streamed { incoming, watch }
    }

    /// Nothing is to be sent after the head.
    pub fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let RequestBody::Streamed { incoming, watch } = &mut *self else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            watch.received.set(watch.received.get() + bytes as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// The body of a response on its way to the client.
pub enum ResponseBody {
    /// One line from this node, or nothing.
    Own(Option<Bytes>),
    /// Read from the endpoint as the client takes it.
    Streamed {
        /// What the endpoint sends.
        incoming: Incoming,
        /// Until the body has ended: what it is part of.
        link: Option<Link>,
    },
}

/// An exchange whose response is under way.
pub struct Link {
    /// The connection to the endpoint.
    pub connection: Connection<RequestBody>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// What it was told of the client.
    pub told: SendProxy,
    /// The exchange.
    pub turn: Turn,
}

impl Link {
    /// The response is complete.
    fn finish(self) {
        let Link {
            connection,
            endpoint,
            told,
            mut turn,
        } = self;
        turn.exchange.end(Outcome::Done);
        turn.client.cut.set(false);
        let idle = turn.client.idle(told);
        idle.keep(&endpoint, connection, now_ms());
    }

    /// The endpoint broke off.
    fn cut(mut self) {
        self.turn.exchange.end(Outcome::UpstreamTruncated);
        self.turn.client.cut.set(true);
    }
}

impl ResponseBody {
    /// The body of an endpoint's response; a response without one is complete at once.
    pub fn streamed(incoming: Incoming, link: Link) -> ResponseBody {
        if incoming.is_end_stream() {
            link.finish();
            return ResponseBody::Own(None);
        }
        let link = Some(link);
        ResponseBody::Streamed { incoming, link }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (incoming, link) = match &mut *self {
            ResponseBody::Own(text) => return Poll::Ready(text.take().map(|t| Ok(Frame::data(t)))),
            ResponseBody::Streamed { incoming, link } => (incoming, link),
        };
        let mut polled = Pin::new(&mut *incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some(link) = link
        {
            link.connection.drive(cx);
            polled = Pin::new(&mut *incoming).poll_frame(cx);
        }
        let frame = ready!(polled);
        if let (Some(Ok(frame)), Some(link)) = (&frame, &*link) {
            let sent = &link.turn.client.watch.sent;
            sent.set(sent.get() + frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        match &frame {
            Some(Err(_)) => link.take().map_or((), Link::cut),
            Some(Ok(frame)) if frame.is_data() && !incoming.is_end_stream() => {}
            Some(Ok(_)) | None => link.take().map_or((), Link::finish),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Own(text) => text.is_none(),
            ResponseBody::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64))
            }
            ResponseBody::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}
