//! Medians, ratios, verdicts.

use crate::options::Family;
use crate::plan::{Better, Field, Limit, Mode, Target, Workload};
use crate::record;
use std::collections::BTreeMap;

/// What all runs of a workload say.
pub struct Summary {
    pub workload: &'static Workload,
    pub procs: usize,
    pub rows: Vec<Row>,
}

/// What all runs of one side say.
pub struct Row {
    pub side: String,
    pub bench: &'static str,
    family: Family,
    mimalloc: bool,
    /// Of the field compared.
    pub compared: Option<Spread>,
    /// To the best peer of like allocator.
    pub ratio: Option<f64>,
    /// Medians of what is shown besides.
    pub shown: Vec<Option<f64>>,
    pub verdicts: Vec<Verdict>,
    /// How many operations: sides differ where one cannot do as many.
    pub ops: Option<u64>,
    /// What went wrong, the first time.
    pub failure: Option<String>,
    pub failures: usize,
    values: BTreeMap<String, Vec<f64>>,
}

/// Numbers of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// Whether a target was reached.
pub struct Verdict {
    pub field: &'static str,
    /// What it should be: the limit, and of what.
    pub limit: f64,
    pub of: String,
    pub better: Better,
    /// What it is, in the limit's terms; if both were measured.
    pub value: Option<f64>,
}

impl Verdict {
    /// Within the limit: none if there is nothing to compare with.
    pub fn is_met(&self) -> Option<bool> {
        let value = self.value?;
        Some(match self.better {
            Better::Lower => value <= self.limit,
            Better::Higher => value >= self.limit,
        })
    }
}

impl Spread {
    /// Of no numbers, none.
    pub fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let (&min, &max) = (numbers.first()?, numbers.last()?);
        let half = numbers.len() / 2;
        let median = if numbers.len() % 2 == 1 {
            numbers[half]
        } else {
            f64::midpoint(numbers[half - 1], numbers[half])
        };
        Some(Self { median, min, max })
    }
}

/// Sums up what one workload's runs said: rows stand as the sides first ran.
pub fn of<'a>(
    workload: &'static Workload,
    procs: usize,
    rows: impl IntoIterator<Item = &'a record::Row>,
) -> Summary {
    // A side or a variant that is no more is left out.
    let rows = rows.into_iter().filter_map(|row| Row::of(workload, row));
    finish(workload, procs, rows.collect())
}

/// Compares complete rows.
fn finish(workload: &'static Workload, procs: usize, mut rows: Vec<Row>) -> Summary {
    for row in &mut rows {
        row.compared = row.spread(workload.compared.name);
        row.shown = workload
            .shown
            .iter()
            .map(|field| row.median(field.name))
            .collect();
        row.ops = row.median("ops").map(|ops| ops as u64);
    }
    for at in 0..rows.len() {
        let row = &rows[at];
        let best = row.best_peer(workload, workload.compared, &rows);
        let best = best.filter(|_| !row.is_alone(workload, &rows));
        let ratio = row.compared.zip(best).map(|(own, best)| own.median / best);
        let aimed = |target: &&Target| row.is_aimed(target, procs);
        let verdicts = workload
            .targets
            .iter()
            .filter(aimed)
            .map(|t| row.verdict(workload, t, &rows))
            .collect();
        rows[at].ratio = ratio.filter(|ratio| ratio.is_finite());
        rows[at].verdicts = verdicts;
    }
    Summary {
        workload,
        procs,
        rows,
    }
}

impl Summary {
    /// Whether raddle reached `target`, which is of this workload.
    pub fn verdict(&self, target: &Target, mimalloc: bool) -> Option<Verdict> {
        let row = self
            .rows
            .iter()
            .find(|row| row.mimalloc == mimalloc && row.is_aimed(target, self.procs))?;
        Some(row.verdict(self.workload, target, &self.rows))
    }
}

impl Row {
    fn of(workload: &Workload, row: &record::Row) -> Option<Self> {
        Some(Self {
            side: row.side.clone(),
            bench: workload.benches().find(|bench| *bench == row.bench)?,
            family: Family::of(&row.side)?,
            mimalloc: row.side.ends_with("-mi"),
            compared: None,
            ratio: None,
            shown: Vec::new(),
            verdicts: Vec::new(),
            ops: None,
            failure: row.errors.first().cloned(),
            failures: row.errors.len(),
            values: row.values.clone(),
        })
    }

    /// How many runs there were.
    pub fn runs(&self) -> usize {
        self.values.values().map(Vec::len).max().unwrap_or_default() + self.failures
    }

    fn spread(&self, field: &str) -> Option<Spread> {
        Spread::of(self.values.get(field)?.clone())
    }

    pub fn median(&self, field: &str) -> Option<f64> {
        self.spread(field).map(|spread| spread.median)
    }

    fn is_aimed(&self, target: &Target, procs: usize) -> bool {
        let mode = match target.mode {
            Mode::Pinned => "raddle-pinned",
            Mode::Migrate => "raddle-migrate",
        };
        let is_here = target.procs.is_none_or(|aimed| aimed == procs);
        self.bench == target.bench && self.side.starts_with(mode) && is_here
    }

    /// Go has its own allocator, threads need none: they stand beside both.
    fn is_like(&self, other: &Self) -> bool {
        self.mimalloc == other.mimalloc || matches!(other.family, Family::Go | Family::Threads)
    }

    /// Who may be compared with it: not who does another number of things,
    /// or another variant, where that counts.
    fn peers<'a>(&self, workload: &Workload, rows: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        rows.iter().filter(|peer| {
            let is_alike = self.is_like(peer)
                && (workload.per_op || peer.ops == self.ops)
                && (!workload.apart || peer.bench == self.bench);
            peer.family != Family::Raddle && is_alike
        })
    }

    fn best_peer(&self, workload: &Workload, field: Field, rows: &[Self]) -> Option<f64> {
        let medians = self
            .peers(workload, rows)
            .filter_map(|peer| peer.median(field.name));
        match field.better {
            Better::Lower => medians.min_by(f64::total_cmp),
            Better::Higher => medians.max_by(f64::total_cmp),
        }
    }

    /// Whether it would be compared with itself alone.
    fn is_alone(&self, workload: &Workload, rows: &[Self]) -> bool {
        let mut peers = self.peers(workload, rows);
        let others = |peer: &Self| !std::ptr::eq(peer, self) && peer.compared.is_some();
        !peers.any(others)
    }

    fn verdict(&self, workload: &Workload, target: &Target, rows: &[Self]) -> Verdict {
        let field = target.field;
        let own = self.median(field.name);
        let over = |base: Option<f64>| own.zip(base).map(|(own, base)| own / base);
        let (limit, of, value) = match target.limit {
            Limit::OfBest(ratio) => (
                ratio,
                " of best".into(),
                over(self.best_peer(workload, field, rows)),
            ),
            Limit::Of { side, bench, ratio } => {
                let peer = rows.iter().find(|peer| {
                    peer.family.name() == side && peer.bench == bench && self.is_like(peer)
                });
                let name = peer.map_or(side, |peer| &peer.side);
                (
                    ratio,
                    format!(" of {name}"),
                    over(peer.and_then(|peer| peer.median(field.name))),
                )
            }
            Limit::OfOwn { bench, ratio } => {
                let own = rows
                    .iter()
                    .find(|row| row.side == self.side && row.bench == bench);
                (
                    ratio,
                    format!(" of {bench}"),
                    over(own.and_then(|own| own.median(field.name))),
                )
            }
            Limit::Is(limit) => (limit, String::new(), own),
        };
        Verdict {
            field: field.name,
            limit,
            of,
            better: field.better,
            value,
        }
    }
}

pub mod sample {
    //! Rows made by hand, for the self check.

    use super::{Summary, of};
    use crate::plan::Workload;
    use crate::record::Row;

    /// A row: its side, and values of one field.
    pub type Values<'a> = (&'a str, &'a [f64]);

    /// A summary of these rows, with two processors.
    pub fn summary(workload: &'static Workload, rows: &[Values<'_>]) -> Summary {
        of_benches(workload, rows.iter().map(|row| (workload.bench(), *row)))
    }

    /// A summary of rows of these variants.
    pub fn of_benches<'a>(
        workload: &'static Workload,
        rows: impl IntoIterator<Item = (&'static str, Values<'a>)>,
    ) -> Summary {
        let row = |(bench, (side, values)): (&str, Values<'_>)| {
            let compared = workload.compared.name.into();
            let ops = vec![10.0; values.len()];
            Row {
                workload: workload.name.into(),
                bench: bench.into(),
                side: side.into(),
                procs: 2,
                values: [("ops".into(), ops), (compared, values.into())].into(),
                errors: values
                    .is_empty()
                    .then(|| "timed out after 1 s".into())
                    .into_iter()
                    .collect(),
                ..Row::default()
            }
        };
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        of(workload, 2, &rows)
    }
}
