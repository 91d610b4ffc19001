//! The node that is fuzzed: real log, real socket, no disk behind it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use zoogate::config::Config;
use zoogate::node::{Bound, Node};

/// A node by itself.
pub struct Server {
    /// What it runs on.
    pub runtime: Runtime,
    /// Where clients connect.
    pub addr: SocketAddr,
    _node: Node,
    _directory: TempDir,
}

impl Server {
    /// Starts it; it lives as long as the process.
    pub fn start() -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => TempDir::new_in(memory),
            false => TempDir::new(),
        };
        let directory = directory.expect("a temporary directory");
        let node = runtime.block_on(serve(directory.path()));
        Server {
            runtime,
            addr: node.addrs().zookeeper,
            _node: node,
            _directory: directory,
        }
    }
}

async fn serve(directory: &Path) -> Node {
    let settings = format!(
        "[node]\nname = \"fuzzed\"\ndata_dir = {directory:?}\nworkers = 1\n\
         [zookeeper]\nlisten = \"127.0.0.1:0\"\nfour_letter_words = [\"*\"]\nreconfig = true\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    let config = Config::parse(&settings, "fuzzed.toml").expect("sound settings");
    let bound = Bound::bind(&config).await.expect("free ports");
    let node = Node::start(config, bound).await.expect("the node starts");
    while !answers(node.addrs().zookeeper).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node
}

/// Whether the node leads itself, so that its clients are served.
async fn answers(addr: SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = TcpStream::connect(addr).await.expect("it listens");
    socket.write_all(b"isro").await.expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("text");
    answer == "rw"
}
