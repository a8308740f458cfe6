//! A figure and how it is shown: in a line for people, in JSON for programs. What was measured is not known here.

use std::fmt;

use serde_json::{Value, json};

use super::figures::real;

/// One figure, or why there is none.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    outcome: Outcome,
    /// What was measured, and the numbers behind the figure.
    what: String,
}

#[derive(Debug)]
enum Outcome {
    Measured {
        /// In order, so that the median is in the middle.
        rounds: Vec<f64>,
        unit: Unit,
        aim: Aim,
    },
    Skipped,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// One thing measured in another of its kind.
    Ratio,
    Milliseconds,
    Mebibytes,
    Gibibytes,
    /// So many times.
    Count,
}

/// What a figure should reach.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    /// Of what may grow as much as the height of the tree does from few entries to many.
    pub(super) fn as_the_tree(few: u64, many: u64) -> Self {
        Self::AtMost(real(many).ln() / real(few.max(2)).ln())
    }
}

impl Row {
    /// A ratio, one for each round.
    pub(super) fn ratio(name: &'static str, rounds: Vec<f64>, aim: Aim, what: String) -> Self {
        Self::measured(name, rounds, Unit::Ratio, aim, what)
    }

    /// A figure, one for each round.
    pub(super) fn measured(
        name: &'static str,
        mut rounds: Vec<f64>,
        unit: Unit,
        aim: Aim,
        what: String,
    ) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self {
            name,
            outcome: Outcome::Measured { rounds, unit, aim },
            what,
        }
    }

    /// What cannot be measured here, and why.
    pub(super) fn skipped(name: &'static str, why: String) -> Self {
        Self {
            name,
            outcome: Outcome::Skipped,
            what: why,
        }
    }

    /// Whether the figure reaches its aim; what was skipped misses nothing.
    pub(crate) fn is_met(&self) -> bool {
        match &self.outcome {
            Outcome::Measured {
                rounds,
                unit: _,
                aim,
            } => aim.is_met_by(median(rounds)),
            Outcome::Skipped => true,
        }
    }

    /// The figure as an object.
    pub(crate) fn json(&self) -> Value {
        let Self {
            name,
            outcome,
            what,
        } = self;
        let Outcome::Measured { rounds, unit, aim } = outcome else {
            return json!({ "name": name, "skipped": what });
        };
        let (bound, limit) = aim.in_words();
        let unit = match unit {
            Unit::Ratio => "ratio",
            Unit::Milliseconds => "ms",
            Unit::Mebibytes => "MiB",
            Unit::Gibibytes => "GiB",
            Unit::Count => "times",
        };
        json!({
            "name": name,
            "ratio": median(rounds),
            "unit": unit,
            "bound": bound,
            "aim": limit,
            "met": aim.is_met_by(median(rounds)),
            "spread": [rounds.first(), rounds.last()],
            "rounds": rounds.len(),
            "what": what,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            outcome,
            what,
        } = self;
        let Outcome::Measured { rounds, unit, aim } = outcome else {
            return write!(f, "{name:<15} skipped: {what}");
        };
        let (unit, decimals) = match unit {
            Unit::Ratio => ("", 2),
            Unit::Milliseconds => (" ms", 2),
            Unit::Mebibytes => (" MiB", 2),
            Unit::Gibibytes => (" GiB", 2),
            Unit::Count => ("", 0),
        };
        let (bound, limit) = aim.in_words();
        let figure = median(rounds);
        let spread = match (rounds.first(), rounds.last()) {
            (Some(least), Some(most)) if 1 < rounds.len() => format!("({least:.2} to {most:.2})"),
            _ => String::new(),
        };
        let aim_text = format!("{bound} {}{unit}", rounded(limit));
        let met = if aim.is_met_by(figure) {
            "met"
        } else {
            "not met"
        };
        let figure = format!("{figure:.decimals$}{unit}");
        write!(
            f,
            "{name:<15} {figure:>9} {spread:<19} {aim_text:<16} {met:<8} {what}"
        )
    }
}

impl Aim {
    fn in_words(self) -> (&'static str, f64) {
        match self {
            Self::AtLeast(limit) => ("at least", limit),
            Self::AtMost(limit) => ("at most", limit),
        }
    }

    fn is_met_by(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(limit) => limit <= figure,
            Self::AtMost(limit) => figure <= limit,
        }
    }
}

/// Two decimals, and none where there are none.
fn rounded(limit: f64) -> String {
    let text = format!("{limit:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The middle of figures that are in order; of two middles, the mean.
pub(super) fn median(ordered: &[f64]) -> f64 {
    let upper = ordered.get(ordered.len() / 2);
    let lower = ordered.get(ordered.len().saturating_sub(1) / 2);
    match (lower, upper) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rounds: &[f64], aim: Aim) -> Row {
        Row::ratio("unary", rounds.to_vec(), aim, "so many a second".to_owned())
    }

    #[test]
    fn the_median_stands_in_the_middle_however_the_rounds_came() {
        for (rounds, expected) in [
            (&[3.0][..], 3.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 3.0, 2.0], 2.5),
        ] {
            let json = row(rounds, Aim::AtLeast(0.5)).json();
            assert_eq!(json["ratio"], expected, "{rounds:?}");
        }
    }

    #[test]
    fn an_aim_is_met_at_its_limit_and_on_one_side_of_it() {
        for (aim, figure, met) in [
            (Aim::AtLeast(0.5), 0.5, true),
            (Aim::AtLeast(0.5), 0.6, true),
            (Aim::AtLeast(0.5), 0.4, false),
            (Aim::AtMost(2.0), 2.0, true),
            (Aim::AtMost(2.0), 1.0, true),
            (Aim::AtMost(2.0), 2.1, false),
            (Aim::AtMost(2.0), f64::NAN, false),
        ] {
            assert_eq!(
                row(&[figure], aim).json()["met"],
                met,
                "{figure} for {aim:?}"
            );
        }
    }

    #[test]
    fn a_row_has_its_spread_and_its_aim_in_both_forms() {
        let row = row(&[0.7, 0.5, 0.6], Aim::AtLeast(0.6));
        assert_eq!(row.json()["spread"], json!([0.5, 0.7]));
        let text = row.to_string();
        for part in ["unary", "0.60", "(0.50 to 0.70)", "at least 0.6 ", " met "] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_was_skipped_says_why_and_has_no_figure() {
        let row = Row::skipped("postgres-unary", "no PostgreSQL here".to_owned());
        assert_eq!(
            row.to_string(),
            "postgres-unary  skipped: no PostgreSQL here"
        );
        assert_eq!(
            row.json(),
            json!({ "name": "postgres-unary", "skipped": "no PostgreSQL here" })
        );
    }
}
