//! The README shows what is run: its "three lines" are a file that the library's documentation runs as a test.

#[test]
fn the_three_lines_of_the_readme_are_those_that_are_run() {
    let readme = include_str!("../README.md");
    let lines = include_str!("../lstm-kernels/src/from_pytorch/three_lines.rs");
    assert!(readme.contains(&format!("```rust\n{lines}```\n")), "expected in README.md:\n{lines}");
}
