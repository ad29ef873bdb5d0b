"""The description of a published store for programs that read data sets: Croissant 1.1, as JSON-LD."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from explorer.store import layout
from explorer.store.manifest import Manifest
from explorer.store.reader import Store

_PARQUET = "application/x-parquet"
_FORMATS = {".parquet": _PARQUET, ".npy": "application/x-npy"}
_OF_CROISSANT = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{name: f"cr:{name}" for name in _OF_CROISSANT},
}
"""The context that the format prescribes."""
_TABLES = {layout.SAMPLES: "A row for each film.", layout.METRICS: "A row for each regime, label, split and metric."}


def croissant(store: Store, manifest: Manifest) -> bytes:
    """The description of a copy: every file of the run with its hash, and the columns of its films and figures.

    Parameters
    ----------
    store : Store
        The run that is published: the columns of its tables.
    manifest : Manifest
        The copy's own manifest.
    """
    run = PurePosixPath(layout.run_folder(Path(), manifest.run_id).as_posix())
    description = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest.title,
        "description": f"{manifest.n:,} chest films with {len(manifest.labels)} labels, as a vision-language model "
        "sees them: embeddings, logits, thresholds, maps and figures of several regimes. Research use only.",
        "license": manifest.dataset.licence or "not recorded",
        "url": f"urn:cxr-explorer:{manifest.run_id}",
        "citeAs": f"{manifest.title}. Run {manifest.run_id}, {manifest.created}.",
        "datePublished": manifest.created,
        "version": manifest.versions.get("explorer", "0.0.0"),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": str(run / path),
                "contentSize": f"{artefact.bytes} B",
                "encodingFormat": _format(path),
                "sha256": artefact.sha256,
            }
            for path, artefact in manifest.artefacts.items()
        ],
        "recordSet": [_records(store, path, about) for path, about in _TABLES.items()],
    }
    return (json.dumps(description, indent=2) + "\n").encode()


def _format(path: str) -> str:
    suffix = PurePosixPath(path).suffix
    return _FORMATS.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


def _records(store: Store, path: str, about: str) -> dict[str, Any]:
    name = PurePosixPath(path).stem
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{place}",
            "name": column.name,
            "dataType": _type(column.type),
            "source": {"fileObject": {"@id": path}, "extract": {"column": column.name}},
        }
        for place, column in enumerate(pq.read_schema(store.file(path)))
    ]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": about, "field": fields}


def _type(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Integer" if pa.types.is_integer(kind) else "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
