//! Number formats.

/// A number of bytes with a binary unit: `1.00 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// The part done in whole percent; an empty file is complete from the start.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    let percent = (u128::from(done) * 100).checked_div(u128::from(total));
    percent.unwrap_or(100).min(100) as u64
}

/// A time with three significant digits and a unit: `1.23 ms`.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (duration, text) in [
            (Duration::from_nanos(950), "950 ns"),
            (Duration::from_nanos(1_234), "1.23 µs"),
            (Duration::from_micros(12_345), "12.3 ms"),
            (Duration::from_millis(123_456), "123 s"),
        ] {
            assert_eq!(time(duration.as_nanos() as f64), text);
        }
    }
}
