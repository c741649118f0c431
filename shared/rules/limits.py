"""The limits of rules as settings: one class that the api (at save) and the consumer (at run) both
have, so that what one takes the other runs.
"""

from pydantic import Field

from shared import settings
from shared.rules import port

_DEFAULTS = port.Limits()


class RuleSettings(settings.Settings):
    """Each field is an environment variable of the same name in upper case."""

    rule_bytes_max: int = Field(
        default=_DEFAULTS.bytes_max, ge=64, le=1024 * 1024, description="Largest condition."
    )
    rule_depth_max: int = Field(
        default=_DEFAULTS.depth_max, ge=1, le=64, description="Deepest nesting of a condition."
    )
    rule_nodes_max: int = Field(
        default=_DEFAULTS.nodes_max, ge=1, le=10_000, description="Most nodes of a condition."
    )
    rule_operations_max: int = Field(
        default=_DEFAULTS.operations_max,
        ge=100,
        le=10_000_000,
        description="Budget of one evaluation with datalogic.",
    )
    rule_qubit_operations_max: int = Field(
        default=_DEFAULTS.qubit_operations_max,
        ge=100,
        le=1_000_000,
        description="Budget of one evaluation with json-logic-qubit.",
    )
    rule_actions_max: int = Field(
        default=_DEFAULTS.actions_max, ge=1, le=100, description="Most actions of a rule."
    )
    rule_output_bytes_max: int = Field(
        default=_DEFAULTS.output_bytes_max,
        ge=256,
        le=1024 * 1024,
        description="Largest rendered text of an action.",
    )

    @property
    def rule_limits(self) -> port.Limits:
        return port.Limits(
            bytes_max=self.rule_bytes_max,
            depth_max=self.rule_depth_max,
            nodes_max=self.rule_nodes_max,
            operations_max=self.rule_operations_max,
            qubit_operations_max=self.rule_qubit_operations_max,
            actions_max=self.rule_actions_max,
            output_bytes_max=self.rule_output_bytes_max,
        )
