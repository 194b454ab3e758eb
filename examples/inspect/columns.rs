//! Rows of text, laid out in columns.

/// Rows of cells.
#[derive(Default)]
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these titles.
    pub(crate) fn titled(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).into()).collect()] }
    }

    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// A name and what it stands for.
    pub(crate) fn pair(&mut self, name: &str, value: impl ToString) {
        self.push([name.into(), value.to_string()]);
    }

    /// The rows as lines, indented, each column as wide as its longest cell.
    pub(crate) fn text(&self) -> String {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..count).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::from(" ");
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!(" {cell:<width$} "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
