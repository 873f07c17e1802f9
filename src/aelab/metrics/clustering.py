"""Whether the classes are clusters: k-means against the labels, and the labels' silhouette."""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)

from aelab.metrics.base import Array, Estimate, metric
from aelab.metrics.context import Subject, once
from aelab.metrics.sampling import sklearn_seed
from aelab.randomness import numpy_stream

STARTS = 4
SILHOUETTE_OF = 2_000  # it takes all distances between them


@metric("kmeans_nmi", title="k-means NMI", better="higher", family="representation", needs="codes")
def kmeans_nmi(subject: Subject) -> float | None:
    """Normalised mutual information of labels and k-means clusters of the test codes, k = classes.

    1 if the clusters are the classes, 0 if they tell nothing about them.
    """
    found = clusters(subject)
    if found is None:
        return None
    return float(normalized_mutual_info_score(subject.data.test.labels, found))


@metric("kmeans_ari", title="k-means ARI", better="higher", family="representation", needs="codes")
def kmeans_ari(subject: Subject) -> float | None:
    """Adjusted Rand index of the labels and the same clusters: 1 if equal, 0 on average by chance.

    Hubert and Arabie (1985).
    """
    found = clusters(subject)
    if found is None:
        return None
    return float(adjusted_rand_score(subject.data.test.labels, found))


@metric("silhouette", title="Silhouette", better="higher", family="representation", needs="codes")
def silhouette(subject: Subject) -> Estimate | None:
    """How much nearer a test code is to its own class than to the next, −1 to 1; of 2,000 codes.

    Rousseeuw (1987). Not defined for fewer than two classes.
    """
    count = len(subject.data.test)
    chosen = numpy_stream(subject.seed, "silhouette").permutation(count)[:SILHOUETTE_OF]
    labels = subject.data.test.labels[chosen]
    if not 1 < len(np.unique(labels)) < len(labels):
        return None
    value = silhouette_score(subject.codes("test")[chosen].astype(np.float64), labels)
    return Estimate(float(value), None, None, len(chosen))


@once
def clusters(subject: Subject) -> Array | None:
    """The k-means cluster of each test code, k the number of classes; best of four starts.

    None where the labels or the clusters do not group the images: one class, or no more images
    than clusters.
    """
    codes = subject.codes("test").astype(np.float64)
    if len(np.unique(subject.data.test.labels)) < 2 or len(codes) <= subject.data.classes:
        return None
    method = KMeans(
        subject.data.classes,
        n_init=STARTS,
        random_state=sklearn_seed(subject.seed, "k-means"),
    )
    with warnings.catch_warnings():
        # Fewer distinct codes than clusters is a collapsed code, not a mistake.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(method.fit_predict(codes))
