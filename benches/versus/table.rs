//! Markdown.

use crate::plan::Better;
use crate::summary::{Row, Spread, Summary, Verdict};
use std::fmt::Write;

const NONE: &str = "–";

/// A table of one workload.
pub fn markdown(summary: &Summary) -> String {
    let workload = summary.workload;
    let mut out = format!("### {} P={}\n\n", workload.name, summary.procs);
    let runs = summary.rows.iter().map(Row::runs).max().unwrap_or_default();
    let _ = writeln!(out, "{}; medians of {runs}.\n", workload.about);

    let compared = workload.compared.name;
    let mut head = vec!["side", compared, "min..max", "to best peer"];
    head.extend(workload.shown.iter().map(|field| field.name));
    if !workload.targets.is_empty() {
        head.push("target");
    }
    write_row(&mut out, head.iter().map(|&cell| cell.to_owned()));
    let rule = |at: usize| if at == 0 { "---" } else { "---:" };
    write_row(&mut out, (0..head.len()).map(|at| rule(at).to_owned()));

    let usual = usual_ops(summary);
    // What is driven for a time has no number of its own.
    let is_timed = workload.server.is_some();
    for row in &summary.rows {
        let mut cells = vec![
            side(
                row,
                workload.bench(),
                if is_timed { row.ops } else { usual },
            ),
            median(row),
            range(row),
            ratio(row),
        ];
        cells.extend(row.shown.iter().map(|&value| shown(value)));
        if !workload.targets.is_empty() {
            cells.push(verdicts(&row.verdicts));
        }
        write_row(&mut out, cells);
    }
    for row in &summary.rows {
        if let Some(why) = &row.failure {
            let (side, bench, failed, runs) = (&row.side, row.bench, row.failures, row.runs());
            let _ = writeln!(out, "\n{side} ({bench}), {failed} of {runs} runs: {why}");
        }
    }
    out
}

fn write_row(out: &mut String, cells: impl IntoIterator<Item = String>) {
    out.push('|');
    for cell in cells {
        let _ = write!(out, " {cell} |");
    }
    out.push('\n');
}

/// The number of operations that most sides did.
fn usual_ops(summary: &Summary) -> Option<u64> {
    let all = || summary.rows.iter().filter_map(|row| row.ops);
    all().max_by_key(|ops| all().filter(|other| other == ops).count())
}

fn side(row: &Row, bench: &str, usual: Option<u64>) -> String {
    let variant = row
        .bench
        .strip_prefix(bench)
        .unwrap_or(row.bench)
        .trim_start_matches('_');
    let side = match variant {
        "" => row.side.clone(),
        variant => format!("{} ({variant})", row.side),
    };
    match row.ops {
        Some(ops) if row.ops != usual => format!("{side}, {} ops", number(ops as f64)),
        _ => side,
    }
}

fn median(row: &Row) -> String {
    row.compared
        .map_or_else(|| failed(row), |spread| number(spread.median))
}

fn failed(row: &Row) -> String {
    if row.failures > 0 {
        "failed".into()
    } else {
        NONE.into()
    }
}

fn range(row: &Row) -> String {
    let range = |Spread { min, max, .. }| format!("{}..{}", number(min), number(max));
    row.compared.map_or_else(|| NONE.into(), range)
}

fn ratio(row: &Row) -> String {
    row.ratio
        .map_or_else(|| NONE.into(), |ratio| format!("{ratio:.2}"))
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), number)
}

fn verdicts(verdicts: &[Verdict]) -> String {
    let cells: Vec<String> = verdicts.iter().map(verdict).collect();
    cells.join("; ")
}

fn verdict(verdict: &Verdict) -> String {
    let sign = match verdict.better {
        Better::Lower => "≤",
        Better::Higher => "≥",
    };
    let Verdict {
        field, limit, of, ..
    } = verdict;
    let aim = format!("{field} {sign} {}{of}", number(*limit));
    match (verdict.value, verdict.is_met()) {
        (Some(value), Some(true)) => format!("{aim}: {} ok", number(value)),
        (Some(value), _) => format!("{aim}: {} **MISSED**", number(value)),
        (None, _) => format!("{aim}: not measured"),
    }
}

/// Two digits that count, or all before the point.
pub fn brief(value: f64) -> String {
    match value.abs() {
        ..0.0995 => format!("{value:.3}"),
        ..0.995 => format!("{value:.2}"),
        ..9.95 => format!("{value:.1}"),
        ..100.0 => format!("{value:.0}"),
        _ => number(value),
    }
}

/// Three digits that count, thousands set apart.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size < 10.0 {
        return format!("{value:.2}");
    }
    if size < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{size:.0}");
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
