"""What an error of the operating system means for somebody who wanted an object."""

import errno

from connectors.contract import ConnectorError, Failure

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.EILSEQ, errno.EINVAL, errno.ENXIO}
"""A name that cannot be is not there."""
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP}
_EXHAUSTED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMLINK}
"""Of the disk. What the process has too little of (descriptors, memory) comes back by itself."""
_RETRY_AFTER_S = 5


def translated(error: OSError, *, writing: bool = False) -> ConnectorError:
    """`writing`: what cannot hold the key refuses it, where a reader would find nothing."""
    if error.errno in _EXHAUSTED:
        return ConnectorError(Failure.OUT_OF_RESOURCES)
    if error.errno in _FORBIDDEN:
        return ConnectorError(Failure.REFUSED_BY_WALL)
    if error.errno in _ABSENT or (writing and error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.EXDEV)):
        return ConnectorError(Failure.REFUSED_BY_WALL if writing else Failure.NOT_FOUND)
    return unavailable()


def unavailable() -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=_RETRY_AFTER_S)
