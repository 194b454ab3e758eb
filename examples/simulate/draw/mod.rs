//! A run as a space-time diagram: a line for each replica, time downwards, an arrow for each
//! message. Text in, text out: the picture is an SVG.

mod axis;
mod labels;
mod legend;
mod picture;
mod scene;
mod svg;
mod window;

use synod::sim::Occurrence;

pub(crate) use window::Choice;

/// Draws what happened in the chosen part of a run of so many replicas.
///
/// # Errors
/// One line, if nothing happened in that part.
pub(crate) fn draw(
    title: &str,
    replicas: usize,
    occurrences: &[Occurrence],
    choice: Choice,
) -> Result<String, String> {
    let window = choice.window(occurrences)?;
    let scene = scene::Scene::new(replicas, occurrences, &window);
    Ok(picture::paint(title, &scene, &window))
}
