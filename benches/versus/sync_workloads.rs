//! The workloads of locks and their kin, of contexts, of timers.

use crate::plan::{CPU, Limit, NS_PER_OP, Target, USUAL, Workload, lower, of, target};

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "rwlock",
        about: "8 readers and 1 writer of one lock, 1,000,000 times each",
        targets: &[best("rwlock"), best("rwlock").pinned()],
        ..USUAL
    },
    Workload {
        name: "semaphore",
        about: "8 takers of 2 permits, 500,000 times each; (held): with a yield while they have \
                one, 100,000 times",
        variants: &["semaphore_held"],
        apart: true,
        targets: &[
            best("semaphore"),
            best("semaphore").pinned(),
            best("semaphore_held"),
            best("semaphore_held").pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "wait_group",
        about: "8 tasks: one more, one done, wait, 1,000,000 times each, each with a group of its \
                own; (shared): in one group, without the wait",
        variants: &["wait_group_shared"],
        apart: true,
        targets: &[
            best("wait_group"),
            best("wait_group").pinned(),
            best("wait_group_shared"),
            best("wait_group_shared").pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "once",
        about: "8 tasks call what has been done, 10,000,000 times each",
        targets: &[best("once"), best("once").pinned()],
        ..USUAL
    },
    Workload {
        name: "context",
        about: "100,000 children created, and cancelled from the root; (each): 1,000,000, each \
                cancelled and dropped before the next",
        variants: &["context_each"],
        apart: true,
        allocates: true,
        shown: &[lower("create_ms"), lower("cancel_ms"), CPU],
        targets: &[
            half_of_go("context"),
            half_of_go("context").pinned(),
            half_of_go("context_each"),
            half_of_go("context_each").pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "timers",
        about: "1,000,000 timers of 1 h, all started, then all stopped; 100,000 of them, set anew \
                10 times each; (func): timers that call a function",
        variants: &[
            "timers_stop",
            "timers_reset",
            "timers_func",
            "timers_func_reset",
        ],
        apart: true,
        allocates: true,
        targets: &[
            target("timers_stop", NS_PER_OP, of("go", "timers_stop", 0.7)),
            target("timers_stop", NS_PER_OP, of("tokio", "timers_stop", 0.7)),
            target("timers_reset", NS_PER_OP, of("go", "timers_reset", 0.7)),
            target("timers_reset", NS_PER_OP, of("tokio", "timers_reset", 0.7)),
        ],
        ..USUAL
    },
];

const fn best(bench: &'static str) -> Target {
    target(bench, NS_PER_OP, Limit::OfBest(1.0))
}

const fn half_of_go(bench: &'static str) -> Target {
    target(bench, NS_PER_OP, of("go", bench, 0.5))
}
