//! Medians, and the ratios of neighbours.

/// How often A did what B did once: one figure for each pair of neighbouring runs.
#[derive(Debug, Default)]
pub(crate) struct Ratios(Vec<f64>);

impl Ratios {
    pub(crate) fn of(ours: &[f64], theirs: &[f64]) -> Self {
        Self(ours.iter().zip(theirs).map(|(a, b)| a / b).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.0)
    }

    /// The middle half: a quarter of the pairs lies below, a quarter above.
    pub(crate) fn quartiles(&self) -> (f64, f64) {
        let sorted = sorted(&self.0);
        let quarter = sorted.len() / 4;
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        (at(quarter), at(sorted.len().saturating_sub(quarter + 1)))
    }
}

/// The middle one, or the mean of the two in the middle; not a number if there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.len() / 2;
    let lower = sorted.len().saturating_sub(1) / 2;
    match (sorted.get(lower), sorted.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => f64::NAN,
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_none_one_two_and_three() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[4.0, 1.0]).to_bits(), 2.5_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn each_pair_is_compared_by_itself() {
        let ratios = Ratios::of(&[2.0, 30.0, 4.0, 8.0], &[1.0, 10.0, 4.0, 2.0]);
        assert_eq!(ratios.median().to_bits(), 2.5_f64.to_bits());
        assert_eq!(ratios.quartiles(), (2.0, 3.0));
    }
}
