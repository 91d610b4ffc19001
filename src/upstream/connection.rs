//! An HTTP/1.1 connection to an endpoint, driven by whoever waits for its answer.
//!
//! The protocol driver has no task of its own: sending a request or reading a response polls it in place. A
//! request then crosses no task boundary on its way, and dropping the exchange closes its connection. An idle
//! connection is polled only when it is looked at.

use crate::net::Stream;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Longest head of a response, and most bytes of a body read ahead, in bytes. Endpoints that send larger heads
/// get `upstream-protocol`; raising it raises what each connection may hold.
const MAX_BUFFER: usize = 64 * 1024;

/// An HTTP/1.1 connection; `B` is the body of its requests.
pub struct Connection<B: Body + 'static> {
    sender: SendRequest<B>,
    /// Boxed, since the connection moves between exchange and idle list with each request.
    driver: Box<http1::Connection<TokioIo<Stream>, B>>,
    ended: bool,
}

impl<B> Connection<B>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// An HTTP connection over `stream`. Sends nothing yet.
    ///
    /// # Errors
    /// When the protocol driver cannot be set up.
    pub async fn new(stream: Stream) -> Result<Connection<B>, hyper::Error> {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_BUFFER)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Connection {
            sender,
            driver: Box::new(driver),
            ended: false,
        })
    }

    /// Sends `request` and waits for the head of its response. The body arrives only while
    /// [`Connection::drive`] is called.
    ///
    /// # Errors
    /// With the request itself when nothing of it was sent.
    ///
    /// # Cancel safety
    /// The connection is of no use after the future was dropped early.
    pub async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            drive(&mut self.driver, &mut self.ended, cx);
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// Moves bytes in both directions as far as they go now.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.ended, cx);
    }

    /// The next request can be sent: the last exchange is over and the endpoint has not hung up.
    pub fn is_reusable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }

    /// The socket, and what was read from it, once the endpoint has switched protocols.
    pub async fn into_upgraded(mut self) -> (Stream, Bytes) {
        poll_fn(|cx| {
            self.drive(cx);
            match self.ended {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        let parts = self.driver.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}

/// Errors reach whoever waits for the response or reads its body; here it only matters that it is over.
fn drive<B>(
    driver: &mut http1::Connection<TokioIo<Stream>, B>,
    ended: &mut bool,
    cx: &mut Context<'_>,
) where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    *ended = *ended || Pin::new(driver).poll(cx).is_ready();
}
