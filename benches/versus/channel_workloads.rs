//! The workloads of tasks that meet: in channels, in a lock.

use crate::plan::{CPU, Limit, NS_PER_OP, TOTAL, USUAL, WALL, Workload, of, target};

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "pingpong_unbuf",
        about: "2 tasks, 2 channels without buffer, 1,000,000 messages there and back",
        targets: &[
            target(
                "pingpong_unbuf",
                NS_PER_OP,
                of("tokio", "pingpong_unbuf", 0.6),
            ),
            target("pingpong_unbuf", NS_PER_OP, of("go", "pingpong_unbuf", 1.0)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "ring",
        about: "1000 tasks in a ring of channels without buffer, 1,000,000 hops of a token",
        targets: &[
            target("ring", NS_PER_OP, of("tokio", "ring", 0.6)),
            target("ring", NS_PER_OP, of("go", "ring", 1.0)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "chan_spsc_buf",
        about: "1 producer, 1 consumer, capacity 128, 5,000,000 messages",
        targets: &[
            target("chan_spsc_buf", NS_PER_OP, of("may", "chan_spsc_buf", 1.5)),
            target("chan_spsc_buf", NS_PER_OP, of("go", "chan_spsc_buf", 0.5)),
            target("chan_spsc_buf", NS_PER_OP, of("go", "chan_spsc_buf", 1.0)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "chan_mpmc_buf",
        about: "4 producers, 4 consumers, one channel of capacity 128, 4,000,000 messages",
        variants: &["chan_mpmc_buf_flume"],
        targets: &[
            target("chan_mpmc_buf", NS_PER_OP, Limit::OfBest(1.2)),
            target("chan_mpmc_buf", NS_PER_OP, of("go", "chan_mpmc_buf", 0.7)),
            target("chan_mpmc_buf", NS_PER_OP, of("go", "chan_mpmc_buf", 1.0)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "chan_spsc_unbuf",
        about: "1 producer, 1 consumer, no buffer, 2,000,000 messages",
        variants: &["chan_spsc_unbuf_flume0"],
        targets: &[
            target(
                "chan_spsc_unbuf",
                NS_PER_OP,
                of("tokio", "chan_spsc_unbuf_flume0", 0.6),
            ),
            target(
                "chan_spsc_unbuf",
                NS_PER_OP,
                of("go", "chan_spsc_unbuf", 1.0),
            )
            .pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "select_fanin",
        about: "4 producers, each with a channel without buffer, 1 consumer selects over them \
                and one that never fires, 1,000,000 messages",
        targets: &[
            target("select_fanin", NS_PER_OP, of("tokio", "select_fanin", 0.6)),
            target("select_fanin", NS_PER_OP, of("go", "select_fanin", 1.0)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "select_done",
        about: "1 to 64 receivers, each selects over a channel of its own and a common one that \
                never fires, 1,000,000 messages",
        variants: &[
            "select_done_1",
            "select_done_4",
            "select_done_16",
            "select_done_64",
        ],
        procs: &[1, 2, 4],
        apart: true,
        targets: &[
            target("select_done_64", NS_PER_OP, FLAT),
            target("select_done_64", NS_PER_OP, FLAT).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "mutex_contended",
        about: "8 tasks, one lock, 500,000 times each",
        targets: &[
            target(
                "mutex_contended",
                NS_PER_OP,
                of("go", "mutex_contended", 1.3),
            )
            .at(1),
            target(
                "mutex_contended",
                NS_PER_OP,
                of("threads", "mutex_contended", 1.0),
            )
            .at(2),
            target(
                "mutex_contended",
                NS_PER_OP,
                of("go", "mutex_contended", 1.0),
            )
            .pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "skynet",
        about: "a tree of 1,000,000 leaves, 10 children a node, each its task, sums sent up",
        variants: &["skynet_cap10", "skynet_local"],
        allocates: true,
        shown: &[TOTAL, CPU],
        targets: &[
            target("skynet", NS_PER_OP, of("tokio", "skynet", 0.8)),
            target("skynet", NS_PER_OP, of("go", "skynet", 1.2)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "skynet_10k",
        about: "10 such trees of 10,000 leaves, one after the other",
        allocates: true,
        shown: &[TOTAL, CPU],
        ..USUAL
    },
    Workload {
        name: "sieve",
        about: "the first 2000 primes, by a chain of filters and channels without buffer",
        compared: WALL,
        per_op: false,
        targets: &[
            target("sieve", WALL, Limit::OfBest(0.6)),
            target("sieve", WALL, of("go", "sieve", 1.0)).pinned(),
        ],
        ..USUAL
    },
    Workload {
        name: "worker_pool",
        about: "64 workers between two channels of capacity 128, 1,000,000 jobs",
        targets: &[
            target("worker_pool", NS_PER_OP, of("may", "worker_pool", 0.6)),
            target("worker_pool", NS_PER_OP, of("go", "worker_pool", 1.0)).pinned(),
        ],
        ..USUAL
    },
];

/// However many receivers there are.
const FLAT: Limit = Limit::OfOwn {
    bench: "select_done_1",
    ratio: 1.5,
};
