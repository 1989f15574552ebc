import pytest

from dask_k8s_local.schema import quantity

CANONICAL = {
    "0": "0",
    "2": "2",
    "0.5": "500m",
    "0.1": "100m",
    "1000m": "1",
    "1500": "1500",
    "1e3": "1e3",
    "5E3": "5e3",
    "12e6": "12e6",
    "1E": "1E",
    "1000k": "1M",
    "1024Mi": "1Gi",
    "1000Ki": "1000Ki",
    "1.5Gi": "1536Mi",
    "0.5Ki": "512",
    "0Mi": "0",
    "+1": "1",
    "-1Gi": "-1Gi",
    ".5": "500m",
    "1.": "1",
}


@pytest.mark.parametrize("text, expected", CANONICAL.items())
def test_canonical(text, expected):
    assert quantity.canonical(text) == expected


@pytest.mark.parametrize("text", ["", "x", "1GB", "1 Gi", "1gi", "--1", "1Gi\n", "."])
def test_not_a_quantity(text):
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)


def test_values():
    assert quantity.parse("1Gi") == 2**30
    assert quantity.parse("100m") * 10 == 1
    assert quantity.parse("1n") > quantity.parse("0")
