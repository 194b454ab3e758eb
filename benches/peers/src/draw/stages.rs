//! Where the time of one command goes: a bar for each stage, from where it begins to where it ends.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, SIZE, colour, figure, paper, style};
use crate::document::stages::{Stage, stages};
use crate::figures::PEERS;
use crate::results::Measurement;

/// How high the row of a stage is.
const ROW: i32 = 30;

/// How much room the names have to the left, and the last number to the right.
const NAMES: i32 = 330;
const NUMBERS: i32 = 70;

/// The chart, if the stages were measured.
///
/// # Errors
///
/// Says what cannot be drawn.
pub(super) fn chart(all: &[Measurement]) -> Result<Option<String>, String> {
    let Some(stages) = stages(all) else { return Ok(None) };
    let mut text = String::new();
    let area = paper(&mut text, (SIZE.0, (ROW * (stages.len() as i32 + 3)) as u32))?;
    let drawn = draw(&area, &stages).and_then(|()| area.present().map_err(|e| e.to_string()));
    drop(area);
    drawn.map(|()| Some(text))
}

fn draw(area: &Area<'_>, stages: &[Stage]) -> Result<(), String> {
    let fail = |error: DrawingAreaErrorKind<_>| -> String { format!("{error:?}") };
    let whole: f64 = stages.iter().map(|it| it.micros.median).sum();
    let width = f64::from(SIZE.0 as i32 - NAMES - NUMBERS);
    let x = |micros: f64| NAMES + (micros / whole.max(1e-3) * width).round() as i32;
    let title = format!("One write, 1 in flight: {} µs from the proposal on", figure(whole));
    let middle = style(17, HPos::Center);
    area.draw(&Text::new(title, (SIZE.0 as i32 / 2, 24), middle)).map_err(fail)?;
    let colour = colour(PEERS[0].1);
    let mut begin = 0.0;
    for (row, stage) in (0..).zip(stages) {
        let (end, y) = (begin + stage.micros.median, 60 + ROW * row);
        area.draw(&Text::new(stage.text, (NAMES - 12, y), style(14, HPos::Right))).map_err(fail)?;
        // What is too short to be seen is one pixel.
        let bar = [(x(begin), y - 9), (x(end).max(x(begin) + 1), y + 9)];
        area.draw(&Rectangle::new(bar, colour.filled())).map_err(fail)?;
        let number = format!("{} µs", figure(stage.micros.median));
        area.draw(&Text::new(number, (x(end) + 6, y), style(13, HPos::Left))).map_err(fail)?;
        begin = end;
    }
    Ok(())
}
