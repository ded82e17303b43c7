"""What is wrong with the pictures that a user gave, and what the user can mend."""


class PictureError(ValueError):
    """A source that cannot be used, or pictures of which none can be read."""


class ValueRangeError(PictureError):
    """A picture whose brightness has no scale: ``value_range`` must be set for the data set."""
