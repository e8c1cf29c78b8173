//! How does raddle stand beside Go, tokio, may and OS threads?
//!
//! `cargo bench --bench versus -- --help` says what it takes. It builds the
//! programs of `benches/peers`, runs them in turn, prints a table in Markdown
//! for each workload and keeps every run in `target/versus/latest.json`.
//! `--docs` brings the figures of the documentation up to date: measured
//! anew, or with `--from target/versus/latest.json`, or drawn once more with
//! `--from docs/plots/figures.json`.
//!
//! | module | job |
//! |---|---|
//! | `options` | the command line |
//! | `plan` | what a workload is: what is shown, compared, aimed at |
//! | `task_workloads`, `channel_workloads`, `sync_workloads`, `server_workloads` | the workloads |
//! | `programs` | builds the programs; who takes part |
//! | `go` | finds the Go toolchain |
//! | `run` | one run of one program |
//! | `rounds` | all runs, in turn |
//! | `summary` | medians, ratios, verdicts |
//! | `table` | Markdown |
//! | `record` | JSON, and what machine it was |
//! | `figures` | what the pages show of it |
//! | `plot` | SVG |
//! | `pages` | the figures in the documentation |
//! | `self_check` | what `cargo test` runs of all this |

mod channel_workloads;
mod figures;
mod go;
mod options;
mod pages;
mod plan;
mod plot;
mod programs;
mod record;
mod rounds;
mod run;
mod self_check;
mod server_workloads;
mod summary;
mod sync_workloads;
mod table;
mod task_workloads;

use clap::Parser;
use options::Options;
use record::Record;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    // `cargo bench` says so; `cargo test` wants to know only that it works.
    if !std::env::args().any(|argument| argument == "--bench") {
        self_check::run();
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    if options.list {
        print!("{}", plan::list());
        return ExitCode::SUCCESS;
    }
    match compare(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("versus: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let record = if options.from.is_empty() {
        measure(options)?
    } else {
        recall(&options.from)?
    };
    if let Some(folder) = &options.plots {
        plot::draw_all(&record, folder)?;
    }
    if options.docs {
        pages::renew(record)?;
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Record, String> {
    let workloads = plan::chosen(&options.only)?;
    let programs = programs::build(options, &workloads)?;
    let size = if options.quick {
        ", a tenth of the size"
    } else {
        ""
    };
    println!("{} rounds{size}\n", options.rounds());
    let mut record = Record::new(options);
    rounds::run(options, &workloads, &programs, |workload, procs, runs| {
        record.add(workload, procs, runs);
        let summary = summary::of(workload, procs, record.of(workload, procs));
        println!("{}", table::markdown(&summary));
        // After each workload: what was measured is not lost.
        record.write(&options.json())
    })?;
    Ok(record)
}

/// What these files keep, the same tables printed.
fn recall(files: &[PathBuf]) -> Result<Record, String> {
    let mut record = Record::empty();
    for file in files {
        record.renew(Record::read(file)?);
    }
    for (workload, procs) in record.stages() {
        let summary = summary::of(workload, procs, record.of(workload, procs));
        println!("{}", table::markdown(&summary));
    }
    Ok(record)
}

/// The root of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn in_target(name: &str) -> PathBuf {
    root().join("target").join(name)
}
