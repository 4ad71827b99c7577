//! Tables as plain text for a terminal.

/// Alignment of all columns but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left edge, as texts.
    Left,
    /// At the right edge, as numbers.
    Right,
}

/// Rows as lines of aligned columns, indented, the heads first. In a row with another number of
/// cells than there are heads, the last cell has no column: it follows as it is.
pub fn text_table(heads: &[&str], rows: &[Vec<String>], align: Align) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in rows {
        let columns =
            if row.len() == heads.len() { row.len() } else { row.len().saturating_sub(1) };
        for (width, cell) in widths.iter_mut().zip(&row[..columns]) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let free = row.len() != heads.len() && index + 1 == row.len();
            let width = if free { 0 } else { widths[index] };
            line += &match align {
                Align::Right if index > 0 => format!("  {cell:>width$}"),
                Align::Left | Align::Right => format!("  {cell:<width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_a_further_cell_runs_on() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = [
            row(&["a", "1", "22"]),
            row(&["longer", "333"]),
            row(&["b", "4444", "5", "a remark of any length"]),
        ];
        let text = text_table(&["name", "x", "y"], &rows, Align::Right);
        let expected = "  name       x   y\n  a          1  22\n  longer  333\n  b       4444   5  a remark of any length\n";
        assert_eq!(text, expected);
        let text = text_table(&["name", "x"], &rows[1..2], Align::Left);
        assert_eq!(text, "  name    x\n  longer  333\n");
    }
}
