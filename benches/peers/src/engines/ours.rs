//! This library: a cell of [`lstm_cell!`](lstm_kernels::lstm_cell) on the fastest instruction set and on V3, and the
//! driver with sizes known at run time.

use std::hint::black_box;
use std::rc::Rc;

use bench_support::{Tensors, with_sizes};
use lstm_kernels::lstm::{Input, Workspace};
use lstm_kernels::{Isa, Lstm, LstmCellDyn, LstmConfig};

use super::Engine;
use crate::STEPS;

/// A cell of one size: what to call with its state. Closures, for the types belong to the size.
struct Ours<State, Step, Run, Show> {
    isa: Isa,
    zero: State,
    state: State,
    step: Step,
    run: Run,
    show: Show,
}

impl<State, Step, Run, Show> Engine for Ours<State, Step, Run, Show>
where
    State: Clone,
    Step: FnMut(&[f32], &mut State),
    Run: FnMut(&[f32], &mut State),
    Show: Fn(&State) -> Vec<f32>,
{
    fn name(&self) -> String {
        format!("lstm-kernels, {}", self.isa)
    }

    fn note(&self) -> &'static str {
        "a cell of `lstm_cell!`: `step` and `run`"
    }

    fn step(&mut self, x: &[f32]) {
        (self.step)(x, &mut self.state);
    }

    fn shown(&self) -> Vec<f32> {
        (self.show)(&self.state)
    }

    fn reset(&mut self) {
        self.state = self.zero.clone();
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        self.reset();
        (self.run)(xs, &mut self.state);
        true
    }
}

macro_rules! sizes {
    ($(($input:literal, $hidden:literal)),*) => {
        fn ours(tensors: &Tensors, input: usize, hidden: usize, isa: Isa) -> Box<dyn Engine> {
            match (input, hidden) {
                $(($input, $hidden) => {
                    lstm_kernels::lstm_cell!(struct Cell, in=$input, hidden=$hidden);
                    let cell = Rc::new(Cell::with_isa_boxed(&tensors.view(), isa).expect("finite weights"));
                    let again = Rc::clone(&cell);
                    let mut out = vec![[0.0; $hidden]; STEPS];
                    Box::new(Ours {
                        isa,
                        zero: Cell::zero_state(),
                        state: Cell::zero_state(),
                        step: move |x: &[f32], state: &mut CellState| {
                            black_box(cell.step(x.as_array().expect("one row"), state));
                        },
                        run: move |xs: &[f32], state: &mut CellState| {
                            again.run(xs.as_chunks().0, state, &mut out).expect("as long as the input");
                        },
                        show: |state: &CellState| state.h().to_vec(),
                    })
                })*
                _ => panic!("({input}, {hidden}) is missing in ours.rs"),
            }
        }
    };
}

with_sizes!(sizes!);

/// All forms of this library.
pub fn all(tensors: &Tensors, input: usize, hidden: usize) -> Vec<Box<dyn Engine>> {
    let isa = Isa::detect().expect("LSTM_KERNELS_ISA names what this CPU has");
    let narrower = [Isa::V3].into_iter().filter(|v3| *v3 != isa && v3.is_available());
    let cells = [isa].into_iter().chain(narrower).map(|isa| ours(tensors, input, hidden, isa));
    cells.chain([Driver::boxed(tensors, input, hidden)]).collect()
}

/// `LstmCellDyn` and `Lstm`, whose sizes are known at run time only.
struct Driver {
    cell: LstmCellDyn,
    lstm: Lstm,
    workspace: Workspace,
    h: Vec<f32>,
    c: Vec<f32>,
    out: Vec<f32>,
    input: usize,
}

impl Driver {
    fn boxed(tensors: &Tensors, input: usize, hidden: usize) -> Box<dyn Engine> {
        let lstm = Lstm::new(LstmConfig::new(input, hidden), &[tensors.view()]).expect("finite weights");
        Box::new(Self {
            cell: LstmCellDyn::new(input, hidden, &tensors.view()).expect("finite weights"),
            workspace: lstm.workspace(STEPS, 1),
            lstm,
            h: vec![0.0; hidden],
            c: vec![0.0; hidden],
            out: vec![0.0; STEPS * hidden],
            input,
        })
    }
}

impl Engine for Driver {
    fn name(&self) -> String {
        format!("lstm-kernels, {}, sizes at run time", self.lstm.isa())
    }

    fn note(&self) -> &'static str {
        "`LstmCellDyn::step` and `Lstm::forward_into`"
    }

    fn step(&mut self, x: &[f32]) {
        self.cell.step(x, &mut self.h, &mut self.c, &mut self.workspace).expect("the sizes of the cell");
    }

    fn shown(&self) -> Vec<f32> {
        self.h.clone()
    }

    fn reset(&mut self) {
        self.h.fill(0.0);
        self.c.fill(0.0);
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        self.reset();
        let shape = [STEPS, self.input];
        let states = (&mut self.h[..], &mut self.c[..]);
        let result = self.lstm.forward_into(Input::new(xs, &shape), states, &mut self.out, &mut self.workspace);
        result.expect("the sizes of the workspace");
        true
    }
}
