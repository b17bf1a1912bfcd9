"""Small images made of boxes, and random ones with masks."""

import numpy as np

from tumorseg.metrics.detection.records import Found, ImageResult, Truth

SIDE = 160


def image(truth=(), found=(), name="a", patient=None, size=(100, 100)):
    """Return an image of boxes: ``truth`` as box or (label, box), ``found`` as (score, box) or (label, score, box)."""
    truth = [("tumour", item) if len(item) == 4 else item for item in truth]
    found = [("tumour", *item) if len(item) == 2 else item for item in found]
    return ImageResult(
        name,
        patient,
        tuple(Truth(label, box, filled(box, size)) for label, box in truth),
        tuple(Found(label, score, box, filled(box, size)) for label, score, box in found),
        size,
    )


def filled(box, size):
    """Return the mask of the pixels inside a box of whole numbers."""
    mask = np.zeros(size, bool)
    x0, y0, x1, y1 = (int(corner) for corner in box)
    mask[y0:y1, x0:x1] = True
    return mask


def random_results(seed, images=25, labels=("benign", "malignant"), score_digits=None):
    """Return images with blobs of all sizes, found well, badly, twice, as another class or not at all."""
    rng = np.random.default_rng(seed)
    results = []
    for number in range(images):
        truth = [Truth(str(rng.choice(labels)), *blob(rng)) for _ in range(rng.integers(0, 5))]
        found = []
        for item in truth:
            for _ in range(rng.choice(3, p=(0.2, 0.6, 0.2))):
                label = item.label if rng.random() < 0.85 else str(rng.choice(labels))
                found.append(Found(label, score(rng, score_digits), *blob(rng, item.box)))
        found += [Found(str(rng.choice(labels)), score(rng, score_digits), *blob(rng)) for _ in range(rng.integers(4))]
        results.append(ImageResult(f"image {number}", f"patient {number // 3}", (*truth,), (*found,), (SIDE, SIDE)))
    return results


def score(rng, digits):
    """Return a random score; with few digits there are ties."""
    value = float(rng.random())
    return value if digits is None else round(value, digits)


def blob(rng, near=None):
    """Return a box with fractions and the mask of an ellipse in it, of any size or close to another box."""
    if near is None:
        size = 10 ** rng.uniform(0.7, 2.15, 2)
        low = rng.uniform(0, np.maximum(SIDE - size, 1))
        box = np.concatenate([low, np.minimum(low + size, SIDE)])
    else:
        spread = 0.06 * np.tile(near[2:] - near[:2], 2)
        box = np.clip(near + rng.normal(0, 1, 4) * spread, 0, SIDE)
    x, y = np.arange(SIDE)[None, :] + 0.5, np.arange(SIDE)[:, None] + 0.5
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return box, ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1


def hits(*flags, truths, images=1):
    """Return the ranking of one image, right and wrong detections from the most certain down."""
    from tumorseg.metrics.detection.matching import Ranking

    number = len(flags)
    right = np.array(flags, bool)
    return Ranking(
        scores=np.linspace(0.9, 0.1, number),
        hit=right,
        overlap=np.where(right, 0.75, 0.0),
        image=np.zeros(number, np.int64),
        truths=np.array([truths] + [0] * (images - 1)),
    )
