//! Layout of tables.

use super::Group;
use super::layout::{BOTTOM, Layout, MARGIN, NOTE, Role, SMALL, Shade, Style, WIDTH};
use super::line::{Piece, lines};
use crate::report::fonts::Face;

/// Smallest and largest font size of a table, whose width decides.
const SIZES: (f32, f32) = (5.5, 8.0);
/// Rows of a group that stay together with its heading.
const TOGETHER: usize = 16;
/// Rows that stay together at the beginning of a larger group.
const FIRST_ROWS: usize = 3;
/// Room between rows.
const GAP: f32 = 1.5;

/// Font and column widths of a table.
struct Grid<'c> {
    columns: &'c [String],
    style: Style,
    widths: Vec<f32>,
}

impl Layout {
    pub(super) fn table(
        &mut self,
        caption: &str,
        columns: &[String],
        groups: &[Group],
        notes: &[String],
    ) {
        self.need(self.beginning_of_table(caption, columns, groups));
        self.tables += 1;
        let grid = Grid::of(columns, groups);
        let node = self.node(Role::Caption, None);
        for line in caption_lines(caption, self.tables) {
            self.line(&line, SMALL, MARGIN, node);
        }
        self.y += 3.0;
        let table = self.node(Role::Table, None);
        self.bar(MARGIN, WIDTH, 0.8, Shade::Ink);
        self.head(table, &grid);
        for group in groups {
            self.group(table, group, &grid);
        }
        self.bar(MARGIN, WIDTH, 0.8, Shade::Ink);
        self.y += 2.0;
        for note in notes {
            let node = self.node(Role::Paragraph, None);
            self.text(&[(Face::Regular, note)], NOTE, (MARGIN, WIDTH), node);
        }
        self.y += 4.0;
    }

    /// Room that the beginning of a table needs: caption, head and first rows.
    pub(super) fn beginning_of_table(
        &self,
        caption: &str,
        columns: &[String],
        groups: &[Group],
    ) -> f32 {
        let grid = Grid::of(columns, groups);
        let caption = caption_lines(caption, self.tables + 1).len() as f32 * SMALL.line_height();
        let first = groups.first().map_or(0.0, |group| grid.beginning(group));
        caption + grid.row_height() + first + 8.0
    }

    fn head(&mut self, table: usize, grid: &Grid<'_>) {
        self.row(table, &Role::Head, grid.columns, grid);
        self.bar(MARGIN, WIDTH, 0.4, Shade::Ink);
    }

    fn group(&mut self, table: usize, group: &Group, grid: &Grid<'_>) {
        self.room_in_table(table, grid, grid.beginning(group));
        if !group.heading.is_empty() {
            self.y += GAP;
            let row = self.node(Role::Row, Some(table));
            let node = self.node(Role::Cell, Some(row));
            for line in grid.heading_lines(group) {
                self.line(&line, grid.style, MARGIN, node);
            }
        }
        for values in &group.rows {
            self.room_in_table(table, grid, grid.row_height());
            self.row(table, &Role::Cell, values, grid);
        }
        for remark in &group.remarks {
            let row = self.node(Role::Row, Some(table));
            let node = self.node(Role::Cell, Some(row));
            for line in remark_lines(remark) {
                self.room_in_table(table, grid, NOTE.line_height());
                self.line(&line, NOTE, MARGIN, node);
            }
        }
    }

    /// Continues the table on a new page, below its head, if this one has less room than `height`.
    fn room_in_table(&mut self, table: usize, grid: &Grid<'_>, height: f32) {
        if self.y + height > BOTTOM {
            self.new_page();
            // Waiting figures may have filled the new page.
            self.need(grid.row_height() + height);
            self.bar(MARGIN, WIDTH, 0.8, Shade::Ink);
            self.head(table, grid);
        }
    }

    /// Table row: the first column (names) is aligned left, the others right.
    fn row(&mut self, table: usize, role: &Role, values: &[String], grid: &Grid<'_>) {
        let style = grid.style;
        let row = self.node(Role::Row, Some(table));
        let mut right = MARGIN;
        let face = if *role == Role::Head { Face::Bold } else { Face::Regular };
        for (index, (value, width)) in values.iter().zip(&grid.widths).enumerate() {
            let node = self.node(role.clone(), Some(row));
            let x = match index {
                0 => MARGIN,
                _ => right + width - face.width(value, style.size),
            };
            right += width;
            let y = self.y;
            self.y += GAP / 2.0;
            self.line(&[Piece { face, text: value.clone(), x: 0.0 }], style, x, node);
            self.y = y;
        }
        self.y += grid.row_height();
    }
}

impl<'c> Grid<'c> {
    /// Column widths: the widths needed, plus an equal share of the rest.
    fn of(columns: &'c [String], groups: &[Group]) -> Self {
        let gap = 0.9;
        let rows = || groups.iter().flat_map(|group| &group.rows);
        let needs: Vec<f32> = (0..columns.len())
            .map(|index| {
                let head = Face::Bold.width(&columns[index], 1.0);
                let values = rows().filter_map(|row| row.get(index));
                values.map(|value| Face::Regular.width(value, 1.0)).fold(head, f32::max) + gap
            })
            .collect();
        let all: f32 = needs.iter().sum();
        let size = (WIDTH / all).clamp(SIZES.0, SIZES.1);
        let spare = ((WIDTH - all * size) / columns.len() as f32).max(0.0);
        let style = Style { size, leading: 1.35, shade: Shade::Ink };
        Self { columns, style, widths: needs.iter().map(|need| need * size + spare).collect() }
    }

    fn row_height(&self) -> f32 {
        self.style.line_height() + GAP
    }

    fn heading_lines(&self, group: &Group) -> Vec<Vec<Piece>> {
        lines(&[(Face::Italic, &group.heading)], self.style.size, WIDTH)
    }

    /// Room for the heading of a group and the rows that stay with it.
    fn beginning(&self, group: &Group) -> f32 {
        let heading = match group.heading.is_empty() {
            true => 0.0,
            false => GAP + self.heading_lines(group).len() as f32 * self.style.line_height(),
        };
        let rows = if group.rows.len() <= TOGETHER { group.rows.len() } else { FIRST_ROWS };
        let whole = group.rows.len() <= TOGETHER;
        let remarks = group.remarks.iter().filter(|_| whole);
        let remarks = remarks.map(|text| remark_lines(text).len()).sum::<usize>();
        heading + rows as f32 * self.row_height() + remarks as f32 * NOTE.line_height()
    }
}

fn remark_lines(remark: &str) -> Vec<Vec<Piece>> {
    lines(&[(Face::Regular, remark)], NOTE.size, WIDTH)
}

fn caption_lines(caption: &str, number: usize) -> Vec<Vec<Piece>> {
    let number = format!("Table {number}. ");
    lines(&[(Face::Bold, number.as_str()), (Face::Regular, caption)], SMALL.size, WIDTH)
}
