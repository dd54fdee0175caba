"""Label maps in MATLAB files, by way of SciPy (the extra `data`).

Axes: H W picture rows and columns.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt16

from cgrseg.errors import DatasetError, MissingExtra, reason


def read_mat(file: Path, fields: tuple[str, ...], newer: str) -> dict[str, np.ndarray]:
    """The named arrays of a MATLAB file.

    Args:
        file: a file of MATLAB 5 to 7.2.
        fields: the arrays it must hold.
        newer: what a file of MATLAB 7.3, which cannot be read, is said to be.

    Raises:
        MissingExtra: SciPy is not installed.
        DatasetError: it cannot be read, or an array is not there.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtra(f"reading {file.name} needs SciPy; run: pip install 'cgrseg[data]'") from None
    try:
        arrays = loadmat(str(file), appendmat=False, variable_names=fields)
    except NotImplementedError:
        raise DatasetError(f"{file} is a MATLAB 7.3 file, {newer}") from None
    except Exception as error:  # noqa: BLE001  SciPy raises anything at all on malformed bytes
        raise DatasetError(f"{file} cannot be read as a MATLAB file: {reason(error)}") from None
    missing = [field for field in fields if field not in arrays]
    if missing:
        raise DatasetError(f"{file} holds no array {missing[0]!r}; its label map is needed with {' and '.join(fields)}")
    return {field: np.asarray(arrays[field]) for field in fields}


def as_label_map(values: np.ndarray, file: Path) -> UInt16[np.ndarray, "H W"]:
    """The array of a MATLAB file as a label map; MATLAB keeps whole numbers in floats, too."""
    is_map = values.ndim == 2 and values.dtype.kind in "uif"
    if not is_map or not np.all((values >= 0) & (values < 2**16) & (values % 1 == 0)):
        raise DatasetError(
            f"{file}: its label map is {values.dtype} {values.shape} where a whole number a pixel is due"
        )
    return values.astype(np.uint16)
