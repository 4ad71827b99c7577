//! Numbers as people read them: three digits and a unit.

/// A count or a rate: `950`, `12.3k`, `1.20M`.
pub fn count(value: f64) -> String {
    scaled(value, &[(1e6, "M"), (1e3, "k")], "")
}

/// A time given in microseconds: `85.0 µs`, `1.20 ms`, `2.00 s`.
pub fn microseconds(value: f64) -> String {
    scaled(value, &[(1e6, " s"), (1e3, " ms")], " µs")
}

/// An amount of memory: `640 KiB`, `4.20 MiB`.
pub fn bytes(value: f64) -> String {
    let (gib, mib, kib) = (f64::from(1 << 30), f64::from(1 << 20), f64::from(1 << 10));
    scaled(value, &[(gib, " GiB"), (mib, " MiB"), (kib, " KiB")], " B")
}

/// Three significant digits, and no fewer than all those before the point.
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

fn scaled(value: f64, units: &[(f64, &str)], base: &str) -> String {
    // 999.9 would be rounded to 1000 of the smaller unit.
    let unit = units.iter().find(|(factor, _)| value.abs() >= factor * 0.9995);
    let (factor, name) = unit.copied().unwrap_or((1.0, base));
    format!("{}{name}", three_digits(value / factor))
}

/// A count with its thousands apart: `10,000`.
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
    }
}
