//! `client console`: composes messages of the framed wire.

mod message;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args as ClapArgs;
use fileserver_proto::Wire;
use fileserver_proto::client::framed::most_data;
use fileserver_proto::wire::framed::{DATA1, DATA8, MAX_TEXT_BYTES, size_width};

use crate::commands::parse_time;
use crate::failure::Failure;
use crate::net::address::{Address, ServerArgs};
use crate::net::link::Link;
use crate::terminal::input::Input;
use crate::terminal::print;
use message::{Draft, truncate};

/// Compose messages of the binary protocol (framed) by hand and print the replies
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client console [OPTIONS] <SERVER>",
    after_help = "Example:
  client console localhost 8800

Prompts for a message, sends it, prints the reply, and repeats until you leave with q or Ctrl-D.
docs/protocol.md describes the messages of the framed wire."
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Open a new connection for each message
    #[arg(long)]
    reconnect: bool,
    /// Longest wait without progress (500ms, 30s, 2m)
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "30s")]
    timeout: Duration,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let server = args.server.address()?;
    let mut console = Console { args, server, stop, input: Input::new(stop), link: None };
    // An unreachable server is reported before the first prompt.
    console.link = Some(console.connect()?);
    print(&format!("connected to {}\n{}", console.server, menu()))?;
    loop {
        match console.ask("\nmessage type (1-7, f, ? for the list, q to leave): ")? {
            None => {
                print("\n")?;
                return Ok(());
            }
            Some(choice) if matches!(choice.trim(), "q" | "quit" | "exit") => return Ok(()),
            Some(choice) => match console.choose(choice.trim()) {
                // After a failed message, others can be sent.
                Err(Failure::Failed(error) | Failure::Usage(error)) => {
                    print(&format!("failed: {error:#}\n"))?;
                }
                done => done?,
            },
        }
    }
}

/// End of a prompt after an unusable answer.
const AGAIN: &str = "again (empty line or q: back to the list): ";

struct Console<'a> {
    args: &'a Args,
    server: Address,
    stop: &'a AtomicBool,
    input: Input<'a>,
    /// `None` after the end of a connection.
    link: Option<Link<'a>>,
}

impl<'a> Console<'a> {
    /// Prompts for a line; `None` at the end of input.
    fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        print(question)?;
        loop {
            match self.input.line()?.map(String::from_utf8) {
                None => return Ok(None),
                Some(Ok(line)) => return Ok(Some(line)),
                Some(Err(_)) => print("a text must be UTF-8; try again: ")?,
            }
        }
    }

    /// Prompts for the parts of the chosen message and sends it. The end of input in between
    /// cancels the message.
    fn choose(&mut self, choice: &str) -> Result<(), Failure> {
        let message_type = choice.parse::<u8>().unwrap_or(0);
        let draft = match (choice, message_type) {
            ("?" | "h" | "help", _) => return print(menu()),
            ("f", _) => self.ask_file()?,
            (_, 1) => self.ask("text: ")?.map(Draft::Text),
            (_, DATA1..=DATA8) => self.ask_data(message_type)?,
            (_, 7) => self.ask("name of the file to fetch: ")?.map(Draft::Get),
            _ => {
                return print(&format!(
                    "{choice:?} is not a choice: type a number from 1 to 7, f, ? or q\n"
                ));
            }
        };
        match draft {
            Some(draft) => self.send(draft),
            None => Ok(()),
        }
    }

    fn ask_data(&mut self, message_type: u8) -> Result<Option<Draft>, Failure> {
        let most = most_data(message_type).unwrap_or(0);
        let mut question = "number of random bytes (1000, 64KiB), or path of a file: ".to_owned();
        loop {
            let Some(answer) = self.ask_or_cancel(&question)? else { return Ok(None) };
            let draft = match answer.parse() {
                Ok(ByteSize(len)) => Draft::Random { message_type, len },
                Err(_) => match message::open(&answer) {
                    Ok((file, len)) => Draft::File { message_type, file, len, path: answer },
                    Err(error) => {
                        question = format!("neither a size nor a file ({error:#}); {AGAIN}");
                        continue;
                    }
                },
            };
            let len = draft.data_bytes();
            if len <= most {
                return Ok(Some(draft));
            }
            // The next answer may be another type, so it is not taken as a size.
            print(&format!(
                "type {message_type} carries at most {most} bytes, not {len}: choose a type of \
                 more bytes, or type {message_type} with a smaller size\n"
            ))?;
            return Ok(None);
        }
    }

    fn ask_file(&mut self) -> Result<Option<Draft>, Failure> {
        let mut question = "path of the file: ".to_owned();
        loop {
            let Some(path) = self.ask_or_cancel(&question)? else { return Ok(None) };
            match message::open(&path) {
                Ok((file, len)) => {
                    let own = path.rsplit('/').next().unwrap_or_default();
                    let question = format!("name on the server [{own}]: ");
                    let Some(name) = self.ask(&question)? else { return Ok(None) };
                    let name = if name.is_empty() { own.to_owned() } else { name };
                    return Ok(Some(Draft::Named { name, file, len, path }));
                }
                Err(error) => question = format!("{error:#}; {AGAIN}"),
            }
        }
    }

    /// Prompts for a size or a path; `None` for an empty line, `q` and the end of input, which
    /// cancel the message.
    fn ask_or_cancel(&mut self, question: &str) -> Result<Option<String>, Failure> {
        let answer = self.ask(question)?.map(|answer| answer.trim().to_owned());
        Ok(answer.filter(|answer| !answer.is_empty() && answer != "q"))
    }

    /// Sends the message and prints the reply.
    fn send(&mut self, mut draft: Draft) -> Result<(), Failure> {
        if let Draft::Text(text) | Draft::Get(text) | Draft::Named { name: text, .. } = &mut draft
            && let Some(dropped) = truncate(text)
        {
            print(&format!(
                "too long: the last {dropped} bytes were removed; the limit is {MAX_TEXT_BYTES} bytes\n"
            ))?;
        }
        let mut link = match self.link.take().filter(|link| !link.is_unusable()) {
            Some(link) => link,
            None => {
                let link = self.connect()?;
                print("(reconnected)\n")?;
                link
            }
        };
        let may_stay = draft.send(&mut link)?;
        if may_stay && !self.args.reconnect {
            self.link = Some(link);
        }
        Ok(())
    }

    fn connect(&self) -> Result<Link<'a>, Failure> {
        Link::open(&self.server, Wire::Framed, self.args.timeout, self.stop)
    }
}

/// List of the messages.
fn menu() -> &'static str {
    const { assert!(MAX_TEXT_BYTES == 4096) };
    debug_assert_eq!(size_width(DATA8), Some(8));
    "  1  a text of up to 4096 bytes
  2  data, its size in 1 byte   (up to 255 bytes)
  3  data, its size in 2 bytes  (up to 65535 bytes)
  4  data, its size in 3 bytes  (up to 16777215 bytes)
  5  data, its size in 4 bytes  (up to 4294967295 bytes)
  6  data, its size in 8 bytes
  7  the name of a file to fetch
  f  a file: its name as a text, then its contents as data
"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_menu_is_aligned() {
        for line in menu().lines() {
            let is_choice = line.starts_with("  ") && line[3..].starts_with("  ");
            assert!(is_choice && !line[5..].starts_with(' '), "{line:?}");
        }
    }
}
