//! The task that walks over the own tree, so that damage is found before anything changes there.

use super::Condition;
use crate::ensemble::limits::{SCRUB_INTERVAL, SCRUB_STEPS, SCRUB_ZNODES};
use crate::ensemble::state::Shared;
use crate::tree::Scrub;
use std::sync::Arc;

/// Walks for ever, a few steps at a time; says what it finds to the comparer.
pub(in crate::ensemble) async fn scrub(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SCRUB_INTERVAL).await;
        for _ in 0..SCRUB_STEPS {
            if shared.soundness.condition() == Condition::Wrong {
                break;
            }
            match shared.with_replica(|replica| replica.tree.scrub(SCRUB_ZNODES)) {
                Scrub::UnderWay => {}
                Scrub::Sound => break,
                Scrub::Damaged(what) => {
                    tracing::error!("{what} has changed in memory by itself");
                    shared.soundness.set(Condition::Wrong);
                    shared.soundness.wake();
                }
            }
            tokio::task::yield_now().await;
        }
    }
}
