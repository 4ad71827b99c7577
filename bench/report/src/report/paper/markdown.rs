//! Blocks of a text in Markdown: paragraphs, headings, lists, emphasis, links and code.

use anyhow::{Context, bail};
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::{Block, Run, TextStyle};

/// Reads a text. HTML remains as it is written.
///
/// # Errors
/// The text contains a table or an image; the error names the line.
pub(crate) fn blocks(text: &str) -> anyhow::Result<Vec<Block>> {
    let mut reader = Reader::default();
    // Tables are recognised to be refused: as paragraphs they would be illegible.
    for (event, place) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let line = || format!("line {}", 1 + text[..place.start].matches('\n').count());
        reader.take(event).with_context(line)?;
    }
    reader.end_text();
    Ok(reader.blocks)
}

/// Blocks read so far, and the open elements.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    /// Text of the current paragraph, heading or item.
    runs: Vec<Run>,
    strong: usize,
    /// Open emphases and quotations.
    emphasis: usize,
    /// Destinations of open links; `None` if the text of the link is its destination.
    links: Vec<Option<String>>,
    /// Open lists; numbered ones with the number of their next item.
    lists: Vec<Option<u64>>,
    /// Marker of an item that has no text yet.
    marker: Option<String>,
    /// Content of an open code block.
    code: Option<String>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::Start(tag) => self.start(tag)?,
            Event::End(tag) => self.end(tag),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.text(&text),
            Event::Code(code) => self.push(TextStyle::Code, &code),
            Event::SoftBreak => self.text(" "),
            Event::HardBreak | Event::Rule => self.end_text(),
            Event::TaskListMarker(done) => self.text(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn start(&mut self, tag: Tag<'_>) -> anyhow::Result<()> {
        match tag {
            Tag::Image { .. } => bail!("images are not supported; add the file with --figure"),
            Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell => {
                bail!("tables are not supported; write the table as a code block")
            }
            Tag::Emphasis => self.emphasis += 1,
            Tag::Strong => self.strong += 1,
            Tag::Link { link_type, dest_url, .. } => {
                let is_shown = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.links.push((!is_shown).then(|| dest_url.to_string()));
            }
            Tag::BlockQuote(_) => {
                self.end_text();
                self.emphasis += 1;
            }
            Tag::CodeBlock(_) => {
                self.end_text();
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                self.end_text();
                self.lists.push(first);
            }
            Tag::Item => {
                self.end_text();
                self.marker = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}.", *number - 1)
                    }
                    _ => "•".to_owned(),
                });
            }
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::HtmlBlock
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::MetadataBlock(_) => self.end_text(),
            Tag::Strikethrough | Tag::Superscript | Tag::Subscript => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let text: String = self.runs.drain(..).map(|run| run.text).collect();
                self.blocks.push(match level {
                    HeadingLevel::H1 => Block::Heading(text),
                    HeadingLevel::H2
                    | HeadingLevel::H3
                    | HeadingLevel::H4
                    | HeadingLevel::H5
                    | HeadingLevel::H6 => Block::Subheading(text),
                });
            }
            TagEnd::Emphasis => self.emphasis -= 1,
            TagEnd::Strong => self.strong -= 1,
            TagEnd::Link => {
                if let Some(destination) = self.links.pop().flatten() {
                    self.text(&format!(" ({destination})"));
                }
            }
            TagEnd::BlockQuote(_) => {
                self.end_text();
                self.emphasis -= 1;
            }
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                self.blocks.push(Block::Verbatim(code.trim_end_matches('\n').to_owned()));
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Item => {
                self.end_text();
                self.marker = None;
            }
            TagEnd::Paragraph
            | TagEnd::HtmlBlock
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Table
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::TableCell
            | TagEnd::MetadataBlock(_) => self.end_text(),
            TagEnd::Strikethrough | TagEnd::Superscript | TagEnd::Subscript | TagEnd::Image => {}
        }
    }

    /// Adds text in the style of the open elements.
    fn text(&mut self, text: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(text);
            return;
        }
        let style = match (self.strong, self.emphasis) {
            (0, 0) => TextStyle::Plain,
            (0, _) => TextStyle::Emphasis,
            _ => TextStyle::Strong,
        };
        self.push(style, text);
    }

    fn push(&mut self, style: TextStyle, text: &str) {
        let text = text.replace(['\n', '\t'], " ");
        match self.runs.last_mut() {
            Some(run) if run.style == style => run.text.push_str(&text),
            _ => self.runs.push(Run { style, text }),
        }
    }

    /// Ends a paragraph, or the text of an item.
    fn end_text(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let runs = std::mem::take(&mut self.runs);
        self.blocks.push(match self.lists.len() {
            0 => Block::Rich(runs),
            depth => Block::Entry { depth, marker: self.marker.take().unwrap_or_default(), runs },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks in words, a line each: kind, then the runs with their styles.
    fn read(text: &str) -> Vec<String> {
        let run = |run: &Run| match run.style {
            TextStyle::Plain => run.text.clone(),
            TextStyle::Emphasis => format!("<i>{}</i>", run.text),
            TextStyle::Strong => format!("<b>{}</b>", run.text),
            TextStyle::Code => format!("<c>{}</c>", run.text),
        };
        let all = |runs: &[Run]| runs.iter().map(run).collect::<String>();
        let block = |block: Block| match block {
            Block::Heading(text) => format!("h1 {text}"),
            Block::Subheading(text) => format!("h2 {text}"),
            Block::Rich(runs) => format!("p {}", all(&runs)),
            Block::Entry { depth, marker, runs } => format!("{depth} {marker} {}", all(&runs)),
            Block::Verbatim(text) => format!("code {text}"),
            Block::Paragraph(_)
            | Block::Lead(_)
            | Block::Items(_)
            | Block::Terms(_)
            | Block::Definitions(_)
            | Block::Figure { .. }
            | Block::Table { .. }
            | Block::Source(_) => panic!("no block of a Markdown text"),
        };
        blocks(text).unwrap().into_iter().map(block).collect()
    }

    #[test]
    fn paragraphs_headings_and_emphasis_are_kept() {
        let text = "# Discussion of `it`\nFirst *line*,\nsecond **line**.\n\n## Why\n\
                    `a <b>` and <port>  \nafter a break\n\n> quoted\n\nEnd.";
        assert_eq!(
            read(text),
            [
                "h1 Discussion of it",
                "p First <i>line</i>, second <b>line</b>.",
                "h2 Why",
                "p <c>a <b></c> and <port>",
                "p after a break",
                "p <i>quoted</i>",
                "p End.",
            ]
        );
        assert!(read("").is_empty());
    }

    #[test]
    fn lists_keep_their_markers_and_depth() {
        let text =
            "1. one\n2. two\n   - inner\n   - second\n\n     its paragraph\n3. three\n\nafter";
        assert_eq!(
            read(text),
            [
                "1 1. one",
                "1 2. two",
                "2 • inner",
                "2 • second",
                "2  its paragraph",
                "1 3. three",
                "p after",
            ]
        );
    }

    #[test]
    fn code_keeps_its_lines_and_links_show_their_destination() {
        let text =
            "```c\nint\n  x;\n```\n[The code](https://example.org/x), <https://example.org/y>";
        assert_eq!(
            read(text),
            ["code int\n  x;", "p The code (https://example.org/x), https://example.org/y",]
        );
    }

    #[test]
    fn tables_and_images_are_refused_with_their_line() {
        let refused = |text: &str| format!("{:#}", blocks(text).unwrap_err());
        assert_eq!(
            refused("one\n\n| a | b |\n| - | - |\n| 1 | 2 |\n"),
            "line 3: tables are not supported; write the table as a code block"
        );
        assert_eq!(
            refused("one\n![two](three.png)"),
            "line 2: images are not supported; add the file with --figure"
        );
    }
}
