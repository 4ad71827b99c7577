//! Tables as LaTeX.

use super::{Table, note};

/// Tables as LaTeX floats with caption and label, for `\input`; the first line names the packages
/// needed. Remarks on rows are in the caption.
pub(crate) fn latex(tables: &[Table]) -> String {
    let mut text = "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}.\n".to_owned();
    text += &format!("% {}\n", escaped(&note()));
    for (index, table) in tables.iter().enumerate() {
        let columns: Vec<_> = table.columns.iter().map(|column| escaped(column)).collect();
        let mut caption = format!("{}.", escaped(&table.heading));
        for row in table.rows.iter().filter(|row| !row.remark.is_empty()) {
            caption += &format!(" {}: {}.", escaped(&row.values[0]), escaped(&row.remark));
        }
        if !table.ratios.is_empty() {
            caption += &format!(" {}.", escaped(&table.ratios));
        }
        text += &format!(
            "\n\\begin{{table}}[htbp]\n  \\centering\n  \\caption{{{caption}}}\n  \
             \\label{{tab:bench-{}}}\n  \\resizebox{{\\textwidth}}{{!}}{{%\n    \
             \\begin{{tabular}}{{l{}}}\n      \\toprule\n      {} \\\\\n      \\midrule\n",
            index + 1,
            "r".repeat(columns.len() - 1),
            columns.join(" & "),
        );
        for row in &table.rows {
            let values: Vec<_> = row.values.iter().map(|value| escaped(value)).collect();
            text += &format!("      {} \\\\\n", values.join(" & "));
        }
        text += "      \\bottomrule\n    \\end{tabular}%\n  }\n\\end{table}\n";
    }
    text
}

/// Text with special characters of LaTeX, and letters missing in its default fonts, as commands.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => safe.extend(['\\', letter]),
            '\\' => safe += "\\textbackslash{}",
            '~' => safe += "\\textasciitilde{}",
            '^' => safe += "\\textasciicircum{}",
            '<' => safe += "\\textless{}",
            '>' => safe += "\\textgreater{}",
            '|' => safe += "\\textbar{}",
            '"' => safe += "''",
            '–' => safe += "--",
            '—' => safe += "---",
            '…' => safe += "\\ldots{}",
            'µ' | 'μ' => safe += "$\\mu$",
            '×' => safe += "$\\times$",
            '÷' => safe += "$\\div$",
            '±' => safe += "$\\pm$",
            '≥' => safe += "$\\geq$",
            '≤' => safe += "$\\leq$",
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

    fn table(name: &str, remark: &str) -> Table {
        let mut values = COLUMNS.map(|_| "85.0 µs".to_owned());
        values[0] = name.to_owned();
        Table {
            heading: "Download".to_owned(),
            columns: COLUMNS.to_vec(),
            rows: vec![Row {
                server: name.to_owned(),
                values: values.to_vec(),
                remark: remark.to_owned(),
            }],
            ratios: String::new(),
        }
    }

    #[test]
    fn special_characters_are_escaped() {
        let text = latex(&[table("a_b & 5 %", "\\input{x} <y> ~ ^ #1 $2")]);
        assert!(text.contains("a\\_b \\& 5 \\% & 85.0 $\\mu$s & "), "{text}");
        let escaped = "\\textbackslash{}input\\{x\\} \\textless{}y\\textgreater{} \
                       \\textasciitilde{} \\textasciicircum{} \\#1 \\$2.";
        assert!(text.contains(escaped), "{text}");
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn each_row_has_a_value_for_each_column() {
        let text = latex(&[table("a", ""), table("b", "")]);
        let rows: Vec<_> = text.lines().filter(|line| line.ends_with("\\\\")).collect();
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.matches(" & ").count() == COLUMNS.len() - 1), "{text}");
        for part in ["toprule", "midrule", "bottomrule", "end{tabular}", "end{table}"] {
            assert_eq!(text.matches(part).count(), 2, "{part}");
        }
        assert!(text.contains("tab:bench-1") && text.contains("tab:bench-2"));
    }
}
