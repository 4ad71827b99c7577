//! Weighted random draw in constant time.

use fastrand::Rng;

/// Draws indices with given weights (Walker's alias method in Vose's form).
#[derive(Debug)]
pub(crate) struct WeightedDraw {
    /// Per column: share of its own index, and the index of the rest.
    columns: Vec<(f64, u32)>,
}

impl WeightedDraw {
    /// Prepares draws from `0..weights.len()`; weights are positive, and there is at least one.
    pub(crate) fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut columns: Vec<(f64, u32)> =
            weights.iter().zip(0..).map(|(weight, own)| (weight / mean, own)).collect();
        let (mut poor, mut rich): (Vec<u32>, Vec<u32>) =
            (0..weights.len() as u32).partition(|&index| columns[index as usize].0 < 1.0);
        while let (Some(&donor), Some(taker)) = (rich.last(), poor.pop()) {
            let given = 1.0 - columns[taker as usize].0;
            columns[taker as usize].1 = donor;
            columns[donor as usize].0 -= given;
            if columns[donor as usize].0 < 1.0 {
                rich.pop();
                poor.push(donor);
            }
        }
        // The remaining columns differ from 1 only by rounding errors.
        for index in poor.into_iter().chain(rich) {
            columns[index as usize] = (1.0, index);
        }
        Self { columns }
    }

    #[inline]
    pub(crate) fn draw(&self, rng: &mut Rng) -> u32 {
        if self.columns.len() == 1 {
            return 0;
        }
        let index = rng.u32(..self.columns.len() as u32);
        let (own_share, alias) = self.columns[index as usize];
        if rng.f64() < own_share { index } else { alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exact probability of each index, read off the columns.
    fn probabilities(draw: &WeightedDraw) -> Vec<f64> {
        let columns = draw.columns.len();
        let mut shares = vec![0.0; columns];
        for (index, &(own, alias)) in draw.columns.iter().enumerate() {
            shares[index] += own / columns as f64;
            shares[alias as usize] += (1.0 - own) / columns as f64;
        }
        shares
    }

    #[test]
    fn each_index_has_its_share() {
        for weights in [&[1.0][..], &[1.0, 1.0], &[5.0, 0.001, 3.0, 3.0, 1e6], &[0.1, 0.2, 0.7]] {
            let sum: f64 = weights.iter().sum();
            for (share, weight) in probabilities(&WeightedDraw::new(weights)).iter().zip(weights) {
                assert!((share - weight / sum).abs() < 1e-9, "{weights:?}");
            }
        }
    }

    #[test]
    fn drawing_follows_the_columns() {
        let draw = WeightedDraw::new(&[1.0, 3.0]);
        let mut rng = Rng::with_seed(1);
        let ones = (0..10_000).filter(|_| draw.draw(&mut rng) == 1).count();
        assert!((7_300..7_700).contains(&ones), "{ones} of 10000");
    }
}
