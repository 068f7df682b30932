"""Why a Workspace is as it is: the chain from the request down to the cause, and the way out.

    chain = explain(await read(client, key, now=time.time()))

Reading asks the API server with the rights of whoever asks, a bounded number of times, and says
what it was not allowed to see. Explaining is pure. The words of a cause are those that the
controllers wrote into conditions and Events; nothing here judges anew what they have judged.
"""

from __future__ import annotations

from kaito.why.chain import Chain, Fix, Link, State, Verdict
from kaito.why.explain import explain
from kaito.why.reading import read
from kaito.why.scene import Scene

__all__ = ["Chain", "Fix", "Link", "Scene", "State", "Verdict", "explain", "read"]
