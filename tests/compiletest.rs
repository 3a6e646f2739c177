//! What the compiler says about a mistake in `lstm_cell!` or in the use of its struct: one mistake a file, and the caret
//! at the token that is wrong. After a change of messages: `TRYBUILD=overwrite cargo test --test compiletest`.

#[test]
fn mistakes_are_reported_at_their_token() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
