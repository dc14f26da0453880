//! Narrow tables without borders.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets::NOTHING};

use super::Look;
use crate::clean;

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// As wide as it must be.
    Text,
    /// As [`Column::Text`], at the right.
    Number,
    /// Text that is cut where the terminal ends.
    Cut,
}

/// A table, one line a row, that ends with a line feed.
pub(super) fn table(look: Look, columns: &[(&str, Column)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_truncation_indicator("…");
    table.set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        let mut row = Row::from(row.iter().map(|cell| clean::line(cell)).collect::<Vec<_>>());
        row.max_height(1);
        table.add_row(row);
    }
    if let Some(width) = look.width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (column, (_, kind)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if *kind == Column::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if *kind != Column::Cut {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Names and values, a line each, behind two blanks.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().map(|(name, value)| format!("  {name:width$}  {}\n", clean::line(value))).collect()
}
