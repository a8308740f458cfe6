//! The report as one page: it loads nothing, prints on paper, and says every figure also as text. Markup is written
//! with a template that escapes; the charts come from `chart`.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::prelude::RGBColor;

use super::{
    VERDICTS,
    chart::{self, Bar},
    count, counted, of, summary, words,
};
use crate::pb::{Conformity, ConformityRow, ConformityVerdict, QuestionView};

/// The rows with the most exceptions that are charted.
const WORST_MAX: usize = 12;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(report: &Conformity) -> anyhow::Result<String> {
    let answered = report.answered.clone().unwrap_or_default();
    let view = match answered.view() {
        QuestionView::AsRecorded => "as recorded",
        QuestionView::Unspecified | QuestionView::AsCorrected => "as corrected",
    };
    let verdicts = verdicts(report)?;
    let worst = worst(report)?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Conformity of " (report.product_id) " as of " (answered.as_of) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Conformity of " (report.product_id) }
                    p { (report.product_name) }
                    p {
                        "Against the guideline on long-term follow-up after gene therapy (NMPA/CDE, December \
                         2021). As of " (answered.as_of) ", computed from the first " (answered.tree_size)
                        " entries of the log, " (view) ". Whoever has these entries can compute the same."
                    }
                    p { (summary(report)) }
                }
                main {
                    (verdicts)
                    (worst)
                    (obligations(report))
                    (exceptions(report))
                }
                footer {
                    p {
                        "Met: something was looked at, and all of it conforms. Not met: something does not. Not \
                         applicable: the obligation is not this product's, or has not arisen. Cannot tell: the log \
                         does not hold what it would take."
                    }
                }
            }
        }
    };
    Ok(page.into_string())
}

/// The chart and the table of how many obligations have which verdict.
fn verdicts(report: &Conformity) -> anyhow::Result<Markup> {
    let bars = VERDICTS.map(|verdict| Bar {
        name: words(verdict),
        length: u64::try_from(count(report, verdict)).unwrap_or(u64::MAX),
        colour: colour(verdict),
    });
    let svg = chart::bars("Obligations by verdict", &bars)?;
    Ok(html! {
        section {
            h2 { "Verdicts" }
            figure {
                (PreEscaped(svg))
                figcaption { "Obligations by verdict; the table says the same." }
            }
            (numbers("Obligations by verdict", ("verdict", "obligations"), &bars))
        }
    })
}

/// The chart and the table of the obligations with the most exceptions.
fn worst(report: &Conformity) -> anyhow::Result<Markup> {
    let mut rows: Vec<&ConformityRow> = report.rows.iter().collect();
    rows.retain(|row| 0 < row.exceptions_total);
    rows.sort_by_key(|row| std::cmp::Reverse(row.exceptions_total));
    rows.truncate(WORST_MAX);
    let bars: Vec<Bar> = rows
        .iter()
        .map(|row| Bar {
            name: row.obligation.clone(),
            length: row.exceptions_total,
            colour: colour(row.verdict()),
        })
        .collect();
    if bars.is_empty() {
        return Ok(html! { section { h2 { "Exceptions" } p { "There are none." } } });
    }
    let svg = chart::bars("Exceptions by obligation", &bars)?;
    Ok(html! {
        section {
            h2 { "Exceptions by obligation" }
            figure {
                (PreEscaped(svg))
                figcaption { "The obligations with the most exceptions; the table says the same." }
            }
            (numbers("Exceptions by obligation", ("obligation", "exceptions"), &bars))
        }
    })
}

/// The figures of a chart, as text.
fn numbers(caption: &str, (name, number): (&str, &str), bars: &[Bar]) -> Markup {
    html! {
        table.numbers {
            caption { (caption) }
            thead { tr { th scope="col" { (name) } th scope="col" { (number) } } }
            tbody {
                @for bar in bars {
                    tr { th scope="row" { (bar.name) } td { (bar.length) } }
                }
            }
        }
    }
}

/// Every obligation.
fn obligations(report: &Conformity) -> Markup {
    html! {
        section {
            h2 { "Obligations" }
            table {
                caption { "Each obligation of the guideline, what was checked, and how the product stands" }
                thead {
                    tr {
                        @for name in ["no.", "section", "obligation", "checked", "verdict", "counts", "why"] {
                            th scope="col" { (name) }
                        }
                    }
                }
                tbody {
                    @for row in &report.rows {
                        tr {
                            th scope="row" { (row.obligation) }
                            td { (row.section) }
                            td { (row.asks) }
                            td { (row.checked) }
                            td class=(class(row.verdict())) { (words(row.verdict())) }
                            td { (counted(row)) }
                            td { (why(row)) }
                        }
                    }
                }
            }
        }
    }
}

/// Why a verdict is what it is, with the way to what shows it.
fn why(row: &ConformityRow) -> Markup {
    html! {
        @if !row.because.is_empty() {
            (row.because)
        } @else if 0 < row.exceptions_total {
            a href={ "#" (row.obligation) } {
                (row.exceptions_total) @if row.exceptions_total == 1 { " exception" } @else { " exceptions" }
            }
        } @else if let Some(first) = row.evidence.first() {
            "entry " (first.index)
            @if 1 < row.evidence.len() { " and others" }
        }
    }
}

/// What does not conform, obligation by obligation.
fn exceptions(report: &Conformity) -> Markup {
    let rows = report.rows.iter().filter(|row| !row.exceptions.is_empty());
    html! {
        section {
            h2 { "Exceptions" }
            @for row in rows {
                section id=(row.obligation) {
                    h3 { (row.obligation) ": " (row.asks) }
                    table {
                        caption {
                            "Exceptions to " (row.obligation) ": "
                            @if row.exceptions.len() as u64 == row.exceptions_total {
                                (row.exceptions_total)
                            } @else {
                                "the first " (row.exceptions.len()) " of " (row.exceptions_total)
                            }
                        }
                        thead {
                            tr {
                                @for name in ["of", "what does not conform", "entries"] {
                                    th scope="col" { (name) }
                                }
                            }
                        }
                        tbody {
                            @for one in &row.exceptions {
                                tr {
                                    th scope="row" { (of(one)) }
                                    td { (one.reason) }
                                    td {
                                        @for (at, entry) in one.evidence.iter().enumerate() {
                                            @if 0 < at { " " }
                                            span title=(entry.record_id) { (entry.index) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Told apart also in grey: by their words in the tables, by their names in the charts.
const fn colour(verdict: ConformityVerdict) -> RGBColor {
    match verdict {
        ConformityVerdict::NotMet => RGBColor(178, 34, 34),
        ConformityVerdict::CannotTell => RGBColor(204, 140, 20),
        ConformityVerdict::Met => RGBColor(34, 110, 60),
        ConformityVerdict::NotApplicable | ConformityVerdict::Unspecified => {
            RGBColor(120, 120, 120)
        }
    }
}

const fn class(verdict: ConformityVerdict) -> &'static str {
    match verdict {
        ConformityVerdict::NotMet => "not-met",
        ConformityVerdict::CannotTell => "cannot-tell",
        ConformityVerdict::Met => "met",
        ConformityVerdict::NotApplicable | ConformityVerdict::Unspecified => "not-applicable",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn the_page_stands_alone() {
        let page = page(&report()).unwrap();
        for outside in [
            "http:", "https:", "//", "src=", "@import", "url(", "<script", "<link",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn text_of_records_is_escaped() {
        let page = page(&report()).unwrap();
        assert!(page.contains("a &lt;script&gt;product&lt;/script&gt;"));
        assert!(page.contains("12 days &lt;late&gt; &amp; &quot;more&quot;"));
    }

    #[test]
    fn every_chart_has_a_title_and_its_figures_as_text() {
        let page = page(&report()).unwrap();
        assert_eq!(page.matches("<svg").count(), 2);
        for title in ["Obligations by verdict", "Exceptions by obligation"] {
            assert!(page.contains(&format!("<title>{title}</title>")), "{title}");
            assert!(
                page.contains(&format!("<caption>{title}</caption>")),
                "{title}"
            );
        }
        assert!(page.contains("<th scope=\"row\">not met</th><td>1</td>"));
        assert!(page.contains("<th scope=\"row\">A-39</th><td>2</td>"));
    }

    #[test]
    fn every_obligation_and_every_exception_is_on_the_page_with_its_entries() {
        let page = page(&report()).unwrap();
        for text in [
            "A-12",
            "the product edits no genes",
            "record the reports",
            "href=\"#A-39\"",
            "id=\"A-39\"",
            "title=\"record-17\">17<",
            "As of 2026-01-15",
            "first 177 entries",
        ] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn the_page_prints() {
        let page = page(&report()).unwrap();
        assert!(page.contains("@media print"));
        assert!(page.contains("<html lang=\"en\">"));
        assert_eq!(
            page.matches("<table").count(),
            page.matches("<caption>").count()
        );
    }

    #[test]
    fn a_report_without_exceptions_says_so() {
        let mut report = report();
        for row in &mut report.rows {
            row.exceptions.clear();
            row.exceptions_total = 0;
        }
        let page = page(&report).unwrap();
        assert!(page.contains("There are none."));
        assert_eq!(page.matches("<svg").count(), 1);
    }
}
