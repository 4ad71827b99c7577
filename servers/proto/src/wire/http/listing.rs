//! Listing of the files as a page, as JSON or as text, as the peer prefers.

use std::fmt::{self, Write as _};

use super::date;
use super::fields::Fields;
use crate::{Buffer, Entry, percent};

/// Page for browsers, with marks for the server's name and the rows of files.
const PAGE: &str = include_str!("page.html");
const NAME_MARK: &str = "<!--strategy-->";
const ROWS_MARK: &str = "<!--files-->";

/// Content security policy of the page: only its own parts, and uploads to its own server.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; img-src data:; \
    base-uri 'none'; frame-ancestors 'none'";

/// Format of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// A name in each line.
    #[default]
    Text,
    Html,
    Json,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// Format with the greatest weight in `Accept`; text if there is none.
pub(super) fn negotiate(fields: &Fields<'_>) -> Format {
    let mut best = (0, Format::Text);
    for range in fields.all("accept").flat_map(|value| value.split(|&byte| byte == b',')) {
        let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let format = match &media_type[..] {
            b"text/html" => Format::Html,
            b"application/json" => Format::Json,
            b"text/plain" => Format::Text,
            _ => continue,
        };
        let weight = parts
            .find_map(|parameter| {
                parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))
            })
            .map_or(1000, thousandths);
        if weight > best.0 {
            best = (weight, format);
        }
    }
    best.1
}

/// Weight between 0 and 1 in thousandths; a malformed one counts as 0.
fn thousandths(weight: &[u8]) -> u32 {
    let weight: Option<f32> = std::str::from_utf8(weight).ok().and_then(|text| text.parse().ok());
    weight.map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1000.0) as u32)
}

/// Appends the content of a listing.
pub(super) fn write(output: &mut Buffer, format: Format, entries: &[Entry], server_name: &str) {
    let written = match format {
        Format::Text => entries.iter().try_for_each(|entry| writeln!(output, "{}", entry.name)),
        Format::Html => write_page(output, entries, server_name),
        Format::Json => write_json(output, entries),
    };
    written.expect("a buffer takes whatever is written");
}

fn write_page(output: &mut Buffer, entries: &[Entry], server_name: &str) -> fmt::Result {
    let (before_name, rest) = PAGE.split_once(NAME_MARK).unwrap_or((PAGE, ""));
    let (before_rows, after_rows) = rest.split_once(ROWS_MARK).unwrap_or((rest, ""));
    output.push(before_name.as_bytes());
    write!(output, "{}", Html(server_name))?;
    output.push(before_rows.as_bytes());
    if entries.is_empty() {
        output.push(b"<tr><td colspan=3 class=none>No files yet");
    }
    for (number, entry) in entries.iter().enumerate() {
        if number > 0 {
            output.push(b"\n");
        }
        output.push(b"<tr><td><a href=\"/");
        percent::encode(entry.name.as_str(), |piece| output.push(piece.as_bytes()));
        let (date, time) = date::iso(entry.modified.unix_s);
        let (name, size) = (Html(entry.name.as_str()), Size(entry.len));
        write!(output, "\">{name}</a><td>{size}<td>{date} {}", &time[..5])?;
    }
    output.push(after_rows.as_bytes());
    Ok(())
}

fn write_json(output: &mut Buffer, entries: &[Entry]) -> fmt::Result {
    output.push(b"[");
    for (number, entry) in entries.iter().enumerate() {
        output.push(if number > 0 { b",\n" } else { b"" });
        let (date, time) = date::iso(entry.modified.unix_s);
        let name = Json(entry.name.as_str());
        write!(
            output,
            "{{\"name\":\"{name}\",\"size_bytes\":{},\"modified\":\"{date}T{time}Z\"}}",
            entry.len
        )?;
    }
    output.push(b"]\n");
    Ok(())
}

/// Text escaped for HTML, in an element or a quoted attribute.
struct Html<'a>(&'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Text escaped for a JSON string.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Size in a unit that is a power of 1024.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let (mut size, mut unit) = (self.0 as f64 / 1024.0, 0);
        // A value that would round to 1024 is 1 of the next unit.
        while size >= 1023.95 && unit + 1 < UNITS.len() {
            size /= 1024.0;
            unit += 1;
        }
        write!(f, "{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileName, Modified};

    fn entries(names: &[&str]) -> Vec<Entry> {
        let modified = Modified { unix_s: 784_111_777, nanos: 0 };
        let entry = |name: &&str| Entry { name: FileName::new(name).unwrap(), len: 1536, modified };
        names.iter().map(entry).collect()
    }

    fn listing(format: Format, names: &[&str]) -> String {
        let mut output = Buffer::default();
        write(&mut output, format, &entries(names), "a<b>&'\"");
        String::from_utf8(output.filled().to_vec()).unwrap()
    }

    #[test]
    fn hostile_names_stay_names_on_the_page() {
        let page = listing(Format::Html, &["<script>alert('&amp;\"')</script>", "a b/\u{e9}#?%"]);
        assert!(page.contains("<code>a&lt;b&gt;&amp;&#39;&quot;</code>"));
        assert!(page.contains(
            "<tr><td><a href=\"/%3Cscript%3Ealert%28%27%26amp%3B%22%27%29%3C/script%3E\">\
             &lt;script&gt;alert(&#39;&amp;amp;&quot;&#39;)&lt;/script&gt;</a>\
             <td>1.5 KiB<td>1994-11-06 08:49\n\
             <tr><td><a href=\"/a%20b/%C3%A9%23%3F%25\">a b/\u{e9}#?%</a>"
        ));
        assert!(!page.contains("<!--") && page.ends_with("</html>\n"));
        // A name cannot be mistaken for a mark.
        assert!(listing(Format::Html, &["<!--files-->"]).contains("&lt;!--files--&gt;"));
    }

    #[test]
    fn an_empty_folder_says_so() {
        assert!(listing(Format::Html, &[]).contains("<td colspan=3 class=none>No files yet"));
        assert_eq!(listing(Format::Json, &[]), "[]\n");
        assert_eq!(listing(Format::Text, &[]), "");
    }

    #[test]
    fn hostile_names_stay_names_in_json() {
        assert_eq!(
            listing(Format::Json, &["\"},{\"", "</script>\u{2028}\u{e9}"]),
            "[{\"name\":\"\\\"},{\\\"\",\"size_bytes\":1536,\
             \"modified\":\"1994-11-06T08:49:37Z\"},\n\
             {\"name\":\"</script>\u{2028}\u{e9}\",\"size_bytes\":1536,\
             \"modified\":\"1994-11-06T08:49:37Z\"}]\n"
        );
        assert_eq!(Json("\\\u{1f}\n\"").to_string(), "\\\\\\u001f\\u000a\\\"");
    }

    #[test]
    fn sizes_are_rounded() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn the_weightiest_format_is_chosen() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html", Format::Html),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
            ("application/json", Format::Json),
            ("Application/JSON;charset=utf-8", Format::Json),
            ("text/html;q=0", Format::Text),
            ("text/html; q=0.000, application/json;q=0.1", Format::Json),
            ("text/html;q=0.5, application/json;q=0.6", Format::Json),
            ("text/html;q=0.5, text/plain", Format::Text),
            ("text/html;q=x", Format::Text),
            ("text/htmlx", Format::Text),
        ] {
            let headers = [httparse::Header { name: "Accept", value: accept.as_bytes() }];
            let fields = Fields::read(&headers).unwrap();
            assert_eq!(negotiate(&fields), format, "{accept}");
        }
    }
}
