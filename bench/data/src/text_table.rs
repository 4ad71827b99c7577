//! Tables as plain text for a terminal.

use crate::text_wrap::{indented, letters};

/// Spaces before each column.
const GAP: &str = "  ";
/// Spaces before a remark below its row.
const INDENT: &str = "      ";

/// Alignment of all columns but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left edge, as texts.
    Left,
    /// At the right edge, as numbers.
    Right,
}

/// Table for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTable {
    columns: Vec<String>,
    rows: Vec<Row>,
    align: Align,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    cells: Vec<String>,
    remark: Option<String>,
}

impl TextTable {
    /// Table of some rows. In a row with another number of cells than there are columns, the last cell has no
    /// column: it is a remark on the row.
    pub fn new(columns: &[&str], rows: Vec<Vec<String>>, align: Align) -> Self {
        let row = |mut cells: Vec<String>| {
            let remark = if cells.len() == columns.len() { None } else { cells.pop() };
            Row { cells, remark }
        };
        Self {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: rows.into_iter().map(row).collect(),
            align,
        }
    }

    /// Width in letters, without remarks.
    pub fn width(&self) -> usize {
        self.widths().iter().map(|width| GAP.len() + width).sum()
    }

    /// The table as indented lines of aligned columns, the names of the columns first. Remarks follow their rows on
    /// the same line if all of them fit the width; else they are below, broken between words.
    pub fn text(&self, width: usize) -> String {
        let widths = self.widths();
        let lines: Vec<_> = self.rows.iter().map(|row| self.line(&row.cells, &widths)).collect();
        let fits = |(row, line): (&Row, &String)| {
            row.remark
                .as_ref()
                .is_none_or(|remark| letters(line) + GAP.len() + letters(remark) <= width)
        };
        let are_beside = self.rows.iter().zip(&lines).all(fits);
        let mut text = self.line(&self.columns, &widths).trim_end().to_owned() + "\n";
        for (row, line) in self.rows.iter().zip(&lines) {
            match &row.remark {
                Some(remark) if are_beside => text += &format!("{line}{GAP}{remark}\n"),
                Some(remark) => {
                    text += &format!("{}\n", line.trim_end());
                    text += &indented(remark, INDENT, INDENT, width);
                }
                None => text += &format!("{}\n", line.trim_end()),
            }
        }
        text
    }

    /// Widths of the columns in letters.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| letters(name)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(letters(cell));
            }
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            line += &match self.align {
                Align::Right if index > 0 => format!("{GAP}{cell:>width$}"),
                Align::Left | Align::Right => format!("{GAP}{cell:<width$}"),
            };
        }
        line
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    fn remove(&mut self, column: &str) {
        let Some(index) = self.columns.iter().position(|name| name == column) else { return };
        self.columns.remove(index);
        for row in self.rows.iter_mut().filter(|row| index < row.cells.len()) {
            row.cells.remove(index);
        }
    }
}

/// Removes columns from all tables alike, in this order, until each table is at most so many letters wide or has
/// none of the rest. Returns the removed ones.
pub fn fit<'n>(tables: &mut [TextTable], width: usize, order: &[&'n str]) -> Vec<&'n str> {
    let mut removed = Vec::new();
    for (index, column) in order.iter().enumerate() {
        let is_wide = |table: &TextTable| {
            table.width() > width && order[index..].iter().any(|name| table.has(name))
        };
        if !tables.iter().any(is_wide) {
            break;
        }
        if tables.iter().any(|table| table.has(column)) {
            tables.iter_mut().for_each(|table| table.remove(column));
            removed.push(*column);
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    fn rows() -> Vec<Vec<String>> {
        vec![
            row(&["a", "1", "22"]),
            row(&["longer", "333"]),
            row(&["b", "4444", "5", "a remark of any length"]),
        ]
    }

    #[test]
    fn columns_are_aligned_and_a_remark_runs_on_where_it_fits() {
        let table = TextTable::new(&["name", "x", "y"], rows(), Align::Right);
        let expected = "  name       x   y\n  a          1  22\n  longer  333\n  b       4444   5  a remark of any length\n";
        assert_eq!(table.text(42), expected);
        assert_eq!(table.width(), 18);
        let table = TextTable::new(&["name", "x"], rows()[1..2].to_vec(), Align::Left);
        assert_eq!(table.text(80), "  name    x\n  longer  333\n");
    }

    #[test]
    fn remarks_that_do_not_fit_are_below_their_rows() {
        let table = TextTable::new(&["name", "x", "y"], rows(), Align::Right);
        let expected = "  name       x   y\n  a          1  22\n  longer\n      333\n  b       4444   5\n      a remark of\n      any length\n";
        assert_eq!(table.text(18), expected);
    }

    #[test]
    fn columns_are_removed_from_all_tables_until_each_fits() {
        let wide = TextTable::new(&["name", "x", "y"], rows(), Align::Right);
        let narrow = TextTable::new(&["name", "y"], vec![row(&["c", "7"])], Align::Right);
        let other = TextTable::new(&["a long name"], vec![row(&["d"])], Align::Right);
        let mut tables = [wide.clone(), narrow.clone(), other.clone()];
        assert_eq!(fit(&mut tables, 18, &["y", "x"]), Vec::<&str>::new());
        assert_eq!(tables, [wide, narrow, other.clone()]);
        assert_eq!(fit(&mut tables, 17, &["z", "y", "x"]), ["y"]);
        let [first, second, third] = &tables;
        assert_eq!(
            first.text(80),
            "  name       x\n  a          1\n  longer  333\n  b       4444  a remark of any length\n"
        );
        assert_eq!(second.text(80), "  name\n  c\n");
        assert_eq!(*third, other);
        assert_eq!(fit(&mut tables, 5, &["x"]), ["x"]);
    }
}
