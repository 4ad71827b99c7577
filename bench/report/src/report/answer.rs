//! The answer of a run at the top of its tables.

use crate::analysis::sentence::advice;
use crate::figures::forest;
use crate::report::content::Report;
use crate::report::table;

/// Answer, forest plot and recommendations as Markdown.
pub(crate) fn markdown(report: &Report) -> String {
    let analysis = &report.analysis;
    let escaped = table::escaped;
    let mut text = format!("# {}\n\n", escaped(&report.contents.plan.question));
    text += &format!("{}\n\n", escaped(&analysis.answer));
    if let Some(plot) = &report.forest {
        text += &format!("![{}](plots/{})\n\n", escaped(&plot.title), forest::FILE);
    }
    text += "| situation | choose | by how much | cost |\n| --- | --- | --- | --- |\n";
    for one in advice::words(&analysis.advice) {
        let choice = format!("{} {}", one.choice, one.alike);
        let cells = [one.situation, choice.trim(), &one.lead, &one.cost].map(escaped);
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text + &format!("\n{}\n\n", escaped(&analysis.validity))
}
