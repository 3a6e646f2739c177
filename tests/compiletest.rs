//! What the compiler says about a mistake in `lstm_cell!` or in the use of its struct: one kind of mistake a file, and
//! the caret at the token that is wrong. After a change of messages: `TRYBUILD=overwrite cargo test --test
//! compiletest`.

use std::fs;
use std::path::Path;

#[test]
fn mistakes_are_reported_at_their_token() {
    // `weights` is relative to the root of the crate that is compiled: here the one that trybuild writes.
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tests").join("trybuild/lstm-kernels-tests/bake");
    fs::create_dir_all(&root).expect("a writable target folder");
    let files =
        fs::read_dir("data/bake").expect("the files to refuse").map(|file| file.expect("a readable folder").path());
    for file in files.chain(["data/model.safetensors".into()]) {
        fs::copy(&file, root.join(file.file_name().expect("a file"))).expect("a writable target folder");
    }
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
