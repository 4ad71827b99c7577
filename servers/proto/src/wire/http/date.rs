//! Dates as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`.

use std::cell::Cell;

/// A date in the fixed-length format of RFC 9110, 5.6.7.
pub(super) type HttpDate = [u8; 29];

/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

thread_local! {
    /// The date written last on this thread: most replies fall into the same second.
    static LAST: Cell<(u64, HttpDate)> = const { Cell::new((0, *b"Thu, 01 Jan 1970 00:00:00 GMT")) };
}

/// The date of now, formatted once a second.
pub(super) fn cached(unix_s: u64) -> HttpDate {
    let (second, date) = LAST.get();
    if second == unix_s {
        return date;
    }
    let date = format(unix_s);
    LAST.set((unix_s, date));
    date
}

/// Date and time of day to the second, apart: `2025-12-31` and `23:59:59`. What lies before 1970 or
/// beyond the year 9999 is written as the nearest end.
pub(super) fn iso(unix_s: i64) -> (String, String) {
    let unix_s = u64::try_from(unix_s).unwrap_or(0).min(LAST_SECOND);
    let (year, month, day) = civil(unix_s / 86_400);
    let second = unix_s % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Formats seconds since 1970-01-01 UTC; what lies beyond the year 9999 is written as its end.
pub(super) fn format(unix_s: u64) -> HttpDate {
    let unix_s = unix_s.min(LAST_SECOND);
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    let weekday = &b"ThuFriSatSunMonTueWed"[(days % 7 * 3) as usize..][..3];
    let month = MONTHS[(month - 1) as usize].as_bytes();

    let mut date = *b"***, ** *** **** **:**:** GMT";
    date[..3].copy_from_slice(weekday);
    date[5..7].copy_from_slice(&two_digits(day));
    date[8..11].copy_from_slice(month);
    date[12..14].copy_from_slice(&two_digits(year / 100));
    date[14..16].copy_from_slice(&two_digits(year % 100));
    date[17..19].copy_from_slice(&two_digits(second / 3600));
    date[20..22].copy_from_slice(&two_digits(second / 60 % 60));
    date[23..25].copy_from_slice(&two_digits(second % 60));
    date
}

/// The date as Java's `Date` and the `date` of the C locale write it, in UTC:
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

/// Reads a date in any of the three forms that HTTP knows (RFC 9110, 5.6.7), as seconds since
/// 1970-01-01 UTC. `now_s` tells the century of a year of two digits.
pub(super) fn parse(value: &[u8], now_s: u64) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let (day, month, year, time) = match text.split_once(", ") {
        // Sun, 06 Nov 1994 08:49:37 GMT
        Some((weekday, rest)) if weekday.len() == 3 => {
            let mut words = rest.strip_suffix(" GMT")?.split(' ');
            let date = (words.next()?, words.next()?, year(words.next()?)?, words.next()?);
            words.next().is_none().then_some(date)?
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        Some((_, rest)) => {
            let (date, time) = rest.strip_suffix(" GMT")?.split_once(' ')?;
            let mut words = date.split('-');
            let (day, month, short) = (words.next()?, words.next()?, words.next()?);
            (words.next().is_none() && short.len() == 2).then_some(())?;
            (day, month, full_year(number(short)?, now_s), time)
        }
        // Sun Nov  6 08:49:37 1994
        None => {
            let mut words = text.split(' ').filter(|word| !word.is_empty());
            let (_weekday, month, day) = (words.next()?, words.next()?, words.next()?);
            let (time, year) = (words.next()?, year(words.next()?)?);
            (words.next().is_none()).then_some((day, month, year, time))?
        }
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let [day, hour, minute, second] =
        [number(day)?, number(hour)?, number(minute)?, number(second)?];
    // A leap second is counted as the one before it.
    let in_range = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    (in_range && parts.next().is_none()).then(|| {
        let seconds = hour * 3600 + minute * 60 + second.min(59);
        days(year, month, day) * 86_400 + seconds as i64
    })
}

/// Of two digits the year that is at most 50 years to come.
fn full_year(short: u64, now_s: u64) -> u64 {
    let (present, ..) = civil(now_s / 86_400);
    let year = present / 100 * 100 + short;
    if year > present + 50 { year - 100 } else { year }
}

fn year(digits: &str) -> Option<u64> {
    (digits.len() == 4).then(|| number(digits))?
}

fn number(digits: &str) -> Option<u64> {
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: the inverse of [`civil`].
fn days(year: u64, month: u64, day: u64) -> i64 {
    let year = year as i64 - i64::from(month <= 2);
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = (month as i64 + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day as i64 - 1;
    cycle * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

fn two_digits(number: u64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// Year, month and day of the Gregorian calendar. Years begin in March here, so that a leap day
/// is the last day of its year, and a cycle of 400 years always has 146,097 days.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (400 * cycle + year + u64::from(month <= 2), month, day)
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
        let now_s = 1_795_000_000;
        for unix_s in [0, 784_111_777, 951_782_400, 951_868_800, 1_767_225_599, 4_107_542_400] {
            assert_eq!(parse(&format(unix_s), now_s), Some(unix_s as i64));
        }
        for (date, unix_s) in [
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Wed Nov 16 08:49:37 1994", 784_975_777),
            ("Saturday, 31-Dec-50 23:59:59 GMT", 2_556_143_999),
            ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ] {
            assert_eq!(parse(date.as_bytes(), now_s), Some(unix_s), "{date}");
        }
        for date in [
            "",
            "784111777",
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
            assert_eq!(parse(date.as_bytes(), now_s), None, "{date:?}");
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
