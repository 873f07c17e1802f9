"""What the codes keep of the digit's class, beside raw pixels and PCA of the same size."""

import warnings

import numpy as np
from sklearn.base import ClassifierMixin
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


def fit_classes(classifier: ClassifierMixin, codes_NZ: Array, labels_N: Array) -> None:
    """Fit a classifier of scikit-learn, without the warnings that do not apply here."""
    with warnings.catch_warnings():
        # A probe short of its optimum after 1,000 steps can still be chosen or rejected.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Many classes of few images make scikit-learn suspect a regression target; labels are not.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        classifier.fit(codes_NZ, labels_N)


@metric(
    "knn_accuracy",
    title="5-NN accuracy",
    better="higher",
    family="representation",
    needs=("codes", "labels"),
)
def knn_accuracy(subject: Subject) -> Array | None:
    """Share of test images whose 5 nearest training codes (Euclidean) vote for the right digit.

    Not defined for fewer training images than that.
    """
    train_labels = subject.data.train.labels
    if len(train_labels) < NEIGHBOURS:
        return None
    # scikit-learn works through the distances in small blocks: no N × N matrix is ever held.
    classifier = KNeighborsClassifier(NEIGHBOURS, algorithm="brute")
    fit_classes(classifier, subject.codes("train"), train_labels)
    return _hits(subject.data.test.labels, classifier.predict(subject.codes("test")))


@metric(
    "probe_accuracy",
    title="Linear probe accuracy",
    better="higher",
    family="representation",
    needs=("codes", "labels"),
)
def probe_accuracy(subject: Subject) -> Array:
    """Share of test images that logistic regression on the codes gets right, C from validation.

    Codes are standardised by the training codes; a dimension that never varies stays 0.
    """
    train_labels, validation_labels = subject.data.train.labels, subject.data.validation.labels
    scaler = StandardScaler().fit(subject.codes("train"))
    train, validation, test = (scaler.transform(subject.codes(part)) for part in PARTS)
    probe = LogisticRegression(max_iter=1_000, warm_start=True)
    best, hits = -1.0, np.zeros(len(test), dtype=np.float32)
    for c in PROBE_C:  # from strong to weak penalty, each one starting where the last one ended
        fit_classes(probe.set_params(C=c), train, train_labels)
        accuracy = float((probe.predict(validation) == validation_labels).mean())
        if accuracy > best:
            best = accuracy
            hits = _hits(subject.data.test.labels, probe.predict(test))
    return hits


def _hits(labels: Array, predicted: Array) -> Array:
    """1 where the prediction is right, else 0; float32 ``(N,)``."""
    return np.asarray(labels == predicted, dtype=np.float32)
