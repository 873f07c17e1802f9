"""What a code knows about the digit: the same two probes for models, PCA and raw pixels."""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from aelab.metrics.base import Array, Codes, Context, metric

NEIGHBOURS = 5
PROBE_IMAGES = 10_000  # training images of the probe, the same cap for every representation
PROBE_C = (0.01, 0.1, 1.0, 10.0)


@metric("5-NN accuracy", family="representation", better="higher")
def knn_accuracy(context: Context) -> Array:
    """Share of test codes that the five nearest training codes name rightly."""
    return nearest_neighbours_correct(context.codes)


@metric("Logistic probe accuracy", family="representation", better="higher")
def probe_accuracy(context: Context) -> Array:
    """Share of test codes that a logistic regression names rightly, C chosen on validation."""
    return probe_correct(context.codes)


def nearest_neighbours_correct(codes: Codes) -> Array:
    """1 where the majority of the five nearest training codes has the label, shape ``(N,)``.

    Euclidean distance, in blocks of 500 queries; a tie goes to the smaller label, as in
    scikit-learn.
    """
    train_labels, _, test_labels = codes.labels
    train = torch.from_numpy(codes.train.astype(np.float32))
    test = torch.from_numpy(codes.test.astype(np.float32))
    norms = train.square().sum(1)
    classes = int(max(train_labels.max(), test_labels.max())) + 1
    named = torch.from_numpy(train_labels)
    votes = []
    for block in test.split(500):
        nearness = torch.addmm(-norms[None], block, train.T, beta=0.5)
        nearest = nearness.topk(min(NEIGHBOURS, len(train)), dim=1).indices
        counts = torch.zeros(len(block), classes).scatter_add_(
            1, named[nearest], torch.ones(nearest.shape)
        )
        votes.append(counts.argmax(1))
    correct: Array = (torch.cat(votes).numpy() == test_labels).astype(np.float64)
    return correct


def probe_correct(codes: Codes) -> Array:
    """1 where a logistic regression on standardised codes has the label, shape ``(N,)``.

    Trained on at most 10,000 training codes (the first ones: the split is in drawn order), with
    the C of the best validation accuracy.
    """
    train_labels, validation_labels, test_labels = codes.labels
    scaler = StandardScaler().fit(codes.train[:PROBE_IMAGES])
    train = scaler.transform(codes.train[:PROBE_IMAGES])
    validation, test = scaler.transform(codes.validation), scaler.transform(codes.test)
    best, chosen = -1.0, None
    for c in PROBE_C:
        probe = LogisticRegression(C=c, max_iter=300)
        with warnings.catch_warnings():
            # Separable codes have no finite optimum at large C; the accuracy decides, not the fit.
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(train, train_labels[:PROBE_IMAGES])
        score = float((probe.predict(validation) == validation_labels).mean())
        if score > best:
            best, chosen = score, probe
    assert chosen is not None
    correct: Array = (chosen.predict(test) == test_labels).astype(np.float64)
    return correct
