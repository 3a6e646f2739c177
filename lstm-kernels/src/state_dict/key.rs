//! The names that PyTorch gives to an LSTM's tensors, and the format of its own in which they cannot be read.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// The key of one tensor, without the module's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// None in a `torch.nn.LSTMCell`.
    pub(super) layer: Option<usize>,
    pub(super) reverse: bool,
    pub(super) kind: Kind,
}

/// Why a file is refused: the reader's error, unless it begins as `torch.save` begins one, with a zip archive's mark or
/// long ago a pickle's.
pub(super) fn refusal(file: &[u8], error: impl fmt::Display) -> String {
    if file.starts_with(b"PK\x03\x04") || file.starts_with(b"\x80\x02") {
        return "found what `torch.save` writes (`safetensors.torch.save_file(model.state_dict(), ...)` writes one)"
            .into();
    }
    format!("{error}")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    WeightIh,
    WeightHh,
    BiasIh,
    BiasHh,
    WeightHr,
}

impl Kind {
    const ALL: [Self; 5] = [Self::WeightIh, Self::WeightHh, Self::BiasIh, Self::BiasHh, Self::WeightHr];

    const fn name(self) -> &'static str {
        match self {
            Self::WeightIh => "weight_ih",
            Self::WeightHh => "weight_hh",
            Self::BiasIh => "bias_ih",
            Self::BiasHh => "bias_hh",
            Self::WeightHr => "weight_hr",
        }
    }
}

impl Key {
    /// Reads `weight_ih`, `weight_ih_l0`, `weight_ih_l0_reverse` and so on. None if PyTorch would not write it so.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, rest) =
            Kind::ALL.into_iter().find_map(|kind| name.strip_prefix(kind.name()).map(|rest| (kind, rest)))?;
        if rest.is_empty() {
            // An LSTMCell has no projection.
            return (kind != Kind::WeightHr).then_some(Self { layer: None, reverse: false, kind });
        }
        let rest = rest.strip_prefix("_l")?;
        let (layer, reverse) = rest.strip_suffix("_reverse").map_or((rest, false), |layer| (layer, true));
        // `parse` alone would take +1 and 01 too.
        let canonical = layer == "0" || layer.starts_with(|first| matches!(first, '1'..='9'));
        let layer = layer.parse().ok().filter(|_| canonical)?;
        Some(Self { layer: Some(layer), reverse, kind })
    }

    /// The whole key, as the file has it.
    pub(super) fn name(&self, prefix: &str) -> String {
        let (kind, reverse) = (self.kind.name(), if self.reverse { "_reverse" } else { "" });
        self.layer.map_or_else(|| format!("{prefix}{kind}"), |layer| format!("{prefix}{kind}_l{layer}{reverse}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_written_the_same_and_nothing_else_is_parsed() {
        for name in ["weight_ih", "bias_hh", "weight_ih_l0", "weight_hr_l0", "bias_ih_l10_reverse", "weight_hh_l7"] {
            let key = Key::parse(name).unwrap_or_else(|| panic!("{name} is a key"));
            assert_eq!(key.name("lstm."), format!("lstm.{name}"));
        }
        for name in [
            "",
            "weight",
            "weight_hr",
            "weight_ih_",
            "weight_ih_l",
            "weight_ih_l00",
            "weight_ih_l01",
            "weight_ih_l+1",
            "weight_ih_l-1",
            "weight_ih_l1 ",
            "weight_ih_reverse",
            "weight_ih_l_reverse",
            "weight_ih_l0_reverse_reverse",
            "weight_ih_l99999999999999999999",
            "weight_ih_l1é",
            "Weight_ih_l0",
        ] {
            assert_eq!(Key::parse(name), None, "{name}");
        }
    }
}
