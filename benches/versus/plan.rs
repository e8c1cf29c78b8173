//! What a workload of the comparison is: what is shown, compared, aimed at.

use crate::{channel_workloads, server_workloads, sync_workloads, task_workloads};

/// One workload of the comparison.
pub struct Workload {
    /// As the programs name it; `name@size` runs every side at that size.
    pub name: &'static str,
    /// What is done.
    pub about: &'static str,
    /// The same done otherwise, where a program offers it.
    pub variants: &'static [&'static str],
    /// What the programs serve, where `load` is the client that measures: it
    /// is asked for `name` then, and has no variants.
    pub server: Option<&'static str>,
    /// With how many processors.
    pub procs: &'static [usize],
    /// Whether its cost is largely the allocator's: mimalloc's runs count too.
    pub allocates: bool,
    /// By which the sides are ranked.
    pub compared: Field,
    /// Whether sides of different sizes may be compared by it.
    pub per_op: bool,
    /// Whether variants are other sizes of it: each is compared with its like
    /// alone.
    pub apart: bool,
    /// Shown besides.
    pub shown: &'static [Field],
    /// What raddle aims at.
    pub targets: &'static [Target],
}

/// A number of the programs' JSON line.
#[derive(Clone, Copy, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub better: Better,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Better {
    Lower,
    Higher,
}

/// What a row of raddle's should reach.
pub struct Target {
    /// The workload or the variant.
    pub bench: &'static str,
    pub field: Field,
    pub limit: Limit,
    pub mode: Mode,
    /// With this number of processors: with any, if none is said.
    pub procs: Option<usize>,
}

/// Whether raddle's goroutines stay on their threads.
#[derive(Clone, Copy)]
pub enum Mode {
    Pinned,
    Migrate,
}

/// How good a number should be.
#[derive(Clone, Copy)]
pub enum Limit {
    /// A multiple of the best peer's.
    OfBest(f64),
    /// A multiple of this peer's, with the like allocator.
    Of {
        side: &'static str,
        bench: &'static str,
        ratio: f64,
    },
    /// A multiple of its own, there.
    OfOwn { bench: &'static str, ratio: f64 },
    /// A number.
    Is(f64),
}

pub const fn lower(name: &'static str) -> Field {
    Field {
        name,
        better: Better::Lower,
    }
}

pub const fn higher(name: &'static str) -> Field {
    Field {
        name,
        better: Better::Higher,
    }
}

/// Of raddle as it migrates, with any number of processors.
pub const fn target(bench: &'static str, field: Field, limit: Limit) -> Target {
    Target {
        bench,
        field,
        limit,
        mode: Mode::Migrate,
        procs: None,
    }
}

/// A multiple of what `side` takes for `bench`.
pub const fn of(side: &'static str, bench: &'static str, ratio: f64) -> Limit {
    Limit::Of { side, bench, ratio }
}

impl Target {
    /// Of raddle as it comes.
    pub const fn pinned(self) -> Self {
        let mode = Mode::Pinned;
        Self { mode, ..self }
    }

    /// With this number of processors alone.
    pub const fn at(self, procs: usize) -> Self {
        let procs = Some(procs);
        Self { procs, ..self }
    }
}

pub const NS_PER_OP: Field = lower("ns_per_op");
pub const WALL: Field = lower("wall_ms");
pub const CPU: Field = lower("cpu_ms");
/// Of a tree.
pub const TOTAL: Field = lower("total_ms");
pub const BYTES: Field = lower("bytes_per_task");
pub const P50: Field = lower("p50_us");
pub const P99: Field = lower("p99_us");
/// Once the scheduler has seen what goes on.
pub const SETTLED_P99: Field = lower("p99_after_20ms_us");

pub const BOTH: &[usize] = &[1, 2];

/// What most are like: the rest of a workload.
pub const USUAL: Workload = Workload {
    name: "",
    about: "",
    variants: &[],
    server: None,
    procs: BOTH,
    allocates: false,
    compared: NS_PER_OP,
    per_op: true,
    apart: false,
    shown: &[CPU],
    targets: &[],
};

impl Workload {
    /// What the programs are asked for.
    pub fn bench(&self) -> &'static str {
        self.name
            .split_once('@')
            .map_or(self.name, |(bench, _)| bench)
    }

    /// The size that every side runs, if it is not each its own.
    pub fn size(&self) -> Option<u64> {
        let (_, size) = self.name.split_once('@')?;
        Some(size.parse().expect("the plan's sizes are numbers"))
    }

    /// Whether `field` is compared, shown or aimed at.
    pub fn has_field(&self, field: &str) -> bool {
        let aimed = self.targets.iter().map(|target| target.field);
        [self.compared]
            .into_iter()
            .chain(self.shown.iter().copied())
            .chain(aimed)
            .any(|known| known.name == field)
    }

    /// It and its variants, as the programs name them.
    pub fn benches(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.bench()]
            .into_iter()
            .chain(self.variants.iter().copied())
    }
}

/// All workloads.
pub fn all() -> impl Iterator<Item = &'static Workload> {
    let tables = [
        task_workloads::WORKLOADS,
        channel_workloads::WORKLOADS,
        sync_workloads::WORKLOADS,
        server_workloads::WORKLOADS,
    ];
    tables.into_iter().flatten()
}

/// The workloads called for: all, if none is.
pub fn chosen(only: &[String]) -> Result<Vec<&'static Workload>, String> {
    if only.is_empty() {
        return Ok(all().collect());
    }
    let find = |name: &String| {
        let found = all().find(|workload| workload.name == name);
        found.ok_or_else(|| format!("no workload {name}; --list names them"))
    };
    only.iter().map(find).collect()
}

/// The workloads, a line for each and for each variant.
pub fn list() -> String {
    let lines = all().flat_map(|workload| {
        let variants = workload
            .variants
            .iter()
            .map(|variant| format!("{:18} + {variant}\n", ""));
        [format!("{:18} {}\n", workload.name, workload.about)]
            .into_iter()
            .chain(variants)
    });
    lines.collect()
}
