//! Telnet commands among the bytes of a text line (RFC 854).

/// Start of a command; twice, it is a literal 0xFF.
pub(crate) const IAC: u8 = 0xff;
/// Lowest command byte: IAC and a lower byte are no command.
pub(crate) const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const DONT: u8 = 254;

/// Separator of data and commands, one byte at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Telnet {
    /// Outside of any command.
    #[default]
    Data,
    /// After IAC.
    Command,
    /// After WILL, WONT, DO or DONT.
    Option,
    /// Within a subnegotiation.
    Sub,
    /// After an IAC within a subnegotiation.
    SubCommand,
}

impl Telnet {
    /// Decodes the next byte; returns true if it is data.
    pub(crate) fn is_data(&mut self, byte: u8) -> bool {
        let (next, data) = match (*self, byte) {
            (Self::Data, IAC) => (Self::Command, false),
            (Self::Data, _) | (Self::Command, IAC) => (Self::Data, true),
            (Self::Command, WILL..=DONT) => (Self::Option, false),
            (Self::Command, SB) => (Self::Sub, false),
            (Self::Sub, IAC) => (Self::SubCommand, false),
            (Self::Sub, _) => (Self::Sub, false),
            (Self::SubCommand, byte) if byte != SE => (Self::Sub, false),
            (Self::Command | Self::Option | Self::SubCommand, _) => (Self::Data, false),
        };
        *self = next;
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_data() {
        for (bytes, data) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"\xff\xfb\x01a\xff\xfd\x03b", b"ab"),
            (b"\xff\xfa\x18\x00xterm\xff\xff\n\xff\xf0a", b"a"),
            (b"a\xff\xffb", b"a\xffb"),
            (b"a\xff\xf1b", b"ab"),
        ] {
            let mut telnet = Telnet::default();
            let kept: Vec<_> = bytes.iter().copied().filter(|&b| telnet.is_data(b)).collect();
            assert_eq!(kept, data);
        }
    }
}
