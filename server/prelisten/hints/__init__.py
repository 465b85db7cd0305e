"""Tokens only: challenge, seal, verify. Nothing here reads audio, opens a database or knows of Flask.

A verified hint is fresh, intact and about this file. It is never "true".
"""

from prelisten.hints.claim import Claim
from prelisten.hints.seal import Challenge, SealedHint, issue_challenge, seal
from prelisten.hints.verify import verify

__all__ = ["Challenge", "Claim", "SealedHint", "issue_challenge", "seal", "verify"]
