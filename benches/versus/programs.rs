//! Builds the programs; who takes part.

use crate::options::{Family, Options};
use crate::plan::Workload;
use crate::{go, in_target, root};
use indicatif::ProgressBar;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A program, ready to be run, in one of its ways.
pub struct Entrant {
    /// As in tables, and as the program calls itself.
    pub name: String,
    /// Whether it was built with mimalloc.
    pub mimalloc: bool,
    pub program: PathBuf,
    /// What it takes beside the workload.
    pub arguments: &'static [&'static str],
    /// The workloads it offers.
    pub offers: HashMap<String, Sizes>,
}

/// All that is run.
pub struct Programs {
    pub entrants: Vec<Entrant>,
    /// The client of all servers, if one is to be measured.
    pub load: Option<Load>,
}

/// The client of all servers.
pub struct Load {
    pub program: PathBuf,
    pub offers: HashMap<String, Sizes>,
}

/// The sizes a program gives a workload.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub tenth: u64,
}

/// Builds all that `workloads` need. Who does not build is reported and left
/// out.
pub fn build(options: &Options, workloads: &[&Workload]) -> Result<Programs, String> {
    let mut entrants = Vec::new();
    let with_mimalloc = workloads.iter().any(|workload| workload.allocates);
    let allocators: &[bool] = if with_mimalloc {
        &[false, true]
    } else {
        &[false]
    };
    for &mimalloc in allocators {
        for &family in &options.sides {
            match build_one(family, mimalloc, options.fetch_go) {
                Ok(Some(program)) => enter(family, mimalloc, program, &mut entrants)?,
                Ok(None) => {}
                Err(why) => eprintln!("versus: {family} is left out: {why}"),
            }
        }
    }
    if entrants.is_empty() {
        return Err("nobody takes part".into());
    }
    let has_servers = workloads.iter().any(|workload| workload.server.is_some());
    let load = has_servers.then(build_load).transpose()?;
    Ok(Programs { entrants, load })
}

fn build_load() -> Result<Load, String> {
    let program = build_rust("load", false)?;
    let offers = offers(&program)?;
    Ok(Load { program, offers })
}

fn build_one(family: Family, mimalloc: bool, fetch_go: bool) -> Result<Option<PathBuf>, String> {
    match (family, mimalloc) {
        (Family::Go, false) => build_go(fetch_go).map(Some),
        // Go has its own; what threads cost is not the allocator's.
        (Family::Go | Family::Threads, true) => Ok(None),
        _ => build_rust(family.name(), mimalloc).map(Some),
    }
}

fn build_go(fetch: bool) -> Result<PathBuf, String> {
    let go = go::find(fetch)?;
    let program = in_target("peers/go-peers");
    let mut command = Command::new(go);
    command
        .current_dir(root().join("benches/peers/go"))
        .args(["build", "-o"]);
    command.arg(&program).arg(".");
    built("go", &mut command)?;
    Ok(program)
}

/// One at a time: that one does not build is no reason for the others.
fn build_rust(name: &str, mimalloc: bool) -> Result<PathBuf, String> {
    let (place, features) = if mimalloc {
        (in_target("peers-mi"), format!("{name},mimalloc"))
    } else {
        (in_target("peers"), name.to_owned())
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--quiet", "--no-default-features"])
        .args(["--features", &features, "--bin", name])
        .arg("--manifest-path")
        .arg(root().join("benches/peers/Cargo.toml"))
        .arg("--target-dir")
        .arg(&place);
    built(&features, &mut command)?;
    Ok(place.join("release").join(name))
}

fn built(what: &str, command: &mut Command) -> Result<(), String> {
    let spinner = ProgressBar::new_spinner().with_message(format!("building {what}"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    if spinner.is_hidden() {
        eprintln!("building {what}");
    }
    let output = command.output();
    spinner.finish_and_clear();
    let output = output.map_err(|error| format!("cannot run the compiler: {error}"))?;
    succeeded(&output)
}

fn succeeded(output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
    Err(format!("does not build ({})\n  {last}", output.status))
}

fn enter(
    family: Family,
    mimalloc: bool,
    program: PathBuf,
    entrants: &mut Vec<Entrant>,
) -> Result<(), String> {
    const ALONE: &[(&str, &[&str])] = &[("", &[])];
    const MODES: &[(&str, &[&str])] = &[
        ("-pinned", &["--mode", "pinned"]),
        ("-migrate", &["--mode", "migrate"]),
    ];
    let ways = if family == Family::Raddle {
        MODES
    } else {
        ALONE
    };
    let allocator = if mimalloc { "-mi" } else { "" };
    let offers = offers(&program)?;
    entrants.extend(ways.iter().map(|(way, arguments)| Entrant {
        name: format!("{family}{way}{allocator}"),
        mimalloc,
        program: program.clone(),
        arguments,
        offers: offers.clone(),
    }));
    Ok(())
}

/// What `program --list` says: a line of name, size and a tenth for each.
fn offers(program: &Path) -> Result<HashMap<String, Sizes>, String> {
    let cannot = |why: String| format!("cannot ask {} what it offers: {why}", program.display());
    let output = Command::new(program)
        .arg("--list")
        .output()
        .map_err(|error| cannot(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .map(|line| offer(line).ok_or_else(|| cannot(line.into())))
        .collect()
}

pub fn offer(line: &str) -> Option<(String, Sizes)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let _size: u64 = words.next()?.parse().ok()?;
    let tenth = words.next()?.parse().ok()?;
    Some((name.to_owned(), Sizes { tenth }))
}
