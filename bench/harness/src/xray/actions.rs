//! Trace of a built-in server: the CSV file of its flag `--trace`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// First line of the file.
const HEADER: &str = "process,thread,name,connection,peer_port,kind,from_ns,to_ns";

/// Kind of a row that counts lost events.
const LOST: &str = "lost";

/// Action of a session, or a wait of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ActionRow {
    pub(super) process: u32,
    pub(super) thread: u32,
    /// Name of the thread.
    pub(super) name: String,
    /// Number of the connection within its process; 0 without one.
    pub(super) connection: u64,
    /// TCP port of the client; 0 without one.
    pub(super) peer_port: u16,
    pub(super) kind: String,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

/// Rows since the last reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// Actions and waits.
    pub(super) actions: Vec<ActionRow>,
    /// Number of events that the server could not record.
    pub(super) lost: u64,
    /// True if the file ends within a line.
    pub(super) is_cut: bool,
}

/// File of a trace, read as it grows.
#[derive(Debug)]
pub(super) struct ActionLog {
    path: PathBuf,
    /// Number of bytes and lines read.
    bytes: u64,
    lines: u64,
}

impl ActionLog {
    /// File that a server writes.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), bytes: 0, lines: 0 }
    }

    /// Reads the complete lines that were added since the last call.
    ///
    /// # Errors
    /// The file is missing, or a line has another form; the message contains its number.
    pub(super) fn read(&mut self) -> anyhow::Result<Rows> {
        let shown = self.path.display();
        let mut bytes = Vec::new();
        let mut file = File::open(&self.path)
            .with_context(|| format!("the server wrote no trace to {shown}"))?;
        file.seek(SeekFrom::Start(self.bytes))?;
        file.read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let is_cut = end < bytes.len();
        let text = std::str::from_utf8(&bytes[..end])
            .with_context(|| format!("{shown} is not UTF-8 after line {}", self.lines))?;
        let mut rest = text;
        if self.lines == 0 && !text.is_empty() {
            let (header, rows) = text.split_once('\n').unwrap_or((text, ""));
            ensure!(
                header == HEADER,
                "{shown}, line 1: {header:?} in place of the header of a trace"
            );
            self.lines = 1;
            rest = rows;
        }
        let mut rows = Rows { is_cut, ..Rows::default() };
        // The header gives every part of the file the same number of fields.
        let part = HEADER.as_bytes().chain(&b"\n"[..]).chain(rest.as_bytes());
        let mut reader = csv::Reader::from_reader(part);
        for row in reader.deserialize() {
            let row: ActionRow = match row {
                Ok(row) => row,
                Err(error) => {
                    // The header is the first line of the part.
                    let within = error.position().map_or(2, csv::Position::line) - 1;
                    bail!("{shown}, line {}: {}", self.lines + within, reason(&error));
                }
            };
            if row.kind == LOST {
                rows.lost += row.from_ns;
            } else {
                let ActionRow { from_ns, to_ns, .. } = row;
                ensure!(
                    from_ns <= to_ns,
                    "{shown}: {} of thread {} ends at {to_ns}, before its beginning at {from_ns}",
                    row.kind,
                    row.thread
                );
                rows.actions.push(row);
            }
        }
        self.bytes += end as u64;
        self.lines += rest.lines().count() as u64;
        Ok(rows)
    }
}

/// Fault of a row, without its place.
fn reason(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        return format!("{len} fields in place of {expected_len}");
    }
    if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
        return err.to_string();
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    struct Written {
        folder: tempfile::TempDir,
    }

    impl Written {
        fn new(text: &str) -> Self {
            let written = Self { folder: tempfile::tempdir().unwrap() };
            fs::write(written.path(), text).unwrap();
            written
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("trace.csv")
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn refusal(&self) -> String {
            format!("{:#}", ActionLog::new(&self.path()).read().unwrap_err())
        }
    }

    #[test]
    fn rows_are_read_as_the_file_grows() {
        let written = Written::new("process,thread,");
        let mut log = ActionLog::new(&written.path());
        let rows = log.read().unwrap();
        assert!(rows.actions.is_empty() && rows.is_cut, "no complete line: {rows:?}");
        written.append("name,connection,peer_port,kind,from_ns,to_ns\n");
        written.append("7,8,server,0,0,wait-ready,10,20\n7,8,server,1,40000,rec");
        let rows = log.read().unwrap();
        assert_eq!((rows.actions.len(), rows.is_cut), (1, true));
        written.append("eive,30,45\n7,9,worker 1,0,0,lost,12,0\n");
        let rows = log.read().unwrap();
        assert_eq!((rows.lost, rows.is_cut, rows.actions.len()), (12, false, 1));
        let expected = ActionRow {
            process: 7,
            thread: 8,
            name: "server".to_owned(),
            connection: 1,
            peer_port: 40_000,
            kind: "receive".to_owned(),
            from_ns: 30,
            to_ns: 45,
        };
        assert_eq!(rows.actions[0], expected);
        assert_eq!(log.read().unwrap(), Rows::default());
    }

    #[test]
    fn a_malformed_row_is_refused_with_its_line() {
        let good = "7,8,server,0,0,wait-ready,10,20\n";
        for (row, expected) in [
            ("7,8,server,0,0,receive,10\n", "line 3"),
            ("7,8,server,0,0,receive,10,20,30\n", "line 3"),
            ("7,8,server,0,70000,receive,10,20\n", "line 3"),
            ("7,8,server,0,0,receive,ten,20\n", "line 3"),
            ("7,8,server,0,0,receive,20,10\n", "receive of thread 8 ends at 10, before"),
        ] {
            let message = Written::new(&format!("{HEADER}\n{good}{row}")).refusal();
            assert!(message.contains("trace.csv") && message.contains(expected), "{message}");
        }
        let message = Written::new(good).refusal();
        assert!(message.contains("line 1: \"7,8,server"), "{message}");
        let message = Written::new(&format!("{HEADER}\n{good}")).append_later();
        assert!(message.contains("line 4"), "{message}");
    }

    impl Written {
        /// Refusal of a wrong row that is read apart from the rows before it.
        fn append_later(&self) -> String {
            let mut log = ActionLog::new(&self.path());
            log.read().unwrap();
            self.append("7,8,server,0,0,wait-ready,20,30\nwrong\n");
            format!("{:#}", log.read().unwrap_err())
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let written = Written::new("");
        fs::remove_file(written.path()).unwrap();
        assert!(
            written.refusal().contains("the server wrote no trace to"),
            "{}",
            written.refusal()
        );
    }
}
