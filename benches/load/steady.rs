//! One operation over and over on one connection.

use crate::connection::{Connection, KEYS, LoadError, key_path};
use crate::latency::Tally;
use crate::{Operation, Window};
use rand::rngs::SmallRng;
use rand::{RngExt, make_rng};
use std::collections::VecDeque;
use tokio::time::Instant;
use zoogate::zk::wire::{OpCode, PathRequest, ReadRequest};

/// A connection, and what it repeats.
pub(crate) struct Worker {
    connection: Connection,
    operation: Operation,
    /// Operations under way at any time.
    depth: usize,
    /// Picks keys.
    random: SmallRng,
    /// Parent of what this worker creates.
    parent: String,
    /// Operations begun so far.
    begun: u64,
    /// When each of those under way was begun, in order.
    under_way: VecDeque<Instant>,
    tally: Tally,
}

impl Worker {
    /// Connects; a worker that creates gets a parent of its own, so that no list of children is shared.
    pub(crate) async fn open(
        host: &str,
        operation: Operation,
        depth: usize,
    ) -> Result<Worker, LoadError> {
        let mut connection = Connection::open(host).await?;
        let mut random: SmallRng = make_rng();
        let parent = format!("/bench/made/{:016x}", random.random::<u64>());
        if operation == Operation::Create {
            connection.ask_create(&parent, false);
            match connection.finish().await? {
                0 => {}
                code => return Err(LoadError::Unprepared { path: parent, code }),
            }
        }
        Ok(Worker {
            connection,
            operation,
            depth,
            random,
            parent,
            begun: 0,
            under_way: VecDeque::with_capacity(depth),
            tally: Tally::default(),
        })
    }

    /// Keeps `depth` operations under way until the window ends, then waits for the rest.
    pub(crate) async fn run(mut self, window: Window) -> Result<Tally, LoadError> {
        loop {
            let now = Instant::now();
            while self.under_way.len() < self.depth && self.begun < window.quota && now < window.end
            {
                self.begin();
                self.under_way.push_back(now);
            }
            self.connection.flush().await?;
            while let Some(asked) = self.under_way.pop_front() {
                match self.outcome().await {
                    Ok(0) => self.tally.answered(asked, window),
                    Ok(code) => self.tally.failed(&format!("code {code}")),
                    // What is behind it on this connection will not be answered either.
                    Err(error) => {
                        self.tally.failed(&error.to_string());
                        return Ok(self.tally);
                    }
                }
                if !self.connection.has_answer() {
                    break;
                }
            }
            if self.under_way.is_empty() && (self.begun == window.quota || now >= window.end) {
                self.connection.close().await?;
                return Ok(self.tally);
            }
        }
    }

    /// Queues the next operation.
    fn begin(&mut self) {
        self.begun += 1;
        let key = self.random.random_range(0..KEYS);
        match self.operation {
            Operation::Set => self.connection.ask_set(key),
            Operation::Get => self.ask_get(key),
            Operation::SyncGet => {
                let path = key_path(key).into();
                self.connection.ask(OpCode::Sync, &PathRequest { path });
                self.ask_get(key);
            }
            Operation::Create | Operation::Churn => {
                let path = format!("{}/{:08}", self.parent, self.begun);
                self.connection.ask_create(&path, false);
            }
        }
    }

    fn ask_get(&mut self, key: u64) {
        let request = ReadRequest {
            path: key_path(key).into(),
            watch: false,
        };
        self.connection.ask(OpCode::GetData, &request);
    }

    /// The error code of the oldest operation under way, 0 for none; waits for it.
    async fn outcome(&mut self) -> Result<i32, LoadError> {
        let code = self.connection.answer().await?;
        if self.operation != Operation::SyncGet {
            return Ok(code);
        }
        let get = self.connection.answer().await?;
        Ok(if code != 0 { code } else { get })
    }
}
