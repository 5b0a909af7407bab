"""Pictures that move: widgets for JupyterLab that stay alive in a page without a kernel.

    AgreementExplorer      how the peers of a run come to agree, epoch by epoch and image by image
    TemperatureExplorer    what a temperature does to a posterior, and how far it stands from another one
    TopologyEditor         who learns from whom, to be clicked together
    RetrievalExplorer      a query, its ranking, and how the average precision grows with each hit

Each is an ipywidgets widget. What is needed when a control moves is computed by the widget itself, in the reader's
browser, from the numbers stored with it: the same numbers as the library's, by tests to 1e-6. So a page of the book
answers as JupyterLab does, and where there is a kernel it sees what was chosen: `explorer.epoch`, `explorer.image`.

Every control is one of the browser's own and works by keyboard; every mark also has words, and every colour a pattern
or a sign beside it.
"""

from dml_teach.widgets.agreement import AgreementExplorer
from dml_teach.widgets.retrieval import RetrievalExplorer
from dml_teach.widgets.temperature import TemperatureExplorer
from dml_teach.widgets.topology_editor import TopologyEditor

__all__ = ["AgreementExplorer", "RetrievalExplorer", "TemperatureExplorer", "TopologyEditor"]
