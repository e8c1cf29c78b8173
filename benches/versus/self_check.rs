//! What `cargo test` runs of all this: nothing is built, nothing measured.

use crate::figures::FIGURES;
use crate::options::{Family, Options};
use crate::pages;
use crate::plan::{self, Limit, Workload};
use crate::programs::offer;
use crate::record::{Record, Row, Session};
use crate::summary::{Spread, sample};
use crate::table::{brief, markdown, number};
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
    figures_are_of_the_plan();
    newer_runs_take_the_place_of_older();
    pages_say_what_was_measured();
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
        assert!(
            workload.server.is_none() || workload.variants.is_empty(),
            "{name} has variants, and its client knows none"
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
    let cases = [
        (0.055, "0.055"),
        (0.444, "0.44"),
        (1.0, "1.0"),
        (86.4, "86"),
        (99.9, "100"),
    ];
    for (value, text) in cases {
        assert_eq!(brief(value), text);
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
            ("go", &[900.0]),
            ("tokio", &[400.0, 410.0, 300.0]),
            ("raddle-pinned", &[200.0]),
            ("raddle-migrate", &[200.0]),
            ("tokio-mi", &[100.0]),
            ("raddle-migrate-mi", &[80.0]),
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
    let rows: &[sample::Values<'_>] = &[("may", &[]), ("raddle-migrate", &[10.0])];
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
    let mut rows: Vec<sample::Values<'_>> = vec![("go", &[500.0])];
    let alone = sample::summary(workload("sleep_many"), &rows);
    assert_eq!(alone.rows[0].ratio, None);
    rows.push(("tokio", &[250.0]));
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
            ("go", &[10.0]),
            ("threads", &[20.0]),
            ("raddle-pinned", &[11.0]),
            ("raddle-migrate", &[18.0]),
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
    assert_eq!(verdicts(3), [(" of threads", Some(0.9), Some(true))]);
}

/// 64 receivers with 64 of another's, and with one of raddle's own.
fn sizes_are_compared_with_their_like() {
    let (one, many) = ("select_done_1", "select_done_64");
    let rows: [(_, sample::Values<'_>); 4] = [
        (one, ("go", &[100.0])),
        (many, ("go", &[400.0])),
        (one, ("raddle-migrate", &[50.0])),
        (many, ("raddle-migrate", &[100.0])),
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

/// Figures name workloads, variants and fields that are there.
fn figures_are_of_the_plan() {
    for group in FIGURES.iter().flat_map(|figure| figure.groups) {
        group.check();
    }
}

/// A workload measured anew loses all it had, and no other does.
fn newer_runs_take_the_place_of_older() {
    let row = |workload: &str, side: &str| Row {
        workload: workload.into(),
        bench: workload.into(),
        side: side.into(),
        procs: 1,
        ..Row::default()
    };
    let record = |rows: Vec<Row>, rounds| Record {
        sessions: vec![Session {
            rounds,
            ..Session::default()
        }],
        rows,
    };
    let mut kept = record(vec![row("ring", "go"), row("yield", "go")], 5);
    kept.renew(record(vec![row("ring", "tokio")], 3));
    let rows: Vec<_> = kept
        .rows
        .iter()
        .map(|row| (row.workload.as_str(), row.side.as_str(), row.session))
        .collect();
    assert_eq!(rows, [("yield", "go", 0), ("ring", "tokio", 1)]);
    kept.renew(record(vec![row("yield", "may")], 1));
    let rounds: Vec<_> = kept.sessions.iter().map(|session| session.rounds).collect();
    assert_eq!(rounds, [3, 1]);
}

fn pages_say_what_was_measured() {
    let text = "before\n<!-- written by `cargo bench --bench versus -- --docs`: begin -->\n\
                old\n<!-- end -->\nafter\n";
    let renewed = pages::with_block(text, "new\n").expect("there are marks");
    assert_eq!(renewed, text.replace("old", "\nnew\n"));
    assert!(pages::with_block("no marks", "").is_err());

    let outdated = pages::outdated().expect("the figures are kept in docs/plots");
    assert!(
        outdated.is_empty(),
        "{outdated:?} say something else than docs/plots/figures.json; \
         `cargo bench --bench versus -- --from docs/plots/figures.json --docs` writes them anew"
    );
}

fn workload(name: &str) -> &'static Workload {
    plan::all()
        .find(|workload| workload.name == name)
        .expect("it is in the plan")
}
