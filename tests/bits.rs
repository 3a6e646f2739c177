//! The bits themselves: the order of operations is part of the definition, so a release that changes one bit of these
//! is a breaking one. (That all instruction sets and methods give the same ones, other tests show.)

use lstm_kernels::lstm::Input;
use lstm_kernels::{Dtype, Isa, LstmConfig, activation, lstm_cell};
use support::{CORE, GRID, LstmModel, Model, Random, Shape, isas};

/// FNV-1a of the bits of some numbers. They come from uniform ones: normal ones take a logarithm, which may differ from
/// one system to another.
fn digest<'a>(values: impl IntoIterator<Item = &'a f32>) -> u64 {
    let bytes = values.into_iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A prime number apart, so that all exponents and both signs are there.
fn numbers() -> impl Iterator<Item = f32> {
    (0..=u32::MAX).step_by(99_991).map(f32::from_bits).filter(|number| !number.is_nan())
}

#[test]
fn the_activations_keep_their_bits() {
    let of = |f: fn(f32) -> f32| digest(&numbers().map(f).collect::<Vec<_>>());
    assert_eq!([of(activation::tanh), of(activation::sigmoid)], [0xef0d_ac68_38c9_5351, 0x375f_f13c_0c42_203a]);
}

/// Of four steps of each cell, for each type of weights.
fn digests(shapes: &[Shape], isa: Isa) -> [u64; 3] {
    [Dtype::F32, Dtype::F16, Dtype::Bf16].map(|dtype| {
        let mut found = Vec::new();
        for (n, shape) in shapes.iter().filter(|shape| shape.dtype == dtype).enumerate() {
            let mut random = Random::new(n as u64);
            let cell = shape.cell(&Model::exact(shape, &mut random, 2.0).weights(), isa);
            let mut states = cell.states(1);
            for _ in 0..4 {
                cell.step(&random.uniforms(shape.input, 2.0), &mut *states, 0);
                found.extend(states.h(0).iter().chain(states.c(0)));
            }
        }
        digest(&found)
    })
}

#[test]
fn the_cells_of_the_grid_keep_their_bits() {
    for isa in isas() {
        // The same ones with and without debug assertions.
        let few = [0xecfc_db33_6795_146d, 0xbea2_294d_ad26_975e, 0x2362_7150_b253_2a95];
        assert_eq!(digests(&GRID[..CORE], isa), few, "{isa}");
        if cfg!(all_cells) {
            let all = [0xa9ab_1a1b_e9e4_fd48, 0xebd4_e767_1599_313d, 0xa38b_a285_c650_69a7];
            assert_eq!(digests(GRID, isa), all, "{isa}, more cells");
        }
    }
}

#[test]
fn a_head_keeps_its_bits() {
    lstm_cell!(struct Cell, in=3, hidden=53, out=2);
    let mut random = Random::new(1);
    let model = LstmModel::random(LstmConfig::new(3, 53), &mut random, 1.0);
    let (weight, bias) = (random.uniforms(2 * 53, 1.0), random.uniforms(2, 1.0));
    let weights = model.weights()[0].with_head(&weight, Some(&bias));
    let seq = random.uniforms(3 * 8, 2.0);
    for isa in isas() {
        let (cell, mut state, mut out) = (Cell::with_isa(&weights, isa).unwrap(), Cell::zero_state(), [[0.0; 2]; 8]);
        cell.run_out(seq.as_chunks().0, &mut state, &mut out).unwrap();
        assert_eq!(digest(out.as_flattened()), 0x08cd_8dbc_231f_218e, "{isa}");
    }
}

#[test]
fn a_projection_keeps_its_bits() {
    let config = LstmConfig::new(5, 70).num_layers(2).bidirectional(true).proj_size(33);
    let mut random = Random::new(1);
    let model = LstmModel::random(config, &mut random, 2.0);
    let x = random.uniforms(6 * 3 * 5, 2.0);
    for isa in isas() {
        let found = model.lstm(isa).forward(Input::new(&x, &[6, 3, 5]), None).unwrap();
        let all = found.output.data.iter().chain(&found.h_n.data).chain(&found.c_n.data);
        assert_eq!(digest(all), 0xa8ae_4498_cefd_63a5, "{isa}");
    }
}
