//! The limits of a comparison, checked.

use super::{Beyond, Diff, Incomparable, Judgement, Limit};

/// Changes compared with limits.
#[derive(Debug)]
pub struct Gate<'d> {
    /// Values beyond a limit, shown or not.
    pub beyond: Vec<Beyond>,
    /// Servers whose limits could not be checked.
    pub not_checked: Vec<&'d Incomparable>,
}

impl<'d> Gate<'d> {
    /// Checks limits, except for servers whose failures are accepted; `None` without a limit.
    pub fn of(diff: &'d Diff, limits: &[Limit], accepted: &'d [String]) -> Option<Self> {
        (!limits.is_empty()).then(|| Self {
            beyond: diff.beyond(limits),
            not_checked: diff.failures(accepted).collect(),
        })
    }

    /// Returns true if no limit is exceeded and all were checked.
    pub fn is_passed(&self) -> bool {
        let is_broken = |one: &Beyond| one.judgement == Judgement::Broken;
        self.not_checked.is_empty() && !self.beyond.iter().any(is_broken)
    }

    /// Result in words, a line for each value.
    pub fn lines(&self) -> Vec<String> {
        let beyond = |one: &Beyond| {
            let (limit, what) = (&one.limit, &one.what);
            match one.judgement {
                Judgement::Broken => format!("Beyond {limit}: {what}"),
                Judgement::Doubtful | Judgement::Kept => {
                    format!("Perhaps beyond {limit}, but not shown, so it does not fail: {what}")
                }
            }
        };
        let mut lines: Vec<_> = self.beyond.iter().map(beyond).collect();
        for failure in &self.not_checked {
            let (what, name) = (&failure.text, &failure.target);
            lines.push(format!("Not checked: {what}. To accept it, use --allow-missing {name}."));
        }
        if self.is_passed() {
            lines.push("No limit is broken.".to_owned());
        }
        lines
    }
}
