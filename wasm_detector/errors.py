"""What can go wrong before there is a hint. Every error carries a stable code and says what to do."""


class DetectorError(Exception):
    """Root of this package's errors.

    `code` is stable: it crosses the worker and HTTP. The message says what was got, what was expected and
    what to do.
    """

    code = "detector_error"


class InvalidWaveformError(DetectorError):
    """The samples cannot be analysed at all: wrong shape, wrong type, an impossible rate, no samples."""

    code = "invalid_waveform"


class UnreadableContainerError(DetectorError):
    """The bytes are not a recording that this code can read."""

    code = "unreadable_container"


class ModelError(DetectorError):
    """The model file is missing, damaged or of another version than this code."""

    code = "model_error"


class ExtensionError(DetectorError):
    """An operator's own signal is missing, is of another version, or does not keep to the protocol."""

    code = "extension_error"
