import subprocess
import sys

import pytest

from ranvier.engines.sentiment.catalog import VARIANTS, load_sentiment
from ranvier.engines.sentiment.errors import UnknownVariant


def test_an_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(UnknownVariant, match="sentiment-small"):
        load_sentiment("sentimental", tmp_path)


def test_shipped_weights_are_small_and_there():
    for variant in VARIANTS.values():
        assert variant.weights.is_file()
        assert variant.weights.stat().st_size < 3_000_000
        assert variant.weights.with_suffix(".json").is_file()


def test_the_catalog_needs_no_torch():
    modules = "ranvier.engines.sentiment.catalog, ranvier.engines.sentiment.sentences"
    code = f"import sys; import {modules}; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
