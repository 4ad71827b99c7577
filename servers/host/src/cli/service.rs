//! Flags of the service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::{Args, ValueEnum};
use fileserver_proto::{Service, Transform};

/// Flags of the service.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceArgs {
    /// Service: files, or an exercise of a socket course (each has its own default port)
    #[arg(long, value_enum, default_value_t = ServiceChoice::Files, value_name = "NAME")]
    pub service: ServiceChoice,
    /// Transformation of `--service transform`: reverse, upper, length or prefix=TEXT [default: reverse]
    #[arg(long, value_name = "WAY", value_parser = transform)]
    pub transform: Option<Transform>,
    /// Also serve requests that use the CPU or block for a given time, `GET /.work?cpu=20ms` and `/.work?block=20ms`, for experiments
    #[arg(long)]
    pub work: bool,
}

/// Service of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServiceChoice {
    /// Uploads and downloads of files (default port 8800)
    Files,
    /// Sends each message back unchanged (default port 65432)
    Echo,
    /// Answers `I got "<data>" from you and I am sending it back.` (default port 65432)
    Hello,
    /// Prints the address of each client on the server and closes the connection (default port 9000)
    GreetClose,
    /// Prints each message on the server and answers `Message: <message>`; stores binary data of the wire framed in the root folder (default port 9000)
    Message,
    /// Prints one message on the server, answers `I have received: <message>` and closes (default port 9000)
    Ack,
    /// Sends each message back transformed (default port 9001)
    Transform,
    /// Answers `what time is it?` with the time (default port 6015)
    Date,
    /// As date, and logs each request to a new file in the root folder: log0.txt, log1.txt, ... (default port 6015)
    DateLog,
    /// Sends each line to all other clients; not with prefork (default port 9002)
    Chat,
}

impl ServiceChoice {
    /// Name in flags, records and charts.
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

    /// One-line summary, as in `--help`.
    pub fn summary(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// Port of the exercise; 8800 for files.
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

    /// True if the service reads or writes a folder.
    pub fn has_files(self) -> bool {
        matches!(self, Self::Files | Self::Message | Self::DateLog)
    }

    /// Default address to listen on.
    pub fn default_address(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.default_port())
    }
}

impl ServiceArgs {
    /// Chosen service.
    ///
    /// # Errors
    /// A flag does not apply to it.
    pub(super) fn service(&self) -> anyhow::Result<Service> {
        if self.transform.is_some() && self.service != ServiceChoice::Transform {
            anyhow::bail!(
                "--transform does not apply to --service {}; add --service transform or remove it",
                self.service.name()
            );
        }
        if self.work && self.service != ServiceChoice::Files {
            anyhow::bail!(
                "--work does not apply to --service {}; remove one of the two",
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
            None => Err("choose reverse, upper, length or prefix=TEXT".to_owned()),
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
