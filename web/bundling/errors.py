"""What can go wrong while the bundle is assembled. Every message says what to do."""


class BundleError(Exception):
    """The bundle could not be made."""


class SourceError(BundleError):
    """One place to fetch from gave nothing; the next one is tried."""


class ToolError(BundleError):
    """A program that the build needs is missing or failed."""
