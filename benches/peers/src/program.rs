//! The command line, the choice of a workload, the JSON line.

use crate::measure::Outcome;
use clap::{Args, Parser};
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;

/// Runs one workload and prints one JSON line about it.
#[derive(Parser)]
struct Options<E: Args> {
    /// Which workload.
    #[arg(required_unless_present = "list")]
    workload: Option<String>,
    /// How many run at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    procs: u16,
    /// The size, instead of the workload's own.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    n: Option<u64>,
    /// Where a server listens: any port, if none is said.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Print each workload with its size and a tenth of it.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    own: E,
}

/// A program that has no options of its own.
#[derive(Args, Clone, Copy)]
pub struct NoOptions;

/// One row of a program's table.
pub struct Workload<E> {
    /// As on the command line and in the JSON line.
    name: &'static str,
    /// The size if none is asked for.
    size: u64,
    run: Run<E>,
}

enum Run<E> {
    /// Does it and measures it.
    Measured(fn(&Case<E>) -> Outcome),
    /// Serves until standard input is closed; another program measures.
    Serves(fn(&Case<E>) -> io::Result<Infallible>),
}

impl<E> Workload<E> {
    /// A row: name, size if none is asked for, and what does it.
    pub const fn new(name: &'static str, size: u64, run: fn(&Case<E>) -> Outcome) -> Self {
        let run = Run::Measured(run);
        Self { name, size, run }
    }

    /// A row of a server, which calls [`announce`](crate::serve::announce).
    pub const fn server(
        name: &'static str,
        size: u64,
        serve: fn(&Case<E>) -> io::Result<Infallible>,
    ) -> Self {
        let run = Run::Serves(serve);
        Self { name, size, run }
    }
}

/// What a workload is asked to do.
#[derive(Clone)]
pub struct Case<E> {
    /// How many run at once.
    pub procs: usize,
    /// The size.
    pub n: u64,
    /// The port of a server; 0 is any.
    pub port: u16,
    /// The program's own options.
    pub own: E,
}

impl<E> Case<E> {
    /// The sizes to run at, one after the other: a tenth as warm-up, then all.
    /// What came of the last one counts.
    pub fn passes(&self) -> [u64; 2] {
        [tenth(self.n), self.n]
    }

    /// Where a server listens.
    pub fn address(&self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::LOCALHOST, self.port)
    }

    /// The last outcome of `pass` at these sizes.
    pub fn warmed(&self, mut pass: impl FnMut(u64) -> Outcome) -> Outcome {
        let [warm_up, full] = self.passes();
        drop(pass(warm_up));
        pass(full)
    }
}

fn tenth(n: u64) -> u64 {
    (n / 10).max(1)
}

/// The body of every program's `main`: `tables` are what it can do, `side`
/// names it in the JSON line.
pub fn main<E: Args>(tables: &[&[Workload<E>]], side: fn(&E) -> &'static str) -> ExitCode {
    let options = Options::<E>::parse();
    if options.list {
        print!("{}", list(tables));
        return ExitCode::SUCCESS;
    }
    let asked = options.workload.as_deref().unwrap_or_default();
    let mut workloads = tables.iter().copied().flatten();
    let Some(workload) = workloads.find(|workload| workload.name == asked) else {
        eprintln!("no workload {asked} here; --list names them");
        return ExitCode::from(2);
    };
    let implementation = implementation(side(&options.own));
    let case = Case {
        procs: options.procs.into(),
        n: options.n.unwrap_or(workload.size),
        port: options.port,
        own: options.own,
    };
    match workload.run {
        Run::Measured(run) => {
            let outcome = run(&case);
            println!("{}", line(&implementation, asked, case.procs, outcome));
            ExitCode::SUCCESS
        }
        Run::Serves(serve) => {
            let Err(error) = serve(&case);
            eprintln!("{asked}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list<E>(tables: &[&[Workload<E>]]) -> String {
    let line = |&Workload { name, size, .. }: &Workload<E>| {
        // The size of `fork_join` is an exponent, more or less.
        let tenth = if name == "fork_join" {
            size - 5
        } else {
            tenth(size)
        };
        format!("{name} {size} {tenth}\n")
    };
    tables.iter().copied().flatten().map(line).collect()
}

fn implementation(side: &str) -> String {
    let allocator = if cfg!(feature = "mimalloc") {
        "-mi"
    } else {
        ""
    };
    format!("{side}{allocator}")
}

/// The JSON line.
pub fn line(implementation: &str, bench: &str, procs: usize, outcome: Outcome) -> Value {
    let wall_ns = outcome.wall.as_nanos() as f64;
    let mut line = Map::new();
    line.insert("impl".into(), json!(implementation));
    line.insert("bench".into(), json!(bench));
    line.insert("procs".into(), json!(procs));
    line.insert("ops".into(), json!(outcome.ops));
    line.insert("ns_per_op".into(), json!(wall_ns / outcome.ops as f64));
    line.insert("wall_ms".into(), json!(wall_ns / 1e6));
    line.insert("cpu_ms".into(), json!(outcome.cpu.as_nanos() as f64 / 1e6));
    line.extend(outcome.extras);
    Value::Object(line)
}
