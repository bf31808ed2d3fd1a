"""Every error that a user can cause.

ModelSatError
    ConfigError        a configuration file or value is wrong
    ArtifactError      a table or directory is missing, corrupt or has another version
    ZooError           a candidate is unknown, duplicate or unusable, or the zoo is empty
    GradingError       answers cannot be graded
    CheckpointError    training cannot save or resume
    RoutingError       no candidate can be chosen
    MachineError       the machine lacks something (port, disk, package)
    QualityError       a measured figure misses its stated limit
    TruncationError    too many answers were cut off before they named a result

Each takes a single message, so it survives pickling between processes. The message says what
failed, the value, what is allowed and what to do. Commands print only the message and exit
with ``exit_code``.
"""


class ModelSatError(Exception):
    """Base class of all errors that a user can cause."""

    exit_code = 1


class ConfigError(ModelSatError):
    """A configuration file or value is wrong."""

    exit_code = 2


class ArtifactError(ModelSatError):
    """A table or directory is missing, corrupt, or has another schema version."""

    exit_code = 3


class ZooError(ModelSatError):
    """A candidate is unknown, duplicate or unusable, or the zoo is empty."""

    exit_code = 4


class GradingError(ModelSatError):
    """Too many answers could not be obtained or graded."""

    exit_code = 5


class TruncationError(GradingError):
    """Too many answers were cut off before they named a result."""

    exit_code = 10


class CheckpointError(ModelSatError):
    """Training cannot save a checkpoint or resume from it."""

    exit_code = 6


class RoutingError(ModelSatError):
    """No candidate can be chosen for a request."""

    exit_code = 7


class MachineError(ModelSatError):
    """The machine lacks what the command needs: a port, disk space, a package."""

    exit_code = 8


class QualityError(ModelSatError):
    """A measured figure misses the limit stated for it."""

    exit_code = 9
