//! A part of a whole, kept exact until somebody wants to see it.

/// `part` of `whole`, a number from 0 to 1. A part above the whole counts as the whole, and a whole of 0 gives 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    pub(crate) fn new(part: u64, whole: u64) -> Self {
        Self { part: part.min(whole), whole }
    }

    /// As precise as a float is.
    pub(crate) fn exact(self) -> f64 {
        if self.whole == 0 { 0.0 } else { self.part as f64 / self.whole as f64 }
    }

    /// Rounded half up to four decimals, as rates are on the wire. The rounding is done on integers: as a float,
    /// many a half is a little less than one.
    pub(crate) fn rounded(self) -> f64 {
        if self.whole == 0 {
            return 0.0;
        }
        let (part, whole) = (u128::from(self.part), u128::from(self.whole));
        let ten_thousandths = (part * 20_000 + whole) / (2 * whole);
        ten_thousandths as f64 / 10_000.0
    }
}

/// [`Share::rounded`] for a number that is no ratio of integers.
pub(crate) fn round_to_four_decimals(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up_to_four_decimals() {
        for (part, whole, expected) in [
            (17_100, 18_240, 0.9375),
            (14_980, 18_240, 0.8213),
            (1, 3, 0.3333),
            (2, 3, 0.6667),
            (1, 20_000, 0.0001),
            (1, 20_001, 0.0),
            (3, 160, 0.0188),
            (1, 1, 1.0),
            (0, 7, 0.0),
        ] {
            assert_eq!(Share::new(part, whole).rounded(), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn a_share_is_never_more_than_the_whole_and_nothing_of_nothing_is_zero() {
        assert_eq!(Share::new(8, 7).rounded(), 1.0);
        assert_eq!(Share::new(8, 0).rounded(), 0.0);
        assert_eq!(Share::new(8, 0).exact(), 0.0);
        assert_eq!(Share::new(u64::MAX, u64::MAX).rounded(), 1.0);
        assert_eq!(Share::new(u64::MAX / 2, u64::MAX).rounded(), 0.5);
    }
}
