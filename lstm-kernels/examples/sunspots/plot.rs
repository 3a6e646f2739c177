//! The picture: the unseen months, and what was forecast for each a month earlier.

use std::error::Error;
use std::path::PathBuf;

use plotters::prelude::*;

/// The first unseen month is January 1944.
const FIRST_YEAR: f32 = 1944.0;

/// Draws it beside the program, below `target/`, and returns its path.
pub fn draw(truth: &[f32], forecasts: &[f32]) -> Result<PathBuf, Box<dyn Error>> {
    let path = std::env::current_exe()?.with_extension("svg");
    let months = |values: &[f32]| -> Vec<(f32, f32)> {
        values.iter().take(truth.len()).enumerate().map(|(n, &v)| (FIRST_YEAR + n as f32 / 12.0, v)).collect()
    };
    let root = SVGBackend::new(&path, (1400, 500)).into_drawing_area();
    root.fill(&WHITE)?;
    let last_year = FIRST_YEAR + truth.len() as f32 / 12.0;
    let mut chart = ChartBuilder::on(&root)
        .caption("Monthly sunspot numbers, forecast one month ahead", ("sans-serif", 24))
        .margin(15)
        .x_label_area_size(35)
        .y_label_area_size(50)
        .build_cartesian_2d(FIRST_YEAR..last_year, 0f32..280f32)?;
    chart.configure_mesh().x_label_formatter(&|year| format!("{year:.0}")).light_line_style(WHITE).draw()?;
    let grey = RGBColor(150, 150, 150);
    chart
        .draw_series(LineSeries::new(months(truth), grey.stroke_width(2)))?
        .label("recorded")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], grey.stroke_width(2)));
    chart
        .draw_series(LineSeries::new(months(forecasts), RED.stroke_width(1)))?
        .label("forecast by the LSTM")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], RED));
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(path)
}
