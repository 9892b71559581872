"""What each of the four networks sees in a picture: its input, and what its outputs mean.

A picture enters as Pillow has it; arrays go to the network and come back from
it; a Finding leaves. Knows nothing of HTTP.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Finding:
    """What a network found in a picture."""

    score: float  # how sure it is, 0 to 1
    where: tuple[float, float] | None = None  # the middle, as parts of width and height
    text: str | None = None


@dataclass(frozen=True)
class Task:
    """How an inference is put to its network."""

    shows: str  # the picture that has what the network looks for
    other: str  # one that has not
    picture: Callable[[Image.Image, Sequence[int]], np.ndarray]  # and the input's shape → the input
    finding: Callable[[Sequence[np.ndarray]], Finding]  # of the outputs, in the model's order


def _square(low: float, high: float) -> Callable[[Image.Image, Sequence[int]], np.ndarray]:
    """Fit a picture into a square: NHWC, RGB, with pixels from low to high."""

    def picture(image: Image.Image, shape: Sequence[int]) -> np.ndarray:
        image = image.convert("RGB")
        scale = shape[1] / max(image.size)
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
        square = Image.new("RGB", (shape[2], shape[1]))
        square.paste(small, ((shape[2] - small.width) // 2, (shape[1] - small.height) // 2))
        return (np.asarray(square, np.float32)[None] / 255 * (high - low) + low).astype(np.float32)

    return picture


def _line(image: Image.Image, shape: Sequence[int]) -> np.ndarray:
    """Fit a line of text: NCHW, BGR, with pixels from -1 to 1, the rest 0."""
    image = image.convert("RGB")
    width = min(shape[3], round(image.width * shape[2] / image.height))
    pixels = np.asarray(image.resize((width, shape[2]), Image.Resampling.BILINEAR), np.float32)[:, :, ::-1]
    out = np.zeros(shape, np.float32)
    out[0, :, :, :width] = (pixels / 127.5 - 1).transpose(2, 0, 1)
    return out


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(min(x, 100.0), -100.0)))


def _detection(anchors: np.ndarray, size: int) -> Callable[[Sequence[np.ndarray]], Finding]:
    """Read the best of a detector's boxes; anchors are the middles from which it counts, in parts."""

    def finding(outputs: Sequence[np.ndarray]) -> Finding:
        boxes, scores = outputs[0][0], outputs[1].ravel()
        best = int(scores.argmax())
        x, y = boxes[best, :2] / size + anchors[best]
        return Finding(_sigmoid(float(scores[best])), (float(x), float(y)))

    return finding


def _anchors(layers: Sequence[tuple[int, int]]) -> np.ndarray:
    """Place so many anchors in the middle of each cell of n x n."""
    return np.array([((x + 0.5) / n, (y + 0.5) / n) for n, each in layers for y in range(n) for x in range(n) for _ in range(each)])


def _presence(outputs: Sequence[np.ndarray]) -> Finding:
    """Read whether there is a person: the one output with one number."""
    return Finding(next(float(o.item()) for o in outputs if o.size == 1))


def _text(outputs: Sequence[np.ndarray]) -> Finding:
    """Read a line: the likeliest sign of each step, without repetitions and blanks."""
    alphabet = ["", *(HERE / "alphabet.txt").read_text(encoding="utf-8").rstrip("\n").split("\n"), " "]
    steps = outputs[0][0]
    signs = steps.argmax(1)
    kept = [i for i, s in enumerate(signs) if s and (i == 0 or s != signs[i - 1])]
    score = float(np.mean([steps[i, signs[i]] for i in kept])) if kept else 0.0
    return Finding(score, text="".join(alphabet[signs[i]] for i in kept))


TASKS: Mapping[str, Task] = {
    "face-recognition": Task("astronaut.png", "page.png", _square(-1, 1), _detection(_anchors([(48, 1)]), 192)),
    "action-recognition": Task("camera.png", "page.png", _square(0, 1), _presence),
    "object-detection": Task("camera.png", "page.png", _square(0, 1), _detection(_anchors([(24, 2), (12, 6)]), 192)),
    "text-recognition": Task("title.png", "moon.png", _line, _text),
}

# The title's line on the page.
_TITLE = (0, 8, 250, 34)


def load(name: str) -> Image.Image:
    """Open one of the pictures."""
    if name == "title.png":
        return load("page.png").crop(_TITLE)
    return Image.open(HERE / "pictures" / name)
