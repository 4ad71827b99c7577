//! Histograms of a report in the interval-log format of HdrHistogram.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::report::LoadReport;

/// Nanoseconds in the unit of the column of maxima. HdrHistogram's log processor expects
/// milliseconds there. The histograms hold nanoseconds.
const NS_PER_MAXIMUM: f64 = 1e6;

impl LoadReport {
    /// Writes the histograms as a log in the format of HdrHistogram's `HistogramLogWriter` (1.3,
    /// histograms in the compressed V2 encoding), for its tools. Each is one interval, the measured
    /// window, with a tag: `response` (intended → done), `service` (sent → done), and, unless
    /// empty, `send-delay` (intended → sent), `heavy` (intended → done of heavy requests, which are
    /// in no other) and `connect`, which covers the whole run.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_hdr_log(&self, out: &mut impl Write) -> io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[Histograms hold nanoseconds]")
            .with_start_time(self.window_began_at)
            .with_base_time(self.window_began_at)
            .with_max_value_divisor(NS_PER_MAXIMUM);
        let mut log = builder.begin_log_with(out, &mut serializer)?;
        for (tag, histogram, may_be_empty) in [
            ("response", &self.response_ns, true),
            ("service", &self.service_ns, true),
            ("send-delay", &self.send_delay_ns, false),
            ("connect", &self.connect_ns, false),
            ("heavy", &self.heavy_ns, false),
        ] {
            if may_be_empty || !histogram.is_empty() {
                let written =
                    log.write_histogram(histogram, Duration::ZERO, self.window, Tag::new(tag));
                written.map_err(|error| match error {
                    IntervalLogWriterError::IoError(error) => error,
                    IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
                })?;
            }
        }
        Ok(())
    }
}
