//! Texts in lines that are broken between words.

/// Lines of at most so many letters, broken between words, but not before a percent sign. A longer word has a
/// line of its own.
pub fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut().filter(|_| word.starts_with('%')) {
            Some(number) => *number += &format!(" {word}"),
            None => words.push(word.to_owned()),
        }
    }
    for word in words {
        match lines.last_mut() {
            Some(line) if letters(line) + 1 + letters(&word) <= most => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Lines of at most `width` letters, each with a line feed, where words allow it. The first one begins with `first`,
/// the others with `next`.
pub fn indented(text: &str, first: &str, next: &str, width: usize) -> String {
    let start = letters(first).max(letters(next));
    let mut lines = String::new();
    for (index, line) in wrapped(text, width.saturating_sub(start)).iter().enumerate() {
        lines += if index == 0 { first } else { next };
        lines += line;
        lines.push('\n');
    }
    lines
}

/// Number of letters.
pub(crate) fn letters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("extraordinary word", 5), ["extraordinary", "word"]);
        assert_eq!(wrapped("at most 0.1 %", 11), ["at most", "0.1 %"]);
        assert!(wrapped("", 5).is_empty());
    }

    #[test]
    fn later_lines_have_their_own_start() {
        let text = indented("one two three four", "note: ", "  ", 13);
        assert_eq!(text, "note: one two\n  three\n  four\n");
        assert_eq!(indented("µµµ ÷÷÷", "", "", 7), "µµµ ÷÷÷\n");
        assert_eq!(indented("extraordinary", "- ", "  ", 5), "- extraordinary\n");
        assert_eq!(indented("", "note: ", "", 80), "");
    }
}
