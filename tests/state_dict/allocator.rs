//! How much memory a reader takes.

use std::hint::black_box;

use support::{Allocator, peak};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

#[test]
fn the_peak_is_the_peak() {
    let (_, bytes) = peak(|| {
        drop(black_box(vec![0u8; 1000]));
        drop(black_box(vec![0u8; 3000]));
    });
    assert_eq!(bytes, 3000);
    let (_, bytes) = peak(|| (black_box(vec![0u8; 1000]), black_box(vec![0u8; 3000])));
    assert_eq!(bytes, 4000);
}
