//! The workloads: what is shown, compared, aimed at.

/// One workload of the comparison.
pub struct Workload {
    /// As the programs name it; `name@size` runs every side at that size.
    pub name: &'static str,
    /// What is done.
    pub about: &'static str,
    /// The same done otherwise, where a program offers it.
    pub variants: &'static [&'static str],
    /// With how many processors.
    pub procs: &'static [usize],
    /// Whether its cost is largely the allocator's: mimalloc's runs count too.
    pub allocates: bool,
    /// By which the sides are ranked.
    pub compared: Field,
    /// Whether sides of different sizes may be compared by it.
    pub per_op: bool,
    /// Shown besides.
    pub shown: &'static [Field],
    /// What raddle, migrating, aims at.
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
    /// A number.
    Is(f64),
}

const fn lower(name: &'static str) -> Field {
    Field {
        name,
        better: Better::Lower,
    }
}

const fn higher(name: &'static str) -> Field {
    Field {
        name,
        better: Better::Higher,
    }
}

const fn target(bench: &'static str, field: Field, limit: Limit) -> Target {
    Target {
        bench,
        field,
        limit,
    }
}

const NS_PER_OP: Field = lower("ns_per_op");
const WALL: Field = lower("wall_ms");
const CPU: Field = lower("cpu_ms");
const P50: Field = lower("p50_us");
const P99: Field = lower("p99_us");
const MAX: Field = lower("max_us");
const SETTLED_P99: Field = lower("p99_after_20ms_us");
const BYTES: Field = lower("bytes_per_task");
const PAGE_TABLES: Field = lower("page_table_bytes_per_task");
const TICKS: Field = higher("ticks");
const TICKS_NOMINAL: Field = lower("ticks_nominal");
const TICKS_SHARE: Field = higher("ticks_share");
const THREADS: Field = lower("threads_peak");
const GAP: Field = lower("longest_gap_ms");

const BOTH: &[usize] = &[1, 2];

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spawn_join",
        about: "1,000,000 no-op tasks, all spawned by one that waits for them",
        variants: &["spawn_join_joinset", "spawn_join_tracker"],
        procs: BOTH,
        allocates: true,
        compared: NS_PER_OP,
        per_op: true,
        shown: &[CPU],
        targets: &[],
    },
    Workload {
        name: "spawn_join_b10k",
        about: "100 rounds of 10,000 no-op tasks, each round waited for",
        variants: &["spawn_join_b10k_local", "spawn_join_b10k_smallpool"],
        procs: BOTH,
        allocates: true,
        compared: NS_PER_OP,
        per_op: true,
        shown: &[CPU],
        targets: &[target("spawn_join_b10k", NS_PER_OP, Limit::OfBest(0.7))],
    },
    Workload {
        name: "yield",
        about: "2 tasks yield 2,000,000 times each",
        variants: &["yield_selfwake"],
        procs: BOTH,
        allocates: false,
        compared: NS_PER_OP,
        per_op: true,
        shown: &[CPU],
        targets: &[target("yield", NS_PER_OP, Limit::OfBest(0.7))],
    },
    Workload {
        name: "sleep_many",
        about: "100,000 tasks sleep 1 to 100 ms",
        variants: &[],
        procs: BOTH,
        allocates: true,
        compared: WALL,
        per_op: false,
        shown: &[CPU, P50, P99, MAX],
        targets: &[
            target(
                "sleep_many",
                WALL,
                Limit::Of {
                    side: "tokio",
                    bench: "sleep_many",
                    ratio: 1.2,
                },
            ),
            target(
                "sleep_many",
                WALL,
                Limit::Of {
                    side: "go",
                    bench: "sleep_many",
                    ratio: 0.6,
                },
            ),
        ],
    },
    Workload {
        name: "sleep_many@20000",
        about: "20,000 tasks sleep 1 to 100 ms",
        variants: &[],
        procs: BOTH,
        allocates: false,
        compared: WALL,
        per_op: false,
        shown: &[CPU, P50, P99, MAX],
        targets: &[],
    },
    Workload {
        name: "sleep_precision",
        about: "one task sleeps 100 us, 2000 times: by how much longer",
        variants: &["sleep_precision_slack1"],
        procs: BOTH,
        allocates: false,
        compared: P50,
        per_op: true,
        shown: &[P99, MAX, CPU],
        targets: &[target(
            "sleep_precision",
            P50,
            Limit::Of {
                side: "threads",
                bench: "sleep_precision",
                ratio: 1.0,
            },
        )],
    },
    Workload {
        name: "parked_memory",
        about: "many tasks parked at once, then released",
        variants: &[],
        procs: BOTH,
        allocates: true,
        compared: BYTES,
        per_op: true,
        shown: &[
            PAGE_TABLES,
            lower("spawn_ms"),
            lower("release_ms"),
            WALL,
            CPU,
        ],
        targets: &[
            target("parked_memory", BYTES, Limit::Is(4400.0)),
            target(
                "parked_memory",
                WALL,
                Limit::Of {
                    side: "go",
                    bench: "parked_memory",
                    ratio: 1.0,
                },
            ),
        ],
    },
    Workload {
        name: "unstarted_memory",
        about: "1,000,000 tasks of which none has run yet",
        variants: &[],
        procs: &[1],
        allocates: true,
        compared: BYTES,
        per_op: true,
        shown: &[PAGE_TABLES, lower("ran_early"), NS_PER_OP],
        targets: &[target("unstarted_memory", BYTES, Limit::Is(250.0))],
    },
    Workload {
        name: "fork_join",
        about: "fib(27), a task for each call above fib(5)",
        variants: &[],
        procs: BOTH,
        allocates: true,
        compared: NS_PER_OP,
        per_op: true,
        shown: &[WALL, CPU, higher("tasks_per_s")],
        targets: &[target("fork_join", NS_PER_OP, Limit::OfBest(0.8))],
    },
    Workload {
        name: "blocking",
        about: "256 tasks, each one call that blocks its thread for 10 ms",
        variants: &["blocking_annotated", "blocking_naive"],
        procs: BOTH,
        allocates: false,
        compared: WALL,
        per_op: false,
        shown: &[CPU],
        targets: &[
            target(
                "blocking",
                WALL,
                Limit::Of {
                    side: "tokio",
                    bench: "blocking",
                    ratio: 1.5,
                },
            ),
            target(
                "blocking_annotated",
                WALL,
                Limit::Of {
                    side: "tokio",
                    bench: "blocking",
                    ratio: 1.1,
                },
            ),
        ],
    },
    Workload {
        name: "hog_latency",
        about: "a loop of 2 s on every processor, and one task due every millisecond",
        variants: &[],
        procs: BOTH,
        allocates: false,
        compared: TICKS_SHARE,
        per_op: true,
        shown: &[TICKS, TICKS_NOMINAL, P50, P99, SETTLED_P99, MAX, GAP],
        targets: &[
            target("hog_latency", TICKS_SHARE, Limit::Is(0.95)),
            target("hog_latency", SETTLED_P99, Limit::Is(1000.0)),
        ],
    },
    Workload {
        name: "hog_many",
        about: "1,000 loops of 50 ms, and one task due every millisecond",
        variants: &[],
        procs: &[2],
        allocates: false,
        compared: WALL,
        per_op: false,
        shown: &[THREADS, TICKS, TICKS_NOMINAL, P99, GAP, CPU],
        targets: &[
            target("hog_many", THREADS, Limit::Is(64.0)),
            target(
                "hog_many",
                WALL,
                Limit::Of {
                    side: "go",
                    bench: "hog_many",
                    ratio: 1.05,
                },
            ),
            target("hog_many", P99, Limit::Is(20_000.0)),
        ],
    },
];

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

    /// It and its variants, as the programs name them.
    pub fn benches(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.bench()]
            .into_iter()
            .chain(self.variants.iter().copied())
    }
}

/// The workloads called for: all, if none is.
pub fn chosen(only: &[String]) -> Result<Vec<&'static Workload>, String> {
    if only.is_empty() {
        return Ok(WORKLOADS.iter().collect());
    }
    let find = |name: &String| {
        let found = WORKLOADS.iter().find(|workload| workload.name == name);
        found.ok_or_else(|| format!("no workload {name}; --list names them"))
    };
    only.iter().map(find).collect()
}

/// The workloads, a line for each and for each variant.
pub fn list() -> String {
    let lines = WORKLOADS.iter().flat_map(|workload| {
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
