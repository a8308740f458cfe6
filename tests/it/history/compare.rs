//! Compares what is expected with what was answered, field by field, and tells every difference.
//!
//! An answer is written in the words and the shape of the history first, with every field that the history's
//! format knows. A field that is expected and not among them is a difference: nothing is skipped.

use serde_json::{Map, Value};

/// What is told for people to read, and not compared.
const INFORMATIVE: [&str; 2] = ["note", "reason"];

/// The differences between expected and answered values.
#[derive(Debug, Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn tell(&mut self, difference: String) {
        self.0.push(difference);
    }

    /// The same value: of an object every expected field, of a list the same members in any order.
    pub(crate) fn compare(&mut self, place: &str, expected: &Value, answered: &Value) {
        match (expected, answered) {
            (Value::Object(expected), Value::Object(answered)) => {
                self.compare_fields(place, expected, answered);
            }
            (Value::Array(expected), Value::Array(answered)) => {
                let surplus = self.take(place, expected, answered.clone());
                for row in surplus {
                    self.tell(format!("{place}: {row} is answered, and not expected"));
                }
            }
            _ if expected == answered => {}
            _ => self.tell(format!("{place}: expected {expected}, answered {answered}")),
        }
    }

    /// Every expected row is answered; other rows are no difference, and are returned.
    pub(crate) fn take(
        &mut self,
        place: &str,
        expected: &[Value],
        mut answered: Vec<Value>,
    ) -> Vec<Value> {
        let mut missing = Vec::new();
        for row in expected {
            match answered.iter().position(|one| differences(row, one) == 0) {
                Some(at) => drop(answered.remove(at)),
                None => missing.push(row),
            }
        }
        for row in missing {
            // The row that it was probably meant to be.
            let nearest = answered
                .iter()
                .enumerate()
                .filter(|(_, one)| is_about_the_same(row, one))
                .min_by_key(|(_, one)| differences(row, one))
                .map(|(at, _)| at);
            match nearest {
                Some(at) => self.compare(&format!("{place}: {row}"), row, &answered.remove(at)),
                None => self.tell(format!("{place}: {row} is expected, and not answered")),
            }
        }
        answered
    }

    fn compare_fields(
        &mut self,
        place: &str,
        expected: &Map<String, Value>,
        answered: &Map<String, Value>,
    ) {
        for (field, value) in expected {
            if INFORMATIVE.contains(&field.as_str()) {
                continue;
            }
            match answered.get(field) {
                // One rule is the first of those that an answer stands on.
                Some(Value::Array(rules)) if field == "basis" && !value.is_array() => {
                    let first = rules.first().unwrap_or(&Value::Null);
                    self.compare(&format!("{place}.{field}"), value, first);
                }
                Some(answer) => self.compare(&format!("{place}.{field}"), value, answer),
                None => self.tell(format!("{place}: no field is called {field}")),
            }
        }
        // What is true has to be said: a history leaves out only what is not so.
        for (field, answer) in answered {
            if answer == &Value::Bool(true) && !expected.contains_key(field) {
                self.tell(format!("{place}: {field} is answered, and not expected"));
            }
        }
    }
}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|one| writeln!(f, "  {one}"))
    }
}

fn differences(expected: &Value, answered: &Value) -> usize {
    let mut found = Differences::default();
    found.compare("", expected, answered);
    found.0.len()
}

/// Whether both are about the same patient or lot, as far as they say.
fn is_about_the_same(expected: &Value, answered: &Value) -> bool {
    ["patient", "lot", "code"]
        .iter()
        .all(|field| expected.get(field).is_none() || expected.get(field) == answered.get(field))
        && expected.is_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(expected: &Value, answered: &Value, differences: &[&str]) {
        let mut found = Differences::default();
        found.compare("it", expected, answered);
        assert_eq!(found.0, differences);
    }

    #[test]
    fn rows_are_compared_in_any_order() {
        let (one, two) = (
            json!({"patient": "P1", "due": "a"}),
            json!({"patient": "P2"}),
        );
        check(&json!([one, two]), &json!([two, one]), &[]);
    }

    #[test]
    fn each_difference_is_told() {
        let answered = json!({"patient": "P1", "due": "a", "days": 3});
        check(&json!({"patient": "P1", "note": "x"}), &answered, &[]);
        check(
            &json!({"due": "b"}),
            &answered,
            &["it.due: expected \"b\", answered \"a\""],
        );
        check(
            &json!({"dew": "a"}),
            &answered,
            &["it: no field is called dew"],
        );
        check(
            &json!({"days": "3"}),
            &answered,
            &["it.days: expected \"3\", answered 3"],
        );
        check(
            &json!([answered]),
            &json!([]),
            &["it: {\"days\":3,\"due\":\"a\",\"patient\":\"P1\"} is expected, and not answered"],
        );
        check(
            &json!([]),
            &json!(["P1"]),
            &["it: \"P1\" is answered, and not expected"],
        );
        check(
            &json!(["P1", "P1"]),
            &json!(["P1"]),
            &["it: \"P1\" is expected, and not answered"],
        );
    }

    #[test]
    fn one_rule_is_the_first_of_a_list() {
        let answered = json!({"basis": ["R-C1", "R-S1"]});
        check(&json!({"basis": "R-C1"}), &answered, &[]);
        check(&json!({"basis": ["R-S1", "R-C1"]}), &answered, &[]);
        check(
            &json!({"basis": "R-S1"}),
            &answered,
            &["it.basis: expected \"R-S1\", answered \"R-C1\""],
        );
    }

    #[test]
    fn what_is_true_must_be_expected() {
        let answered = json!({"patient": "P1", "unreachable": true});
        check(
            &json!({"patient": "P1"}),
            &answered,
            &["it: unreachable is answered, and not expected"],
        );
        check(
            &json!({"patient": "P1"}),
            &json!({"patient": "P1", "unreachable": false}),
            &[],
        );
    }

    #[test]
    fn a_row_that_differs_is_compared_with_the_one_it_was_meant_to_be() {
        check(
            &json!([{"patient": "P1", "due": "a"}]),
            &json!([{"patient": "P2", "due": "a"}, {"patient": "P1", "due": "b"}]),
            &[
                "it: {\"due\":\"a\",\"patient\":\"P1\"}.due: expected \"a\", answered \"b\"",
                "it: {\"due\":\"a\",\"patient\":\"P2\"} is answered, and not expected",
            ],
        );
    }
}
