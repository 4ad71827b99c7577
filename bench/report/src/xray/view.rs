//! A trace prepared for drawing, and the scale of its times.

use bench_data::xray::{Picture, Request, Trace};

use super::chosen::{Choice, chosen};
use super::svg::Area;
use super::threads::{Thread, Threads};
use crate::figures::style::Look;

/// Trace with everything that its picture is made from.
#[derive(Debug)]
pub(super) struct View<'t> {
    pub(super) trace: &'t Trace,
    pub(super) threads: Threads<'t>,
    pub(super) choices: Vec<Choice<'t>>,
    /// Colour of the server.
    pub(super) look: Look,
    /// Kinds of steps, sorted.
    pub(super) kinds: Vec<&'t str>,
}

/// Scale of the times of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Time at the right edge, in nanoseconds.
    pub(super) end: u64,
    /// Width in pixels.
    pub(super) width: f64,
    /// Blocks that lie together within so many nanoseconds are merged.
    pub(super) resolution: u64,
}

/// Least width of a block in pixels.
const LEAST_WIDTH: f64 = 0.4;

impl<'t> View<'t> {
    /// Views of all traces of a picture.
    pub(super) fn all(picture: &'t Picture) -> Vec<Self> {
        let names: Vec<&str> = picture.traces.iter().map(|trace| trace.server.as_str()).collect();
        picture.traces.iter().map(|trace| Self::of(trace, &names)).collect()
    }

    fn of(trace: &'t Trace, names: &[&str]) -> Self {
        let threads = Threads::of(trace);
        let choices = chosen(trace, &threads);
        let steps = trace.lanes.iter().flat_map(|lane| &lane.steps);
        let mut kinds: Vec<&str> = steps.map(|step| step.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        // A variant has the colour of its strategy.
        let name = match trace.strategy {
            Some(strategy) => strategy.name(),
            None => trace.server.as_str(),
        };
        Self { trace, threads, choices, look: Look::of(name, names), kinds }
    }

    /// Positions of the threads that work longest, in their order.
    pub(super) fn busiest(&self, most: usize) -> Vec<usize> {
        let busy = self.threads.all.iter().map(Thread::busy);
        most_of(busy.collect(), most)
    }

    /// Positions of the requests with the longest response times, in their order.
    pub(super) fn slowest(&self, most: usize) -> Vec<usize> {
        let times = self.trace.requests.iter().map(Request::response_time);
        most_of(times.collect(), most)
    }
}

/// Positions of the largest values, in their order.
fn most_of(values: Vec<u64>, most: usize) -> Vec<usize> {
    let mut positions: Vec<(usize, u64)> = values.into_iter().enumerate().collect();
    positions.sort_by_key(|(index, value)| (std::cmp::Reverse(*value), *index));
    positions.truncate(most);
    let mut positions: Vec<usize> = positions.into_iter().map(|(index, _)| index).collect();
    positions.sort_unstable();
    positions
}

impl Scale {
    /// Scale of all traces of a picture, from their beginnings to the last of their replies. Without a
    /// reply, to their ends.
    pub(super) fn of(picture: &Picture, width: f64, resolution_pixels: f64) -> Self {
        let requests = picture.traces.iter().flat_map(|trace| &trace.requests);
        let last = requests.map(|request| request.received).max();
        let ends = picture.traces.iter().map(|trace| trace.end).max();
        let end = match last {
            // A margin of 1 %.
            Some(last) => last.saturating_add(last / 100),
            None => ends.unwrap_or(0),
        };
        let end = end.max(1_000);
        let resolution = (end as f64 / width * resolution_pixels) as u64;
        Self { end, width, resolution }
    }

    /// Place of a time.
    pub(super) fn x(self, at: u64) -> f64 {
        at as f64 / self.end as f64 * self.width
    }

    /// Rectangle of a block; short ones are as wide as can be seen.
    pub(super) fn area(self, from: u64, to: u64, y: f64, height: f64) -> Area {
        let x = self.x(from);
        let width = (self.x(to.min(self.end)) - x).max(LEAST_WIDTH);
        Area { x, y, width, height }
    }

    /// Time that the shortest block seems to last, in nanoseconds.
    pub(super) fn least(self) -> u64 {
        (self.end as f64 / self.width * LEAST_WIDTH) as u64
    }

    /// Returns true if something that begins at this time is in the picture.
    pub(super) fn contains(self, from: u64) -> bool {
        from < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use crate::figures::style::BLUE;

    #[test]
    fn the_busiest_threads_and_slowest_requests_are_kept_in_order() {
        assert_eq!(most_of(vec![5, 1, 9, 5], 2), [0, 2]);
        assert_eq!(most_of(vec![5, 1, 9, 5], 9), [0, 1, 2, 3]);
        let picture = example::picture(vec![example::threaded()]);
        let views = View::all(&picture);
        assert_eq!(views[0].busiest(2), [0, 1]);
        assert_eq!(views[0].slowest(1), [0]);
        assert!(views[0].kinds.contains(&"work-block"));
    }

    #[test]
    fn a_variant_has_the_colour_of_its_strategy() {
        let mut trace = example::selector();
        trace.server = "selector-copy".to_owned();
        assert_eq!(View::all(&example::picture(vec![trace]))[0].look.colour, BLUE);
    }

    #[test]
    fn the_scale_ends_after_the_last_reply() {
        let picture = example::picture(vec![example::selector(), example::threaded()]);
        let scale = Scale::of(&picture, 1_000.0, 0.5);
        assert_eq!(scale.end, 21_350_000 + 213_500);
        assert!((scale.x(scale.end / 2) - 500.0).abs() < 0.01);
        assert_eq!(scale.resolution, 10_781);
        assert!(scale.area(5, 5, 0.0, 1.0).width >= LEAST_WIDTH);
        assert_eq!(Scale::of(&example::picture(Vec::new()), 100.0, 1.0).end, 1_000);
    }
}
