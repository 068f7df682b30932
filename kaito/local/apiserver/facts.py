"""How built-in kinds are written, beyond what their behaviours say: facts of a real server."""

from __future__ import annotations

from dataclasses import replace

from kaito.local.apiserver.behaviour import Behaviour

RBAC = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
POLICIES = ("validatingadmissionpolicies", "mutatingadmissionpolicies")
BINDINGS = ("validatingadmissionpolicybindings", "mutatingadmissionpolicybindings")
HOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
FLOWS = ("flowschemas", "prioritylevelconfigurations")
# A PUT of what is missing creates it.
CREATED_BY_UPDATE = {"endpoints", "limitranges", "runtimeclasses", *RBAC}
# An update must name the version that it replaces.
VERSIONED = {
    "csidrivers",
    "csinodes",
    "csistoragecapacities",
    "poddisruptionbudgets",
    "runtimeclasses",
    "volumeattachments",
    *POLICIES,
    *BINDINGS,
    *HOOKS,
}
COUNTED = {"deviceclasses", "endpointslices", "ingressclasses", *POLICIES, *BINDINGS, *FLOWS}
# Writes to /status change nothing but the status, not even metadata.
BARE_STATUS = {
    "resourceclaims",
    "servicecidrs",
    "validatingadmissionpolicies",
    "volumeattachments",
    *FLOWS,
}
FIRST_ALONE = {"priorityclasses"}  # start with generation 1 and stay there
STATUS, SPEC, METADATA = ("f:status",), ("f:spec",), ("f:metadata",)


def settled(plural: str, found: Behaviour) -> Behaviour:
    """A kind's behaviour with what is known of its writes."""
    if plural in CREATED_BY_UPDATE:
        found = replace(found, create_by_update=True)
    if plural in VERSIONED:
        found = replace(found, blind_update=False)
    if plural in COUNTED:
        counts_labels = plural == "endpointslices"
        found = replace(found, generation=True, counts_labels=counts_labels)
    if plural in FIRST_ALONE:
        found = replace(found, generation=True, counts_nothing=True)
    if plural in BARE_STATUS:
        found = replace(
            found,
            has_status=True,
            ignored=(STATUS,),
            status_ignored=(SPEC, METADATA),
            status_owns_metadata=False,
        )
    return found
