//! The workloads of tasks alone: spawned, asleep, parked, busy.

use crate::plan::{
    BYTES, CPU, Field, Limit, NS_PER_OP, P50, P99, SETTLED_P99, USUAL, WALL, Workload, higher,
    lower, of, target,
};

const MAX: Field = lower("max_us");
const PAGE_TABLES: Field = lower("page_table_bytes_per_task");
const TICKS: Field = higher("ticks");
const TICKS_NOMINAL: Field = lower("ticks_nominal");
const TICKS_SHARE: Field = higher("ticks_share");
const THREADS: Field = lower("threads_peak");
const GAP: Field = lower("longest_gap_ms");

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spawn_join",
        about: "1,000,000 no-op tasks, all spawned by one that waits for them",
        variants: &["spawn_join_joinset", "spawn_join_tracker"],
        allocates: true,
        ..USUAL
    },
    Workload {
        name: "spawn_join_b10k",
        about: "100 rounds of 10,000 no-op tasks, each round waited for",
        variants: &["spawn_join_b10k_local", "spawn_join_b10k_smallpool"],
        allocates: true,
        targets: &[target("spawn_join_b10k", NS_PER_OP, Limit::OfBest(0.7))],
        ..USUAL
    },
    Workload {
        name: "yield",
        about: "2 tasks yield 2,000,000 times each",
        variants: &["yield_selfwake"],
        targets: &[target("yield", NS_PER_OP, Limit::OfBest(0.7))],
        ..USUAL
    },
    Workload {
        name: "sleep_many",
        about: "100,000 tasks sleep 1 to 100 ms",
        allocates: true,
        compared: WALL,
        per_op: false,
        shown: &[CPU, P50, P99, MAX],
        targets: &[
            target("sleep_many", WALL, of("tokio", "sleep_many", 1.0)),
            target("sleep_many", CPU, of("tokio", "sleep_many", 1.0)),
            target("sleep_many", P99, Limit::Is(3000.0)),
            target("sleep_many", WALL, of("go", "sleep_many", 0.6)),
        ],
        ..USUAL
    },
    Workload {
        name: "sleep_many@20000",
        about: "20,000 tasks sleep 1 to 100 ms",
        compared: WALL,
        per_op: false,
        shown: &[CPU, P50, P99, MAX],
        ..USUAL
    },
    Workload {
        name: "sleep_precision",
        about: "one task sleeps 100 us, 2000 times: by how much longer",
        variants: &["sleep_precision_slack1"],
        compared: P50,
        shown: &[P99, MAX, CPU],
        targets: &[target(
            "sleep_precision",
            P50,
            of("threads", "sleep_precision", 1.0),
        )],
        ..USUAL
    },
    Workload {
        name: "parked_memory",
        about: "many tasks parked at once, then released",
        variants: &["parked_memory_park"],
        allocates: true,
        compared: BYTES,
        shown: &[
            PAGE_TABLES,
            lower("spawn_ms"),
            lower("release_ms"),
            WALL,
            CPU,
        ],
        targets: &[
            target("parked_memory", BYTES, Limit::Is(4400.0)),
            target("parked_memory", WALL, of("go", "parked_memory", 1.0)),
        ],
        ..USUAL
    },
    Workload {
        name: "unstarted_memory",
        about: "1,000,000 tasks at one time that have not run yet",
        procs: &[1],
        allocates: true,
        compared: BYTES,
        shown: &[PAGE_TABLES, lower("ran_early"), WALL],
        targets: &[target("unstarted_memory", BYTES, Limit::Is(250.0))],
        ..USUAL
    },
    Workload {
        name: "fork_join",
        about: "fib(27), a task for each call above fib(5)",
        allocates: true,
        shown: &[WALL, CPU, higher("tasks_per_s")],
        targets: &[target("fork_join", NS_PER_OP, Limit::OfBest(0.8))],
        ..USUAL
    },
    Workload {
        name: "blocking",
        about: "256 tasks, each one call that blocks its thread for 10 ms",
        variants: &["blocking_annotated", "blocking_naive"],
        compared: WALL,
        per_op: false,
        targets: &[
            target("blocking", WALL, of("tokio", "blocking", 1.5)),
            target("blocking_annotated", WALL, of("tokio", "blocking", 1.1)),
        ],
        ..USUAL
    },
    Workload {
        name: "hog_latency",
        about: "a loop of 2 s on every processor, and one task due every millisecond",
        compared: TICKS_SHARE,
        shown: &[TICKS, TICKS_NOMINAL, P50, P99, SETTLED_P99, MAX, GAP],
        targets: &[
            target("hog_latency", TICKS_SHARE, Limit::Is(0.95)),
            target("hog_latency", SETTLED_P99, Limit::Is(1000.0)),
        ],
        ..USUAL
    },
    Workload {
        name: "hog_many",
        about: "1,000 loops of 50 ms, and one task due every millisecond",
        procs: &[2],
        compared: WALL,
        per_op: false,
        shown: &[THREADS, TICKS, TICKS_NOMINAL, P99, GAP, CPU],
        targets: &[
            target("hog_many", THREADS, Limit::Is(64.0)),
            target("hog_many", WALL, of("go", "hog_many", 1.05)),
            target("hog_many", P99, Limit::Is(20_000.0)),
        ],
        ..USUAL
    },
];
