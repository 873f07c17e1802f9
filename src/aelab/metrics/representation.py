"""How well the class can be read off the codes, by neighbours and by logistic regression."""

import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from aelab.data.dataset import PARTS
from aelab.metrics.base import Array, metric
from aelab.metrics.context import BaseContext
from aelab.metrics.neighbours import nearest
from aelab.randomness import numpy_stream

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

NEIGHBOURS = 5
#: Inverse strengths of the L2 penalty that validation chooses from. On MNIST raw pixels do best at
#: .01, and codes of 16 dimensions do not change any more beyond 1.
PROBE_C = (0.001, 0.01, 0.1, 1.0)
LABELS = (1, 10, 100)  # labelled images of each class
DRAWS = 5  # of the labelled images

_metric = partial(metric, family="representation", needs=("codes", "labels"), better="higher")


def fit_classes(classifier: "ClassifierMixin", codes_NZ: Array, labels_N: Array) -> None:
    """Fit a classifier of scikit-learn, without the warnings that do not apply here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A probe short of its optimum after 1,000 steps can still be chosen or rejected.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Many classes of few images make scikit-learn suspect a regression target; labels are not.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        classifier.fit(codes_NZ, labels_N)


@_metric("knn_accuracy", title="5-NN accuracy")
def knn_accuracy(context: BaseContext) -> Array | None:
    """Share of test images whose 5 nearest training codes (Euclidean) vote for the right digit.

    Not defined for fewer than 5 training images.
    """
    train_labels = context.data.train.labels
    if len(train_labels) < NEIGHBOURS:
        return None
    test, train = (torch.from_numpy(context.codes(part)) for part in ("test", "train"))
    labels_NK = torch.from_numpy(train_labels)[nearest(test, train, NEIGHBOURS)]
    votes_NC = functional.one_hot(labels_NK).sum(1)
    return _hits(context.data.test.labels, votes_NC.argmax(1).numpy())


@_metric("probe_accuracy", title="Linear probe accuracy")
def probe_accuracy(context: BaseContext) -> Array:
    """Share of test images that logistic regression on the codes gets right, C from validation.

    Codes are standardised by the training codes; a dimension that never varies stays 0.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train_labels, validation_labels = context.data.train.labels, context.data.validation.labels
    scaler = StandardScaler().fit(context.codes("train"))
    train, validation, test = (scaler.transform(context.codes(part)) for part in PARTS)
    probe = LogisticRegression(max_iter=1_000, warm_start=True)
    best, hits = -1.0, np.zeros(len(test), dtype=np.float32)
    for c in PROBE_C:  # from strong to weak penalty, each one starting where the last one ended
        fit_classes(probe.set_params(C=c), train, train_labels)
        accuracy = float((probe.predict(validation) == validation_labels).mean())
        if accuracy > best:
            best = accuracy
            hits = _hits(context.data.test.labels, probe.predict(test))
    return hits


def _hits(labels: Array, predicted: Array) -> Array:
    """1 where the prediction is right, else 0; float32 ``(N,)``."""
    return np.asarray(labels == predicted, dtype=np.float32)


def few_labels_accuracy(context: BaseContext, count: int) -> Array:
    """Share of five draws of the labelled images whose probe gets a test image right, ``(N,)``.

    Codes are standardised by all training codes, which takes no labels. C is 1: choosing it would.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train = context.data.train.labels
    scaler = StandardScaler().fit(context.codes("train"))
    test = scaler.transform(context.codes("test"))
    hits = np.zeros(len(test))
    for draw in range(DRAWS):
        chosen = labelled(train, count, context.seed, draw)
        probe = LogisticRegression(max_iter=1_000)
        fit_classes(probe, scaler.transform(context.codes("train")[chosen]), train[chosen])
        hits += context.data.test.labels == probe.predict(test)
    return hits / DRAWS


def labelled(train_labels: Array, count: int, seed: int, draw: int) -> Array:
    """Indices of ``count`` training images of each class, the same for every model."""
    order = numpy_stream(seed, "few labels", draw).permutation(len(train_labels))
    found = [order[train_labels[order] == k][:count] for k in np.unique(train_labels)]
    return np.concatenate(found)


for _count in LABELS:
    _images = "one labelled training image" if _count == 1 else f"{_count} labelled training images"
    _metric(
        f"few_labels_{_count}",
        title=f"Probe, {_count} label{'s' if _count > 1 else ''} a class",
        description=f"Accuracy of a logistic probe on {_images} a class, mean of five draws.",
        panel="few labels",
        quantity="Probe accuracy",
        at=_count,
    )(lambda context, count=_count: few_labels_accuracy(context, count))
