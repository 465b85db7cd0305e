"""The server's errors: one root, a stable `code`, an HTTP status, and a message that says what to do."""


class PrelistenError(Exception):
    """Root of the server's errors. `code` crosses HTTP; `http_status` is what a route answers with.

    `retry_after_s` is how long the sender should wait before the same request has a chance; `None`: no such time.
    """

    code = "internal_error"
    http_status = 500
    retry_after_s: int | None = None


class ConfigError(PrelistenError):
    """A setting is unknown, missing or unsafe. Raised at start-up, never while serving."""

    code = "bad_configuration"


class BadRequestError(PrelistenError):
    """The caller sent something that cannot be understood."""

    code = "bad_request"
    http_status = 400


class NotFoundError(PrelistenError):
    """There is no such thing, or the caller may not know that there is."""

    code = "not_found"
    http_status = 404


class GoneError(NotFoundError):
    """It was here, and was erased for good."""

    code = "erased"
    http_status = 410


class EmptyUploadError(PrelistenError):
    """The form came without a file, or with an empty one."""

    code = "empty_upload"
    http_status = 400


class UploadTooLargeError(PrelistenError):
    """The upload is larger than `limit_bytes`."""

    code = "upload_too_large"
    http_status = 413

    def __init__(self, limit_bytes: int) -> None:
        """Keep the limit, so that the page can name it."""
        super().__init__(
            f"The upload is larger than {limit_bytes / 1_000_000:g} MB, the most that this site takes. "
            "Send a shorter or more compressed recording."
        )
        self.limit_bytes = limit_bytes


class RateLimitedError(PrelistenError):
    """One client, or one API key, asks for more than its share."""

    code = "rate_limited"
    http_status = 429

    def __init__(self, retry_after_s: int) -> None:
        """Keep when the next request has a chance, in seconds."""
        super().__init__(f"There were too many requests from here. Send this one again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class OverloadedError(PrelistenError):
    """The server has as much work as it can do well; what it has taken is safe, this request was not taken."""

    code = "overloaded"
    http_status = 503

    def __init__(self, retry_after_s: int) -> None:
        """Keep when to try again, in seconds."""
        super().__init__(
            f"The server has as many uploads as it can take just now; this one was not taken. "
            f"Send it again in {retry_after_s} s."
        )
        self.retry_after_s = retry_after_s


class SlowUploadError(PrelistenError):
    """The body came more slowly than the server can wait for."""

    code = "upload_too_slow"
    http_status = 408

    def __init__(self) -> None:
        """Say what to do; there is nothing else to tell."""
        super().__init__(
            "The upload came too slowly and was not kept. Send it again over a better connection, "
            "or send a shorter or more compressed recording."
        )


class StorageError(PrelistenError):
    """The upload could not be stored; nothing was lost, since nothing was accepted."""

    code = "storage_unavailable"
    http_status = 503
    retry_after_s = 15


class DiskFullError(StorageError):
    """There is no room for the upload, by the operator's limits or by the disk's."""

    code = "disk_full"
    http_status = 507
    retry_after_s = 300

    def __init__(self) -> None:
        """Say what to do; how full the disk is concerns nobody outside."""
        super().__init__(
            "The server has no room for recordings just now; this one was not taken. Try again later."
        )


class Cancelled(PrelistenError):  # noqa: N818 - an event, not a fault
    """Work was called off in its middle: the process is to stop, or another one has taken the job over."""

    code = "cancelled"


class MediaError(PrelistenError):
    """The file could not be decoded. `state` is the finding's state: `error`, `limit` or `timeout`."""

    code = "media_error"
    http_status = 422

    def __init__(self, message: str, *, code: str = "media_error", state: str = "error") -> None:
        """Keep the stable code (`not_audio`, `truncated`, `rate_out_of_range`, ...) and the state."""
        super().__init__(message)
        self.code = code
        self.state = state
