//! Two drawings: what callers get and wait for, by how many they are; and what a record costs, by how many there are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use plotters::{
    coord::Shift,
    drawing::DrawingArea,
    prelude::{
        ChartBuilder, Circle, EmptyElement, IntoDrawingArea as _, IntoLogRange as _, PathElement,
        RGBColor, SVGBackend, Text,
    },
    style::{BLACK, Color as _, IntoFont as _, WHITE},
};

use super::{
    Bench,
    callers::Served,
    figures::{quantile, real, real_len},
    row::median,
};

/// So many callers at once, each waiting for its answer.
const CALLERS: [usize; 6] = [1, 4, 16, 64, 256, 1_024];

const WIDTH: u32 = 760;
const PANEL_HEIGHT: u32 = 300;

/// Where a line's name stands: right of its last point, in pixels.
const BESIDE: (i32, i32) = (8, -6);

const BLUE: RGBColor = RGBColor(0x1f, 0x5a, 0x96);
const RED: RGBColor = RGBColor(0xb0, 0x3a, 0x2e);

type Drawn<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A line through points, and what it is.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// A drawing: its name, what lies along its foot, and what is above.
struct Panel {
    title: String,
    foot: &'static str,
    side: &'static str,
    lines: Vec<Line>,
}

/// Measures what is drawn and draws it; answers the files.
pub(crate) fn plot(bench: &Bench, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut files = Vec::new();
    for (name, panels) in [
        ("callers.svg", by_callers(bench)?),
        ("growth.svg", vec![by_entries(bench)?]),
    ] {
        let file = dir.join(name);
        fs::write(&file, drawn(&panels)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// What callers get, and how long they wait, by how many they are.
fn by_callers(bench: &Bench) -> anyhow::Result<Vec<Panel>> {
    let home = bench.scratch("callers")?;
    let product = Served::new(&home.join("ledger"))?;
    let rounds = bench.rounds(|| {
        let answered = CALLERS.map(|callers| {
            let answered = product.load(callers, bench.effort.load)?;
            let (p50, p99) = (
                quantile(&answered.waits, 500),
                quantile(&answered.waits, 990),
            );
            anyhow::Ok((answered.rate, p50 * 1e3, p99 * 1e3))
        });
        answered.into_iter().collect::<anyhow::Result<Vec<_>>>()
    })?;
    product.end()?;
    let line = |name, colour, of: fn(&(f64, f64, f64)) -> f64| {
        let points = CALLERS.iter().enumerate().map(|(at, callers)| {
            let mut values: Vec<f64> = rounds.iter().filter_map(|r| r.get(at)).map(of).collect();
            values.sort_by(f64::total_cmp);
            (real_len(*callers), median(&values))
        });
        let points = points.collect();
        Line {
            name,
            colour,
            points,
        }
    };
    let foot = "callers, each waiting for its receipt";
    Ok(vec![
        Panel {
            title: "Receipts a second".to_owned(),
            foot,
            side: "receipts/s",
            lines: vec![line("", BLUE, |(rate, _, _)| *rate)],
        },
        Panel {
            title: "How long a caller waits".to_owned(),
            foot,
            side: "ms",
            lines: vec![
                line("p50", BLUE, |(_, p50, _)| *p50),
                line("p99", RED, |(_, _, p99)| *p99),
            ],
        },
    ])
}

/// What a record cost while a ledger grew, by how many there were.
fn by_entries(bench: &Bench) -> anyhow::Result<Panel> {
    let grown = bench.grown(bench.effort.entries)?;
    let points = grown.steps.iter().map(|(at, micros)| (real(*at), *micros));
    Ok(Panel {
        title: "What a record costs while the ledger grows".to_owned(),
        foot: "entries",
        side: "us a record",
        lines: vec![Line {
            name: "",
            colour: BLUE,
            points: points.collect(),
        }],
    })
}

/// The panels below one another, as SVG.
fn drawn(panels: &[Panel]) -> anyhow::Result<String> {
    let mut svg = String::new();
    draw(&mut svg, panels).map_err(|error| anyhow!("a plot cannot be drawn: {error}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, panels: &[Panel]) -> Drawn<()> {
    let count = u32::try_from(panels.len())?;
    let size = (WIDTH, PANEL_HEIGHT * count);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;
    for (part, panel) in area.split_evenly((panels.len(), 1)).iter().zip(panels) {
        draw_panel(part, panel)?;
    }
    area.present()?;
    Ok(())
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> Drawn<()> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max);
    let least_foot = points()
        .map(|(foot, _)| *foot)
        .fold(f64::INFINITY, f64::min);
    let most_foot = most(|(foot, _)| *foot);
    // Room for the name behind the last point, and above the highest.
    let feet = (least_foot.min(most_foot)..most_foot * 1.4).log_scale();
    let sides = 0.0..most(|(_, side)| *side) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(&panel.title, ("sans-serif", 18))
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(feet, sides)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(5)
        .x_desc(panel.foot)
        .y_desc(panel.side)
        .x_label_formatter(&|foot| short(*foot))
        .y_label_formatter(&|side| short(*side))
        .label_style(("sans-serif", 13))
        .draw()?;
    let font = ("sans-serif", 13).into_font().color(&BLACK);
    for line in &panel.lines {
        let colour = line.colour;
        let path = PathElement::new(line.points.clone(), colour.stroke_width(2));
        chart.draw_series([path])?;
        let dots = line.points.iter();
        chart.draw_series(dots.map(|point| Circle::new(*point, 3, colour.filled())))?;
        let name = line.points.last();
        chart.draw_series(
            name.map(|at| EmptyElement::at(*at) + Text::new(line.name, BESIDE, font.clone())),
        )?;
    }
    Ok(())
}

/// A number in few characters: 1.5k, 20k, 10M.
fn short(number: f64) -> String {
    let (number, unit) = match number {
        millions if 1e6 <= millions => (millions / 1e6, "M"),
        thousands if 1e3 <= thousands => (thousands / 1e3, "k"),
        ones => (ones, ""),
    };
    let text = format!("{number:.1}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (64.0, "64"),
            (1_500.0, "1.5k"),
            (20_000.0, "20k"),
            (1e7, "10M"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn a_drawing_has_its_titles_its_axes_and_its_lines() {
        let panel = |name| Panel {
            title: "Receipts a second".to_owned(),
            foot: "callers",
            side: "receipts/s",
            lines: vec![Line {
                name,
                colour: BLUE,
                points: vec![(1.0, 900.0), (64.0, 20_000.0), (1_024.0, 40_000.0)],
            }],
        };
        let svg = drawn(&[panel("p50"), panel("p99")]).unwrap();
        for part in [
            "<svg",
            "Receipts a second",
            "callers",
            "receipts/s",
            "p50",
            "p99",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 6);
    }

    #[test]
    fn a_drawing_of_nothing_is_one() {
        let panel = Panel {
            title: String::new(),
            foot: "",
            side: "",
            lines: Vec::new(),
        };
        assert!(drawn(&[panel]).unwrap().contains("<svg"));
    }
}
