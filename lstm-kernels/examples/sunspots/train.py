"""Trains the forecaster of this example on sunspots.csv and writes sunspots.safetensors.

    pip install torch numpy safetensors
    python3 train.py

The model sees one month at a time: x = (sqrt(sunspots) - 6) / 4, an LSTM cell of 16 units, a linear head. Its forecast
of the next month is persistence plus a learned correction, x + head(h). The months up to TRAIN train it, those up to
VALIDATE choose the epoch, the rest is never looked at before the final figures are printed.
"""

import csv
from pathlib import Path

import torch
from safetensors.torch import save_file

TRAIN, VALIDATE = 2040, 2340
WINDOW, BATCH, STEPS = 360, 32, 1500
HERE = Path(__file__).parent


class Forecaster(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, 16)
        self.head = torch.nn.Linear(16, 1)

    def forward(self, x):
        """x [T, N, 1] -> forecasts of the following x, [T, N, 1]."""
        return x + self.head(self.lstm(x)[0])


def sunspots(x):
    return (4 * x + 6).clamp(min=0) ** 2


def rmse(forecast, truth):
    return (sunspots(forecast) - sunspots(truth)).square().mean().sqrt().item()


def main():
    torch.manual_seed(2026)
    torch.set_num_threads(1)
    with open(HERE / "sunspots.csv") as file:
        counts = torch.tensor([float(row["sunspots"]) for row in csv.DictReader(file)])
    series = ((counts.sqrt() - 6) / 4).reshape(-1, 1, 1)

    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    best, weights = float("inf"), None
    for step in range(STEPS):
        starts = torch.randint(0, TRAIN - WINDOW - 1, (BATCH,)).tolist()
        window = torch.cat([series[start : start + WINDOW + 1] for start in starts], dim=1)
        # The first months of a window have no past to tell from: they do not count.
        loss = (model(window[:-1])[24:] - window[25:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 24:
            with torch.no_grad():
                forecast = model(series[: VALIDATE - 1])
            error = rmse(forecast[TRAIN - 1 :], series[TRAIN:VALIDATE])
            if error < best:
                best = error
                weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    model.load_state_dict(weights)
    with torch.no_grad():
        forecast = model(series[:-1])
    print(f"test RMSE: LSTM {rmse(forecast[VALIDATE - 1 :], series[VALIDATE:]):.3f}, "
          f"persistence {rmse(series[VALIDATE - 1 : -1], series[VALIDATE:]):.3f}")
    save_file(weights, HERE / "sunspots.safetensors", {"torch": torch.__version__})


if __name__ == "__main__":
    main()
