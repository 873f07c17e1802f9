"""How many labels a class it takes to read the digit off the code."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from aelab.metrics.base import Array, metric
from aelab.metrics.context import Subject, once
from aelab.metrics.representation import fit_classes
from aelab.randomness import numpy_stream

LABELS = (1, 10, 100)
DRAWS = 5


@once
def few_label_hits(subject: Subject, labels: int) -> Array:
    """How often, of five draws of the labelled images, the probe tells a test image, ``(N,)``.

    Codes are standardised by all training codes, which takes no labels. C is 1: choosing it would.
    """
    train = subject.data.train.labels
    scaler = StandardScaler().fit(subject.codes("train"))
    test = scaler.transform(subject.codes("test"))
    hits = np.zeros(len(test))
    for draw in range(DRAWS):
        chosen = labelled(train, labels, subject.seed, draw)
        codes = scaler.transform(subject.codes("train")[chosen])
        probe = LogisticRegression(max_iter=1_000)
        fit_classes(probe, codes, train[chosen])
        hits += subject.data.test.labels == probe.predict(test)
    return hits / DRAWS


def labelled(train_labels: Array, count: int, seed: int, draw: int) -> Array:
    """Indices of ``count`` training images of each class, the same for every model."""
    order = numpy_stream(seed, "few labels", draw).permutation(len(train_labels))
    found = [order[train_labels[order] == k][:count] for k in np.unique(train_labels)]
    return np.concatenate(found)


def _register(labels: int) -> None:
    def few_labels(subject: Subject) -> Array:
        return few_label_hits(subject, labels)

    each = "one labelled training image" if labels == 1 else f"{labels} labelled training images"
    few_labels.__doc__ = f"Accuracy of a logistic probe on {each} a class, mean of five draws."
    metric(
        f"few_labels_{labels}",
        title=f"Probe, {labels} label{'s' if labels > 1 else ''} a class",
        better="higher",
        family="representation",
        needs=("codes", "labels"),
        panel="few labels",
        quantity="Probe accuracy",
        at=labels,
    )(few_labels)


for _labels in LABELS:
    _register(_labels)
