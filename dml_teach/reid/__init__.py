"""Re-identification: who is this? The protocol of Market-1501, exact and quick, as pure functions on arrays.

    scores = reid.evaluate(query, gallery, query_ids, gallery_ids, query_cams, gallery_cams)
    scores.mAP, scores.cmc[0], scores.mINP

From features `evaluate`, from distances `evaluate_distances`; `multi_query` pools several images of a query into one
feature; `rerank` gives better distances. Features, distances and labels may be tensors or NumPy arrays, on any device;
what comes back is NumPy, on the host.
"""

from dml_teach.reid.multi_query import multi_query
from dml_teach.reid.ranking import evaluate, evaluate_distances
from dml_teach.reid.reranking import rerank
from dml_teach.reid.scores import ReidScores, average_precision

__all__ = ["ReidScores", "average_precision", "evaluate", "evaluate_distances", "multi_query", "rerank"]
