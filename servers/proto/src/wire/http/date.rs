//! Dates of HTTP, as `Sun, 06 Nov 1994 08:49:37 GMT`, and two forms derived from it.

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

/// A date in the fixed-length format of RFC 9110, 5.6.7.
pub(super) type HttpDate = [u8; 29];

/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

thread_local! {
    /// The last date formatted on this thread: most replies fall into the same second.
    static LAST: Cell<(u64, HttpDate)> = const { Cell::new((0, *b"Thu, 01 Jan 1970 00:00:00 GMT")) };
}

/// Formats the present second, at most once for each thread.
pub(super) fn cached(unix_s: u64) -> HttpDate {
    let (second, date) = LAST.get();
    if second == unix_s {
        return date;
    }
    let date = format(unix_s);
    LAST.set((unix_s, date));
    date
}

/// Formats date and time of day separately: `2025-12-31` and `23:59:59`. Times before 1970 and
/// after the year 9999 are replaced by the nearest time in between.
pub(super) fn iso(unix_s: i64) -> (String, String) {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let date = format(u64::try_from(unix_s).unwrap_or(0));
    let text = |range| String::from_utf8_lossy(&date[range]);
    let month = MONTHS.chunks(3).position(|month| *month == date[8..11]).map_or(0, |at| at + 1);
    (format!("{}-{month:02}-{}", text(12..16), text(5..7)), text(17..25).into_owned())
}

/// Formats seconds since 1970-01-01 UTC. Times after the year 9999 are replaced by its end.
pub(super) fn format(unix_s: u64) -> HttpDate {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s.min(LAST_SECOND));
    let mut date = [0; 29];
    write!(&mut date[..], "{}", httpdate::HttpDate::from(time)).expect("a date has 29 bytes");
    date
}

/// Formats the date as Java's `Date` and the `date` command in the C locale do, in UTC:
/// `Sun Nov 06 08:49:37 UTC 1994`.
pub(crate) fn plain(unix_s: u64) -> [u8; 28] {
    let http = cached(unix_s);
    let mut date = *b"*** *** ** **:**:** UTC ****";
    date[..3].copy_from_slice(&http[..3]);
    date[4..7].copy_from_slice(&http[8..11]);
    date[8..10].copy_from_slice(&http[5..7]);
    date[11..19].copy_from_slice(&http[17..25]);
    date[24..].copy_from_slice(&http[12..16]);
    date
}

/// Parses a date in any of HTTP's three forms (RFC 9110, 5.6.7) into seconds since 1970-01-01 UTC.
/// A year of two digits lies between 1970 and 2069.
pub(super) fn parse(value: &[u8]) -> Option<i64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_s, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&format(unix_s)), Ok(date));
            assert_eq!(cached(unix_s), format(unix_s));
        }
        assert_eq!(&plain(784_111_777), b"Sun Nov 06 08:49:37 UTC 1994");
    }

    #[test]
    fn dates_are_read_in_all_three_forms() {
        for unix_s in [0, 784_111_777, 951_782_400, 951_868_800, 1_767_225_599, 4_107_542_400] {
            assert_eq!(parse(&format(unix_s)), Some(unix_s as i64));
        }
        for (date, unix_s) in [
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Wed Nov 16 08:49:37 1994", 784_975_777),
            ("Saturday, 31-Dec-50 23:59:59 GMT", 2_556_143_999),
            ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
        ] {
            assert_eq!(parse(date.as_bytes()), Some(unix_s), "{date}");
        }
        for date in [
            "",
            "784111777",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Thu, 31 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Non 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994 GMT",
        ] {
            assert_eq!(parse(date.as_bytes()), None, "{date:?}");
        }
    }

    #[test]
    fn iso_dates_are_those_of_the_calendar() {
        let parts = |date: &str, time: &str| (date.to_owned(), time.to_owned());
        assert_eq!(iso(784_111_777), parts("1994-11-06", "08:49:37"));
        assert_eq!(iso(-5), parts("1970-01-01", "00:00:00"));
        assert_eq!(iso(i64::MAX), parts("9999-12-31", "23:59:59"));
    }
}
