"""Whether the classes are clusters: k-means against the labels, and the labels' silhouette."""

import warnings
from functools import partial

import numpy as np

from aelab.metrics.base import Array, mean_only, metric
from aelab.metrics.context import BaseContext, cached
from aelab.metrics.sampling import sklearn_seed
from aelab.randomness import numpy_stream
from aelab.runs.records import Estimate

STARTS = 4
SILHOUETTE_OF = 2_000  # codes; it computes all distances between them


_metric = partial(metric, family="representation", needs="codes", better="higher")


@_metric("kmeans_nmi", title="k-means NMI")
def kmeans_nmi(context: BaseContext) -> float | None:
    """Normalised mutual information of labels and k-means clusters of the test codes, k = classes.

    1 if the clusters are the classes, 0 if they are independent of them.
    """
    from sklearn.metrics import normalized_mutual_info_score

    found = clusters(context)
    if found is None:
        return None
    return float(normalized_mutual_info_score(context.data.test.labels, found))


@_metric("kmeans_ari", title="k-means ARI")
def kmeans_ari(context: BaseContext) -> float | None:
    """Adjusted Rand index of the labels and the same clusters: 1 if equal, 0 on average by chance.

    Hubert and Arabie (1985).
    """
    from sklearn.metrics import adjusted_rand_score

    found = clusters(context)
    return None if found is None else float(adjusted_rand_score(context.data.test.labels, found))


@_metric("silhouette", title="Silhouette")
def silhouette(context: BaseContext) -> Estimate | None:
    """How much nearer a test code is to its own class than to the next, −1 to 1; of 2,000 codes.

    Rousseeuw (1987). Not defined for fewer than two classes.
    """
    from sklearn.metrics import silhouette_samples

    count = len(context.data.test)
    chosen = numpy_stream(context.seed, "silhouette").permutation(count)[:SILHOUETTE_OF]
    labels = context.data.test.labels[chosen]
    if not 1 < len(np.unique(labels)) < len(labels):
        return None
    values = silhouette_samples(context.codes("test")[chosen].astype(np.float64), labels)
    return mean_only(values)


@cached
def clusters(context: BaseContext) -> Array | None:
    """The k-means cluster of each test code, k the number of classes; best of four starts.

    None for labels of one class, and for no more images than clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    codes = context.codes("test").astype(np.float64)
    if len(np.unique(context.data.test.labels)) < 2 or len(codes) <= context.data.classes:
        return None
    random_state = sklearn_seed(context.seed, "k-means")
    method = KMeans(context.data.classes, n_init=STARTS, random_state=random_state)
    with warnings.catch_warnings():
        # Fewer distinct codes than clusters are a collapsed code, not a mistake.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(method.fit_predict(codes))
