"""From findings to a decision, by a written policy: pure functions and one YAML file.

Nothing here imports Flask, numpy or a database, reads a clock or knows the sender. The same findings and the
same policy give the same decision, byte for byte. What is missing, unsure or broken never becomes `accept`.
"""

from prelisten.policy.decide import decide
from prelisten.policy.document import Policy, load_policy, parse_policy
from prelisten.policy.evidence import decision_json

__all__ = ["Policy", "decide", "decision_json", "load_policy", "parse_policy"]
