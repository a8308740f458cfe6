//! What holds of all rules together, whatever the history: an answer does not depend on the order in which records
//! arrived, but for what the clocks or the records themselves say of it; and what was known once is still answered.

mod answers;
mod histories;

use std::collections::BTreeSet;

use proptest::{prelude::*, test_runner::RngSeed};

use self::{
    answers::{Names, answers, raised},
    histories::{Arrival, Known, any_choices, book, day, prefix, records, righted},
};
use super::{
    book::Book,
    question::{Question, View},
};
use crate::tlog::TreeSize;

/// The same cases on every machine, and no file of failures: a case that fails is told with its history.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

fn question(days: u64, size: usize, view: View) -> Question {
    Question {
        as_of: day(days),
        known_at: TreeSize::new(size.try_into().unwrap()),
        view,
    }
}

/// The first row that is in one answer and not in the other.
fn difference(one: &[String], other: &[String]) -> String {
    let lacks = |these: &[String], those: &[String]| {
        let row = these.iter().find(|row| !those.contains(row));
        row.cloned().unwrap_or_default()
    };
    format!("- {}\n+ {}", lacks(one, other), lacks(other, one))
}

/// The codes of what two records raise together that are both true by themselves. The later recorded one raises it, so
/// that whoever made the second learns of it from the receipt; only that it is raised does not depend on arrival.
const RAISED_BY_THE_LATER: [&str; 3] = [
    // Of several registrations of one person, all but the first recorded.
    "POSSIBLE_DUPLICATE",
    // Of what binds a chain of identity to patients, what was recorded after it was bound to another.
    "COI_OF_TWO_PATIENTS",
    // The administration or the signature.
    "TREATED_BEFORE_CONSENT",
];

/// What the entries raise whatever the order in which they arrived.
fn raised_in_any_order(book: &Book, question: &Question) -> Vec<String> {
    let rows = raised(book, book.facts(), question).into_iter();
    let rows: BTreeSet<String> = rows
        .map(|(code, row)| {
            if RAISED_BY_THE_LATER.contains(&code) {
                code.to_owned()
            } else {
                row
            }
        })
        .collect();
    rows.into_iter().collect()
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn the_order_of_arrival_changes_no_answer(
        choices in any_choices(40),
        chances in prop::collection::vec(any::<prop::sample::Index>(), 160),
        days in 0_u64..3_500,
    ) {
        let records = records(&choices);
        let mut chances = chances.iter().cycle();
        let order = Arrival::of(&records).order(|many| chances.next().unwrap().index(many));
        let (one, other) = (book(&records), book(order.iter().map(|at| &records[*at])));
        let names = Names::of(one.facts());
        let question = question(days, records.len(), View::AsCorrected);
        let told = answers(&one, &names, &question);
        let again = answers(&other, &names, &question);
        prop_assert!(told == again, "{}", difference(&told, &again));
        let told = raised_in_any_order(&one, &question);
        let again = raised_in_any_order(&other, &question);
        prop_assert!(told == again, "{}", difference(&told, &again));
    }

    #[test]
    fn a_corrected_record_answers_as_if_it_had_been_right_at_once(
        choices in any_choices(40),
        days in 0_u64..3_500,
    ) {
        let records = records(&choices);
        let (corrected, right) = (book(&records), book(&righted(&records)));
        let names = Names::of(corrected.facts());
        let question = question(days, records.len(), View::AsCorrected);
        let told = answers(&corrected, &names, &question);
        let again = answers(&right, &names, &question);
        prop_assert!(told == again, "{}", difference(&told, &again));
    }

    #[test]
    fn what_was_answered_is_answered_again_when_more_is_known(
        choices in any_choices(40),
        size in any::<prop::sample::Index>(),
        days in 0_u64..3_500,
        as_recorded in any::<bool>(),
    ) {
        let records = records(&choices);
        let now = book(&records);
        let size = size.index(records.len() + 1);
        let then = prefix(now.facts(), size);
        let view = if as_recorded { View::AsRecorded } else { View::AsCorrected };
        let question = question(days, size, view);
        let names = Names::of(then.facts());
        let told = answers(&then, &names, &question);
        let now = Known { book: &now, size: question.known_at };
        let again = answers(&now, &names, &question);
        prop_assert!(told == again, "{}", difference(&told, &again));
        let rows = |rows: Vec<(&str, String)>| -> Vec<String> {
            rows.into_iter().map(|(_, row)| row).collect()
        };
        let told = rows(raised(&then, then.facts(), &question));
        let again = rows(raised(&now, now.book.facts(), &question));
        prop_assert!(told == again, "{}", difference(&told, &again));
    }
}
