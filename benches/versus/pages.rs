//! The figures in the documentation: blocks between two marks, which are
//! written here and nowhere else.

use crate::figures::{FIGURES, Figure, Group, Side};
use crate::options::Family;
use crate::plan::{self, Better, Limit, Mode, Target, Workload};
use crate::record::{self, Record, Session};
use crate::summary::{self, Summary, Verdict};
use crate::table::{brief, number};
use crate::{plot, root};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

const BEGIN: &str = "<!-- written by `cargo bench --bench versus -- --docs`: begin -->\n";
const END: &str = "<!-- end -->\n";

/// A page, and what it says of what was measured.
type Page = (&'static str, fn(&Record) -> String);

const PAGES: [Page; 2] = [
    ("docs/performance.md", all_figures),
    ("README.md", first_figure),
];

fn plots() -> PathBuf {
    root().join("docs/plots")
}

/// What is kept of all that was measured.
pub fn kept() -> PathBuf {
    plots().join("figures.json")
}

/// Takes `newer` over into what is kept, draws the plots, writes the pages.
pub fn renew(newer: Record) -> Result<(), String> {
    let mut record = if kept().exists() {
        Record::read(&kept())?
    } else {
        Record::empty()
    };
    record.renew(newer.condensed());
    record.write(&kept())?;
    plot::draw_all(&record, &plots())?;
    for (page, block) in PAGES {
        let path = root().join(page);
        let text = fs::read_to_string(&path).map_err(|error| format!("{page}: {error}"))?;
        let text = with_block(&text, &block(&record)).map_err(|why| format!("{page}: {why}"))?;
        record::write(&path, &text)?;
    }
    for workload in unexplained(&record)? {
        eprintln!("versus: docs/performance.md does not say why {workload} misses its target");
    }
    Ok(())
}

/// What `renew` would change, by name: plots and pages that say something
/// else than the figures that are kept.
pub fn outdated() -> Result<Vec<String>, String> {
    let record = Record::read(&kept())?;
    let mut outdated = Vec::new();
    for figure in FIGURES {
        let name = format!("{}.svg", figure.file);
        let drawn = fs::read_to_string(plots().join(&name)).ok();
        if drawn != plot::svg(&record, figure)? {
            outdated.push(name);
        }
    }
    for (page, block) in PAGES {
        let path = root().join(page);
        let text = fs::read_to_string(&path).map_err(|error| format!("{page}: {error}"))?;
        if with_block(&text, &block(&record))? != text {
            outdated.push(page.into());
        }
    }
    Ok(outdated)
}

/// `text` with another block between its marks.
pub fn with_block(text: &str, block: &str) -> Result<String, String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or("no marks to write between")?;
    Ok(format!("{before}{BEGIN}\n{}\n\n{END}{after}", block.trim()))
}

/// Workloads that miss a target and have no word of explanation.
fn unexplained(record: &Record) -> Result<Vec<&'static str>, String> {
    let page = fs::read_to_string(root().join("docs/performance.md")).map_err(|e| e.to_string())?;
    let said = page.split_once(END).map_or("", |(_, after)| after);
    let mut names: Vec<_> = aims(record)
        .into_iter()
        .filter(|aim| {
            aim.verdicts()
                .any(|verdict| verdict.is_met() == Some(false))
        })
        .map(|aim| aim.workload.name)
        .filter(|name| !said.contains(&format!("`{name}`")))
        .collect();
    names.dedup();
    Ok(names)
}

fn all_figures(record: &Record) -> String {
    let mut out = String::new();
    for (at, session) in record.sessions.iter().enumerate() {
        let rows = record.rows.iter().filter(|row| row.session == at);
        let mut names: Vec<_> = rows.map(|row| format!("`{}`", row.workload)).collect();
        names.dedup();
        let _ = writeln!(out, "{}: {}.\n", told(session), names.join(", "));
    }
    for figure in FIGURES.iter().filter(|figure| is_drawn(record, figure)) {
        let Figure { title, file, .. } = figure;
        let _ = writeln!(out, "## {title}\n\n![{title}](plots/{file}.svg)\n");
        out += &table(record, std::slice::from_ref(figure), ALL);
        out.push('\n');
    }
    out += "## Targets\n\n";
    out += &targets(record);
    out
}

/// The first plot, and the rows of all.
fn first_figure(record: &Record) -> String {
    let mut drawn = FIGURES.iter().filter(|figure| is_drawn(record, figure));
    let plot = drawn
        .next()
        .map(|Figure { title, file, .. }| format!("![{title}](docs/plots/{file}.svg)\n\n"));
    plot.unwrap_or_default() + &table(record, FIGURES, WITHOUT_THREADS)
}

fn is_drawn(record: &Record, figure: &Figure) -> bool {
    let mut rows = figure.groups.iter().map(|group| row(record, group, ALL));
    rows.any(|row| row.is_some())
}

/// Where and how a session was measured.
fn told(session: &Session) -> String {
    let day = session.date.as_deref().and_then(|date| date.get(..10));
    let mut words = vec![day.map_or("Measured".into(), |day| format!("Measured on {day}"))];
    words.push(match session.rounds {
        1 => "one round".into(),
        rounds => format!("medians of {rounds} rounds"),
    });
    if session.quick {
        words.push("a tenth of the size, for a try".into());
    }
    words.extend(session.cpu.clone());
    words.extend(session.cores.map(|cores| format!("{cores} processors")));
    words.extend(session.kernel.clone());
    words.extend(session.rustc.clone());
    words.extend(session.go.clone());
    words.extend(session.commit.as_ref().map(|commit| format!("at {commit}")));
    words.extend(
        session
            .load
            .as_ref()
            .map(|load| format!("load before the first run {load}")),
    );
    words.join(", ")
}

/// Who stands in a table on one page, and on the other: there is less room.
const ALL: &[Side] = &Side::ALL;
const WITHOUT_THREADS: &[Side] = Side::ALL.split_at(5).0;

fn table(record: &Record, figures: &[Figure], sides: &[Side]) -> String {
    let mut out = String::from("| one processor / two |");
    for side in sides {
        let _ = write!(out, " {} |", side.name());
    }
    let _ = writeln!(out, "\n|---|{}", "--:|".repeat(sides.len()));
    let groups = figures.iter().flat_map(|figure| figure.groups);
    out.extend(groups.filter_map(|group| row(record, group, sides)));
    out
}

/// The figures of all sides; none if raddle has none.
fn row(record: &Record, group: &Group, sides: &[Side]) -> Option<String> {
    let summaries: Vec<_> = group
        .procs()
        .map(|procs| group.summary(record, procs))
        .collect();
    let mut out = format!("| {} |", group.long);
    for &side in sides {
        let cells: Vec<String> = summaries
            .iter()
            .map(|summary| cell(group, summary.as_ref(), side))
            .collect();
        let nothing = cells.iter().all(|cell| cell == NONE);
        if nothing && side == Side::Pinned {
            return None;
        }
        let text = if nothing {
            NONE.into()
        } else {
            cells.join(" / ")
        };
        let _ = write!(out, " {text} |");
    }
    Some(out + "\n")
}

const NONE: &str = "–";

/// A figure: bold if a peer's is the best, and better than raddle's.
fn cell(group: &Group, summary: Option<&Summary>, side: Side) -> String {
    let value = |side| group.value(summary?, side);
    let Some(own) = value(side) else {
        return NONE.into();
    };
    let best = Side::ALL.into_iter().filter_map(value);
    let is_best = best.map(|value| value.median).fold(f64::INFINITY, f64::min) >= own.median;
    let mut text = brief(own.median);
    if is_best && matches!(side, Side::Peer(_)) {
        text = format!("**{text}**");
    }
    match own.variant {
        Some(variant) => format!("{text} ({variant})"),
        None => text,
    }
}

/// A target, and how near raddle comes.
struct Aim {
    workload: &'static Workload,
    target: &'static Target,
    /// With how many processors, by which allocator.
    reached: Vec<(usize, bool, Verdict)>,
}

impl Aim {
    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.reached.iter().map(|(_, _, verdict)| verdict)
    }
}

/// Of all that was measured.
fn aims(record: &Record) -> Vec<Aim> {
    let mut aims = Vec::new();
    for workload in plan::all() {
        let summaries: Vec<Summary> = workload
            .procs
            .iter()
            .map(|&procs| summary::of(workload, procs, record.of(workload, procs)))
            .collect();
        for target in workload.targets {
            let reached = [false, true].into_iter().flat_map(|mimalloc| {
                let verdict = move |summary: &Summary| {
                    let verdict = summary.verdict(target, mimalloc)?;
                    verdict.value?;
                    Some((summary.procs, mimalloc, verdict))
                };
                summaries.iter().filter_map(verdict).collect::<Vec<_>>()
            });
            let reached: Vec<_> = reached.collect();
            if !reached.is_empty() {
                aims.push(Aim {
                    workload,
                    target,
                    reached,
                });
            }
        }
    }
    aims
}

fn targets(record: &Record) -> String {
    let aims = aims(record);
    let all = || aims.iter().flat_map(Aim::verdicts);
    let met = all()
        .filter(|verdict| verdict.is_met() == Some(true))
        .count();
    let mut out = format!(
        "{met} of {} figures are within their target.\n\n",
        all().count()
    );
    out += "| workload | mode | target | one processor / two | with mimalloc |\n";
    out += "|---|---|---|--:|--:|\n";
    for aim in &aims {
        let mode = match aim.target.mode {
            Mode::Pinned => "pinned",
            Mode::Migrate => "migrate",
        };
        let cells = |mimalloc: bool| {
            let reached = |&procs: &usize| {
                let mut reached = aim.reached.iter();
                let found = reached.find(|(p, m, _)| (*p, *m) == (procs, mimalloc));
                found.map(|(_, _, verdict)| told_verdict(verdict))
            };
            let cells: Vec<_> = aim.workload.procs.iter().map(reached).collect();
            if cells.iter().all(Option::is_none) {
                return String::new();
            }
            let cells = cells.into_iter().map(|cell| cell.unwrap_or(NONE.into()));
            cells.collect::<Vec<_>>().join(" / ")
        };
        let _ = writeln!(
            out,
            "| `{}` | {mode} | {} | {} | {} |",
            aim.target.bench,
            aimed(aim.target),
            cells(false),
            cells(true)
        );
    }
    out
}

/// A target in words.
fn aimed(target: &Target) -> String {
    let sign = match target.field.better {
        Better::Lower => "≤",
        Better::Higher => "≥",
    };
    let field = target.field.name;
    let of = |ratio: f64, whose: String| format!("{field} {sign} {} of {whose}", number(ratio));
    match target.limit {
        Limit::OfBest(ratio) => of(ratio, "the best peer's".into()),
        Limit::Of { side, bench, ratio } if bench == target.bench => {
            of(ratio, format!("{}'s", whose(side)))
        }
        Limit::Of { side, bench, ratio } => of(ratio, format!("{}'s `{bench}`", whose(side))),
        Limit::OfOwn { bench, ratio } => of(ratio, format!("its own `{bench}`")),
        Limit::Is(limit) => format!("{field} {sign} {}", number(limit)),
    }
}

fn whose(side: &str) -> &str {
    match Family::of(side) {
        Some(Family::Go) => "Go",
        Some(Family::Threads) => "the threads",
        _ => side,
    }
}

fn told_verdict(verdict: &Verdict) -> String {
    let value = verdict.value.map_or_else(|| NONE.into(), number);
    match verdict.is_met() {
        Some(false) => format!("{value} **missed**"),
        _ => value,
    }
}
