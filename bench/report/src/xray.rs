//! Pictures of what the threads of a server did while it served a few requests, and the decomposition
//! of response times.

#[cfg(test)]
mod example;

mod threads;

mod parts;

mod chosen;

mod sentence;

mod text;

mod chrome;

mod view;

mod blocks;

mod svg;

mod look;

mod legend;

mod lanes;

mod requests;

mod bars;

mod drawing;

mod slide;

mod page;

pub use chosen::{Choice, Group, Percentile, choices};
pub use chrome::chrome_trace;
pub use page::html;
pub use parts::{Part, Parts, decompose};
pub use sentence::why;
pub use slide::svg;
pub use text::text;
