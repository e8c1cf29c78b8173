//! The workloads of servers: another program is their client, and measures.

use crate::plan::{
    CPU, Field, Limit, P50, P99, Target, USUAL, Workload, higher, lower, of, target,
};

/// What a request costs the server.
pub const SERVER_CPU: Field = lower("server_cpu_us");
const RATE: Field = higher("requests_per_s");
const SWITCHES: Field = lower("context_switches");

/// Shared by all that are measured by a client: wall time says how both of
/// them shared the machine, the server's CPU time what a request costs.
const SERVED: Workload = Workload {
    compared: SERVER_CPU,
    shown: &[RATE, P50, P99],
    ..USUAL
};

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "tcp_echo_c64",
        about: "64 connections, each with a message of 64 bytes under way, for 3 s",
        server: Some("serve_echo"),
        targets: &[
            target("tcp_echo_c64", SERVER_CPU, of("tokio", "tcp_echo_c64", 1.0)),
            target("tcp_echo_c64", P99, Limit::OfBest(1.0)),
        ],
        ..SERVED
    },
    Workload {
        name: "tcp_echo_c1000",
        about: "1,000 connections, each with a message of 64 bytes under way, for 3 s",
        server: Some("serve_echo"),
        targets: &[
            target(
                "tcp_echo_c1000",
                SERVER_CPU,
                of("tokio", "tcp_echo_c1000", 1.0),
            ),
            target("tcp_echo_c1000", P99, Limit::OfBest(1.0)),
        ],
        ..SERVED
    },
    Workload {
        name: "http_hello_raw_c64",
        about: "HTTP/1.1 by hand, 64 connections that stay, for 3 s",
        server: Some("serve_http_raw"),
        targets: &[target(
            "http_hello_raw_c64",
            SERVER_CPU,
            of("tokio", "http_hello_raw_c64", 1.0),
        )],
        ..SERVED
    },
    Workload {
        name: "http_hello_raw_c512",
        about: "HTTP/1.1 by hand, 512 connections that stay, for 3 s",
        server: Some("serve_http_raw"),
        targets: &[target(
            "http_hello_raw_c512",
            SERVER_CPU,
            of("tokio", "http_hello_raw_c512", 1.0),
        )],
        ..SERVED
    },
    Workload {
        name: "http_hello_real_c64",
        about: "HTTP/1.1 by net/http or hyper, 64 connections that stay, for 3 s",
        server: Some("serve_http_real"),
        targets: &[target(
            "http_hello_real_c64",
            SERVER_CPU,
            of("tokio", "http_hello_real_c64", 1.1),
        )],
        ..SERVED
    },
    Workload {
        name: "http_hello_real_c512",
        about: "HTTP/1.1 by net/http or hyper, 512 connections that stay, for 3 s",
        server: Some("serve_http_real"),
        targets: &[target(
            "http_hello_real_c512",
            SERVER_CPU,
            of("tokio", "http_hello_real_c512", 1.1),
        )],
        ..SERVED
    },
    Workload {
        name: "conn_churn",
        about: "connections opened, used for one message of 64 bytes, and closed by the server, \
                32 at a time, for 3 s",
        server: Some("serve_churn"),
        targets: &[target(
            "conn_churn",
            SERVER_CPU,
            of("tokio", "conn_churn", 1.0),
        )],
        ..SERVED
    },
    Workload {
        name: "idle",
        about: "10,000 tasks parked and a listener open, for 10 s",
        server: Some("serve_idle"),
        compared: SWITCHES,
        shown: &[CPU],
        targets: IDLE,
        ..USUAL
    },
    Workload {
        name: "io_under_load",
        about: "8 connections, each with a message of 64 bytes under way, beside two tasks that \
                talk without rest, for 3 s; the server on one CPU, the client on another",
        server: Some("serve_echo_loaded"),
        procs: &[1],
        compared: P99,
        shown: &[P50, lower("max_us"), RATE],
        targets: &[target("io_under_load", P99, Limit::Is(1000.0))],
        ..USUAL
    },
];

const IDLE: &[Target] = &[
    target("idle", SWITCHES, Limit::Is(0.0)),
    target("idle", CPU, Limit::Is(0.0)),
    target("idle", SWITCHES, Limit::Is(0.0)).pinned(),
    target("idle", CPU, Limit::Is(0.0)).pinned(),
];
