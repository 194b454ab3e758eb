//! The figures of runs, gathered until all rounds are over.

use crate::results::{Measurement, Results};
use crate::summary;

/// Which figure it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) peer: &'a str,
    pub(crate) replicas: usize,
    pub(crate) in_flight: usize,
    pub(crate) value_bytes: usize,
}

/// Figures by cell and metric, in the order in which they first came.
#[derive(Default)]
pub(crate) struct Table(Vec<Measurement>);

impl Table {
    /// Adds the figure of a run over that many commands.
    pub(crate) fn add(&mut self, cell: Cell<'_>, metric: &str, commands: u64, figure: f64) {
        let [replicas, in_flight, value_bytes] =
            [cell.replicas, cell.in_flight, cell.value_bytes].map(|it| it as u64);
        let known = self.0.iter_mut().find(|it| {
            (it.peer.as_str(), it.metric.as_str()) == (cell.peer, metric)
                && (it.replicas, it.in_flight, it.value_bytes) == (replicas, in_flight, value_bytes)
        });
        if let Some(known) = known {
            known.runs.push(figure);
            return;
        }
        self.0.push(Measurement {
            suite: "durable".into(),
            peer: cell.peer.into(),
            metric: metric.into(),
            replicas,
            in_flight,
            value_bytes,
            commands,
            runs: vec![figure],
        });
    }

    /// Appends the raw results, and prints the tables.
    ///
    /// # Errors
    ///
    /// Says what hinders writing the results.
    pub(crate) fn finish(&self, results: &Results) -> Result<(), String> {
        self.0.iter().try_for_each(|measurement| results.append(measurement))?;
        print!("{}", summary::tables(&self.0));
        Ok(())
    }
}
