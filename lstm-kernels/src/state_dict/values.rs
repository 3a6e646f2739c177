//! A tensor's bytes as f32.

use alloc::string::ToString;
use alloc::vec::Vec;

use half::{bf16, f16};
use safetensors::{Dtype, tensor::TensorView};

use super::StateDictError;

/// The elements of a tensor: exact for F32, F16 and BF16, the nearest f32 for F64.
pub(super) fn floats(key: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, StateDictError> {
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => convert(key, data, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::F64 => convert(key, data, f64::from_le_bytes),
        Dtype::F16 => convert(key, data, |bytes| f16::from_le_bytes(bytes).to_f64()),
        Dtype::BF16 => convert(key, data, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        found => Err(StateDictError::WrongType { key: key.into(), found: found.to_string() }),
    }
}

/// Every type is part of f64, so the one rounding is that from f64 to f32, to nearest.
fn convert<const N: usize>(key: &str, data: &[u8], read: fn([u8; N]) -> f64) -> Result<Vec<f32>, StateDictError> {
    let elements = data.as_chunks().0.iter().enumerate();
    elements
        .map(|(index, bytes)| {
            let value = read(*bytes);
            let float = value as f32;
            if float.is_finite() { Ok(float) } else { Err(StateDictError::NonFinite { key: key.into(), index, value }) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(dtype: Dtype, elements: &[[u8; N]]) -> Result<Vec<f32>, StateDictError> {
        let tensor = TensorView::new(dtype, alloc::vec![elements.len()], elements.as_flattened());
        floats("key", &tensor.expect("a fitting shape"))
    }

    /// What 16 bits say, by the format's definition: sign, exponent with its bias, fraction.
    fn defined(bits: u16, fraction_bits: u32, bias: i32) -> f64 {
        let fraction = f64::from(bits & ((1 << fraction_bits) - 1)) / f64::from(1u32 << fraction_bits);
        let exponent = i32::from((bits & 0x7fff) >> fraction_bits);
        let magnitude = match exponent {
            0 => fraction * 2f64.powi(1 - bias),
            _ => (1.0 + fraction) * 2f64.powi(exponent - bias),
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    }

    #[test]
    fn every_f16_and_bf16_is_exact_or_refused() {
        for (dtype, fraction_bits, bias) in [(Dtype::F16, 10, 15), (Dtype::BF16, 7, 127)] {
            for bits in 0..=u16::MAX {
                let found = read(dtype, &[bits.to_le_bytes()]);
                if (bits & 0x7fff) >> fraction_bits == (0x7fff >> fraction_bits) {
                    assert!(matches!(found, Err(StateDictError::NonFinite { index: 0, .. })), "{dtype} {bits:04x}");
                } else {
                    let expected = defined(bits, fraction_bits, bias);
                    let found = found.unwrap_or_else(|error| panic!("{dtype} {bits:04x}: {error}"))[0];
                    assert_eq!(f64::from(found).to_bits(), expected.to_bits(), "{dtype} {bits:04x}: {found}");
                }
            }
        }
    }

    #[test]
    fn an_f32_keeps_its_bits_and_an_f64_is_rounded_to_nearest() {
        let values = [1.5f32, -0.0, f32::MIN, f32::from_bits(1), -f32::MIN_POSITIVE];
        let found = read(Dtype::F32, &values.map(f32::to_le_bytes)).expect("finite");
        assert_eq!(found.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), values.map(f32::to_bits));

        // Ties go to even; the largest f32 is reached from above, the smallest from below.
        let ulp = f64::from(f32::EPSILON);
        let values = [1.0 + 0.5 * ulp, 1.0 + 1.5 * ulp, f64::from(f32::MAX) * (1.0 + ulp / 8.0), 1e-45, -1e-46];
        let found = read(Dtype::F64, &values.map(f64::to_le_bytes)).expect("finite");
        assert_eq!(found, [1.0, 1.0 + 2.0 * f32::EPSILON, f32::MAX, f32::from_bits(1), -0.0]);
    }
}
