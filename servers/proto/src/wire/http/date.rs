//! Dates as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`.

use std::cell::Cell;

/// A date in the fixed-length format of RFC 9110, 5.6.7.
pub(super) type HttpDate = [u8; 29];

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

/// Formats seconds since 1970-01-01 UTC; what lies beyond the year 9999 is written as its end.
pub(super) fn format(unix_s: u64) -> HttpDate {
    const LAST_SECOND: u64 = 253_402_300_799;
    let unix_s = unix_s.min(LAST_SECOND);
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    let weekday = &b"ThuFriSatSunMonTueWed"[(days % 7 * 3) as usize..][..3];
    let month = &b"JanFebMarAprMayJunJulAugSepOctNovDec"[(month - 1) as usize * 3..][..3];

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
    }
}
