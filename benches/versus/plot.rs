//! SVG: bars to both sides of raddle's line, on a logarithmic axis.
//!
//! A figure has a panel for one processor and one for two, and a group of
//! bars for each workload. What is longer than raddle goes to the right, what
//! is quicker to the left.

use crate::figures::{FIGURES, Figure, Group, Side};
use crate::options::Family;
use crate::plan::BOTH;
use crate::record::{self, Record};
use crate::table::brief;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::RangeInclusive;
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), String>;

const WIDTH: i32 = 960;
/// What stands left of the panels, between them, and right of them.
const LABELS: i32 = 190;
const BETWEEN: i32 = 26;
const MARGIN: i32 = 14;
/// Of the panels' inner edges from their bars, for the numbers.
const NUMBERS: i32 = 40;
const TOP: i32 = 104;
const BOTTOM: i32 = 58;
const BAR: i32 = 11;
const GAP: i32 = 14;

/// How many doublings a bar shows.
const LONGEST: f64 = 5.0;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const PALE: RGBColor = RGBColor(0x66, 0x66, 0x66);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const OWN: RGBColor = RGBColor(0xb0, 0x30, 0x20);

/// Draws each figure of which there are runs; gives the names of the files.
pub fn draw_all(record: &Record, folder: &Path) -> Result<Vec<&'static str>, String> {
    let mut drawn = Vec::new();
    for figure in FIGURES {
        if let Some(svg) = svg(record, figure)? {
            record::write(&folder.join(format!("{}.svg", figure.file)), &svg)?;
            drawn.push(figure.file);
        }
    }
    Ok(drawn)
}

/// A peer beside raddle, as a multiple of raddle's figure.
struct Bar {
    side: Side,
    ratio: f64,
}

/// A group's bars in both panels; none where raddle has no figure.
struct Bars<'a> {
    group: &'a Group,
    /// raddle's own figure, and the others.
    panels: Vec<Option<(f64, Vec<Bar>)>>,
}

impl Bars<'_> {
    /// How many bars the fuller panel has.
    fn height(&self) -> i32 {
        let counts = self.panels.iter().flatten().map(|(_, bars)| bars.len());
        BAR * (counts.max().unwrap_or_default() as i32).max(2) + GAP
    }
}

/// The figure; none if nothing of it was measured.
pub fn svg(record: &Record, figure: &Figure) -> Result<Option<String>, String> {
    let groups: Vec<Bars<'_>> = figure
        .groups
        .iter()
        .map(|group| bars(record, group))
        .filter(|bars| bars.panels.iter().any(Option::is_some))
        .collect();
    if groups.is_empty() {
        return Ok(None);
    }
    let height = TOP + groups.iter().map(Bars::height).sum::<i32>() + BOTTOM;
    let mut text = String::new();
    {
        let size = (WIDTH as u32, height as u32);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area, figure, &groups).map_err(|why| format!("cannot draw: {why}"))?;
        area.present()
            .map_err(|why| format!("cannot draw: {why}"))?;
    }
    Ok(Some(text))
}

fn bars<'a>(record: &Record, group: &'a Group) -> Bars<'a> {
    let panel = |&procs: &usize| {
        let summary = group.summary(record, procs)?;
        let value = |side| Some(group.value(&summary, side)?.median);
        let own = value(Side::Pinned)?;
        let others = Side::ALL.into_iter().filter(|side| *side != Side::Pinned);
        // Of nothing, or compared with it, there is no multiple.
        let has_bar = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
        let bars = others.filter_map(|side| {
            let ratio = Some(value(side)? / own).filter(has_bar)?;
            Some(Bar { side, ratio })
        });
        Some((own, bars.collect()))
    };
    Bars {
        group,
        panels: BOTH.iter().map(panel).collect(),
    }
}

fn draw(area: &Area<'_>, figure: &Figure, groups: &[Bars<'_>]) -> Drawn {
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    write(area, figure.title, (MARGIN, 14), 19, INK, HPos::Left)?;
    legend(area)?;

    let scale = Scale::of(groups);
    let inner = (WIDTH - LABELS - BETWEEN - MARGIN) / 2;
    let lefts = [LABELS, LABELS + inner + BETWEEN];
    for ((left, procs), at) in lefts.into_iter().zip(BOTH).zip(0..) {
        let panel = Panel {
            bars: (left + NUMBERS)..=(left + inner - NUMBERS),
            scale: &scale,
        };
        let head = match procs {
            1 => "one processor".to_owned(),
            2 => "two processors".to_owned(),
            more => format!("{more} processors"),
        };
        panel.frame(area, &head, groups)?;
        let mut top = TOP;
        for bars in groups {
            if let Some((_, bars)) = &bars.panels[at] {
                panel.group(area, top, bars)?;
            }
            top += bars.height();
        }
    }
    let mut top = TOP;
    for bars in groups {
        label(area, top, bars)?;
        top += bars.height();
    }
    let foot = "multiples of raddle's figure, logarithmic; right of the line takes more, left less";
    let middle = LABELS + (WIDTH - LABELS - MARGIN) / 2;
    write(area, foot, (middle, top + 30), 13, INK, HPos::Center)
}

/// A square in each one's colour, and the line's meaning.
fn legend(area: &Area<'_>) -> Drawn {
    let mut left = MARGIN;
    let middle = 52;
    let line = [(left + 5, middle - 8), (left + 5, middle + 8)];
    put(area, &PathElement::new(line, OWN.stroke_width(2)))?;
    for side in Side::ALL {
        if side != Side::Pinned {
            square(area, (left, middle - 5), (left + 10, middle + 5), side)?;
        }
        write(
            area,
            side.name(),
            (left + 16, middle - 7),
            14,
            INK,
            HPos::Left,
        )?;
        left += 40 + 7 * side.name().len() as i32;
    }
    Ok(())
}

/// What a group is, and how long raddle takes.
fn label(area: &Area<'_>, top: i32, bars: &Bars<'_>) -> Drawn {
    let own: Vec<String> = bars
        .panels
        .iter()
        .map(|panel| panel.as_ref().map_or("–".into(), |(own, _)| brief(*own)))
        .collect();
    let own = format!("raddle {} {}", own.join(" / "), bars.group.unit);
    let right = LABELS - 8;
    let middle = top + (bars.height() - GAP) / 2;
    write(
        area,
        bars.group.short,
        (right, middle - 15),
        13,
        INK,
        HPos::Right,
    )?;
    write(area, &own, (right, middle + 1), 12, PALE, HPos::Right)
}

/// From ratios to places.
struct Scale {
    /// The logarithms of the ends.
    low: f64,
    high: f64,
}

impl Scale {
    /// Wide enough for the bars of both panels, and whole steps. Where one is
    /// a hundred times as long, it is cut off: the others are to be seen.
    fn of(groups: &[Bars<'_>]) -> Self {
        let panels = groups.iter().flat_map(|bars| bars.panels.iter().flatten());
        let ratios = panels.flat_map(|(_, bars)| bars.iter().map(|bar| bar.ratio.log2()));
        let (mut low, mut high) = (-1.0_f64, 1.0_f64);
        for ratio in ratios {
            low = low.min(ratio.floor()).max(-LONGEST);
            high = high.max(ratio.ceil()).min(LONGEST);
        }
        Self { low, high }
    }

    /// Where the axis has a number: at powers of two, or fewer.
    fn ticks(&self) -> impl Iterator<Item = i32> {
        let (low, high) = (self.low as i32, self.high as i32);
        let step = 1 + (high - low) / 7;
        (low..=high).filter(move |power| power % step == 0)
    }
}

struct Panel<'a> {
    /// From the axis' low end to its high end.
    bars: RangeInclusive<i32>,
    scale: &'a Scale,
}

impl Panel<'_> {
    fn at(&self, log: f64) -> i32 {
        let Scale { low, high } = *self.scale;
        let (left, right) = (*self.bars.start(), *self.bars.end());
        let share = (log.clamp(low, high) - low) / (high - low);
        left + (share * f64::from(right - left)).round() as i32
    }

    fn frame(&self, area: &Area<'_>, head: &str, groups: &[Bars<'_>]) -> Drawn {
        let bottom = TOP + groups.iter().map(Bars::height).sum::<i32>();
        let middle = i32::midpoint(*self.bars.start(), *self.bars.end());
        write(area, head, (middle, TOP - 26), 14, INK, HPos::Center)?;
        for power in self.scale.ticks() {
            let x = self.at(f64::from(power));
            let line = [(x, TOP - 4), (x, bottom)];
            put(area, &PathElement::new(line, GRID.stroke_width(1)))?;
            let ratio = 2_f64.powi(power);
            write(
                area,
                &format!("{ratio}"),
                (x, bottom + 5),
                12,
                PALE,
                HPos::Center,
            )?;
        }
        let line = [(self.at(0.0), TOP - 4), (self.at(0.0), bottom)];
        put(area, &PathElement::new(line, OWN.stroke_width(2)))
    }

    fn group(&self, area: &Area<'_>, top: i32, bars: &[Bar]) -> Drawn {
        let one = self.at(0.0);
        for (bar, top) in bars.iter().zip((top..).step_by(BAR as usize)) {
            let end = self.at(bar.ratio.log2());
            let (left, right) = (one.min(end), one.max(end));
            square(
                area,
                (left, top + 1),
                (right.max(left + 1), top + BAR - 1),
                bar.side,
            )?;
            if bar.ratio.log2().abs() > LONGEST {
                let cut = if end < one { end + 7 } else { end - 10 };
                let slit = [(cut, top), (cut + 3, top + BAR)];
                put(area, &Rectangle::new(slit, WHITE.filled()))?;
            }
            let (x, anchor) = if end < one {
                (end - 4, HPos::Right)
            } else {
                (end + 4, HPos::Left)
            };
            write(area, &brief(bar.ratio), (x, top + 1), 11, INK, anchor)?;
        }
        Ok(())
    }
}

fn colour(side: Side) -> RGBColor {
    match side {
        Side::Pinned => OWN,
        Side::Migrate => RGBColor(0xe0, 0x85, 0x70),
        Side::Peer(Family::Go) => RGBColor(0x00, 0x9a, 0xc0),
        Side::Peer(Family::Tokio) => RGBColor(0x6d, 0x50, 0xa8),
        Side::Peer(Family::May) => RGBColor(0x4c, 0x96, 0x38),
        Side::Peer(_) => RGBColor(0x99, 0x99, 0x99),
    }
}

fn square(area: &Area<'_>, from: (i32, i32), to: (i32, i32), side: Side) -> Drawn {
    put(area, &Rectangle::new([from, to], colour(side).filled()))
}

fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    anchor: HPos,
) -> Drawn {
    let style = ("sans-serif", size)
        .into_font()
        .color(&colour)
        .pos(Pos::new(anchor, VPos::Top));
    put(area, &Text::new(text.to_owned(), at, style))
}

fn put<'a, E>(area: &Area<'a>, element: &E) -> Drawn
where
    for<'e> &'e E: plotters::element::PointCollection<'e, (i32, i32)>,
    E: plotters::element::Drawable<SVGBackend<'a>>,
{
    area.draw(element).map_err(|error| error.to_string())
}
