//! Drives the servers of all programs, and measures them.
//!
//! ```text
//! load WORKLOAD [--procs N] [--n MS] -- SERVER [ARGUMENT..]
//! ```
//!
//! It starts `SERVER serve_.. --procs N --port 0 ARGUMENT..`, is its client
//! for half a second unmeasured and `MS` milliseconds measured, on one thread,
//! and prints one JSON line as the programs do. CPU time is the server's.

mod churn;
mod keep_alive;
mod measure;
mod messages;
mod server;

use clap::Parser;
use hdrhistogram::Histogram;
use messages::{Echo, Http};
use raddle_peers::Outcome;
use raddle_peers::process::{confine_to_cpu, raise_descriptor_limit};
use raddle_peers::program::line;
use serde_json::Map;
use server::{Server, Watch};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Drives a server, measures it and prints one JSON line.
#[derive(Parser)]
struct Options {
    /// Which workload.
    #[arg(required_unless_present = "list")]
    workload: Option<String>,
    /// How many run at once in the server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    procs: u16,
    /// Milliseconds, instead of the workload's own.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    n: Option<u64>,
    /// Print each workload with its size and a tenth of it.
    #[arg(long)]
    list: bool,
    /// The server's program, and what it takes beside the workload.
    #[arg(last = true, required_unless_present = "list")]
    server: Vec<String>,
}

struct Workload {
    name: &'static str,
    /// What the server is asked for.
    serves: &'static str,
    /// Milliseconds.
    size: u64,
    drive: fn(&Server, Watch) -> Outcome,
}

const WORKLOADS: &[Workload] = &[
    measured("tcp_echo_c64", "serve_echo", |server, watch| {
        keep_alive::drive(server, watch, 64, Echo::new)
    }),
    measured("tcp_echo_c1000", "serve_echo", |server, watch| {
        keep_alive::drive(server, watch, 1000, Echo::new)
    }),
    measured("http_hello_raw_c64", "serve_http_raw", |server, watch| {
        keep_alive::drive(server, watch, 64, Http::new)
    }),
    measured("http_hello_raw_c512", "serve_http_raw", |server, watch| {
        keep_alive::drive(server, watch, 512, Http::new)
    }),
    measured("http_hello_real_c64", "serve_http_real", |server, watch| {
        keep_alive::drive(server, watch, 64, Http::new)
    }),
    measured(
        "http_hello_real_c512",
        "serve_http_real",
        |server, watch| keep_alive::drive(server, watch, 512, Http::new),
    ),
    measured("conn_churn", "serve_churn", |server, watch| {
        churn::drive(server, watch, 32)
    }),
    measured("io_under_load", "serve_echo_loaded", |server, watch| {
        keep_alive::drive(server, watch, 8, Echo::new)
    }),
    Workload {
        name: "idle",
        serves: "serve_idle",
        size: 10_000,
        drive: leave_alone,
    },
];

const fn measured(
    name: &'static str,
    serves: &'static str,
    drive: fn(&Server, Watch) -> Outcome,
) -> Workload {
    Workload {
        name,
        serves,
        size: 3000,
        drive,
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for Workload { name, size, .. } in WORKLOADS {
            println!("{name} {size} {}", size / 10);
        }
        return ExitCode::SUCCESS;
    }
    let asked = options.workload.as_deref().unwrap_or_default();
    let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == asked) else {
        eprintln!("no workload {asked} here; --list names them");
        return ExitCode::from(2);
    };
    raise_descriptor_limit();
    // Who computes all the time would keep a client on its processor waiting.
    let is_apart = workload.name == "io_under_load";
    if is_apart {
        confine_to_cpu(0);
    }
    let procs = options.procs.into();
    let server = match Server::start(&options.server, workload.serves, procs) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{}: {error}", options.server.join(" "));
            return ExitCode::FAILURE;
        }
    };
    if is_apart {
        confine_to_cpu(1);
    }
    let period = Duration::from_millis(options.n.unwrap_or(workload.size));
    let outcome = (workload.drive)(&server, Watch::of(&server, period));
    drop(server);
    println!("{}", line(&options.server.join(" "), asked, procs, outcome));
    ExitCode::SUCCESS
}

/// 22: idle. Nobody calls.
fn leave_alone(_server: &Server, mut watch: Watch) -> Outcome {
    // Time for what is done once a process has come to rest.
    thread::sleep(Duration::from_secs(1));
    let period = watch.begin();
    let switches = watch.context_switches();
    thread::sleep(period);
    let switches = watch.context_switches() - switches;
    let outcome = watch.end(1);
    outcome.with("context_switches", switches)
}

/// Latencies of a whole measurement.
struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Self {
        const LONGEST_NS: u64 = 100_000_000_000;
        const DIGITS: u8 = 3;
        Self(Histogram::new_with_max(LONGEST_NS, DIGITS).expect("within bounds"))
    }

    fn add(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(ns);
    }

    fn clear(&mut self) {
        self.0.reset();
    }

    /// What the server did for the requests that these are the latencies of.
    fn report(&self, watch: Watch) -> Outcome {
        let requests = self.0.len();
        let us = |ns: u64| ns as f64 / 1e3;
        let mut outcome = watch.end(requests);
        let each = outcome.cpu.as_secs_f64() * 1e6 / requests as f64;
        let mut extras = Map::new();
        extras.insert("server_cpu_us".into(), each.into());
        extras.insert("p50_us".into(), us(self.0.value_at_quantile(0.50)).into());
        extras.insert("p99_us".into(), us(self.0.value_at_quantile(0.99)).into());
        extras.insert("max_us".into(), us(self.0.max()).into());
        outcome.extras = extras;
        outcome.with_rate("requests_per_s")
    }
}
