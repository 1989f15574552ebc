import pytest

from dask_k8s_local.api import printer_columns

DURATIONS = {
    -5: "<invalid>",
    -1: "0s",
    0: "0s",
    119: "119s",
    120: "2m",
    125: "2m5s",
    600: "10m",
    10799: "179m",
    10800: "3h",
    11100: "3h5m",
    28800: "8h",
    172799: "47h",
    172800: "2d",
    176400: "2d1h",
    691200: "8d",
    63071999: "729d",
    63072000: "2y",
    63158400: "2y1d",
    252288000: "8y",
}


@pytest.mark.parametrize("seconds, text", DURATIONS.items())
def test_durations(seconds, text):
    assert printer_columns.duration(seconds) == text


OBJECT = {
    "spec": {"a": 1, "b.c": 2, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}
PATHS = {
    ".spec.a": [1],
    ".spec.nope": [],
    ".nope.a": [],
    r".spec.b\.c": [2],
    ".spec['b.c']": [2],
    ".spec.list[0].v": [1],
    ".spec.list[-1].v": [2],
    ".spec.list[7].v": [],
    ".spec.list[*].v": [1, 2],
    '.status.conditions[?(@.type=="Ready")].status': ["True"],
    ".status.conditions[?(@.type == 'Nope')].status": [],
}


@pytest.mark.parametrize("path, found", PATHS.items())
def test_paths(path, found):
    assert printer_columns.path(path)(OBJECT) == found
