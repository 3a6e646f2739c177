//! The record as a picture: nanoseconds of a step against the hidden size, both logarithmic, over what the core can do.

use std::path::Path;

use bench_support::SIZES;
use bench_support::limits::Bound;
use plotters::coord::combinators::{BindKeyPoints, IntoLogRange, LogCoord};
use plotters::prelude::*;

use crate::engines::Fallible;
use crate::record::{Case, Record};
use crate::table::{is_ours, number};

/// One point for each hidden size: one input up to H = 40, as in an amplifier, and as many as units from 64 on.
fn drawn(&(input, hidden): &(usize, usize)) -> bool {
    (input == 1 && hidden <= 40) || (input == hidden && hidden >= 64)
}

const COLORS: [RGBColor; 12] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(23, 190, 207),
    RGBColor(188, 189, 34),
    RGBColor(99, 110, 250),
    RGBColor(90, 90, 90),
    RGBColor(214, 39, 40),
    RGBColor(0, 128, 96),
];

/// One of the three times that bound a step.
type Cause = fn(Bound) -> f64;

/// Writes the SVG.
pub fn draw(record: &Record, path: &Path) -> Fallible<()> {
    let root = SVGBackend::new(path, (960, 640)).into_drawing_area();
    root.fill(&WHITE)?;
    let steps: Vec<_> = record.results.figures.iter().filter(|figure| figure.case == Case::Step).collect();
    let top = steps.iter().map(|figure| figure.ns).fold(1e3, f64::max) * 1.5;
    let sizes: LogCoord<f64> = (7.0..600.0).log_scale().into();
    let times: LogCoord<f64> = (1.0..top).log_scale().into();
    let drawn_sizes = SIZES.iter().filter(|size| drawn(size)).map(|&(_, hidden)| hidden as f64);
    let mut chart = ChartBuilder::on(&root)
        .caption("One LSTM step (input 1 up to H = 40, input H from 64)", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(
            sizes.with_key_points(drawn_sizes.collect()),
            times.with_key_points((0..7).map(|power| 10_f64.powi(power)).take_while(|ns| *ns < top).collect()),
        )?;
    chart
        .configure_mesh()
        .x_desc("hidden size")
        .y_desc("ns")
        .label_style(("sans-serif", 14))
        .x_label_formatter(&|size| number(*size))
        .y_label_formatter(&|ns| number(*ns))
        .draw()?;

    let limits = record.limits.limits();
    let causes: [(&str, Cause, f64); 3] = [
        ("limit: multiply-adds", |bound| bound.fma, 0.6),
        ("limit: bandwidth", |bound| bound.bandwidth, 0.4),
        ("limit: latency", |bound| bound.latency, 0.2),
    ];
    for (name, cause, shade) in causes {
        let point = |&(input, hidden): &(usize, usize)| (hidden as f64, cause(limits.step(input, hidden)));
        let points = SIZES.iter().filter(|size| drawn(size)).map(point);
        let style = BLACK.mix(shade);
        chart
            .draw_series(DashedLineSeries::new(points, 6, 4, style.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style.stroke_width(2)));
    }
    let mut colors = COLORS.iter().cycle();
    for engine in record.results.engines() {
        let of_engine = steps.iter().filter(|figure| figure.engine == engine);
        let points: Vec<_> = of_engine
            .filter(|figure| drawn(&(figure.input, figure.hidden)))
            .map(|figure| (figure.hidden as f64, figure.ns))
            .collect();
        if points.is_empty() {
            continue;
        }
        let color = *colors.next().unwrap_or(&BLACK);
        let style = color.stroke_width(if is_ours(engine) { 4 } else { 2 });
        chart
            .draw_series(LineSeries::new(points, style).point_size(3))?
            .label(engine)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    root.present()?;
    Ok(())
}
