"""What other programs are told: events are stored with what they tell, and sent afterwards.

`put` joins the caller's transaction, so that an event exists exactly when its decision does. The screening
processes send what lies here (`courier`), at least once each, signed by Standard Webhooks. A failing receiver
delays its own events and nothing else. Nothing here reads a recording or decides anything.
"""

from prelisten.outbox.messages import put

__all__ = ["put"]
