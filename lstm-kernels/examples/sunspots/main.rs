//! Forecasts the monthly sunspot numbers, one month at a time, with an LSTM cell trained in PyTorch (`train.py`).
//!
//! `cargo run --release --example sunspots`
//!
//! It streams the recorded series through the cell, compares the forecasts with those of persistence ("next month will
//! be as this one") and the cell with an f64 reference, times the steps beside a plain scalar loop, and draws a
//! picture.

mod model;
mod plot;
mod timing;

use std::error::Error;

use lstm_kernels::reference;
use model::{MODEL, SunspotCell, Tensors};

/// Months before this one trained the model; from here on it has seen nothing.
const TEST: usize = 2340;

fn main() -> Result<(), Box<dyn Error>> {
    let series = read_series(include_str!("sunspots.csv"))?;

    // forecasts[t] is made in month t, for month t + 1.
    let mut state = SunspotCell::zero_state();
    let forecasts: Vec<f32> = series.iter().map(|&sunspots| model::forecast(sunspots, &mut state)).collect();

    let truth = &series[TEST..];
    let lstm = rmse(&forecasts[TEST - 1..], truth);
    let persistence = rmse(&series[TEST - 1..], truth);
    println!(
        "monthly sunspot numbers, 1749 to 2008: {} months, the last {} unseen in training",
        series.len(),
        truth.len()
    );
    println!("root mean square error of the forecast for the next month:");
    println!("  LSTM         {lstm:.2}");
    println!("  persistence  {persistence:.2}");

    let tensors = Tensors::read(include_bytes!("sunspots.safetensors"))?;
    let difference = difference_from_f64(&tensors, &series)?;
    println!("kernel `{}`, largest difference of h from an f64 LSTM: {difference:.1e}", MODEL.isa());

    let inputs: Vec<[f32; 1]> = series.iter().map(|&sunspots| [model::normalise(sunspots)]).collect();
    timing::report(&tensors, &inputs);

    println!("picture: {}", plot::draw(truth, &forecasts[TEST - 1..])?.display());

    if lstm >= persistence {
        return Err("the LSTM does not beat persistence".into());
    }
    if difference > 1e-6 {
        return Err("the kernel differs from the f64 reference by more than 1e-6".into());
    }
    Ok(())
}

/// The column `sunspots` of the CSV file.
fn read_series(csv: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    csv.lines().skip(1).map(|line| Ok(line.rsplit(',').next().unwrap_or_default().parse()?)).collect()
}

/// Root mean square error. Of forecasts one longer than the truth the last, which nothing can judge, is left out.
fn rmse(forecasts: &[f32], truth: &[f32]) -> f64 {
    let squares = forecasts.iter().zip(truth).map(|(a, b)| f64::from(a - b).powi(2));
    (squares.sum::<f64>() / truth.len() as f64).sqrt()
}

/// The largest difference of any h from the textbook LSTM in f64, over the whole series.
fn difference_from_f64(tensors: &Tensors, series: &[f32]) -> Result<f64, lstm_kernels::Error> {
    let oracle = reference::Cell::new(&tensors.view(), 1, 16)?;
    let (mut h, mut c) = ([0.0; 16], [0.0; 16]);
    let mut state = SunspotCell::zero_state();
    let mut largest = 0f64;
    for &sunspots in series {
        let x = model::normalise(sunspots);
        oracle.step(&[f64::from(x)], &mut h, &mut c);
        for (ours, exact) in MODEL.step(&[x], &mut state).iter().zip(h) {
            largest = largest.max((f64::from(*ours) - exact).abs());
        }
    }
    Ok(largest)
}
