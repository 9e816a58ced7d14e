"""Models as bytes: what comes back answers the same, and what was tampered with is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from prodlytics.insights.store import ModelFileError, content_hash, from_bytes, to_bytes

RNG = np.random.default_rng(7)
X = RNG.normal(size=(80, 3))
Y = (X[:, 0] > 0).astype(int)


class Evil:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise RuntimeError('ran')",))


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(n_estimators=3),
        LogisticRegression(),
    ],
)
def test_a_model_answers_the_same_after_it_was_stored(estimator: object) -> None:
    fitted = estimator.fit(X, Y)  # type: ignore[attr-defined]
    content, digest = to_bytes({"classifier": fitted, "classes": ["a", "b"], "limit": 0.7})
    back = from_bytes(content, digest)
    np.testing.assert_array_equal(back["classifier"].predict_proba(X), fitted.predict_proba(X))
    assert back["classes"] == ["a", "b"]


def test_the_same_training_gives_the_same_bytes_in_another_process() -> None:
    script = (
        "import numpy as np; from sklearn.ensemble import HistGradientBoostingClassifier as H;"
        "from prodlytics.insights.store import to_bytes;"
        "x = np.random.default_rng(7).normal(size=(80, 3));"
        "print(to_bytes({'c': H(max_iter=5, random_state=1).fit(x, x[:, 0] > 0), 'n': 123456789012})[1])"
    )
    told = {subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(told) == 1


def test_a_long_number_stays_what_it_is() -> None:
    assert from_bytes(*to_bytes({"n": 140104458548112, "t": "140104458548112.npy"})) == {
        "n": 140104458548112, "t": "140104458548112.npy",
    }  # fmt: skip


def test_a_flipped_bit_is_found() -> None:
    content, digest = to_bytes(LogisticRegression().fit(X, Y))
    broken = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    with pytest.raises(ModelFileError, match="was changed"):
        from_bytes(broken, digest)


def test_a_type_that_no_model_has_is_refused_although_its_hash_is_right() -> None:
    content = skops.io.dumps({"model": LogisticRegression().fit(X, Y), "then": print})
    with pytest.raises(ModelFileError, match="types no model of ours has"):
        from_bytes(content, content_hash(content))


def test_a_pickle_is_never_run() -> None:
    content = pickle.dumps(Evil())
    with pytest.raises(Exception, match="zip") as caught:
        from_bytes(content, content_hash(content))
    assert "ran" not in str(caught.value)
