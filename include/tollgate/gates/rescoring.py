"""Whether saved predictions are those that the models give today, column by column and bit for bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.errors import Refused

REMEDY = "Run the evaluate stage again; if that gives the same, find out who wrote the file."


def check_same(saved: pa.Table, again: pa.Table) -> None:
    """Raise ``Refused`` unless ``evidence.parquet`` holds what was computed again from the artefacts.

    Args:
        saved: the file's rows; further columns are not looked at, since no gate is.
        again: the same by ``training.evidence``, in the same order.
    """
    absent = [name for name in again.column_names if name not in saved.column_names]
    if absent:
        raise Refused(f"evidence.parquet lacks the columns {', '.join(absent)}", remedy=REMEDY)
    if (saved.num_rows, saved["loan_id"], saved["split"]) != (again.num_rows, again["loan_id"], again["split"]):
        raise Refused("evidence.parquet is not about exactly the validation and test loans of split.parquet",
                      value=f"{saved.num_rows:,} rows for {again.num_rows:,} loans", remedy=REMEDY)
    told = saved.schema.metadata or {}
    for key, there in (again.schema.metadata or {}).items():
        if (here := told.get(key, b"")) != there:
            raise Refused(f"evidence.parquet is of another {key.decode().replace('_', ' ')} than the models to compare "
                          "with have", value=f"{here.decode()[:12] or 'none'}, not {there.decode()[:12] or 'none'}",
                          remedy=REMEDY)
    faults = [fault for name in again.column_names if (fault := _difference(name, saved, again))]
    if faults:
        raise Refused(f"evidence.parquet is not what the models and features of this run give: {'; '.join(faults)}",
                      remedy=REMEDY)


def _difference(name: str, saved: pa.Table, again: pa.Table) -> str | None:
    """What is unlike in one column, in words; None where nothing is."""
    here, there = saved[name].combine_chunks(), again[name].combine_chunks()
    if here.type != there.type:
        return f"{name} is of type {here.type}, not {there.type}"
    unlike = _unlike(here, there)
    if not unlike.any():
        return None
    row = int(unlike.argmax())
    return (f"{name} differs for {int(unlike.sum()):,} of {again.num_rows:,} loans, the first of them "
            f"{again['loan_id'][row].as_py()} ({here[row].as_py()} is saved, {there[row].as_py()} computed)")


def _unlike(here: pa.Array, there: pa.Array) -> np.ndarray:
    """Where two arrays of one type differ: bool of their length. A NaN is like a NaN, and a null like a null alone."""
    missing = [array.is_null().to_numpy(zero_copy_only=False) for array in (here, there)]
    if pa.types.is_floating(here.type):
        values = [array.to_numpy(zero_copy_only=False) for array in (here, there)]
        bits = np.int64 if values[0].dtype == np.float64 else np.int32
        other = values[0].view(bits) != values[1].view(bits)
    else:
        other = pc.fill_null(pc.not_equal(here, there), False).to_numpy(zero_copy_only=False)
    found: np.ndarray = np.where(missing[0] | missing[1], missing[0] != missing[1], other)
    return found
