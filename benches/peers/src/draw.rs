//! Charts as SVG, drawn from raw results alone: the same results give the same bytes.
//!
//! A line goes through the medians, a bar at each shows the range of the runs. Both axes are
//! logarithmic, but for the number of replicas. The legend stands beside the chart, its names in
//! the order in which the lines end.

mod stages;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::{Axis, FIGURES, Figure, Series, place_text, round_figure};
use crate::results::{self, Measurement};
use crate::summary::{OURS, figure};

/// How large a chart is, in pixels.
const SIZE: (u32, u32) = (860, 480);

/// How much of that the legend gets.
const LEGEND: u32 = 160;

const FONT: &str = "sans-serif";

/// What to draw, and where.
#[derive(Args)]
pub(crate) struct Options {
    /// Raw results of any suites.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Writes the charts there.
    #[arg(long, value_name = "DIRECTORY")]
    into: PathBuf,
}

/// Draws every chart that there are results for.
///
/// # Errors
///
/// Says which file is none of results, that there is nothing to draw, or what hinders writing.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    let charts = charts(&results::read(&options.files)?)?;
    if charts.is_empty() {
        return Err("nothing to draw: the files have no results that a chart shows".into());
    }
    let fail = |path: &PathBuf, error| format!("{}: {error}", path.display());
    fs::create_dir_all(&options.into).map_err(|error| fail(&options.into, error))?;
    for (name, text) in charts {
        let path = options.into.join(name);
        fs::write(&path, text).map_err(|error| fail(&path, error))?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The charts and their files' names.
///
/// # Errors
///
/// Says what cannot be drawn.
pub(crate) fn charts(all: &[Measurement]) -> Result<Vec<(String, String)>, String> {
    let mut charts = Vec::new();
    for figure in &FIGURES {
        let series = figure.series(all);
        if !series.is_empty() {
            charts.push((format!("{}.svg", figure.name), chart(figure, &series)?));
        }
    }
    charts.extend(stages::chart(all)?.map(|text| ("stages.svg".to_owned(), text)));
    Ok(charts)
}

/// What plotters is given to draw on.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Black letters of this size, anchored so.
fn style(size: i32, at: HPos) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(&BLACK).pos(Pos::new(at, VPos::Center))
}

fn paper(text: &mut String, size: (u32, u32)) -> Result<Area<'_>, String> {
    let area = SVGBackend::with_string(text, size).into_drawing_area();
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    Ok(area)
}

/// An axis with marks just where they are wanted.
struct Ticked {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Where a number stands along an axis.
fn along(axis: Axis, place: u64) -> f64 {
    match axis {
        Axis::Replicas => place as f64,
        _ => (place as f64).log10(),
    }
}

/// A little more than this range.
fn widened((least, most): (f64, f64)) -> Range<f64> {
    let margin = ((most - least) * 0.05).max(0.05);
    least - margin..most + margin
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| (least.min(it), most.max(it)))
}

/// Round numbers in the range, as logarithms: the fewer of each power of ten, the wider it is.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let powers = range.start.floor() as i32..=range.end.ceil() as i32;
    let digits: &[f64] = match range.end - range.start {
        wide if wide > 3.2 => &[1.0],
        middling if middling > 1.2 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
    };
    let all = powers.flat_map(|power| digits.iter().map(move |it| it.log10() + f64::from(power)));
    all.filter(|it| range.contains(it)).collect()
}

fn chart(figure: &Figure, series: &[Series]) -> Result<String, String> {
    let mut text = String::new();
    let area = paper(&mut text, SIZE)?;
    let drawn =
        draw(&area, figure, series).and_then(|()| area.present().map_err(|e| e.to_string()));
    drop(area);
    drawn.map(|()| text)
}

fn draw(area: &Area<'_>, it: &Figure, series: &[Series]) -> Result<(), String> {
    let fail = |error: DrawingAreaErrorKind<_>| -> String { format!("{error:?}") };
    let (left, right) = area.split_horizontally(SIZE.0 - LEGEND);
    let places: Vec<f64> = Figure::places(series).iter().map(|at| along(it.axis, *at)).collect();
    // A time of nothing has no logarithm.
    let height = |value: f64| value.max(1e-3).log10();
    let summaries = || series.iter().flat_map(|it| it.points.iter().map(|(_, summary)| summary));
    let heights = widened(range(summaries().flat_map(|it| [height(it.least), height(it.most)])));
    let marks = ticks(&heights);
    let mut chart = ChartBuilder::on(&left)
        .caption(it.title, (FONT, 17))
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(
            Ticked { range: widened(range(places.iter().copied())), ticks: places.clone() },
            Ticked { range: heights, ticks: marks },
        )
        .map_err(fail)?;
    let name = |at: &f64| {
        let number = if it.axis == Axis::Replicas { *at } else { 10_f64.powf(*at) };
        place_text(it.axis, number.round() as u64)
    };
    chart
        .configure_mesh()
        .x_desc(it.axis_title)
        .y_desc(it.unit)
        .x_labels(places.len())
        .y_labels(16)
        .x_label_formatter(&name)
        .y_label_formatter(&|at| round_figure(10_f64.powf(*at)))
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(fail)?;
    // Ours is drawn last: it is over the others.
    for series in series.iter().rev() {
        let (colour, line) = strokes(series);
        let at = |(place, summary): &(u64, _)| (along(it.axis, *place), *summary);
        let points: Vec<(f64, crate::summary::Summary)> = series.points.iter().map(at).collect();
        let medians = points.iter().map(|(at, it)| (*at, height(it.median)));
        chart.draw_series(LineSeries::new(medians.clone(), line)).map_err(fail)?;
        chart.draw_series(medians.map(|at| Circle::new(at, 3, colour.filled()))).map_err(fail)?;
        let bars = points.iter().map(|(at, it)| {
            PathElement::new(vec![(*at, height(it.least)), (*at, height(it.most))], colour)
        });
        chart.draw_series(bars).map_err(fail)?;
    }
    legend(&right, series)
}

/// The colour of a peer, and its line: ours is wider.
fn strokes(series: &Series) -> (RGBColor, ShapeStyle) {
    let colour = colour(series.colour);
    let width = if series.peer == OURS { 3 } else { 2 };
    (colour, ShapeStyle::from(&colour).stroke_width(width))
}

fn colour([red, green, blue]: [u8; 3]) -> RGBColor {
    RGBColor(red, green, blue)
}

/// The names, in the order in which the lines end.
fn legend(area: &Area<'_>, series: &[Series]) -> Result<(), String> {
    let last = |it: &Series| it.points.last().map_or(0.0, |(_, summary)| summary.median);
    let mut sorted: Vec<&Series> = series.iter().collect();
    sorted.sort_by(|one, other| last(other).total_cmp(&last(one)));
    for (row, series) in (0..).zip(sorted) {
        let (colour, line) = strokes(series);
        let y = 56 + 22 * row;
        let sample = PathElement::new(vec![(4, y), (28, y)], line);
        area.draw(&sample).map_err(|error| error.to_string())?;
        let dot = Circle::new((16, y), 3, colour.filled());
        area.draw(&dot).map_err(|error| error.to_string())?;
        let name = Text::new(series.peer, (34, y), style(14, HPos::Left));
        area.draw(&name).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
