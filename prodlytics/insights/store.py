"""Models as bytes and back, without running code that a file brings along.

Belongs here: one format for all models (skops), which names every type it holds, and the hash by which a file is known.
Does not belong here: where the bytes lie (`prodlytics.db.model_registry`). Never pickle or joblib: reading one runs
whatever it contains.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import Any

#: Types beyond skops' own list that our models are made of: the trees of forests and of boosting.
TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)


class ModelFileError(Exception):
    """A model's bytes are not what was stored, or hold something that is not a model of ours."""


def to_bytes(model: Any) -> tuple[bytes, str]:
    """A model (estimators, arrays, numbers, texts, dicts and lists of them) as bytes, and their SHA-256.

    The same model gives the same bytes, in any process.
    """
    import skops.io

    content = _canonical(skops.io.dumps(model))
    return content, content_hash(content)


def _canonical(content: bytes) -> bytes:
    """The same file without memory addresses and the time of day, which skops writes as names and stamps."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    schema = parts.pop("schema.json").decode()
    addresses = dict.fromkeys(re.findall(r'"__id__": (\d+)', schema))
    number = {address: str(count) for count, address in enumerate(addresses, start=1)}

    def renamed(text: str) -> str:
        # Behind `"__id__": ` and as the names of files; a long number anywhere else is the model's own.
        return re.sub(r'((?<="__id__": )|(?<=")|^)(\d+)(?=[,\s}]|\.npy|\.npz)',
                      lambda found: number.get(found[0], found[0]), text)  # fmt: skip

    schema = renamed(schema)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo("schema.json"), schema)
        for name, part in sorted((renamed(name), part) for name, part in parts.items()):
            packed.writestr(zipfile.ZipInfo(name), part)
    return out.getvalue()


def content_hash(content: bytes) -> str:
    """SHA-256 of a model's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def from_bytes(content: bytes, expected_hash: str) -> Any:
    """The model in these bytes.

    Raises:
        ModelFileError: The bytes have another hash than was recorded, or hold a type that no model of ours has.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    found = content_hash(content)
    if found != expected_hash:
        raise ModelFileError(
            f"The stored model was changed: its hash is {found[:12]}, recorded was {expected_hash[:12]}. Train it "
            "again, or go back to an earlier version."
        )
    try:
        return skops.io.loads(content, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise ModelFileError(f"The stored model holds types no model of ours has: {error}.") from error
