//! What one transaction and one read cost on a tree of 100,000 znodes, and what a snapshot of it costs.
//!
//! Paths have the shape `/services/app-00042/instance-00042007`, 100 instances to a service, 128 bytes of
//! data. One iteration is one transaction, one read, or one whole snapshot.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use zoogate::tree::{Acl, Actor, Command, CreateMode, Op, Transaction, Tree, TreeLoader, Zxid};

const ZNODES: u64 = 100_000;
const PER_SERVICE: u64 = 100;

/// Visits all znodes, in an order that no cache foresees: the step is a prime that does not divide the count.
const STEP: u64 = 61_843;

fn service(nth: u64) -> String {
    format!("/services/app-{:05}", nth / PER_SERVICE)
}

fn instance(nth: u64) -> String {
    format!("{}/instance-{nth:08}", service(nth))
}

fn transaction(op: Op) -> Transaction {
    Transaction {
        time_ms: 0,
        actor: Actor::Ensemble,
        command: Command::One(op),
    }
}

fn create(path: String) -> Transaction {
    transaction(Op::Create {
        path: path.into(),
        data: Some(Bytes::from_static(&[7; 128])),
        acl: Acl::open(),
        mode: CreateMode::PERSISTENT,
    })
}

fn apply(tree: &mut Tree, transaction: &Transaction) {
    let zxid = Zxid(tree.last_zxid().0 + 1);
    black_box(tree.apply(zxid, transaction))
        .result
        .expect("accepted");
}

fn filled() -> Tree {
    let mut tree = Tree::new();
    apply(&mut tree, &create("/services".into()));
    for nth in 0..ZNODES {
        if nth % PER_SERVICE == 0 {
            apply(&mut tree, &create(service(nth)));
        }
        apply(&mut tree, &create(instance(nth)));
    }
    tree
}

fn full_tree(criterion: &mut Criterion) {
    let mut tree = filled();
    let paths: Vec<Arc<str>> = (0..ZNODES).map(|nth| instance(nth).into()).collect();
    let mut at = 0;
    let mut next = || {
        at = (at + STEP) % ZNODES;
        paths[at as usize].clone()
    };

    criterion.bench_function("get", |b| {
        b.iter(|| {
            let znode = tree.get(&next()).expect("filled");
            black_box((znode.stat(), znode.data().map_or(0, |data| data.len())))
        });
    });
    criterion.bench_function("set", |b| {
        let set = |path| {
            transaction(Op::SetData {
                path,
                data: Some(Bytes::from_static(&[8; 128])),
                version: -1,
            })
        };
        b.iter_batched(
            || set(next()),
            |set| apply(&mut tree, &set),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("create and delete", |b| {
        let both = |path: Arc<str>| {
            let path: Arc<str> = format!("{path}-next").into();
            let delete = transaction(Op::Delete {
                path: path.clone(),
                version: -1,
            });
            (create(path.to_string()), delete)
        };
        b.iter_batched(
            || both(next()),
            |(create, delete)| {
                apply(&mut tree, &create);
                apply(&mut tree, &delete);
            },
            BatchSize::SmallInput,
        );
    });

    snapshots(criterion, &mut tree);
}

fn snapshots(criterion: &mut Criterion, tree: &mut Tree) {
    let mut snapshots = criterion.benchmark_group("snapshot");
    snapshots.sample_size(10);
    snapshots.bench_function("write", |b| {
        b.iter(|| {
            tree.start_snapshot();
            while let Some(chunk) = tree.snapshot_chunk(256) {
                black_box(chunk);
            }
        });
    });
    tree.start_snapshot();
    let chunks: Vec<Vec<u8>> = std::iter::from_fn(|| tree.snapshot_chunk(256)).collect();
    snapshots.bench_function("load", |b| {
        b.iter(|| {
            let mut loader = TreeLoader::new();
            for chunk in &chunks {
                loader.chunk(chunk).expect("as written");
            }
            black_box(loader.finish().expect("complete"))
        });
    });
    snapshots.finish();
}

/// Fills one tree after the other; letting go of a full one is part of the price, as it is for a member.
fn creates(criterion: &mut Criterion) {
    let mut all = vec![create("/services".into())];
    for nth in 0..ZNODES {
        if nth % PER_SERVICE == 0 {
            all.push(create(service(nth)));
        }
        all.push(create(instance(nth)));
    }
    criterion.bench_function("create", |b| {
        let mut tree = Tree::new();
        let mut log = all[..].iter();
        b.iter(|| {
            let create = log.next().unwrap_or_else(|| {
                tree = Tree::new();
                log = all[1..].iter();
                &all[0]
            });
            apply(&mut tree, create);
        });
    });
}

criterion_group!(apply_benches, creates, full_tree);
criterion_main!(apply_benches);
