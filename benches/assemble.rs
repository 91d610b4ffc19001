//! The cost of a routing table of 1,000 services with 10 endpoints each: the first one, one after a whole reading
//! that changed nothing, and one after a single registration changed.

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use zoogate::config::ServiceName;
use zoogate::registry::reading::{Entry, Reading, Registered};
use zoogate::registry::{Departed, FileLayer, Given, TreeSettings, assemble};
use zoogate::routing::RoutingTable;
use zoogate::telemetry::Metrics;
use zoogate::tree::{SessionId, Zxid};

const SERVICES: usize = 1_000;
const ENDPOINTS: usize = 10;

fn name(service: usize) -> ServiceName {
    ServiceName::new(&format!("service-{service}")).expect("it is short and has no slash")
}

/// A service of which the first instance has this weight.
fn registered(service: usize, weight: usize) -> Registered {
    let entry = |instance: usize| {
        let weight = if instance == 0 { weight } else { 1 };
        let host = format!("10.{}.{}.{instance}", service / 256, service % 256);
        let data = format!(r#"{{"address":"{host}","port":8080,"weight":{weight}}}"#);
        Entry {
            instance: Arc::from(format!("instance-{instance}")),
            data: Bytes::from(data),
            created: Zxid(1),
            changed: Zxid(1),
            owner: SessionId::NONE,
        }
    };
    Registered {
        exists: true,
        entries: (0..ENDPOINTS).map(entry).collect(),
        ..Registered::NOTHING
    }
}

fn whole() -> Reading {
    Reading {
        zxid: 1,
        is_whole: true,
        services: (0..SERVICES).map(|s| (name(s), registered(s, 1))).collect(),
    }
}

fn one(weight: usize) -> Reading {
    Reading {
        zxid: 2,
        is_whole: false,
        services: [(name(500), registered(500, weight))].into(),
    }
}

fn bench(c: &mut Criterion) {
    let metrics = Metrics::new("bench");
    let (file, settings, departed) = (
        FileLayer::default(),
        TreeSettings::default(),
        Departed::default(),
    );
    let assemble_from = |reading: &Reading, previous: &RoutingTable| {
        assemble(&Given {
            file: &file,
            settings: &settings,
            reading,
            previous,
            departed: &departed,
            metrics: &metrics,
            bell: &Arc::default(),
            now_ms: 0,
        })
        .table
    };
    let (empty, reading) = (RoutingTable::default(), whole());
    let first = assemble_from(&reading, &empty);

    let mut group = c.benchmark_group(format!("assemble/{SERVICES}x{ENDPOINTS}"));
    group.bench_function("first", |b| {
        b.iter_with_large_drop(|| assemble_from(black_box(&reading), &empty));
    });
    group.bench_function("whole-unchanged", |b| {
        b.iter_with_large_drop(|| assemble_from(black_box(&reading), &first));
    });
    let changed = one(2);
    group.bench_function("one-change", |b| {
        b.iter_with_large_drop(|| assemble_from(black_box(&changed), &first));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = bench
}
criterion_main!(benches);
