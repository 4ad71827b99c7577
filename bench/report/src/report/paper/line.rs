//! Line breaking.

use crate::report::fonts::Face;

/// Part of a line in one face.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) face: Face,
    pub(super) text: String,
    /// Distance from the beginning of the line.
    pub(super) x: f32,
}

/// Line of a transcript or a listing as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VerbatimLine {
    /// Number of the line in its text; `None` of a continuation.
    pub(super) number: Option<usize>,
    pub(super) text: String,
}

/// Word of running text, which may change its face: `**bold**,` is one word.
struct Word<'t> {
    /// Face of the space before the word; `None` for the first one.
    space: Option<Face>,
    parts: Vec<(Face, &'t str)>,
}

/// Breaks text into lines of a width. Words longer than a line are broken at its end.
pub(super) fn lines(runs: &[(Face, &str)], size: f32, width: f32) -> Vec<Vec<Piece>> {
    let mut lines = vec![Vec::new()];
    let mut x = 0.0;
    for word in words(runs) {
        let wide: f32 = word.parts.iter().map(|(face, part)| face.width(part, size)).sum();
        let space = word.space.filter(|_| x > 0.0);
        let gap = space.map_or(0.0, |face| face.width(" ", size));
        if x > 0.0 && x + gap + wide > width {
            lines.push(Vec::new());
            x = 0.0;
        } else if let Some(face) = space {
            x = append(&mut lines, face, " ", x, size);
        }
        for (face, mut rest) in word.parts {
            while wide > width && x + face.width(rest, size) > width {
                let end = fitting(face, rest, size, width - x);
                if end > 0 || x == 0.0 {
                    // A line holds at least one letter.
                    let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
                    append(&mut lines, face, &rest[..end], x, size);
                    rest = &rest[end..];
                }
                lines.push(Vec::new());
                x = 0.0;
            }
            if !rest.is_empty() {
                x = append(&mut lines, face, rest, x, size);
            }
        }
    }
    lines
}

fn words<'t>(runs: &[(Face, &'t str)]) -> Vec<Word<'t>> {
    let mut words: Vec<Word<'t>> = Vec::new();
    let mut space = None;
    for (face, text) in runs {
        for (index, part) in text.split(' ').enumerate() {
            if index > 0 {
                space = Some(*face);
            }
            if part.is_empty() {
                continue;
            }
            match words.last_mut() {
                Some(word) if space.is_none() => word.parts.push((*face, part)),
                _ => words.push(Word { space: space.take(), parts: vec![(*face, part)] }),
            }
        }
    }
    words
}

/// Lines of a transcript or a listing; longer ones than `letters` continue in the next line.
pub(super) fn verbatim_lines(text: &str, letters: usize) -> Vec<VerbatimLine> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = Some(index + 1);
        let shown: Vec<char> = visible(line).chars().collect();
        if shown.is_empty() {
            lines.push(VerbatimLine { number, text: String::new() });
        }
        let parts = shown.chunks(letters.max(1)).enumerate();
        lines.extend(parts.map(|(part, chunk)| VerbatimLine {
            number: number.filter(|_| part == 0),
            text: chunk.iter().collect(),
        }));
    }
    lines
}

/// Printable form of a line: tabs as spaces, without terminal colours, other control characters as
/// `^X`.
fn visible(line: &str) -> String {
    let mut shown = String::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\t' => {
                let column = shown.chars().count();
                shown.extend(std::iter::repeat_n(' ', 8 - column % 8));
            }
            '\r' => {}
            '\u{1b}' if letters.next_if_eq(&'[').is_some() => {
                while letters.next().is_some_and(|letter| !('@'..='~').contains(&letter)) {}
            }
            '\0'..='\u{1f}' => shown.extend(['^', (letter as u8 + 0x40) as char]),
            '\u{7f}' => shown.push_str("^?"),
            letter if letter.is_control() => shown.push('\u{fffd}'),
            letter => shown.push(letter),
        }
    }
    shown
}

/// Adds text to the last line and returns its end.
fn append(lines: &mut [Vec<Piece>], face: Face, text: &str, x: f32, size: f32) -> f32 {
    let line = lines.last_mut().expect("there is always a line");
    match line.last_mut() {
        Some(last) if last.face == face => last.text.push_str(text),
        _ => line.push(Piece { face, text: text.to_owned(), x }),
    }
    let last = line.last().expect("it was just added");
    // Measured as a whole because of kerning.
    last.x + face.width(&last.text, size)
}

/// Number of bytes of a word, in whole letters, that fit into a width.
fn fitting(face: Face, word: &str, size: f32, width: f32) -> usize {
    let ends: Vec<_> = word.char_indices().map(|(at, letter)| at + letter.len_utf8()).collect();
    let count = ends.partition_point(|end| face.width(&word[..*end], size) <= width);
    count.checked_sub(1).map_or(0, |last| ends[last])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Vec<Piece>]) -> Vec<String> {
        let text = |line: &Vec<Piece>| line.iter().map(|piece| piece.text.as_str()).collect();
        lines.iter().map(text).collect()
    }

    #[test]
    fn lines_hold_as_many_words_as_fit() {
        let text = "The quick brown fox jumps over the lazy dog, again and again.";
        let broken = lines(&[(Face::Regular, text)], 10.0, 100.0);
        assert!(broken.len() > 2);
        for line in &broken {
            let last = line.last().unwrap();
            assert!(last.x + last.face.width(&last.text, 10.0) <= 100.0, "{line:?}");
        }
        assert_eq!(texts(&broken).join(" "), text);
        assert_eq!(texts(&lines(&[(Face::Regular, "")], 10.0, 100.0)), [""]);
    }

    #[test]
    fn a_word_too_long_for_a_line_is_broken() {
        let word = "a".repeat(60);
        let broken = lines(&[(Face::Regular, &format!("see {word} there"))], 10.0, 100.0);
        assert_eq!(texts(&broken).concat().replace(' ', ""), format!("see{word}there"));
        assert!(broken.len() >= 4, "{broken:?}");
        assert!(lines(&[(Face::Regular, "mm")], 10.0, 1.0).len() >= 2, "it ends at all");
    }

    #[test]
    fn faces_may_change_within_a_line() {
        let broken =
            lines(&[(Face::Bold, "Figure 1."), (Face::Regular, " What it shows")], 9.0, 300.0);
        assert_eq!(texts(&broken), ["Figure 1. What it shows"]);
        assert_eq!(broken[0].len(), 2);
        assert!(broken[0][1].x > 30.0);
    }

    #[test]
    fn a_word_keeps_together_where_its_face_changes() {
        let runs = [(Face::Regular, "one two"), (Face::Bold, "three"), (Face::Regular, ", four")];
        let wide = Face::Regular.width("one two", 10.0) + Face::Bold.width("three", 10.0) + 1.0;
        assert_eq!(texts(&lines(&runs, 10.0, wide)), ["one", "twothree,", "four"]);
        let runs = [(Face::Regular, "one  two "), (Face::Bold, " three")];
        assert_eq!(texts(&lines(&runs, 10.0, 300.0)), ["one two three"]);
        let long = "m".repeat(9);
        let runs = [(Face::Regular, "m"), (Face::Mono, long.as_str())];
        let broken = texts(&lines(&runs, 10.0, Face::Regular.width("mm", 10.0)));
        assert_eq!(broken.concat(), "m".repeat(10));
        assert!(broken.len() > 4 && broken[0].len() >= 2, "{broken:?}");
    }

    #[test]
    fn transcripts_keep_their_lines_and_show_control_characters() {
        let text = "a\tb\r\n\n\u{1b}[1;32mgreen\u{1b}[0m \u{7}\n123456789";
        let lines: Vec<_> =
            verbatim_lines(text, 8).into_iter().map(|line| (line.number, line.text)).collect();
        let expected = [
            (Some(1), "a       "),
            (None, "b"),
            (Some(2), ""),
            (Some(3), "green ^G"),
            (Some(4), "12345678"),
            (None, "9"),
        ];
        assert_eq!(lines, expected.map(|(number, text)| (number, text.to_owned())));
    }
}
