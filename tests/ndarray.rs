//! Arrays in and out: the same numbers as slices, whatever the strides.

use lstm_kernels::lstm::Input;
use lstm_kernels::{Error, Lstm, LstmConfig, LstmWeights};
use ndarray::{Array, Array2, Array3, ArrayD, ArrayView2, Axis, s};
use support::Random;

const STEPS: usize = 5;
const BATCH: usize = 4;
const INPUT: usize = 3;

/// Two layers, both directions, projected from 6 to 2.
fn lstm(batch_first: bool) -> Lstm {
    let config = LstmConfig::new(INPUT, 6).num_layers(2).bidirectional(true).proj_size(2).bias(false);
    let mut random = Random::new(3);
    let tensors: Vec<_> =
        [INPUT, INPUT, 4, 4].map(|input| [24 * input, 24 * 2, 2 * 6].map(|len| random.uniforms(len, 0.5))).into();
    let weights: Vec<_> =
        tensors.iter().map(|[ih, hh, hr]| LstmWeights::torch(ih, hh, None).with_projection(hr)).collect();
    Lstm::new(config, &weights).expect("fitting weights").batch_first(batch_first)
}

fn random<D: ndarray::Dimension>(shape: impl ndarray::ShapeBuilder<Dim = D>) -> Array<f32, D> {
    let mut random = Random::new(11);
    Array::from_shape_simple_fn(shape, || random.normal())
}

#[test]
fn arrays_give_what_slices_give() {
    for batch_first in [false, true] {
        let lstm = lstm(batch_first);
        let shape = if batch_first { [BATCH, STEPS, INPUT] } else { [STEPS, BATCH, INPUT] };
        let (x, h_0, c_0) = (random(shape), random((4, BATCH, 2)), random((4, BATCH, 6)));
        let slice = |a: &'_ Array3<f32>| a.as_slice().expect("standard layout").to_vec();
        let data = slice(&x);
        for lengths in [None, Some(&[2, 5, 1, 4][..])] {
            let input = Input::new(&data, &shape);
            let input = lengths.map_or(input, |lengths| input.lengths(lengths));

            let (found, expected) = (lstm.forward_array(x.view(), lengths, None), lstm.forward(input, None));
            let (found, expected) = (found.expect("arrays"), expected.expect("slices"));
            let initial = Some((h_0.view(), c_0.view()));
            let (h, c) = (slice(&h_0), slice(&c_0));
            let from_states = lstm.forward_array(x.view(), lengths, initial).expect("arrays");
            let expected_from_states = lstm.forward(input, Some((&h, &c))).expect("slices");
            assert_ne!(found, from_states, "the states make a difference");
            for (found, expected) in [(found, expected), (from_states, expected_from_states)] {
                let arrays = [(found.output, expected.output), (found.h_n, expected.h_n), (found.c_n, expected.c_n)];
                for (found, expected) in arrays {
                    assert_eq!(found.shape(), expected.shape);
                    assert_eq!(found.as_slice(), Some(&expected.data[..]), "standard layout, the same bits");
                }
            }
        }
    }
}

#[test]
fn one_sequence_has_a_dimension_less() {
    let lstm = lstm(false);
    let (x, h_0, c_0) = (random((STEPS, INPUT)), random((4, 2)), random((4, 6)));
    let one = lstm.forward_array(x.view(), None, Some((h_0.view(), c_0.view()))).expect("arrays");
    let (x, h_0, c_0) = (x.insert_axis(Axis(1)), h_0.insert_axis(Axis(1)), c_0.insert_axis(Axis(1)));
    let batch = lstm.forward_array(x.view(), None, Some((h_0.view(), c_0.view()))).expect("arrays");
    assert_eq!(one.output.insert_axis(Axis(1)), batch.output);
    assert_eq!(one.h_n.insert_axis(Axis(1)), batch.h_n);
    assert_eq!(one.c_n.insert_axis(Axis(1)), batch.c_n);
}

#[test]
fn strides_do_not_matter() {
    let lstm = lstm(false);
    let (x, h_0, c_0) = (random((STEPS, BATCH, INPUT)), random((4, BATCH, 2)), random((4, BATCH, 6)));
    let expected = lstm.forward_array(x.view(), None, Some((h_0.view(), c_0.view()))).expect("arrays");

    // Fortran order; every other column of a larger array; backwards in memory; batch and steps exchanged in memory.
    let mut fortran = Array3::zeros(ndarray::ShapeBuilder::f(x.raw_dim()));
    fortran.assign(&x);
    let mut columns = Array3::from_elem((STEPS, BATCH, 2 * INPUT), f32::NAN);
    columns.slice_mut(s![.., .., ..;2]).assign(&x);
    let mut backwards = x.clone();
    backwards.invert_axis(Axis(0));
    let backwards = backwards.as_standard_layout().into_owned();
    let exchanged = x.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
    let views = [
        fortran.view(),
        columns.slice(s![.., .., ..;2]),
        backwards.slice(s![..;-1, .., ..]),
        exchanged.view().permuted_axes([1, 0, 2]),
    ];
    let (h_0, c_0) = (h_0.view().reversed_axes(), c_0.view().reversed_axes());
    let (h_0, c_0) = (h_0.as_standard_layout().into_owned(), c_0.as_standard_layout().into_owned());
    for (n, view) in views.into_iter().enumerate() {
        assert!(view.as_slice().is_none(), "view {n} is in standard layout");
        let states = (h_0.view().reversed_axes(), c_0.view().reversed_axes());
        assert!(states.0.as_slice().is_none() && states.1.as_slice().is_none());
        assert_eq!(lstm.forward_array(view, None, Some(states)).expect("arrays"), expected, "view {n}");
    }
}

#[test]
fn dimensions_known_at_run_time_are_checked_there() {
    let lstm = lstm(false);
    let (x, flat) = (random((STEPS, BATCH, INPUT)), random((STEPS, INPUT)));
    let (x_dyn, flat_dyn): (ArrayD<f32>, ArrayD<f32>) = (x.clone().into_dyn(), flat.clone().into_dyn());
    let output = |x: &ArrayD<f32>| lstm.forward_array(x.view(), None, None).expect("two or three dimensions").output;
    assert_eq!(output(&x_dyn), lstm.forward_array(x.view(), None, None).expect("three").output.into_dyn());
    assert_eq!(output(&flat_dyn), lstm.forward_array(flat.view(), None, None).expect("two").output.into_dyn());
    for shape in [&[][..], &[3], &[1, 5, 4, 3], &[0, 4, 3], &[5, 4, 2]] {
        match lstm.forward_array(ArrayD::zeros(shape).view(), None, None) {
            Err(Error::WrongShape { tensor: "input", found, dimensions, .. }) => {
                assert_eq!((&found[..dimensions.min(4)], dimensions), (shape, shape.len()));
            }
            other => panic!("{shape:?}: {other:?}"),
        }
    }
    let none = lstm.forward_array(ArrayD::zeros(&[5, 0, 3][..]).view(), None, None).expect("a batch of no sequences");
    assert_eq!(
        (none.output.shape(), none.h_n.shape(), none.c_n.shape()),
        (&[5, 0, 4][..], &[4, 0, 2][..], &[4, 0, 6][..])
    );
}

#[test]
fn states_of_another_shape_are_refused_even_with_as_many_elements() {
    let lstm = lstm(false);
    let x = random((STEPS, BATCH, INPUT));
    let refused = |h: (usize, usize, usize), c: (usize, usize, usize)| {
        let (h, c) = (Array3::zeros(h), Array3::zeros(c));
        lstm.forward_array(x.view(), None, Some((h.view(), c.view()))).map(drop)
    };
    assert_eq!(refused((4, BATCH, 2), (4, BATCH, 6)), Ok(()));
    for (h, c, name) in [
        ((BATCH, 2, 4), (4, BATCH, 6), "h_0"),
        ((4, BATCH, 6), (4, BATCH, 6), "h_0"),
        ((4, BATCH, 2), (4, 6, BATCH), "c_0"),
        ((4, BATCH, 2), (4, 1, 6), "c_0"),
    ] {
        assert!(matches!(refused(h, c), Err(Error::WrongShape { tensor, .. }) if tensor == name), "{h:?} {c:?}");
    }
    let message = refused((4, BATCH, 2), (4, 1, 6)).expect_err("one of four").to_string();
    assert!(
        message.starts_with("`c_0` has the shape [4, 1, 6], expected [directions * num_layers, batch,"),
        "{message}"
    );

    let (one, h): (Array2<f32>, Array2<f32>) = (random((STEPS, INPUT)), random((4, 2)));
    let wrong: ArrayView2<'_, f32> = h.view();
    let error = lstm.forward_array(one.view(), None, Some((h.view(), wrong))).map(drop);
    assert!(matches!(error, Err(Error::WrongShape { tensor: "c_0", size: 6, .. })), "{error:?}");
}

#[test]
fn a_view_that_repeats_its_elements_is_not_copied_before_its_shape_is_checked() {
    let one = Array3::<f32>::zeros((1, 1, 1));
    let endless = one.broadcast((1 << 40, 1 << 10, 8)).expect("a shape that ndarray takes");
    let error = lstm(false).forward_array(endless, None, None).map(drop);
    assert!(matches!(error, Err(Error::WrongShape { tensor: "input", size: 3, .. })), "{error:?}");
}
