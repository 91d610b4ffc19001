//! How a metric is made: one function per kind, and a macro that declares a group of them.
//!
//! Name, help text, field and documentation are written once, so that they cannot disagree. Every name
//! gets the prefix `zoogate_`.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// Upper bounds in seconds, 50 us to 10 s: requests, connects, fsyncs. Each further bound costs one series
/// per service.
pub(super) const FAST: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds in seconds, 1 ms to 5 min: snapshots.
pub(super) const SLOW: &[f64] = &[
    0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Declares a struct of metrics and its `new(&Registry)`, which registers them all.
///
/// One line per metric: `field: Type = kind("name", "Help." [, labels or buckets]);`
macro_rules! families {
    (
        $(#[$about:meta])*
        $vis:vis struct $Name:ident {
            $($field:ident: $Type:ty = $kind:ident($name:literal, $help:literal $(, $more:expr)*);)+
        }
    ) => {
        $(#[$about])*
        $vis struct $Name {
            $(#[doc = concat!("`zoogate_", $name, "`: ", $help)] pub $field: $Type,)+
        }

        impl $Name {
            /// Registers every metric of the group, at zero.
            pub(super) fn new(registry: &prometheus::Registry) -> $Name {
                $Name {
                    $($field: super::families::$kind(registry, $name, $help $(, $more)*),)+
                }
            }
        }
    };
}
pub(super) use families;

/// A counter.
pub(super) fn counter(r: &Registry, name: &str, help: &str) -> IntCounter {
    register(r, IntCounter::with_opts(options(name, help)))
}

/// A counter per combination of `labels`.
pub(super) fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(r, IntCounterVec::new(options(name, help), labels))
}

/// A gauge.
pub(super) fn gauge(r: &Registry, name: &str, help: &str) -> IntGauge {
    register(r, IntGauge::with_opts(options(name, help)))
}

/// A gauge per combination of `labels`.
pub(super) fn gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(r, IntGaugeVec::new(options(name, help), labels))
}

/// A histogram with the given upper bounds.
pub(super) fn histogram(r: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    register(r, Histogram::with_opts(bucketed(name, help, buckets)))
}

/// A histogram per value of the label `service`, with the given upper bounds.
pub(super) fn histograms(r: &Registry, name: &str, help: &str, buckets: &[f64]) -> HistogramVec {
    register(
        r,
        HistogramVec::new(bucketed(name, help, buckets), &["service"]),
    )
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("zoogate")
}

fn bucketed(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts {
        common_opts: options(name, help),
        buckets: buckets.into(),
    }
}

fn register<C: Collector + Clone + 'static>(r: &Registry, made: prometheus::Result<C>) -> C {
    const VALID: &str = "metric names are constants, valid and distinct";
    let collector = made.expect(VALID);
    r.register(Box::new(collector.clone())).expect(VALID);
    collector
}
