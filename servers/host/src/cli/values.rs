//! Values of flags: addresses, numbers, sizes and durations.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::num::{IntErrorKind, ParseIntError};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

/// Sizes of a part of a request's head, in bytes: each connection that sends one needs a buffer for
/// it.
const HEAD_BYTES: RangeInclusive<u64> = 64..=1 << 20;

/// `127.0.0.1:8800`, `[::1]:8800`, `localhost:8800`, `:8800` or `8800`.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix(':').unwrap_or(text);
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        let port = port.parse().map_err(|_| "choose a port from 0 to 65535")?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| format!("{error}; write HOST:PORT, for example 127.0.0.1:8800"))?
        .collect();
    // Clients that try only one address of a name usually try IPv4.
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    ipv4.or(addresses.first()).copied().ok_or_else(|| "the host name has no address".to_owned())
}

/// Parser of a whole number within bounds.
pub fn whole_number<T>(
    bounds: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr<Err = ParseIntError> + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let (least, most) = (bounds.start(), bounds.end());
        let outside = || format!("choose a whole number from {least} to {most}");
        match text.parse() {
            Ok(number) if bounds.contains(&number) => Ok(number),
            Ok(_) => Err(outside()),
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err(outside()),
            Err(_) => Err(format!("not a whole number: write it in digits, for example {least}")),
        }
    }
}

/// A size in bytes: `1500`, `64KiB`, `1.5GiB`, `1TiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| "write bytes as a number, or a number with a unit: 1500, 64KiB, 10GiB")?;
    Ok(size.as_u64())
}

/// A size of a part of a request's head.
pub(super) fn head_size(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if !HEAD_BYTES.contains(&bytes) {
        return Err("choose from 64 bytes to 1MiB".to_owned());
    }
    usize::try_from(bytes).map_err(|_| "too large for this system".to_owned())
}

/// A duration of more than 0: `500ms`, `20s`, `2m`.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match grace(text)? {
        Duration::ZERO => Err("choose a duration of more than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// A duration, possibly 0: `500ms`, `20s`, `2m`, `0s`.
pub(super) fn grace(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "write a number with a unit: 500ms, 20s, 2m")?;
    // So that adding it to the clock cannot overflow.
    if duration > Duration::from_secs(1 << 32) {
        return Err("longer than 136 years; choose a shorter duration".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_can_be_written_short() {
        for (text, address) in [
            ("127.0.0.1:8800", "127.0.0.1:8800"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:8800", "[::1]:8800"),
            (":8800", "127.0.0.1:8800"),
            ("8800", "127.0.0.1:8800"),
            ("0", "127.0.0.1:0"),
            ("localhost:8800", "127.0.0.1:8800"),
        ] {
            assert_eq!(listen(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in ["", "localhost", "127.0.0.1", "70000", "127.0.0.1:70000", ":"] {
            assert!(listen(text).is_err(), "{text}");
        }
        assert_eq!(listen("70000"), Err("choose a port from 0 to 65535".to_owned()));
    }

    #[test]
    fn whole_numbers_are_digits_within_bounds() {
        let parse = whole_number::<u16>(1..=4096);
        assert_eq!((parse("1"), parse("4096")), (Ok(1), Ok(4096)));
        for text in ["0", "4097", "70000"] {
            assert_eq!(parse(text), Err("choose a whole number from 1 to 4096".to_owned()));
        }
        for text in ["many", "1.5", "-1", "", " 1"] {
            let refused = "not a whole number: write it in digits, for example 1";
            assert_eq!(parse(text), Err(refused.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn sizes_have_binary_suffixes() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("64KiB", 64 << 10),
            ("1 MiB", 1 << 20),
            ("1.5GiB", 3 << 29),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1XiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(head_size("8KiB"), Ok(8192));
        assert!(head_size("0").is_err() && head_size("2MiB").is_err());
    }

    #[test]
    fn durations_have_units_and_timeouts_are_not_nothing() {
        for (text, millis) in [("500ms", 500), ("20s", 20_000), ("2m", 120_000), ("1m 1s", 61_000)]
        {
            assert_eq!(timeout(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "20", "s", "-1s", "0s", "1000years"] {
            assert!(timeout(text).is_err(), "{text}");
        }
        assert_eq!(grace("0s"), Ok(Duration::ZERO));
    }
}
