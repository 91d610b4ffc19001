//! Draining by operators: an order is a znode, written as anybody's would be, through the log.
//!
//! ```text
//! {"zxid":99,"service":"web","instance":"a","drained_by":["operator","settings"],"active":3}
//! ```
//! It is answered when this node's table follows it, or after [`FOLLOWED`] though it does not. `drained_by` says who wants
//! the instance drained now: an operator who takes back what operators asked for may find that others still do.
//!
//! The znode gets the ACL of what is above it, so that a closed tree stays as closed as it was. Whoever may ask here
//! may write there: this door has its own key, as for changing the members.

use super::{Named, known};
use crate::admin::AdminState;
use crate::admin::asked::Asked;
use crate::admin::reply::{body, done, failed};
use crate::admin::routes::Page;
use crate::config::ServiceName;
use crate::ensemble::Ensemble;
use crate::registry::{layout, order};
use crate::routing::DrainOrder;
use crate::telemetry::unix_seconds;
use crate::tree::{
    Acl, Actor, Command, CreateMode, ErrorCode, Lifetime, MultiFailure, Op, Reply, Tree, Zxid,
};
use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for an order to take effect: an election is over by then, or there is no quorum.
const WRITING: Duration = Duration::from_secs(10);

/// Longest wait for this node's table to follow: it takes milliseconds.
const FOLLOWED: Duration = Duration::from_secs(1);

/// Time between looks at the table.
const LOOK: Duration = Duration::from_millis(2);

/// Attempts when others write the same znodes meanwhile. Each of them is somebody's success, so a few do.
const ATTEMPTS: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    deadline: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Why an order could not be written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("no quorum: the ensemble has no leader that this node can reach")]
    NoLeader,
    #[error("the leader was lost, or did not answer in time: whether it is done is not known")]
    OutcomeUnknown,
    #[error("the tree refused: {0}")]
    Refused(ErrorCode),
    #[error("others write the same order all the time")]
    Contended,
}

/// Drains an instance.
pub(super) async fn drain(state: &AdminState, asked: &Asked, named: &Named) -> Page {
    let wanted = match body::<Wanted>(asked) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let service = match known_service(state, named, false) {
        Ok(service) => service,
        Err(refusal) => return *refusal,
    };
    let order = match order_of(&wanted, asked) {
        Ok(order) => order,
        Err(error) => {
            return failed(StatusCode::BAD_REQUEST, "bad-request", &error.to_string());
        }
    };
    carry_out(state, asked, &service, named, Some(order)).await
}

/// Takes it back.
pub(super) async fn undrain(state: &AdminState, asked: &Asked, named: &Named) -> Page {
    if let Err(refusal) = body::<Nothing>(asked) {
        return *refusal;
    }
    match known_service(state, named, true) {
        Ok(service) => carry_out(state, asked, &service, named, None).await,
        Err(refusal) => *refusal,
    }
}

fn order_of(wanted: &Wanted, asked: &Asked) -> Result<DrainOrder, order::OrderError> {
    let from = asked.peer.ip().to_canonical();
    let since = UNIX_EPOCH + Duration::from_secs(unix_seconds().unsigned_abs());
    let order = DrainOrder {
        deadline: wanted
            .deadline
            .as_deref()
            .map(order::deadline)
            .transpose()?,
        by: Some(match &wanted.by {
            Some(by) => format!("{by} at {from}"),
            None => from.to_string(),
        }),
        since: Some(humantime::format_rfc3339_seconds(since).to_string()),
    };
    // What nodes would not read is not to be written.
    order::parse(order::to_json(&order).as_bytes())?;
    Ok(order)
}

/// The service's name, if it has the instance, or, with `has_order`, an order for it.
fn known_service(
    state: &AdminState,
    named: &Named,
    has_order: bool,
) -> Result<ServiceName, Box<Page>> {
    let table = state.table.load();
    let service = known::service(&table, &named.service)?;
    let path = match has_order {
        true => layout::order_path(&service.name, &named.instance),
        false => layout::instance_path(&service.name, &named.instance),
    };
    // A table may be a moment behind.
    let is_in_tree =
        || !named.instance.contains('/') && state.ensemble.read(|tree| tree.get(&path).is_some());
    match known::has(service, &named.instance) || is_in_tree() {
        true => Ok(service.name.clone()),
        false => Err(Box::new(known::no_instance(service, named))),
    }
}

async fn carry_out(
    state: &AdminState,
    asked: &Asked,
    service: &ServiceName,
    named: &Named,
    order: Option<DrainOrder>,
) -> Page {
    let instance = &*named.instance;
    let written = timeout(
        WRITING,
        write(&state.ensemble, service, instance, order.as_ref()),
    );
    match written.await.unwrap_or(Err(WriteError::OutcomeUnknown)) {
        Ok(zxid) => {
            let (by, service) = (asked.peer, service.as_str());
            match &order {
                Some(order) => {
                    tracing::info!(%by, service, instance, ?order, %zxid, "an operator drains an endpoint");
                }
                None => {
                    tracing::info!(%by, service, instance, %zxid, "an operator ends a drain");
                }
            }
            followed(state, zxid).await;
            outcome(state, named, zxid)
        }
        Err(error) => refused(&error),
    }
}

/// Waits until this node's table reflects a transaction.
async fn followed(state: &AdminState, zxid: Zxid) {
    let until = Instant::now() + FOLLOWED;
    while state.table.load().version < zxid.0 && Instant::now() < until {
        sleep(LOOK).await;
    }
}

fn outcome(state: &AdminState, named: &Named, zxid: Zxid) -> Page {
    let table = state.table.load();
    let service = table.service(&named.service);
    let drain = service.and_then(|service| service.notes.drain(&named.instance));
    let by = drain.map_or(Vec::new(), |drain| drain.words());
    let page = json!({
        "zxid": zxid.0,
        "service": named.service,
        "instance": named.instance,
        "drained_by": by,
        "active": state.registry.active(&named.service, &named.instance),
    });
    done(StatusCode::OK, &page)
}

/// Writes an order, or removes it.
async fn write(
    ensemble: &Ensemble,
    service: &ServiceName,
    instance: &str,
    order: Option<&DrainOrder>,
) -> Result<Zxid, WriteError> {
    // Otherwise it would wait for a leader, and who asks could not tell whether it is still to happen.
    if !*ensemble.serving().borrow() {
        return Err(WriteError::NoLeader);
    }
    for _ in 0..ATTEMPTS {
        let ops = ensemble.read(|tree| match order {
            Some(order) => writing(tree, service, instance, order),
            None => removing(tree, service, instance),
        });
        if ops.is_empty() {
            return Ok(ensemble.read(|tree| tree.last_zxid()));
        }
        let proposed = ensemble.propose(Actor::Ensemble, Command::Multi(ops));
        let pending = proposed.await.map_err(|_| WriteError::NoLeader)?;
        let applied = pending.await.map_err(|_| WriteError::OutcomeUnknown)?;
        match applied.result {
            Ok(Reply::Multi(Err(MultiFailure {
                code: ErrorCode::NodeExists | ErrorCode::NoNode,
                ..
            }))) => {}
            Ok(Reply::Multi(Err(failure))) => return Err(WriteError::Refused(failure.code)),
            Ok(_) => return Ok(applied.zxid),
            Err(code) => return Err(WriteError::Refused(code)),
        }
    }
    Err(WriteError::Contended)
}

/// What makes an order, and what is missing above it.
fn writing(tree: &Tree, service: &ServiceName, instance: &str, order: &DrainOrder) -> Vec<Op> {
    let data = Some(Bytes::from(order::to_json(order)));
    let path: Arc<str> = layout::order_path(service, instance).into();
    if tree.get(&path).is_some() {
        let version = -1;
        return vec![Op::SetData {
            path,
            data,
            version,
        }];
    }
    let parent = layout::admin_path(service);
    let slashes = parent.match_indices('/').skip(1).map(|(at, _)| at);
    let ancestors: Vec<&str> = slashes
        .chain([parent.len()])
        .map(|end| &parent[..end])
        .collect();
    let there = ancestors.iter().rev().chain(&["/"]);
    let acl = there.filter_map(|path| tree.get(path)).next();
    let acl = acl.map_or_else(Acl::open, |znode| znode.acl().to_vec());
    let create = |path: &str, data, mode| Op::Create {
        path: path.into(),
        data,
        acl: acl.clone(),
        mode,
    };
    let missing = ancestors.iter().filter(|path| tree.get(path).is_none());
    let mut ops: Vec<Op> = missing
        .map(|path| {
            // That of the service goes by itself when its last order has gone.
            let lifetime = match **path == *parent {
                true => Lifetime::Container,
                false => Lifetime::Persistent,
            };
            let sequential = false;
            create(
                path,
                None,
                CreateMode {
                    lifetime,
                    sequential,
                },
            )
        })
        .collect();
    ops.push(create(&path, data, CreateMode::PERSISTENT));
    ops
}

fn removing(tree: &Tree, service: &ServiceName, instance: &str) -> Vec<Op> {
    let path = layout::order_path(service, instance);
    let op = tree.get(&path).map(|_| Op::Delete {
        path: path.as_str().into(),
        version: -1,
    });
    op.into_iter().collect()
}

fn refused(error: &WriteError) -> Page {
    let (status, name) = match error {
        WriteError::NoLeader => (StatusCode::SERVICE_UNAVAILABLE, "no-leader"),
        WriteError::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"),
        WriteError::Refused(ErrorCode::ThrottledOp) => (StatusCode::SERVICE_UNAVAILABLE, "no-room"),
        WriteError::Refused(_) => (StatusCode::CONFLICT, "refused"),
        WriteError::Contended => (StatusCode::CONFLICT, "contended"),
    };
    failed(status, name, &error.to_string())
}
