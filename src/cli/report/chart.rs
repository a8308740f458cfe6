//! The charts of the page, as SVG that stands in the page itself. What they show is also in a table beside them.

use anyhow::anyhow;
use plotters::prelude::{
    ChartBuilder, IntoDrawingArea as _, IntoSegmentedCoord as _, RGBColor, Rectangle, SVGBackend,
    SegmentValue, Text, TextStyle,
};
use plotters::style::{Color as _, IntoFont as _, WHITE};

/// A bar: its name, its length, its colour.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) colour: RGBColor,
}

const WIDTH: u32 = 720;
const BAR_HEIGHT: u32 = 34;
const MARGINS_HEIGHT: u32 = 46;

/// A chart of horizontal bars, each with its number. It bears its title, for who does not see it.
pub(super) fn bars(title: &str, bars: &[Bar]) -> anyhow::Result<String> {
    let rows = u32::try_from(bars.len())?;
    let height = rows.max(1) * BAR_HEIGHT + MARGINS_HEIGHT;
    // The axis goes upwards, and people read downwards.
    let bars: Vec<Bar> = bars.iter().rev().cloned().collect();
    let mut svg = String::new();
    draw(&mut svg, &bars, height).map_err(|error| anyhow!("the chart cannot be drawn: {error}"))?;
    Ok(titled(&svg, title))
}

fn draw(
    svg: &mut String,
    bars: &[Bar],
    height: u32,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let longest = bars.iter().map(|bar| bar.length).max().unwrap_or(0).max(1);
    let count = i32::try_from(bars.len())?.max(1);
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    // Room for the number behind the longest bar.
    let end = longest + longest.div_ceil(8);
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(150)
        .build_cartesian_2d(0..end, (0..count - 1).into_segmented())?;
    let name = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => usize::try_from(*at)
            .ok()
            .and_then(|at| bars.get(at))
            .map(|bar| bar.name.clone())
            .unwrap_or_default(),
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .x_labels(6)
        .label_style(("sans-serif", 14))
        .draw()?;
    let drawn = bars.iter().zip(0..).map(|(bar, at)| {
        let (from, to) = (SegmentValue::Exact(at), SegmentValue::Exact(at + 1));
        let mut rectangle = Rectangle::new([(0, from), (bar.length, to)], bar.colour.filled());
        rectangle.set_margin(5, 5, 0, 0);
        rectangle
    });
    chart.draw_series(drawn)?;
    let style = TextStyle::from(("sans-serif", 14).into_font());
    let numbers = bars.iter().zip(0..).map(|(bar, at)| {
        let place = (bar.length, SegmentValue::CenterOf(at));
        Text::new(format!(" {}", bar.length), place, style.clone())
    });
    chart.draw_series(numbers)?;
    area.present()?;
    Ok(())
}

/// The drawing with its title, and without the namespace, which is no address and which HTML does not need.
fn titled(svg: &str, title: &str) -> String {
    let body = svg.find('>').and_then(|end| svg.get(end + 1..));
    let head = svg.split('>').next().unwrap_or_default();
    let size = |name: &str| {
        let from = head.find(&format!(" {name}=\""))? + name.len() + 3;
        head.get(from..)?.split('"').next()
    };
    let title = escaped(title);
    format!(
        "<svg role=\"img\" aria-label=\"{title}\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\">\
         <title>{title}</title>{2}",
        size("width").unwrap_or("720"),
        size("height").unwrap_or("200"),
        body.unwrap_or_default()
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    maud::Render::render_to(&text, &mut escaped);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> String {
        let colour = RGBColor(10, 20, 30);
        let bar = |name: &str, length| Bar {
            name: name.to_owned(),
            length,
            colour,
        };
        bars("Verdicts & <more>", &[bar("met", 12), bar("not met", 30)]).unwrap()
    }

    #[test]
    fn a_chart_has_its_title_its_names_and_its_numbers() {
        let svg = two();
        assert!(svg.starts_with("<svg role=\"img\""));
        assert!(
            svg.contains("<title>Verdicts &amp; &lt;more&gt;</title>"),
            "{svg}"
        );
        for text in ["met", "not met", "12", "30"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn a_chart_names_no_address() {
        assert!(!two().contains("http"));
    }

    #[test]
    fn a_chart_of_nothing_can_be_drawn() {
        assert!(
            bars("Nothing", &[])
                .unwrap()
                .contains("<title>Nothing</title>")
        );
    }
}
