"""What the codes keep of the digit's class, beside raw pixels and PCA of the same size."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from aelab.metrics.base import Array, metric
from aelab.metrics.context import PARTS, Subject

NEIGHBOURS = 5
#: Inverse strengths of the L2 penalty that validation chooses from. On MNIST raw pixels do best at
#: .01, and codes of 16 dimensions do not change any more beyond 1.
PROBE_C = (0.001, 0.01, 0.1, 1.0)


@metric(
    "knn_accuracy",
    title="5-NN accuracy",
    better="higher",
    family="representation",
    needs="codes",
)
def knn_accuracy(subject: Subject) -> Array:
    """Share of test images whose 5 nearest training codes (Euclidean) vote for the right digit."""
    train_labels = subject.data.train.labels
    # scikit-learn works through the distances in small blocks: no N × N matrix is ever held.
    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(train_labels)), algorithm="brute")
    classifier.fit(subject.codes("train"), train_labels)
    return _hits(subject.data.test.labels, classifier.predict(subject.codes("test")))


@metric(
    "probe_accuracy",
    title="Linear probe accuracy",
    better="higher",
    family="representation",
    needs="codes",
)
def probe_accuracy(subject: Subject) -> Array:
    """Share of test images that logistic regression on the codes gets right, C from validation.

    Codes are standardised by the training codes; a dimension that never varies stays 0.
    """
    train_labels, validation_labels = subject.data.train.labels, subject.data.validation.labels
    if len(np.unique(train_labels)) < 2:  # nothing to separate, and nothing to get wrong
        return _hits(subject.data.test.labels, train_labels[0])
    scaler = StandardScaler().fit(subject.codes("train"))
    train, validation, test = (scaler.transform(subject.codes(part)) for part in PARTS)
    probe = LogisticRegression(max_iter=1_000, warm_start=True)
    best, hits = -1.0, np.zeros(len(test), dtype=np.float32)
    for c in PROBE_C:  # from strong to weak penalty, each one starting where the last one ended
        with warnings.catch_warnings():
            # A probe short of its optimum after 1,000 steps is still a probe that validation
            # can choose or reject.
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.set_params(C=c).fit(train, train_labels)
        accuracy = float((probe.predict(validation) == validation_labels).mean())
        if accuracy > best:
            best = accuracy
            hits = _hits(subject.data.test.labels, probe.predict(test))
    return hits


def _hits(labels: Array, predicted: Array) -> Array:
    """1 where the prediction is right, else 0; float32 ``(N,)``."""
    return np.asarray(labels == predicted, dtype=np.float32)
