//! What `cargo test` runs of all this: nothing is built, nothing measured.

use crate::options::{Family, Options};
use crate::plan::{self, Limit, Workload};
use crate::programs::offer;
use crate::summary::{Spread, sample};
use crate::table::{markdown, number};
use clap::CommandFactory;
use std::collections::HashSet;

/// Panics if something is not as it should be.
pub fn run() {
    Options::command().debug_assert();
    plan_is_sound();
    medians_are_in_the_middle();
    numbers_are_readable();
    offers_are_read();
    like_is_compared_with_like();
    failures_are_told();
    who_is_alone_is_not_the_best();
    targets_know_mode_and_procs();
    sizes_are_compared_with_their_like();
    println!("versus: in order; `cargo bench --bench versus` measures");
}

/// Names are unique, sizes numbers, and targets about what is in the table.
fn plan_is_sound() {
    let mut names = HashSet::new();
    for workload in plan::all() {
        let Workload { name, targets, .. } = workload;
        assert!(names.insert(*name), "two workloads {name}");
        let _ = workload.size();
        assert!(
            !workload.shown.contains(&workload.compared),
            "{name} shows a field twice"
        );
        for target in *targets {
            let benches: Vec<_> = workload.benches().collect();
            let shown = target.field == workload.compared || workload.shown.contains(&target.field);
            assert!(
                shown,
                "{name} aims at {} and does not show it",
                target.field.name
            );
            assert!(
                benches.contains(&target.bench),
                "{name} has no {}",
                target.bench
            );
            if let Limit::Of { side, .. } = target.limit {
                assert!(
                    Family::ALL.iter().any(|family| family.name() == side),
                    "no side {side}"
                );
            }
            if let Limit::Of { bench, .. } | Limit::OfOwn { bench, .. } = target.limit {
                assert!(benches.contains(&bench), "{name} has no {bench}");
            }
            if let Some(procs) = target.procs {
                assert!(workload.procs.contains(&procs), "{name} has no P={procs}");
            }
        }
    }
    assert!(plan::chosen(&["yield".into()]).is_ok_and(|chosen| chosen.len() == 1));
    assert!(plan::chosen(&["nothing".into()]).is_err());
}

fn medians_are_in_the_middle() {
    let spread = |median, min, max| Some(Spread { median, min, max });
    assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
    assert_eq!(Spread::of(vec![4.0, 1.0]), spread(2.5, 1.0, 4.0));
    assert_eq!(Spread::of(vec![]), None);
}

fn numbers_are_readable() {
    let cases = [
        (0.7, "0.70"),
        (12.34, "12.3"),
        (999.6, "1,000"),
        (-1_234_567.0, "-1,234,567"),
    ];
    for (value, text) in cases {
        assert_eq!(number(value), text);
    }
}

fn offers_are_read() {
    let (name, sizes) = offer("fork_join 27 22").expect("three words");
    assert_eq!((name.as_str(), sizes.tenth), ("fork_join", 22));
    assert!(offer("fork_join many few").is_none());
}

/// raddle with mimalloc is measured by tokio with mimalloc.
fn like_is_compared_with_like() {
    let summary = sample::summary(
        workload("spawn_join_b10k"),
        &[
            ("go", Family::Go, false, &[900.0]),
            ("tokio", Family::Tokio, false, &[400.0, 410.0, 300.0]),
            ("raddle-pinned", Family::Raddle, false, &[200.0]),
            ("raddle-migrate", Family::Raddle, false, &[200.0]),
            ("tokio-mi", Family::Tokio, true, &[100.0]),
            ("raddle-migrate-mi", Family::Raddle, true, &[80.0]),
        ],
    );
    let ratios: Vec<_> = summary.rows.iter().filter_map(|row| row.ratio).collect();
    assert_eq!(ratios, [2.25, 1.0, 0.5, 0.5, 1.0, 0.8]);
    let met: Vec<_> = summary
        .rows
        .iter()
        .map(|row| row.verdicts.first().and_then(|v| v.is_met()))
        .collect();
    assert_eq!(met, [None, None, None, Some(true), None, Some(false)]);

    let table = markdown(&summary);
    assert!(
        table.contains("| tokio | 400 | 300..410 | 1.00 |"),
        "{table}"
    );
    assert!(table.contains("≤ 0.70 of best: 0.50 ok"), "{table}");
    assert!(table.contains("≤ 0.70 of best: 0.80 **MISSED**"), "{table}");
}

/// A side that never came to an end has a row, and so has who outran it.
fn failures_are_told() {
    let rows: &[(&str, Family, bool, &[f64])] = &[
        ("may", Family::May, false, &[]),
        ("raddle-migrate", Family::Raddle, false, &[10.0]),
    ];
    let table = markdown(&sample::summary(workload("yield"), rows));
    assert!(table.contains("| may | failed |"), "{table}");
    assert!(
        table.contains("may (yield), 1 of 1 runs: timed out after 1 s"),
        "{table}"
    );
    assert!(table.contains("of best: not measured"), "{table}");
}

/// Alone, nobody is the best.
fn who_is_alone_is_not_the_best() {
    let mut rows: Vec<(&str, Family, bool, &[f64])> = vec![("go", Family::Go, false, &[500.0])];
    let alone = sample::summary(workload("sleep_many"), &rows);
    assert_eq!(alone.rows[0].ratio, None);
    rows.push(("tokio", Family::Tokio, false, &[250.0]));
    let two = sample::summary(workload("sleep_many"), &rows);
    let ratios: Vec<_> = two.rows.iter().map(|row| row.ratio).collect();
    assert_eq!(ratios, [Some(2.0), Some(1.0)]);
}

/// The lock has one target for each mode, and one for another number of
/// processors.
fn targets_know_mode_and_procs() {
    let summary = sample::summary(
        workload("mutex_contended"),
        &[
            ("go", Family::Go, false, &[10.0]),
            ("threads", Family::Threads, false, &[20.0]),
            ("raddle-pinned", Family::Raddle, false, &[11.0]),
            ("raddle-migrate", Family::Raddle, false, &[22.0]),
        ],
    );
    let verdicts = |row: usize| {
        let verdicts = &summary.rows[row].verdicts;
        let told = verdicts
            .iter()
            .map(|v| (v.of.as_str(), v.value, v.is_met()));
        told.collect::<Vec<_>>()
    };
    assert_eq!(verdicts(0), []);
    assert_eq!(verdicts(2), [(" of go", Some(1.1), Some(false))]);
    assert_eq!(verdicts(3), [(" of threads", Some(1.1), Some(true))]);
}

/// 64 receivers with 64 of another's, and with one of raddle's own.
fn sizes_are_compared_with_their_like() {
    let (one, many) = ("select_done_1", "select_done_64");
    let rows: [(_, sample::Values<'_>); 4] = [
        (one, ("go", Family::Go, false, &[100.0])),
        (many, ("go", Family::Go, false, &[400.0])),
        (one, ("raddle-migrate", Family::Raddle, false, &[50.0])),
        (many, ("raddle-migrate", Family::Raddle, false, &[100.0])),
    ];
    let summary = sample::of_benches(workload("select_done"), rows);
    let ratios: Vec<_> = summary.rows.iter().map(|row| row.ratio).collect();
    assert_eq!(ratios, [None, None, Some(0.5), Some(0.25)]);
    let table = markdown(&summary);
    assert!(table.contains("| raddle-migrate (64) |"), "{table}");
    assert!(
        table.contains("≤ 1.50 of select_done_1: 2.00 **MISSED**"),
        "{table}"
    );
}

fn workload(name: &str) -> &'static Workload {
    plan::all()
        .find(|workload| workload.name == name)
        .expect("it is in the plan")
}
