//! All runs, in turn.

use crate::options::Options;
use crate::plan::Workload;
use crate::programs::{Entrant, Programs, Sizes};
use crate::run::{Line, run as run_program};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;

/// One run: who, what, and what came of it.
pub struct Run<'a> {
    pub entrant: &'a Entrant,
    /// The workload or a variant.
    pub bench: &'static str,
    pub result: Result<Line, String>,
}

/// What is run once in every round.
struct Row<'a> {
    entrant: &'a Entrant,
    bench: &'static str,
    /// Its own, or that which drives it.
    program: &'a Path,
    arguments: Vec<String>,
}

/// Runs each of `workloads` and gives its runs to `done`, for one number of
/// processors after the other.
///
/// In a round every side has one turn; each round begins with another side.
/// What slows the machine for a while so slows all of them alike.
pub fn run<'a>(
    options: &Options,
    workloads: &[&'static Workload],
    programs: &'a Programs,
    mut done: impl FnMut(&'static Workload, usize, &[Run<'a>]) -> Result<(), String>,
) -> Result<(), String> {
    let mut stages = Vec::new();
    for &workload in workloads {
        for &procs in options
            .procs
            .iter()
            .filter(|procs| workload.procs.contains(procs))
        {
            let rows = rows(workload, procs, programs, options.quick);
            if !rows.is_empty() {
                stages.push((workload, procs, rows));
            }
        }
    }
    if stages.is_empty() {
        return Err("nobody offers what was asked for".into());
    }
    let turns: usize = stages
        .iter()
        .map(|(_, _, rows)| rows.len() * options.rounds())
        .sum();
    let progress = Progress::of(turns);
    for (workload, procs, rows) in stages {
        let mut runs = Vec::new();
        for round in 0..options.rounds() {
            for turn in 0..rows.len() {
                let row = &rows[(round + turn) % rows.len()];
                let (bench, side) = (row.bench, &row.entrant.name);
                progress.at(format!("{bench} P={procs} {side}, round {}", round + 1));
                let Row {
                    entrant,
                    bench,
                    program,
                    ref arguments,
                } = *row;
                let result = run_program(program, arguments, options.timeout());
                runs.push(Run {
                    entrant,
                    bench,
                    result,
                });
            }
        }
        progress.aside(|| done(workload, procs, &runs))?;
    }
    progress.end();
    Ok(())
}

fn rows<'a>(
    workload: &Workload,
    procs: usize,
    programs: &'a Programs,
    quick: bool,
) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for entrant in programs
        .entrants
        .iter()
        .filter(|entrant| workload.allocates || !entrant.mimalloc)
    {
        for bench in workload.benches() {
            let Some((program, sizes)) = runs(workload, bench, entrant, programs) else {
                continue;
            };
            let mut arguments = vec![bench.into(), "--procs".into(), procs.to_string()];
            let size = match (workload.size(), quick) {
                (Some(size), quick) => Some(if quick { size / 10 } else { size }),
                (None, true) => Some(sizes.tenth),
                (None, false) => None,
            };
            if let Some(size) = size {
                arguments.extend(["--n".into(), size.to_string()]);
            }
            if workload.server.is_some() {
                arguments.extend(["--".into(), entrant.program.display().to_string()]);
            }
            arguments.extend(entrant.arguments.iter().map(|&argument| argument.into()));
            rows.push(Row {
                entrant,
                bench,
                program,
                arguments,
            });
        }
    }
    rows
}

/// What is run where `entrant` does `bench`, if it does, and the sizes.
fn runs<'a>(
    workload: &Workload,
    bench: &str,
    entrant: &'a Entrant,
    programs: &'a Programs,
) -> Option<(&'a Path, Sizes)> {
    match workload.server {
        None => Some((&entrant.program, *entrant.offers.get(bench)?)),
        Some(server) => {
            let _serves = entrant.offers.get(server)?;
            let load = programs.load.as_ref()?;
            Some((&load.program, *load.offers.get(bench)?))
        }
    }
}

/// A bar on a terminal, lines elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn of(turns: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({eta} left)");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(turns as u64).with_style(style))
    }

    /// The next turn, begun.
    fn at(&self, what: String) {
        self.0.inc(1);
        if self.0.is_hidden() {
            let (at, of) = (self.0.position(), self.0.length().unwrap_or_default());
            eprintln!("[{at}/{of}] {what}");
        }
        self.0.set_message(what);
    }

    /// Lets `print` write to the terminal.
    fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    fn end(self) {
        self.0.finish_and_clear();
    }
}
