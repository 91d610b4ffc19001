//! Endpoints that speak HTTP: one that is well-behaved, and ones that follow a script.
#![allow(clippy::unwrap_used)] // an endpoint that cannot answer has failed its test

use super::read_head;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

pub type Body = BoxBody<Bytes, hyper::Error>;

/// An endpoint, for as long as the test's runtime lives.
pub struct Origin {
    pub addr: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    /// Answers every request with what `answer` makes of it.
    pub async fn http<F, A>(answer: F) -> Origin
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        Origin::raw(move |stream| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            }
        })
        .await
    }

    /// Leaves each connection to `serve`.
    pub async fn raw<F, S>(serve: F) -> Origin
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream));
            }
        });
        Origin { addr, connections }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A response with this body.
pub fn text(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(text.into()).map_err(|e| match e {}).boxed())
}

/// Answers with the head it got, one line per field.
pub async fn mirror(request: Request<Incoming>) -> Response<Body> {
    let mut seen = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        seen += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    text(seen)
}

/// Answers with the body and the trailers it got.
pub async fn echo(request: Request<Incoming>) -> Response<Body> {
    let announced = request.headers().get("trailer").cloned();
    let mut response = Response::new(request.into_body().boxed());
    if let Some(announced) = announced {
        response.headers_mut().insert("trailer", announced);
    }
    response
}

/// An endpoint that reads one head, answers `script` and hangs up.
pub async fn scripted(script: &'static [u8]) -> Origin {
    Origin::raw(move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(script).await;
    })
    .await
}
