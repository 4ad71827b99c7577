//! Rows of `timeseries.csv`: the seconds of a trial's window.

use loadgen::{BINS_PER_DECADE, LoadReport};
use serde::{Deserialize, Serialize};

use super::microseconds;

/// Row of `timeseries.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct SecondRow {
    pub trial: u32,
    pub second: u64,
    pub requests: u64,
    pub body_bytes: u64,
    pub errors: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub max_us: Option<f64>,
    #[serde(default)]
    pub response_bins: ResponseBins,
}

/// Numbers of response times by bin, in a file as `24:5 25:130`. SCHEMA.md explains the bins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ResponseBins(pub Vec<(u8, u64)>);

impl ResponseBins {
    /// Ends of a bin in microseconds.
    pub fn ends_us(bin: u8) -> (f64, f64) {
        let start_us = |bin: f64| 10f64.powf(bin / f64::from(BINS_PER_DECADE)) / 1e3;
        (start_us(f64::from(bin)), start_us(f64::from(bin) + 1.0))
    }
}

impl From<ResponseBins> for String {
    fn from(bins: ResponseBins) -> Self {
        let pairs: Vec<_> = bins.0.iter().map(|(bin, count)| format!("{bin}:{count}")).collect();
        pairs.join(" ")
    }
}

impl TryFrom<String> for ResponseBins {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pair = |pair: &str| {
            let (bin, count) = pair.split_once(':')?;
            Some((bin.parse().ok()?, count.parse().ok()?))
        };
        let pairs: Option<Vec<(u8, u64)>> = text.split_whitespace().map(pair).collect();
        pairs.map(Self).ok_or_else(|| format!("'{text}' is not a list of BIN:COUNT"))
    }
}

pub(super) fn seconds(trial: u32, load: &LoadReport) -> impl Iterator<Item = SecondRow> {
    load.seconds.iter().map(move |second| {
        // A second may have only heavy replies.
        let of_answers = |ns| (second.max_ns > 0).then(|| microseconds(ns));
        SecondRow {
            trial,
            second: second.second,
            requests: second.requests,
            body_bytes: second.body_bytes,
            errors: second.errors,
            p50_us: of_answers(second.p50_ns),
            p99_us: of_answers(second.p99_ns),
            max_us: of_answers(second.max_ns),
            response_bins: ResponseBins(second.bins.clone()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "trial,second,requests,body_bytes,errors,p50_us,p99_us,max_us";

    fn read(text: &str) -> Result<Vec<SecondRow>, csv::Error> {
        csv::Reader::from_reader(text.as_bytes()).deserialize().collect()
    }

    #[test]
    fn bins_are_read_back_and_missing_in_earlier_versions() {
        let row = "3,0,7,7168,0,40.1,90.2,91.3";
        let [earlier] = &read(&format!("{EARLIER}\n{row}\n")).unwrap()[..] else { panic!() };
        assert_eq!(earlier.response_bins, ResponseBins::default());
        let text = format!("{EARLIER},response_bins\n{row},36:6 39:1\n");
        let [now] = &read(&text).unwrap()[..] else { panic!() };
        assert_eq!(now.response_bins, ResponseBins(vec![(36, 6), (39, 1)]));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(now).unwrap();
        assert_eq!(String::from_utf8(writer.into_inner().unwrap()).unwrap(), text);
        for wrong in ["36", "36:", "x:1", "300:1", "36:-1"] {
            let text = format!("{EARLIER},response_bins\n{row},{wrong}\n");
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains("is not a list of BIN:COUNT"), "{error}");
        }
    }

    #[test]
    fn eight_bins_are_a_factor_of_ten() {
        let (start_us, end_us) = ResponseBins::ends_us(24);
        assert!((start_us - 1.0).abs() < 1e-9 && (end_us - 1.3335).abs() < 1e-4, "{end_us}");
        assert!((ResponseBins::ends_us(48).0 - 1000.0).abs() < 1e-6);
    }
}
