//! Tables as Markdown.

use super::{Table, note};

/// Tables as Markdown, each with a heading above and the remarks on its rows below.
pub(crate) fn markdown(tables: &[Table]) -> String {
    let mut text = format!("{}\n\n", note());
    for table in tables {
        text += &format!("## {}\n\n", escaped(&table.heading));
        let columns: Vec<_> = table.columns.iter().map(|name| (*name).to_owned()).collect();
        text += &row(&columns);
        text += &format!("| --- |{}\n", " ---: |".repeat(columns.len() - 1));
        for one in &table.rows {
            text += &row(&one.values);
        }
        text.push('\n');
        for one in table.rows.iter().filter(|row| !row.remark.is_empty()) {
            text += &format!("- {}: {}\n", escaped(&one.values[0]), escaped(&one.remark));
        }
        if !table.ratios.is_empty() {
            text += &format!("- {}\n", escaped(&table.ratios));
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn row(values: &[String]) -> String {
    let cells: Vec<_> = values.iter().map(|value| escaped(value)).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Escaped text: names and replies of servers may contain any character.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' => safe.extend(['\\', letter]),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::{COLUMNS, Row};
    use super::*;

    #[test]
    fn a_table_has_its_columns_rows_and_remarks() {
        let mut values = COLUMNS.map(|_| "1".to_owned());
        values[0] = "a|b_c".to_owned();
        let (server, remark) = ("a|b_c".to_owned(), "served 1 of 4".to_owned());
        let rows = vec![Row { server, values: values.to_vec(), remark }];
        let (heading, columns) = ("Download".to_owned(), COLUMNS.to_vec());
        let text = markdown(&[Table { heading, columns, rows, ratios: String::new() }]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "## Download");
        assert!(lines[4].starts_with("| server | requests/s |"), "{text}");
        assert_eq!(lines[5].matches("---").count(), COLUMNS.len());
        assert!(lines[6].starts_with("| a\\|b\\_c | 1 |"), "{text}");
        assert_eq!(lines[8], "- a\\|b\\_c: served 1 of 4");
        assert_eq!(lines.len(), 9);
    }
}
