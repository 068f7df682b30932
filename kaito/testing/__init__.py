"""The kit for testing controllers: time that moves when told to, servers that fail when told to.

Nothing in here is imported by a daemon.
"""

from kaito.testing.clock import VirtualClock
from kaito.testing.fake import FakeApi, refusal_event
from kaito.testing.script import Script, ScriptedReply, Stream

__all__ = ["FakeApi", "Script", "ScriptedReply", "Stream", "VirtualClock", "refusal_event"]
