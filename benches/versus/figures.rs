//! What the pages show of all that was measured, and in which order.

use crate::options::Family;
use crate::plan::{
    self, BYTES, Better, Field, NS_PER_OP, P50, P99, SETTLED_P99, TOTAL, WALL, Workload,
};
use crate::record::Record;
use crate::server_workloads::SERVER_CPU;
use crate::summary::{self, Summary};

/// One plot and one table.
pub struct Figure {
    /// The plot's file, without `.svg`.
    pub file: &'static str,
    pub title: &'static str,
    pub groups: &'static [Group],
}

/// One workload in a figure.
pub struct Group {
    /// What is done, in a plot.
    pub short: &'static str,
    /// What is done, in a table; the unit at the end.
    pub long: &'static str,
    pub unit: &'static str,
    workload: &'static str,
    /// What raddle and most peers are asked for.
    bench: &'static str,
    /// What peers offer instead: the best of these and `bench` stands for it.
    instead: &'static [&'static str],
    /// What a peer must be asked for where its `bench` is something else.
    only: &'static [(Family, &'static str)],
    field: Field,
}

/// Who stands in a figure, in this order.
#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Pinned,
    Migrate,
    Peer(Family),
}

impl Side {
    pub const ALL: [Self; 6] = [
        Self::Pinned,
        Self::Migrate,
        Self::Peer(Family::Go),
        Self::Peer(Family::Tokio),
        Self::Peer(Family::May),
        Self::Peer(Family::Threads),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "raddle",
            Self::Migrate => "raddle, migrate",
            Self::Peer(Family::Go) => "Go",
            Self::Peer(family) => family.name(),
        }
    }

    /// As runs are recorded. The allocator is the system's.
    fn recorded(self) -> &'static str {
        match self {
            Self::Pinned => "raddle-pinned",
            Self::Migrate => "raddle-migrate",
            Self::Peer(family) => family.name(),
        }
    }
}

/// A median, and the variant that reached it if it is not the usual one.
#[derive(Clone, Copy)]
pub struct Value {
    pub median: f64,
    pub variant: Option<&'static str>,
}

impl Group {
    fn workload(&self) -> &'static Workload {
        let mut all = plan::all();
        all.find(|workload| workload.name == self.workload)
            .expect("figures are of the plan's workloads")
    }

    /// Panics if it asks for what is not in the plan.
    pub fn check(&self) {
        let workload = self.workload();
        let only = self.only.iter().map(|(_, bench)| bench);
        for bench in [&self.bench].into_iter().chain(self.instead).chain(only) {
            let known = workload.benches().any(|known| known == *bench);
            assert!(known, "{} has no {bench}", workload.name);
        }
        let field = self.field.name;
        assert!(
            workload.has_field(field),
            "{} shows no {field}",
            workload.name
        );
    }

    /// The runs with `procs` processors, if there are any.
    pub fn summary(&self, record: &Record, procs: usize) -> Option<Summary> {
        let workload = self.workload();
        let summary = summary::of(workload, procs, record.of(workload, procs));
        (!summary.rows.is_empty()).then_some(summary)
    }

    /// What `side` reached.
    pub fn value(&self, summary: &Summary, side: Side) -> Option<Value> {
        let only = self
            .only
            .iter()
            .find(|(family, _)| side == Side::Peer(*family));
        let benches: Vec<&str> = match (side, only) {
            (_, Some((_, bench))) => vec![bench],
            (Side::Peer(_), None) => [self.bench].iter().chain(self.instead).copied().collect(),
            _ => vec![self.bench],
        };
        let values = summary
            .rows
            .iter()
            .filter(|row| row.side == side.recorded() && benches.contains(&row.bench))
            .filter_map(|row| {
                let variant = row.bench.strip_prefix(self.bench).unwrap_or_default();
                let variant = variant.trim_start_matches('_').trim_end_matches('0');
                Some(Value {
                    median: row.median(self.field.name)?,
                    variant: (only.is_none() && !variant.is_empty()).then_some(variant),
                })
            });
        let by_median = |a: &Value, b: &Value| a.median.total_cmp(&b.median);
        match self.field.better {
            Better::Lower => values.min_by(by_median),
            Better::Higher => values.max_by(by_median),
        }
    }

    /// The numbers of processors it was measured with, of the two shown.
    pub fn procs(&self) -> impl Iterator<Item = usize> {
        let procs = self.workload().procs;
        plan::BOTH.iter().copied().filter(|n| procs.contains(n))
    }
}

const fn ns(workload: &'static str, short: &'static str, long: &'static str) -> Group {
    Group {
        short,
        long,
        unit: "ns",
        workload,
        bench: workload,
        instead: &[],
        only: &[],
        field: NS_PER_OP,
    }
}

const fn other(group: Group, field: Field, unit: &'static str) -> Group {
    Group {
        field,
        unit,
        ..group
    }
}

pub const FIGURES: &[Figure] = &[
    Figure {
        file: "meetings",
        title: "Goroutines that meet: channels, select, a lock",
        groups: &[
            ns(
                "pingpong_unbuf",
                "ping-pong, no buffer",
                "ping-pong over two channels without buffer, a round trip",
            ),
            ns(
                "ring",
                "ring of 1,000",
                "a token round a ring of 1,000 goroutines, a hop",
            ),
            ns(
                "chan_spsc_buf",
                "one to one, capacity 128",
                "one to one, capacity 128, a message",
            ),
            Group {
                instead: &["chan_mpmc_buf_flume"],
                ..ns(
                    "chan_mpmc_buf",
                    "four to four, capacity 128",
                    "four to four, capacity 128",
                )
            },
            Group {
                instead: &["chan_spsc_unbuf_flume0"],
                ..ns(
                    "chan_spsc_unbuf",
                    "one to one, no buffer",
                    "one to one, no buffer",
                )
            },
            ns(
                "select_fanin",
                "select over four",
                "select over four producers",
            ),
            ns(
                "worker_pool",
                "64 workers, a job",
                "64 workers between two channels, a job",
            ),
            ns(
                "mutex_contended",
                "eight at one mutex",
                "eight goroutines, one mutex",
            ),
        ],
    },
    Figure {
        file: "tasks",
        title: "Goroutines by the million: spawned, joined, parked",
        groups: &[
            Group {
                instead: &["spawn_join_b10k_local", "spawn_join_b10k_smallpool"],
                ..ns(
                    "spawn_join_b10k",
                    "spawn and join, 10,000 at a time",
                    "spawn and join, 10,000 at a time",
                )
            },
            ns("yield", "yield", "two that yield to one another, a yield"),
            ns(
                "fork_join",
                "fork and join, fib(27)",
                "fork and join, fib(27), a task",
            ),
            other(
                Group {
                    instead: &["skynet_cap10", "skynet_local"],
                    ..ns(
                        "skynet",
                        "skynet, 1,000,000 leaves",
                        "skynet, a million leaves, ms",
                    )
                },
                TOTAL,
                "ms",
            ),
            other(
                ns(
                    "sieve",
                    "2,000 primes by filters",
                    "the first 2,000 primes by a chain of filters, ms",
                ),
                WALL,
                "ms",
            ),
            other(
                ns(
                    "parked_memory",
                    "memory, parked",
                    "memory of one that is parked, bytes",
                ),
                BYTES,
                "B",
            ),
        ],
    },
    Figure {
        file: "waiting",
        title: "Time: sleeping, blocking, being held up",
        groups: &[
            other(
                ns(
                    "sleep_many",
                    "100,000 that sleep",
                    "100,000 that sleep 1 to 100 ms, ms until all are done",
                ),
                WALL,
                "ms",
            ),
            other(
                Group {
                    instead: &["sleep_precision_slack1"],
                    ..ns(
                        "sleep_precision",
                        "how late a sleep ends",
                        "by how much a sleep of 100 us is late, us, median",
                    )
                },
                P50,
                "us",
            ),
            other(
                Group {
                    only: &[(Family::Tokio, "blocking_naive")],
                    ..ns(
                        "blocking",
                        "256 blocking calls, nothing said",
                        "256 calls that block for 10 ms, nothing said, ms",
                    )
                },
                WALL,
                "ms",
            ),
            other(
                ns(
                    "hog_latency",
                    "late behind endless loops",
                    "how late beside loops that never yield, us, 99 of 100",
                ),
                SETTLED_P99,
                "us",
            ),
        ],
    },
    Figure {
        file: "servers",
        title: "Servers: their CPU time for a request",
        groups: &[
            other(
                ns(
                    "tcp_echo_c64",
                    "echo, 64 connections",
                    "echo, 64 connections, us of the server's CPU a request",
                ),
                SERVER_CPU,
                "us",
            ),
            other(
                ns(
                    "tcp_echo_c1000",
                    "echo, 1,000 connections",
                    "echo, 1,000 connections, us",
                ),
                SERVER_CPU,
                "us",
            ),
            other(
                ns(
                    "http_hello_raw_c64",
                    "HTTP by hand, 64",
                    "HTTP by hand, 64 connections, us",
                ),
                SERVER_CPU,
                "us",
            ),
            other(
                ns(
                    "http_hello_real_c64",
                    "net/http, hyper, 64",
                    "HTTP by net/http or hyper, 64 connections, us",
                ),
                SERVER_CPU,
                "us",
            ),
            other(
                ns(
                    "conn_churn",
                    "connect, ask, close",
                    "connections opened, used once and closed, us",
                ),
                SERVER_CPU,
                "us",
            ),
            other(
                ns(
                    "io_under_load",
                    "late beside busy tasks",
                    "echo beside two tasks that never rest, us, 99 of 100",
                ),
                P99,
                "us",
            ),
        ],
    },
];
