//! Numbers as people read them: three significant digits and a unit.

/// Factors and names of a unit, largest first; the last is the base unit.
pub type Scale = &'static [(f64, &'static str)];

/// Counts and rates: `950`, `12.3k`, `1.20M`.
pub const COUNTS: Scale = &[(1e6, "M"), (1e3, "k"), (1.0, "")];
/// Times in microseconds: `85.0 µs`, `1.20 ms`, `2.00 s`.
pub const TIMES: Scale = &[(1e6, " s"), (1e3, " ms"), (1.0, " µs")];
/// Amounts of memory in bytes: `640 KiB`, `4.20 MiB`.
pub const BYTES: Scale =
    &[(1_073_741_824.0, " GiB"), (1_048_576.0, " MiB"), (1_024.0, " KiB"), (1.0, " B")];
/// Transfer rates in millions of bytes per second.
pub const TRANSFER_RATES: Scale = &[(1.0, " MB/s")];

/// A count or a rate: `950`, `12.3k`, `1.20M`.
pub fn count(value: f64) -> String {
    scaled(value, COUNTS)
}

/// A time given in microseconds: `85.0 µs`, `1.20 ms`, `2.00 s`.
pub fn microseconds(value: f64) -> String {
    scaled(value, TIMES)
}

/// An amount of memory: `640 KiB`, `4.20 MiB`.
pub fn bytes(value: f64) -> String {
    scaled(value, BYTES)
}

/// A value in the largest unit of a scale in which it is at least 1.
pub fn scaled(value: f64, scale: Scale) -> String {
    // 999.9 would be rounded to 1000 of the smaller unit.
    let unit = scale.iter().find(|(factor, _)| value.abs() >= factor * 0.9995);
    let (factor, name) = unit.or(scale.last()).copied().unwrap_or((1.0, ""));
    format!("{}{name}", three_digits(value / factor))
}

/// A value with three significant digits, or all digits of its integer part.
pub fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = if magnitude >= 99.95 || magnitude == 0.0 {
        0
    } else if magnitude >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}

/// A count with a noun in its number: `1 connection`, `10,000 connections`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A count with thousands separators: `10,000`.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(12_345.0), "12.3k");
        assert_eq!(count(999.96), "1.00k");
        assert_eq!(count(1_204_000.0), "1.20M");
        assert_eq!(microseconds(85.04), "85.0 µs");
        assert_eq!(microseconds(1_999.0), "2.00 ms");
        assert_eq!(microseconds(0.5), "0.50 µs");
        assert_eq!(bytes(4.2 * 1_048_576.0), "4.20 MiB");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(scaled(0.5, TRANSFER_RATES), "0.50 MB/s");
        assert_eq!(counted(1, "round"), "1 round");
        assert_eq!(counted(10_000, "connection"), "10,000 connections");
    }
}
