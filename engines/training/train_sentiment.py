"""Train the shipped sentiment weights: low-rank corrections to MiniLM and a head, on rows of one JSON file.

    python -m ranvier.subnets.sentiment.rows --sentences S --wheel W --out train.jsonl
    python -m ranvier.subnets.sentiment.rows --sentences S --part pool --count 3000 --seed 77 --out held.jsonl
    python -m ranvier.engines.training.train_sentiment --rows train.jsonl --held held.jsonl --body B --out F

Rows of finance headlines come from ranvier.engines.training.finance; the model card has the lines. One thread needs
about 13 ms of CPU a row and epoch where the processor has bfloat16 units.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer

from ranvier.engines.sentiment.network import MAX_TOKENS, SentimentNetwork, Shape

_log = logging.getLogger("train_sentiment")
BATCH = 32


@dataclass(frozen=True, slots=True)
class Row:
    """One training text; ``made`` tells constructed texts from plain sentences."""

    text: str
    label: int
    made: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, mask (batch, length) and labels."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


def read_rows(path: Path) -> list[Row]:
    """Read JSON lines of {"text", "label", "made"}."""
    return [Row(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def batches(tokenizer: AutoTokenizer, rows: Sequence[Row], rng: random.Random | None) -> Iterator[Batch]:
    """Batches of similar length, shuffled by ``rng`` (in file order without one)."""
    order = list(rows)
    if rng:
        rng.shuffle(order)
        chunks = [
            sorted(order[i : i + 50 * BATCH], key=lambda row: len(row.text))
            for i in range(0, len(order), 50 * BATCH)
        ]
        order = [row for chunk in chunks for row in chunk]
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    if rng:
        rng.shuffle(groups)
    for group in groups:
        coded = tokenizer(
            [row.text for row in group],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        )
        yield Batch(coded["input_ids"], coded["attention_mask"], torch.tensor([row.label for row in group]))


def train(
    network: SentimentNetwork, tokenizer: AutoTokenizer, rows: Sequence[Row], epochs: int, rate: float
) -> None:
    """AdamW with warm-up and cosine decay; bfloat16 where autocast gives it."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    steps = epochs * math.ceil(len(rows) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(1.0, (k + 1) / (0.06 * steps)) * 0.5 * (1 + math.cos(math.pi * k / steps))
    )
    rng, mean = random.Random(0), 1.1
    network.train()
    for step, batch in enumerate(b for _ in range(epochs) for b in batches(tokenizer, rows, rng)):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch.ids, batch.mask)
        loss = cross_entropy(logits.float(), batch.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        mean += 0.02 * (loss.item() - mean)
        if step % 50 == 0:
            _log.info("step %d of %d, loss %.3f", step, steps, mean)


def logits_of(network: SentimentNetwork, tokenizer: AutoTokenizer, rows: Sequence[Row]) -> Tensor:
    """Logits (rows, 3) in row order, in float32."""
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(batch.ids, batch.mask) for batch in batches(tokenizer, rows, None)])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the least cross-entropy, by a fine search in [0.5, 3]."""
    grid = [0.5 * 6 ** (k / 200) for k in range(201)]
    return min(grid, key=lambda t: cross_entropy(logits / t, labels).item())


def figures(probabilities: Tensor, rows: Sequence[Row]) -> dict[str, float]:
    """Accuracy and Brier score (sum over classes) on constructed texts, accuracy on plain sentences if any."""
    labels = torch.tensor([row.label for row in rows])
    made = torch.tensor([row.made for row in rows])
    hit = probabilities.argmax(-1) == labels
    brier = (probabilities - torch.nn.functional.one_hot(labels, 3)).square().sum(-1)
    plain_hit = (probabilities[:, 2] > probabilities[:, 0]) == (labels == 2)
    polar = made & (labels != 1)
    found = {
        "constructed": int(made.sum()),
        "constructed_accuracy": hit[made].float().mean().item(),
        "constructed_polar_accuracy": hit[polar].float().mean().item(),
        "constructed_brier": brier[made].mean().item(),
    }
    if made.all():
        return found
    return found | {"plain": int((~made).sum()), "plain_accuracy": plain_hit[~made].float().mean().item()}


def _sha256(body: Path) -> str:
    """Of the body's weights: corrections fit no other."""
    with (body / "model.safetensors").open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument(
        "--held", type=Path, required=True, help="rows of held-out sentences: calibration and figures"
    )
    parser.add_argument(
        "--fit", type=Path, help="rows to fit the temperature on; without them every second held row does"
    )
    parser.add_argument("--body", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file; figures go beside it")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument(
        "--start", type=Path, help="weights of an earlier run to go on from (same layers and rank)"
    )
    parser.add_argument("--rate", type=float, default=1e-3)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shape = Shape(layers=given.layers, rank=given.rank, alpha=2.0 * given.rank)
    network = SentimentNetwork(given.body, shape, attention="eager")
    if given.start:
        network.load_state_dict(load_file(given.start), strict=False)
    tokenizer = AutoTokenizer.from_pretrained(given.body)
    train(network, tokenizer, read_rows(given.rows), given.epochs, given.rate)
    held = read_rows(given.held)
    logits = logits_of(network, tokenizer, held)
    told = slice(1, None, 2)
    fit, fit_logits = held[::2], logits[::2]
    if given.fit:
        told, fit = slice(None), read_rows(given.fit)
        fit_logits = logits_of(network, tokenizer, fit)
    temperature = fit_temperature(fit_logits, torch.tensor([row.label for row in fit]))
    result = figures((logits[told] / temperature).softmax(-1), held[told])
    network.temperature.fill_(temperature)
    metadata = {
        "layers": str(shape.layers),
        "rank": str(shape.rank),
        "alpha": str(shape.alpha),
        "body_sha256": _sha256(given.body),
    }
    save_file(
        {name: value.half().contiguous() for name, value in network.trained().items()}, given.out, metadata
    )
    summary = {
        "rows": len(read_rows(given.rows)),
        "epochs": given.epochs,
        "temperature": temperature,
        **result,
    }
    given.out.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    _log.info("%s", summary)


if __name__ == "__main__":
    main()
