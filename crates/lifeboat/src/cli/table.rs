//! Columns that line up.

use super::screen::{Paint, Screen};
use super::words;

/// Rows of words under a heading. The last column may be as long as it likes.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<(String, Paint)>>,
}

#[derive(Debug)]
struct Column {
    heading: &'static str,
    right: bool,
}

impl Table {
    /// A heading that begins with `>` makes a column of numbers: flush right.
    pub fn new(headings: &[&'static str]) -> Self {
        let columns = headings
            .iter()
            .map(|heading| match heading.strip_prefix('>') {
                Some(heading) => Column {
                    heading,
                    right: true,
                },
                None => Column {
                    heading,
                    right: false,
                },
            })
            .collect();
        Table {
            columns,
            rows: Vec::new(),
        }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.painted(cells.map(|cell| (cell, Paint::Plain)));
    }

    pub fn painted<const N: usize>(&mut self, cells: [(String, Paint); N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(
            cells
                .map(|(cell, paint)| (words::plain(&cell), paint))
                .into(),
        );
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn print(&self, screen: &mut Screen) {
        for line in self.lines(screen) {
            screen.line(line);
        }
    }

    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        let heading = self
            .columns
            .iter()
            .map(|column| (column.heading.to_owned(), Paint::Dim))
            .collect();
        let widths = self.widths();
        std::iter::once(&heading)
            .chain(&self.rows)
            .map(|row| self.line(row, &widths, screen).trim_end().to_owned())
            .collect()
    }

    fn line(&self, row: &[(String, Paint)], widths: &[usize], screen: &Screen) -> String {
        let mut line = String::from(" ");
        for (place, ((cell, paint), column)) in row.iter().zip(&self.columns).enumerate() {
            let width = if place + 1 == self.columns.len() && !column.right {
                0
            } else {
                widths[place]
            };
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            let cell = if cell.is_empty() {
                String::new()
            } else {
                screen.paint(*paint, cell)
            };
            line.push(' ');
            if column.right {
                line.push_str(&gap);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&gap);
            }
            line.push(' ');
        }
        line
    }

    /// Of all columns at once: asked for every cell, ten thousand rows would take half a minute.
    fn widths(&self) -> Vec<usize> {
        let of_column = |(place, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| row[place].0.chars().count());
            cells.fold(column.heading.chars().count(), usize::max)
        };
        self.columns.iter().enumerate().map(of_column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_cell_can_move_the_terminal() {
        let mut table = Table::new(&["name", ">size", "rest"]);
        table.row(["a".into(), "1.0 MiB".into(), "x".into()]);
        table.row(["longer\x1b[2J".into(), "2 B".into(), "much longer".into()]);
        let screen = Screen::new(true, true);
        let lines: Vec<String> = table
            .rows
            .iter()
            .map(|r| table.line(r, &table.widths(), &screen))
            .collect();
        assert_eq!(lines[0], "  a           1.0 MiB  x ");
        assert_eq!(lines[1], "  longer\u{fffd}[2J      2 B  much longer ");
    }
}
