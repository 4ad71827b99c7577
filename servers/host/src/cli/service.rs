//! The service flags.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::{Args, ValueEnum};
use fileserver_proto::{Service, Transform};

/// What a server answers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceArgs {
    /// What the server answers: files, or an exercise of a socket course (each has its own default port)
    #[arg(long, value_enum, default_value_t = ServiceChoice::Files, value_name = "NAME")]
    pub service: ServiceChoice,
    /// What `--service transform` does to a message: reverse, upper, length or prefix=TEXT [default: reverse]
    #[arg(long, value_name = "WAY", value_parser = transform)]
    pub transform: Option<Transform>,
    /// Serve heavy requests, `GET /.work?cpu=20ms` and `/.work?block=20ms`, for experiments
    #[arg(long)]
    pub work: bool,
}

/// What a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServiceChoice {
    /// Files, up and down (port 8800)
    Files,
    /// Each message comes back as it is (port 65432)
    Echo,
    /// `I got "<data>" from you and I am sending it back.` (port 65432)
    Hello,
    /// Shows who has connected, and closes (port 9000)
    GreetClose,
    /// Shows each message and answers `Message: <message>` (port 9000)
    Message,
    /// Shows one message, answers `I have received: <message>` and closes (port 9000)
    Ack,
    /// Each message comes back transformed (port 9001)
    Transform,
    /// Tells the time to whoever asks `what time is it?` (port 6015)
    Date,
    /// The same, and notes each request in a new file: log0.txt, log1.txt, ... in the root (port 6015)
    DateLog,
    /// Each line goes to all other connected clients; not with prefork (port 9002)
    Chat,
}

impl ServiceChoice {
    /// The one spelling used in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Echo => "echo",
            Self::Hello => "hello",
            Self::GreetClose => "greet-close",
            Self::Message => "message",
            Self::Ack => "ack",
            Self::Transform => "transform",
            Self::Date => "date",
            Self::DateLog => "date-log",
            Self::Chat => "chat",
        }
    }

    /// What it does in one line, as `--help` shows it.
    pub fn summary(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// The port of its exercise, or of no other service.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Files => 8800,
            Self::Echo | Self::Hello => 65432,
            Self::GreetClose | Self::Message | Self::Ack => 9000,
            Self::Transform => 9001,
            Self::Chat => 9002,
            Self::Date | Self::DateLog => 6015,
        }
    }

    /// Whether it has a folder of files.
    pub fn has_files(self) -> bool {
        matches!(self, Self::Files | Self::DateLog)
    }

    /// Where it listens unless it is told.
    pub fn default_address(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.default_port())
    }
}

impl ServiceArgs {
    /// The service that was asked for.
    ///
    /// # Errors
    /// Where a flag is of no use to it.
    pub(super) fn service(&self) -> anyhow::Result<Service> {
        if self.transform.is_some() && self.service != ServiceChoice::Transform {
            anyhow::bail!(
                "--transform is of no use to service {}; add --service transform or leave it out",
                self.service.name()
            );
        }
        if self.work && self.service != ServiceChoice::Files {
            anyhow::bail!(
                "--work is of no use to service {}; leave one of the two out",
                self.service.name()
            );
        }
        Ok(match self.service {
            ServiceChoice::Files => Service::Files,
            ServiceChoice::Echo => Service::Echo,
            ServiceChoice::Hello => Service::Hello,
            ServiceChoice::GreetClose => Service::GreetClose,
            ServiceChoice::Message => Service::Message,
            ServiceChoice::Ack => Service::Ack,
            ServiceChoice::Transform => {
                Service::Transform(self.transform.clone().unwrap_or(Transform::Reverse))
            }
            ServiceChoice::Date => Service::Date,
            ServiceChoice::DateLog => Service::DateLog,
            ServiceChoice::Chat => Service::Chat,
        })
    }
}

/// `reverse`, `upper`, `length` or `prefix=TEXT`.
fn transform(text: &str) -> Result<Transform, String> {
    match text {
        "reverse" => Ok(Transform::Reverse),
        "upper" => Ok(Transform::Upper),
        "length" => Ok(Transform::Length),
        _ => match text.strip_prefix("prefix=") {
            Some(prefix) => Ok(Transform::Prefix(prefix.to_owned())),
            None => Err("there are reverse, upper, length and prefix=TEXT".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_spelled_like_this() {
        assert_eq!(transform("reverse"), Ok(Transform::Reverse));
        assert_eq!(transform("prefix=a=b "), Ok(Transform::Prefix("a=b ".to_owned())));
        for text in ["", "Reverse", "prefix", "suffix=x"] {
            assert!(transform(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_flag() {
        for service in ServiceChoice::value_variants() {
            let value = service.to_possible_value().unwrap();
            assert_eq!(value.get_name(), service.name());
        }
    }
}
