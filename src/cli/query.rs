//! What every question on the command line has in common: the server, the day, how much is known; and the
//! answer as tables for people, as CSV for spreadsheets, or as proto3 JSON for machines. Does not know what is
//! asked.

use std::io;

use anyhow::Context as _;
use comfy_table::{
    ColumnConstraint, ContentArrangement, LineStyle, Table as Grid, TableStyle, Width,
};
use prost::Message;
use tonic::{Response, Status};

use super::{
    Outcome,
    client::{self, Server},
    record_json, say,
};
use crate::pb::{self, question::KnownAt};

/// Rows of a page: the largest that a server gives.
pub(super) const PAGE_SIZE: i32 = 1_000;

/// A line under the header, and no other.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The question that is asked, and how the answer is printed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Asking {
    #[command(flatten)]
    pub(super) server: Server,
    /// The day that is asked about; by default today.
    #[arg(long, value_name = "DATE")]
    pub(super) as_of: Option<String>,
    /// How much of the log is known: a tree size, or the instant by which it was recorded. By default all of it.
    #[arg(long, value_name = "SIZE|INSTANT")]
    known_at: Option<String>,
    /// Show facts as they were recorded, without what corrects them.
    #[arg(long)]
    as_recorded: bool,
    /// Print proto3 JSON.
    #[arg(long, conflicts_with = "csv")]
    pub(super) json: bool,
    /// Print CSV.
    #[arg(long)]
    csv: bool,
}

impl Asking {
    /// Of now, as tables.
    pub(super) fn question(&self) -> pb::Question {
        let known_at = self
            .known_at
            .as_ref()
            .map(|known_at| match known_at.parse() {
                Ok(size) => KnownAt::TreeSize(size),
                // Whether it is an instant, the server says, with the remedy.
                Err(_) => KnownAt::RecordedBy(known_at.clone()),
            });
        let view = if self.as_recorded {
            pb::QuestionView::AsRecorded
        } else {
            pb::QuestionView::AsCorrected
        };
        pb::Question {
            as_of: self.as_of.clone().unwrap_or_default(),
            known_at,
            view: view.into(),
        }
    }

    /// Prints an answer in the way that was asked for.
    pub(super) fn print(&self, answer: &impl Message, shown: &Shown) -> anyhow::Result<Outcome> {
        if self.json {
            let json = record_json::message_to_json(shown.message, &answer.encode_to_vec())?;
            say!("{json}")?;
        } else if self.csv {
            shown.write_csv(io::stdout().lock())?;
        } else {
            for line in shown.lines(terminal_width()) {
                say!("{line}")?;
            }
        }
        Ok(Outcome::Fine)
    }
}

/// An answer for people.
#[derive(Debug)]
pub(super) struct Shown {
    /// The full name of the message.
    pub(super) message: &'static str,
    /// What was answered.
    pub(super) answered: Option<pb::Answered>,
    pub(super) tables: Vec<Table>,
}

/// A list of an answer.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    /// What is said where the list is empty.
    pub(super) empty: &'static str,
    pub(super) columns: &'static [&'static str],
    /// Each with as many cells as there are columns.
    pub(super) rows: Vec<Vec<String>>,
}

impl Shown {
    /// The tables, and what they are an answer to; within a width, if one is given.
    pub(super) fn lines(&self, width: Option<u16>) -> Vec<String> {
        let mut lines = Vec::new();
        for table in &self.tables {
            lines.extend(table.lines(width));
            lines.push(String::new());
        }
        lines.extend(self.answered.as_ref().map(told));
        lines
    }

    /// One line for each row of each table, all with the columns of all of them, after the table's title.
    fn write_csv(&self, out: impl io::Write) -> anyhow::Result<()> {
        let mut columns: Vec<&str> = Vec::new();
        for column in self.tables.iter().flat_map(|table| table.columns) {
            if !columns.contains(column) {
                columns.push(column);
            }
        }
        let mut csv = csv::Writer::from_writer(out);
        csv.write_field("list")?;
        csv.write_record(&columns)?;
        for table in &self.tables {
            for row in &table.rows {
                csv.write_field(table.title)?;
                let cell = |column: &&str| {
                    let at = table.columns.iter().position(|own| own == column)?;
                    row.get(at).map(String::as_str)
                };
                csv.write_record(
                    columns
                        .iter()
                        .map(|column| cell(column).unwrap_or_default()),
                )?;
            }
        }
        csv.flush().context("cannot write to standard output")
    }
}

impl Table {
    /// The table as it is printed: each row on one line, or within a width as far as words allow. Ids are never
    /// broken, so a table of many columns may be wider still.
    pub(super) fn lines(&self, width: Option<u16>) -> Vec<String> {
        if self.rows.is_empty() {
            return vec![format!("{}: {}", self.title, self.empty)];
        }
        // A column in which nothing stands is left out.
        let stands = |at: &usize| {
            self.rows
                .iter()
                .any(|row| row.get(*at).is_some_and(|cell| !cell.is_empty()))
        };
        let kept: Vec<usize> = (0..self.columns.len()).filter(stands).collect();
        let keep = |row: &[String]| kept.iter().filter_map(|at| row.get(*at).cloned()).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| keep(row)).collect();
        let mut grid = Grid::new();
        grid.load_style(STYLE)
            .set_header(kept.iter().filter_map(|at| self.columns.get(*at)))
            .add_rows(&rows);
        if let Some(width) = width {
            grid.set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
            for (at, column) in grid.column_iter_mut().enumerate() {
                let cells = rows.iter().filter_map(|row: &Vec<String>| row.get(at));
                let words = cells
                    .flat_map(|cell| cell.split(' '))
                    .map(|word| word.chars().count());
                let longest = u16::try_from(words.max().unwrap_or(0)).unwrap_or(u16::MAX);
                // A space on either side.
                let least = Width::Fixed(longest.saturating_add(2));
                column.set_constraint(ColumnConstraint::LowerBoundary(least));
            }
        }
        let title = format!("{}: {}", self.title, self.rows.len());
        [title]
            .into_iter()
            .chain(grid.trim_fmt().lines().map(str::to_owned))
            .collect()
    }
}

/// How wide the terminal is that standard output is shown on; none where it goes to a file or to another program, which
/// takes lines as they are.
pub(super) fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (0 < size.ws_col).then_some(size.ws_col)
}

/// What was answered, in words.
fn told(answered: &pb::Answered) -> String {
    let view = match answered.view() {
        pb::QuestionView::AsRecorded => "as recorded",
        pb::QuestionView::Unspecified | pb::QuestionView::AsCorrected => "as corrected",
    };
    format!(
        "As of {}, known from the first {} entries, {view}.",
        answered.as_of, answered.tree_size
    )
}

/// Asks for the pages of a list, one after the other, each with the token of the one before: `join` adds a page to
/// the answer, and gives the token of the next.
pub(super) async fn pages<Page>(
    mut ask: impl AsyncFnMut(String) -> Result<Response<Page>, Status>,
    mut join: impl FnMut(Page) -> String,
) -> anyhow::Result<()> {
    let mut token = String::new();
    loop {
        let answer = ask(token).await;
        let page = answer.map_err(|status| client::failed(&status))?;
        token = join(page.into_inner());
        if token.is_empty() {
            return Ok(());
        }
    }
}

/// The word of an enum's value, without the enum's own name; of what is not said, nothing.
pub(super) fn word<E: Copy + Default>(value: E, name: fn(&E) -> &'static str) -> String {
    let prefix = name(&E::default()).trim_end_matches("UNSPECIFIED");
    let word = name(&value).trim_start_matches(prefix);
    if word == "UNSPECIFIED" {
        return String::new();
    }
    word.to_owned()
}

/// The values of an enum by the words for them.
pub(super) fn values<E: Into<i32> + TryFrom<i32>>(
    words: &[String],
    prefix: &str,
    from_str_name: fn(&str) -> Option<E>,
    as_str_name: fn(&E) -> &'static str,
) -> anyhow::Result<Vec<i32>> {
    let value = |word: &String| {
        let value = from_str_name(&format!("{prefix}_{}", word.to_uppercase()));
        value.map(Into::into).with_context(|| {
            // The values of our enums follow one another; the first says nothing.
            let all = (1..).map_while(|wire| E::try_from(wire).ok());
            let words = all.map(|value| {
                as_str_name(&value)
                    .trim_start_matches(prefix)
                    .trim_start_matches('_')
            });
            let words: Vec<&str> = words.collect();
            let kind = prefix.to_lowercase().replace('_', " ");
            format!("{word} is no {kind}; give one of {}", words.join(", "))
        })
    };
    words.iter().map(value).collect()
}

/// A number of days; nothing where it is none.
pub(super) fn days(days: u64) -> String {
    if days == 0 {
        String::new()
    } else {
        days.to_string()
    }
}

/// Whether it is so; nothing if it is not.
pub(super) fn yes(is: bool) -> String {
    if is { "yes".to_owned() } else { String::new() }
}

/// A lot as it stands on a label.
pub(super) fn lot(lot: Option<&pb::LotKey>) -> String {
    lot.map(|lot| lot.lot.clone()).unwrap_or_default()
}

/// An amount with its unit.
pub(super) fn amount(quantity: Option<&pb::Quantity>) -> String {
    quantity
        .map(|quantity| format!("{} {}", quantity.value, quantity.unit))
        .unwrap_or_default()
}

/// The rules behind a row.
pub(super) fn basis(why: Option<&pb::Why>) -> String {
    why.map(|why| why.basis.join(" ")).unwrap_or_default()
}

/// The entries behind a row.
pub(super) fn entries(why: Option<&pb::Why>) -> String {
    let evidence = why.iter().flat_map(|why| &why.evidence);
    let indexes: Vec<String> = evidence.map(|one| one.index.to_string()).collect();
    indexes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rows: Vec<Vec<String>>) -> Shown {
        let answered = pb::Answered {
            as_of: "2024-05-15".to_owned(),
            tree_size: 7,
            view: pb::QuestionView::AsCorrected.into(),
        };
        Shown {
            message: "genetrail.v1.Answered",
            answered: Some(answered),
            tables: vec![
                Table {
                    title: "due",
                    empty: "nobody",
                    columns: &["patient", "deadline"],
                    rows,
                },
                Table {
                    title: "told",
                    empty: "nobody",
                    columns: &["patient", "channel"],
                    rows: vec![vec!["P3".to_owned(), "LETTER, \"A\"".to_owned()]],
                },
            ],
        }
    }

    #[test]
    fn a_table_has_its_title_its_columns_and_its_rows() {
        let lines = shown(vec![vec!["P1".to_owned(), "2024-05-14".to_owned()]]).lines(None);
        assert_eq!(lines[0], "due: 1");
        assert_eq!(lines[1], " patient   deadline");
        assert_eq!(lines[3], " P1        2024-05-14");
        let told = "As of 2024-05-15, known from the first 7 entries, as corrected.";
        assert_eq!(lines.last().unwrap(), told);
    }

    #[test]
    fn a_column_in_which_nothing_stands_is_left_out() {
        let lines = shown(vec![vec!["P1".to_owned(), String::new()]]).lines(None);
        assert_eq!(lines[1], " patient");
    }

    #[test]
    fn a_wide_table_is_wrapped_between_words_and_never_within_one() {
        let entries = ["1234"; 30].join(" ");
        let shown = shown(vec![vec!["9521123001015".to_owned(), entries.clone()]]);
        let lines = shown.lines(Some(40));
        let table = lines.get(..lines.len() - 6).unwrap();
        assert!(
            table.iter().all(|line| line.chars().count() <= 40),
            "{lines:#?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(" 9521123001015   1234 1234"))
        );
        assert!(
            shown
                .lines(None)
                .iter()
                .any(|line| line.ends_with(&entries))
        );
        // A width that no id fits in.
        let narrow = shown.lines(Some(9)).join("\n");
        assert!(narrow.contains("9521123001015") && !narrow.contains(" 123\n"));
    }

    #[test]
    fn a_word_that_is_none_is_answered_with_those_there_are() {
        let words = ["FOO".to_owned()];
        let asked = values(
            &words,
            "DEADLINE_STATE",
            pb::DeadlineState::from_str_name,
            pb::DeadlineState::as_str_name,
        );
        let expected = "FOO is no deadline state; give one of DUE, OVERDUE, NO_DEADLINE";
        assert_eq!(asked.unwrap_err().to_string(), expected);
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(shown(Vec::new()).lines(None)[0], "due: nobody");
    }

    #[test]
    fn csv_has_a_line_for_each_row_of_each_list() {
        let mut csv = Vec::new();
        let rows = vec![vec!["P1".to_owned(), "2024-05-14".to_owned()]];
        shown(rows).write_csv(&mut csv).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "list,patient,deadline,channel\n\
             due,P1,2024-05-14,\n\
             told,P3,,\"LETTER, \"\"A\"\"\"\n"
        );
    }

    #[test]
    fn a_word_is_without_the_name_of_its_enum() {
        let name = pb::PatientStanding::as_str_name;
        let lost = pb::PatientStanding::LostToFollowUp;
        assert_eq!(word(lost, name), "LOST_TO_FOLLOW_UP");
        assert_eq!(word(pb::PatientStanding::Unspecified, name), "");
    }
}
