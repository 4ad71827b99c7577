//! The Universal Scalability Law (N. J. Gunther, *Guerrilla Capacity Planning*, Springer 2007):
//! throughput `X` under concurrency `N` is `X(N) = λN / (1 + σ(N − 1) + κN(N − 1))`.

/// Fewest distinct concurrencies of a fit. Gunther recommends six: two for each coefficient.
pub(crate) const LEAST_POINTS: usize = 6;

/// Lowest coefficient of determination of a fit that is reported.
pub(crate) const LEAST_R_SQUARED: f64 = 0.9;

/// The law fitted to measurements by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    /// λ: throughput under a concurrency of 1, in requests per second.
    pub lambda: f64,
    /// σ, contention: share of the work that is serial, from 0 to 1.
    pub sigma: f64,
    /// κ, coherence: cost of keeping each pair consistent, relative to the work; 0 or more.
    pub kappa: f64,
    /// R²: share of the variance of the throughput that the law explains, 1 at most.
    pub r_squared: f64,
}

/// Coefficients: λ, σ, κ.
type Coefficients = [f64; 3];

impl Fit {
    /// Least-squares fit to points (N, throughput), with σ from 0 to 1 and κ of at least 0. `None`
    /// for fewer than [`LEAST_POINTS`] distinct N or a throughput of 0.
    pub(crate) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let mut counts: Vec<f64> = points.iter().map(|(n, _)| *n).collect();
        counts.sort_by(f64::total_cmp);
        counts.dedup();
        let usable = |(n, x): &(f64, f64)| *n >= 1.0 && *x > 0.0;
        if counts.len() < LEAST_POINTS || !points.iter().all(usable) {
            return None;
        }
        // The minimum within the bounds is the unbounded one or lies on an edge.
        let edges = [
            (None, None),
            (Some(0.0), None),
            (Some(1.0), None),
            (None, Some(0.0)),
            (Some(0.0), Some(0.0)),
            (Some(1.0), Some(0.0)),
        ];
        let within = |[lambda, sigma, kappa]: &Coefficients| {
            *lambda > 0.0 && (0.0..=1.0).contains(sigma) && *kappa >= 0.0
        };
        let best = edges
            .into_iter()
            .filter_map(|(sigma, kappa)| search(points, sigma, kappa))
            .filter(within)
            .min_by(|a, b| squares(points, a).total_cmp(&squares(points, b)))?;
        let mean = points.iter().map(|(_, x)| x).sum::<f64>() / points.len() as f64;
        let all: f64 = points.iter().map(|(_, x)| (x - mean).powi(2)).sum();
        let r_squared = if all > 0.0 { 1.0 - squares(points, &best) / all } else { 0.0 };
        let [lambda, sigma, kappa] = best;
        Some(Self { lambda, sigma, kappa, r_squared })
    }

    /// True if R² is high enough for a report.
    pub(crate) fn is_good(&self) -> bool {
        self.r_squared >= LEAST_R_SQUARED
    }

    /// Concurrency of the highest throughput, `√((1 − σ) / κ)`; `None` for κ = 0, where the
    /// throughput never falls.
    pub(crate) fn peak(&self) -> Option<f64> {
        (self.kappa > 0.0).then(|| ((1.0 - self.sigma) / self.kappa).sqrt().max(1.0))
    }

    /// Asymptote of the throughput for κ = 0, `λ / σ`; `None` where there is a peak or no bound.
    pub(crate) fn limit(&self) -> Option<f64> {
        (self.kappa <= 0.0 && self.sigma > 0.0).then(|| self.lambda / self.sigma)
    }
}

fn law([lambda, sigma, kappa]: &Coefficients, n: f64) -> f64 {
    lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

fn squares(points: &[(f64, f64)], at: &Coefficients) -> f64 {
    points.iter().map(|(n, x)| (x - law(at, *n)).powi(2)).sum()
}

/// Least squares by the Levenberg–Marquardt algorithm from the linear regression on; a given σ or κ
/// is kept.
fn search(points: &[(f64, f64)], sigma: Option<f64>, kappa: Option<f64>) -> Option<Coefficients> {
    const MOST_STEPS: usize = 500;
    const LEAST_GAIN: f64 = 1e-14;
    let free = [true, sigma.is_none(), kappa.is_none()];
    let mut at = linearised(points);
    at[1] = sigma.unwrap_or(at[1]);
    at[2] = kappa.unwrap_or(at[2]);
    let mut error = squares(points, &at);
    let mut damping = 1e-3;
    for _ in 0..MOST_STEPS {
        let (mut matrix, mut right) = ([[0.0; 3]; 3], [0.0; 3]);
        for (n, x) in points {
            let slope = gradient(&at, *n);
            let rest = x - law(&at, *n);
            for row in 0..3 {
                right[row] += slope[row] * rest;
                for column in 0..3 {
                    matrix[row][column] += slope[row] * slope[column];
                }
            }
        }
        for index in 0..3 {
            if !free[index] {
                matrix[index] = [0.0; 3];
                matrix.iter_mut().for_each(|row| row[index] = 0.0);
                (matrix[index][index], right[index]) = (1.0, 0.0);
            }
        }
        // Marquardt: each coefficient is damped in its own scale, as κ is far smaller than λ.
        (0..3).for_each(|index| matrix[index][index] *= 1.0 + damping);
        let Some(step) = solved(matrix, right) else { break };
        let next = [at[0] + step[0], at[1] + step[1], at[2] + step[2]];
        let then = squares(points, &next);
        if then.is_finite() && then <= error {
            let done = error - then <= LEAST_GAIN * error;
            (at, error) = (next, then);
            damping = (damping / 10.0).max(1e-12);
            if done {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    at.iter().all(|value| value.is_finite()).then_some(at)
}

/// Partial derivatives of the throughput by λ, σ and κ.
fn gradient(at: &Coefficients, n: f64) -> Coefficients {
    let x = law(at, n);
    let below = at[0] * n / x;
    [x / at[0], -x * (n - 1.0) / below, -x * n * (n - 1.0) / below]
}

/// Starting point: linear regression of `N / X`, which is linear in `1/λ`, `σ/λ` and `κ/λ`, by
/// relative distances; limited to the bounds.
fn linearised(points: &[(f64, f64)]) -> Coefficients {
    let (mut matrix, mut right) = ([[0.0; 3]; 3], [0.0; 3]);
    for (n, x) in points {
        let weight = x / n;
        let row = [1.0, n - 1.0, n * (n - 1.0)].map(|value| value * weight);
        for (index, value) in row.iter().enumerate() {
            right[index] += value;
            (0..3).for_each(|other| matrix[index][other] += value * row[other]);
        }
    }
    let most = points.iter().map(|(n, x)| x / n).fold(f64::MIN_POSITIVE, f64::max);
    let [a, b, c] = solved(matrix, right).unwrap_or([1.0 / most, 0.01 / most, 0.0]);
    if a > 0.0 { [1.0 / a, (b / a).clamp(0.0, 1.0), (c / a).max(0.0)] } else { [most, 0.01, 0.0] }
}

/// Solution of a linear system by Gaussian elimination with partial pivoting; `None` if it is
/// singular.
fn solved(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    // The coefficients differ by many orders of magnitude: scale the diagonal to 1.
    let scale: [f64; 3] = std::array::from_fn(|index| matrix[index][index].abs().sqrt());
    if scale.iter().any(|scale| *scale <= 0.0 || !scale.is_finite()) {
        return None;
    }
    for row in 0..3 {
        right[row] /= scale[row];
        (0..3).for_each(|column| matrix[row][column] /= scale[row] * scale[column]);
    }
    for pivot in 0..3 {
        let largest = (pivot..3)
            .max_by(|a, b| matrix[*a][pivot].abs().total_cmp(&matrix[*b][pivot].abs()))?;
        if matrix[largest][pivot].abs() < 1e-14 {
            return None;
        }
        matrix.swap(pivot, largest);
        right.swap(pivot, largest);
        for row in pivot + 1..3 {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            (pivot..3).for_each(|column| matrix[row][column] -= factor * matrix[pivot][column]);
            right[row] -= factor * right[pivot];
        }
    }
    let mut found = [0.0; 3];
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|column| matrix[row][column] * found[column]).sum();
        found[row] = (right[row] - known) / matrix[row][row];
    }
    Some(std::array::from_fn(|index| found[index] / scale[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC SDM91 on a SPARCcenter 2000 (users, scripts per hour), from Gunther's book and the CRAN
    /// package `usl`.
    const SPEC_SDM91: [(f64, f64); 7] = [
        (1.0, 64.9),
        (18.0, 995.9),
        (36.0, 1652.4),
        (72.0, 1853.2),
        (108.0, 1828.9),
        (144.0, 1775.0),
        (216.0, 1702.2),
    ];

    fn is_near(value: f64, wanted: f64, digits: i32) -> bool {
        (value - wanted).abs() <= 0.5 * 10f64.powi(-digits)
    }

    #[test]
    fn published_data_give_the_published_coefficients() {
        // Alpha, beta, gamma and largest residuals of the package's example.
        let fit = Fit::of(&SPEC_SDM91).unwrap();
        assert!(is_near(fit.sigma, 0.027_728_5, 7), "{fit:?}");
        assert!(is_near(fit.kappa, 0.000_104_4, 7), "{fit:?}");
        assert!((fit.lambda - 89.995_233).abs() < 1e-4, "{fit:?}");
        let at = [fit.lambda, fit.sigma, fit.kappa];
        let rests: Vec<f64> = SPEC_SDM91.iter().map(|(n, x)| x - law(&at, *n)).collect();
        assert!(is_near(rests.iter().copied().fold(f64::INFINITY, f64::min), -81.7, 1));
        assert!(is_near(rests.iter().copied().fold(0.0, f64::max), 111.1, 1));
        assert!(fit.is_good() && fit.r_squared < 1.0, "{fit:?}");
        assert!(is_near(fit.peak().unwrap(), 96.5, 1), "{:?}", fit.peak());
    }

    #[test]
    fn coefficients_of_exact_data_are_recovered() {
        for (lambda, sigma, kappa) in
            [(20_000.0, 0.15, 1e-7), (30.0, 0.05, 2e-4), (1e5, 0.9, 0.0), (500.0, 0.0, 0.01)]
        {
            let at = [lambda, sigma, kappa];
            let counts = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 10_000.0];
            let fit = Fit::of(&counts.map(|n| (n, law(&at, n)))).unwrap();
            assert!((fit.lambda / lambda - 1.0).abs() < 1e-4, "{at:?}: {fit:?}");
            assert!((fit.sigma - sigma).abs() < 1e-5, "{at:?}: {fit:?}");
            assert!((fit.kappa - kappa).abs() <= 1e-3 * kappa + 1e-12, "{at:?}: {fit:?}");
            assert!(fit.r_squared > 0.999_999, "{at:?}: {fit:?}");
        }
    }

    #[test]
    fn coefficients_stay_within_their_bounds() {
        // Faster than linear: contention is at least 0.
        let fit = Fit::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|n| (n, n * n))).unwrap();
        assert_eq!((fit.sigma, fit.kappa), (0.0, 0.0));
        assert_eq!((fit.peak(), fit.limit()), (None, None));
        // Less than half at N = 2: contention is at most 1.
        let falling = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0].map(|n: f64| (n, 100.0 / n.powf(1.5)));
        let fit = Fit::of(&falling).unwrap();
        assert!(fit.sigma <= 1.0 && fit.kappa > 0.0, "{fit:?}");
        assert_eq!(fit.peak(), Some(1.0_f64.max(((1.0 - fit.sigma) / fit.kappa).sqrt())));
    }

    #[test]
    fn few_points_and_poor_fits_are_not_reported() {
        assert_eq!(Fit::of(&SPEC_SDM91[..5]), None);
        let again: Vec<_> = SPEC_SDM91[..5].iter().chain(&SPEC_SDM91[..5]).copied().collect();
        assert_eq!(Fit::of(&again), None, "five distinct points, measured twice");
        assert_eq!(Fit::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|n| (n, 0.0))), None);
        let zigzag = [(1.0, 9.0), (2.0, 1.0), (4.0, 9.0), (8.0, 1.0), (16.0, 9.0), (32.0, 1.0)];
        assert!(Fit::of(&zigzag).is_none_or(|fit| !fit.is_good()));
        let level = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0].map(|n| (n, 100.0));
        assert!(Fit::of(&level).is_none_or(|fit| !fit.is_good()), "no variance to explain");
    }
}
