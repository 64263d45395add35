"""What the compiled kernels accept: native, aligned integers and float32 / float64, any strides."""

import numpy as np


def numeric(X: np.ndarray) -> np.ndarray:
    """`X` itself where the kernels read it as it lies, else a copy they can read.

    float16 becomes float32, bool becomes uint8; foreign byte order and unaligned items are copied.
    """
    X = np.asarray(X)
    if X.dtype == np.float16:
        return X.astype(np.float32)
    if X.dtype == np.bool_:
        return X.view(np.uint8)
    if X.dtype.kind not in "iuf" or X.dtype.itemsize > 8:
        raise TypeError(f"numbers expected, got dtype {X.dtype}")
    if not (X.dtype.isnative and X.flags.aligned):
        return X.astype(X.dtype.newbyteorder("="), order="K", copy=True)
    return X
