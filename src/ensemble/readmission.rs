//! Coming back: a member whose disk is not what it was gives up its number and is admitted under another.
//!
//! ```text
//!   log or snapshots damaged, peers configured   (start)
//!   log gone                                     (arrival)      papers: Outdated(number), a new nonce     1
//!   the others say that the disk is older        (census)       files -> damaged-N/                       2
//!                                                               asks; papers: Settled(another number)     3
//!                                                               a new log, without a vote, catches up
//! ```
//! Each step is durable before the next begins, and each may be done again: whenever the process ends, the next start
//! goes on from 1, with the same nonce, so it is given the same number. Not before 3 is it anything else than a
//! member that gave up, so members that all gave up found no empty ensemble among themselves.

use super::arrival::{ArrivalError, contacts, enter};
use super::damage;
use super::limits::READMISSION_PATIENCE;
use super::papers::{Number, Papers};
use super::peer::Me;
use super::start::Start;
use std::time::Duration;
use tokio::time::timeout;

/// Whether there is somebody who could admit this node.
pub(super) fn has_peers(start: &Start) -> bool {
    let config = start.config.as_ref();
    config.is_some_and(|config| !contacts(&start.name, config).is_empty())
}

/// Sets aside what the node has, which gave up being `given_up`, and has it admitted under another number.
///
/// # Errors
/// [`ArrivalError`].
pub(super) async fn readmit(
    start: &Start,
    me: &Me,
    given_up: Number,
) -> Result<(Number, Papers), ArrivalError> {
    readmit_within(READMISSION_PATIENCE, start, me, given_up).await
}

async fn readmit_within(
    patience: Duration,
    start: &Start,
    me: &Me,
    given_up: Number,
) -> Result<(Number, Papers), ArrivalError> {
    let dir = &start.data_dir;
    let config = start.config.as_ref().filter(|_| has_peers(start));
    let config = config.ok_or_else(|| ArrivalError::Lost { dir: dir.clone() })?;
    let member = given_up.member;
    if let Some(aside) = damage::set_aside(dir)? {
        tracing::error!(member, aside = %aside.display(), "set aside what this member had");
    }
    let contacts = contacts(&start.name, config);
    tracing::warn!(
        member, asked = contacts.join(", "), at_most = ?patience,
        "gave up this number; waiting for the others to admit this node under a new one"
    );
    let entering = enter(start, me, config, &contacts, Some(member));
    let entered = timeout(patience, entering).await;
    entered.unwrap_or_else(|_| {
        let dir = dir.clone();
        Err(ArrivalError::NotReadmitted {
            member,
            patience,
            contacts,
            dir,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EnsembleConfig, FreshAcl};
    use crate::ensemble::SNAPSHOT_ENTRIES;
    use crate::ensemble::arrival::arrive;
    use crate::ensemble::papers::Standing;
    use crate::ensemble::peer::Transport;
    use crate::telemetry::Metrics;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    const GIVEN_UP: Number = Number {
        ensemble: 7,
        member: 3,
    };

    const PATIENCE: Duration = Duration::from_secs(1);

    /// A member whose only peer does not answer.
    fn start(dir: &Path, metrics: &Arc<Metrics>) -> Start {
        let addr = |port| format!("127.0.0.1:{port}");
        let members = [("n1", addr(1)), ("n3", addr(3))];
        Start {
            name: "n3".into(),
            data_dir: dir.into(),
            config: Some(EnsembleConfig {
                listen: addr(3).parse().unwrap(),
                advertise: None,
                members: members.map(|(name, addr)| (name.into(), addr)).into(),
                observer: false,
                join: Vec::new(),
                token_file: None,
                heartbeat: Duration::from_millis(50),
                tls: None,
                insecure: false,
            }),
            listener: None,
            tls: None,
            followers: Vec::new(),
            metrics: metrics.clone(),
            client: None,
            reap_interval: Duration::from_secs(60),
            snapshot_entries: SNAPSHOT_ENTRIES,
            fresh_acl: FreshAcl::Open,
        }
    }

    #[tokio::test]
    async fn it_waits_for_its_peers_so_long_and_asks_the_same_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new("n3");
        let start = start(dir.path(), &metrics);
        let mut papers = Papers::open(dir.path()).unwrap();
        papers.give_up(GIVEN_UP).unwrap();
        let given_up = papers.facts().clone();
        // The process ended when one file had been set aside.
        let aside = [dir.path().join("damaged-1"), dir.path().join("damaged-2")];
        fs::create_dir(&aside[0]).unwrap();
        fs::write(aside[0].join("0000000000000001.wal"), b"first").unwrap();
        fs::write(dir.path().join("0000000000000002.wal"), b"second").unwrap();
        for _ in 0..2 {
            let begun = tokio::time::Instant::now();
            let me = Me::nobody(Arc::new(Transport::new(None, metrics.clone())));
            let arrived = readmit_within(PATIENCE, &start, &me, GIVEN_UP).await;
            let Err(error @ ArrivalError::NotReadmitted { .. }) = arrived else {
                panic!("it came to {arrived:?}");
            };
            let told = "was member 3 and gave that up, within 1 s; it asked 127.0.0.1:1.";
            assert!(error.to_string().contains(told), "{error}");
            assert!(begun.elapsed() >= PATIENCE);
            let papers = Papers::open(dir.path()).unwrap();
            assert_eq!(
                papers.facts(),
                &given_up,
                "it would be given another number"
            );
            assert_eq!(papers.facts().standing, Standing::Outdated(GIVEN_UP));
        }
        let file = |at: usize, name| fs::read(aside[at].join(name)).unwrap();
        assert_eq!(file(0, "0000000000000001.wal"), b"first");
        assert_eq!(file(1, "0000000000000002.wal"), b"second");
        assert!(!dir.path().join("damaged-3").exists(), "nothing was left");
    }

    #[tokio::test]
    async fn who_is_alone_gives_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new("n3");
        let alone = Start {
            config: None,
            ..start(dir.path(), &metrics)
        };
        let mut papers = Papers::open(dir.path()).unwrap();
        papers
            .change(|facts| facts.standing = Standing::Member(GIVEN_UP))
            .unwrap();
        let me = Me::nobody(Arc::new(Transport::new(None, metrics)));
        let arrived = arrive(&alone, &me).await;
        assert!(matches!(arrived, Err(ArrivalError::Lost { .. })));
        let papers = Papers::open(dir.path()).unwrap();
        assert_eq!(papers.facts().standing, Standing::Member(GIVEN_UP));
    }
}
