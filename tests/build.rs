//! Sets `all_cells`: whether the tests go through all cells, as in a release build. In a debug build each takes the
//! compiler seconds, and what it adds are assertions in code that cells share.

use std::env::var;

/// `few` or `all`, whatever the build.
const VARIABLE: &str = "LSTM_KERNELS_CELLS";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rustc-check-cfg=cfg(all_cells)");
    let all = match var(VARIABLE).as_deref() {
        Ok("all") => true,
        Ok("few") => false,
        Ok(other) => panic!("{VARIABLE} is `{other}`, expected `few` or `all`"),
        Err(_) => var("PROFILE").is_ok_and(|profile| profile == "release"),
    };
    if all {
        println!("cargo::rustc-cfg=all_cells");
    }
}
