//! A client that sends exactly the bytes it is told to.
#![allow(clippy::unwrap_used)] // a client that cannot connect has failed its test

use crate::support::soon;
use std::fmt;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Everything a connection answered, and whether it ended in order.
pub struct Reply {
    pub bytes: Vec<u8>,
    pub in_order: bool,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in order: {}", self.text(), self.in_order)
    }
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn status(&self) -> u16 {
        let text = self.text();
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {text:?}"))
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next().unwrap().to_owned();
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }

    pub fn body(&self) -> String {
        let text = self.text();
        text.split_once("\r\n\r\n").map_or("", |(_, b)| b).into()
    }
}

/// Sends `bytes` on a new connection and reads until it ends.
pub async fn talk(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> Reply {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // The other side may refuse before it has read everything.
    let _ = stream.write_all(bytes.as_ref()).await;
    let mut bytes = Vec::new();
    let end = soon(stream.read_to_end(&mut bytes)).await;
    Reply {
        bytes,
        in_order: end.is_ok(),
    }
}

/// One request with `Connection: close` and further header lines; its whole answer.
pub async fn request(addr: SocketAddr, line: &str, headers: &str) -> Reply {
    talk(
        addr,
        format!("{line}\r\nHost: web.test\r\nConnection: close\r\n{headers}\r\n"),
    )
    .await
}

/// Reads up to and including the empty line that ends a head.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}
