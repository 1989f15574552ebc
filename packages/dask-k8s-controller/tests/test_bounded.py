"""Strings of strangers, as the cache keeps them."""

import sys

import pytest

from dask_k8s_controller import bounded


@pytest.mark.parametrize(
    "text, kept",
    [
        pytest.param("a message", "a message", id="short"),
        pytest.param("x" * 64, "x" * 64, id="as long as it may be"),
        pytest.param("x" * 65, "x" * 61 + "...", id="too long"),
        pytest.param("é" * 64, "é" * 64, id="one byte for a character"),
        pytest.param("ł" * 32, "ł" * 32, id="two bytes for a character"),
        pytest.param("ł" * 33, "ł" * 29 + "...", id="two bytes for a character, too long"),
        pytest.param("x" * 1000 + "😀", "x" * 61 + "...", id="a wide character behind what is kept"),
        pytest.param("😀" + "x" * 1000, "😀" + "x" * 12 + "...", id="a wide character makes all wide"),
        pytest.param(None, "", id="nothing"),
        pytest.param(["x"], "", id="a list"),
    ],
)
def test_the_beginning_is_kept(text, kept):
    assert bounded(text, 64) == kept
    assert sys.getsizeof(kept) <= sys.getsizeof("😀") + 64
