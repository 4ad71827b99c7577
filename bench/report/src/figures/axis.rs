//! Axes: scale, range, ticks and how values are written.

use std::ops::Range;

use bench_data::units;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use serde::Serialize;

use crate::analysis::metric::{Metric, Unit};

#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// Label with the unit.
    pub(super) label: String,
    /// Writes a value at its tick.
    pub(super) write: fn(f64) -> String,
    pub(super) scale: Scale,
    range: Range<f64>,
    ticks: Vec<f64>,
    /// Names of the places 0, 1, 2 …; empty if the axis has values.
    names: Vec<String>,
}

/// Spread of the values over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scale {
    Linear,
    Log,
    /// Each additional nine of a percentile has equal width.
    Nines,
}

impl Axis {
    /// A linear axis from zero to a round number above every value.
    pub(super) fn from_zero(label: &str, write: fn(f64) -> String, values: &[f64]) -> Self {
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let step = round_step(most / 5.0);
        let steps = (most * 1.02 / step).ceil();
        Self {
            label: label.to_owned(),
            write,
            scale: Scale::Linear,
            range: 0.0..steps * step,
            ticks: (0..=steps as usize).map(|n| n as f64 * step).collect(),
            names: Vec::new(),
        }
    }

    /// A linear axis from zero exactly to a value, with round ticks.
    pub(super) fn up_to(label: &str, write: fn(f64) -> String, end: f64) -> Self {
        let step = round_step(end / 6.0);
        let ticks = (0..=(end / step) as usize).map(|n| n as f64 * step);
        Self {
            label: label.to_owned(),
            write,
            scale: Scale::Linear,
            range: 0.0..end,
            ticks: ticks.collect(),
            names: Vec::new(),
        }
    }

    /// Vertical axis of a metric around some values. Memory has ticks that are round in binary units.
    pub(super) fn of_metric(metric: Metric, scale: Scale, values: &[f64]) -> Self {
        let (label, write) = (metric.axis_label(), metric.unit().ticks());
        let bytes = metric.unit() == Unit::Bytes;
        match (scale, bytes) {
            (Scale::Linear, false) => Self::from_zero(&label, write, values),
            (Scale::Linear, true) => {
                let most = values.iter().copied().fold(0.0, f64::max);
                let unit = Unit::Bytes.scale().iter().map(|(factor, _)| *factor);
                let unit = unit.into_iter().find(|factor| most >= *factor).unwrap_or(1.0);
                let in_units: Vec<f64> = values.iter().map(|value| value / unit).collect();
                let mut axis = Self::from_zero(&label, write, &in_units);
                axis.range.end *= unit;
                axis.ticks.iter_mut().for_each(|tick| *tick *= unit);
                axis
            }
            (Scale::Log | Scale::Nines, false) => Self::log(&label, write, values),
            (Scale::Log | Scale::Nines, true) => Self::log_of_two(&label, write, values),
        }
    }

    /// A logarithmic axis around every (positive) value, with ticks at 1, 10, 100 and, where these
    /// would be few, at 2 and 5 between them.
    pub(super) fn log(label: &str, write: fn(f64) -> String, values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|value| *value > 0.0);
        let least = positive().fold(f64::INFINITY, f64::min);
        let most = positive().fold(0.0, f64::max);
        let (least, most) = if least <= most { (least, most) } else { (1.0, 10.0) };
        let decades = (least.log10().floor() as i32 - 1)..=(most.log10().ceil() as i32 + 1);
        let ladder: Vec<f64> = decades
            .flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(decade)))
            .collect();
        let low = ladder.iter().copied().filter(|tick| *tick <= least * 0.97).fold(0.0, f64::max);
        let high = ladder.iter().copied().find(|tick| *tick >= most * 1.03).unwrap_or(most);
        let within: Vec<f64> =
            ladder.into_iter().filter(|tick| (low..=high).contains(tick)).collect();
        let ticks = if within.len() <= 9 { within } else { powers_of_ten(&within) };
        Self {
            label: label.to_owned(),
            write,
            scale: Scale::Log,
            range: low..high,
            ticks,
            names: Vec::new(),
        }
    }

    /// A logarithmic axis around every (positive) value with ticks at powers of two, as amounts of
    /// memory have them: at every one, or at every second, and so on, so that there are few.
    pub(super) fn log_of_two(label: &str, write: fn(f64) -> String, values: &[f64]) -> Self {
        const MOST_TICKS: i32 = 8;
        let mut axis = Self::log(label, write, values);
        let low = (axis.range.start / 0.97).log2().floor() as i32;
        let high = (axis.range.end * 0.97).log2().ceil() as i32;
        let step = ((high - low) / MOST_TICKS + 1).max(1);
        let high = low + (high - low + step - 1) / step * step;
        axis.ticks = (low..=high).step_by(step as usize).map(|power| 2f64.powi(power)).collect();
        axis.range = 2f64.powi(low)..2f64.powi(high);
        axis
    }

    /// A logarithmic axis whose ticks are the values themselves.
    pub(super) fn log_at(label: &str, write: fn(f64) -> String, values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let margin = (most / least).powf(0.04).max(1.1);
        let mut ticks: Vec<f64> = Vec::new();
        for value in values {
            if ticks.last().is_none_or(|last| value / last > (most / least).powf(0.07)) {
                ticks.push(*value);
            }
        }
        Self {
            label: label.to_owned(),
            write,
            scale: Scale::Log,
            range: least / margin..most * margin,
            ticks,
            names: Vec::new(),
        }
    }

    /// The axis, extended up to a value.
    pub(super) fn reaching(mut self, most: f64) -> Self {
        self.range.end = self.range.end.max(most);
        self
    }

    /// The axis without ticks that are closer to each other than a share of it, for narrow panels.
    pub(super) fn spaced(mut self, share: f64) -> Self {
        let length = self.position(self.range.end) - self.position(self.range.start);
        let mut kept: Vec<f64> = Vec::new();
        for tick in std::mem::take(&mut self.ticks) {
            let is_apart = |last: &f64| self.position(tick) - self.position(*last) > share * length;
            if kept.last().is_none_or(is_apart) {
                kept.push(tick);
            }
        }
        self.ticks = kept;
        self
    }

    /// Places with names, from 0 on.
    pub(super) fn named(label: &str, names: Vec<String>) -> Self {
        Self {
            label: label.to_owned(),
            write: |_| String::new(),
            scale: Scale::Linear,
            range: -0.5..names.len() as f64 - 0.5,
            ticks: (0..names.len()).map(|place| place as f64).collect(),
            names,
        }
    }

    /// Returns true if the ticks are names, which are written vertically.
    pub(super) fn is_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// Text at a tick.
    pub(super) fn text(&self, value: f64) -> String {
        let name = self.names.get(value.round().max(0.0) as usize);
        name.cloned().unwrap_or_else(|| (self.write)(value))
    }

    /// Axis of percentiles up to `most` (less than 100).
    pub(super) fn percentiles(label: &str, most: f64) -> Self {
        let ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
        Self {
            label: label.to_owned(),
            write: |percentile| format!("p{percentile}"),
            scale: Scale::Nines,
            range: 0.0..most,
            ticks: ticks.into_iter().filter(|tick| *tick <= most).collect(),
            names: Vec::new(),
        }
    }

    /// Lowest value that can be drawn.
    pub(super) fn low(&self) -> f64 {
        self.range.start
    }

    /// Lowest and highest value.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.range.start, self.range.end)
    }

    /// Values with a tick.
    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// A value moved by a share of the axis.
    pub(super) fn shifted(&self, value: f64, share: f64) -> f64 {
        let length = self.position(self.range.end) - self.position(self.range.start);
        match self.scale {
            Scale::Linear => value + share * length,
            Scale::Log => value * 10f64.powf(share * length),
            Scale::Nines => value,
        }
    }

    fn position(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Nines => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }
}

impl Unit {
    /// Writes a value at its tick, without needless digits: `2k`, `50 ms`, `0.5`.
    pub(super) fn ticks(self) -> fn(f64) -> String {
        match self {
            Self::Count | Self::Ratio => |value| short(&units::count(value)),
            Self::Microseconds => |value| short(&units::microseconds(value)),
            Self::Bytes => |value| short(&units::bytes(value)),
            // The label of the axis has the unit.
            Self::MegabytesPerS => |value| short(&units::three_digits(value)),
            Self::Percent => |value| Self::Percent.write(value),
        }
    }
}

/// A number without trailing zeros.
fn short(text: &str) -> String {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    format!("{number}{unit}")
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (from, to) = (self.position(self.range.start), self.position(self.range.end));
        let share = (self.position(*value) - from) / (to - from);
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// The next 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let decade = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * decade)
        .find(|step| *step >= least)
        .unwrap_or(10.0 * decade)
}

fn powers_of_ten(ticks: &[f64]) -> Vec<f64> {
    let is_power = |tick: &f64| (tick.log10() - tick.log10().round()).abs() < 1e-9;
    ticks.iter().copied().filter(is_power).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: f64) -> String {
        value.to_string()
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_above_the_values() {
        let axis = Axis::from_zero("", plain, &[3.0, 96_000.0]);
        assert_eq!(axis.ticks, [0.0, 20e3, 40e3, 60e3, 80e3, 100e3]);
        assert_eq!(axis.map(&0.0, (0, 100)), 0);
        assert_eq!(axis.map(&50e3, (100, 0)), 50);
    }

    #[test]
    fn an_axis_can_end_at_a_value() {
        let axis = Axis::up_to("", plain, 25.0);
        assert_eq!(
            (axis.ends(), axis.ticks),
            ((0.0, 25.0), vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0])
        );
        assert_eq!(Axis::up_to("", plain, 7.0).ticks.len(), 4);
    }

    #[test]
    fn a_log_axis_surrounds_the_values() {
        let axis = Axis::log("", plain, &[30.0, 4000.0]);
        assert!(axis.range.start <= 30.0 && axis.range.end >= 4000.0);
        let decade = axis.map(&1000.0, (0, 1000)) - axis.map(&100.0, (0, 1000));
        assert!((axis.map(&100.0, (0, 1000)) + decade - axis.map(&1000.0, (0, 1000))).abs() <= 1);
        assert!(axis.ticks.len() >= 3 && axis.ticks.len() <= 9, "{:?}", axis.ticks);
        assert!(!Axis::log("", plain, &[]).ticks.is_empty());
    }

    #[test]
    fn each_additional_nine_has_equal_width() {
        let axis = Axis::percentiles("", 99.99);
        let at = |percentile: f64| axis.map(&percentile, (0, 4000));
        assert_eq!(at(99.0) - at(90.0), at(99.9) - at(99.0));
        assert_eq!(axis.ticks.last(), Some(&99.99));
        assert_eq!(Axis::percentiles("", 99.5).ticks.last(), Some(&99.0));
    }

    #[test]
    fn ticks_that_would_touch_are_left_out() {
        let values = [5e3, 10e3, 20e3, 40e3, 60e3, 80e3, 120e3];
        let axis = Axis::log_at("", plain, &values).spaced(0.18);
        assert_eq!(axis.ticks, [5e3, 10e3, 20e3, 40e3, 80e3]);
    }

    #[test]
    fn an_axis_can_be_made_to_reach_a_value() {
        let axis = Axis::log("", plain, &[10.0, 80.0]);
        assert_eq!(axis.clone().reaching(500.0).ends().1, 500.0);
        assert_eq!(axis.clone().reaching(1.0).ends(), axis.ends());
    }
}
