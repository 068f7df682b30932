"""The shape of an agent pool on the wire: which properties there are, and what each can hold.

Those of api-version 2026-08-01 of Microsoft.ContainerService, whatever version a request names; a
test holds this against the models of the official SDK. Preview versions have PREVIEW besides. AKS
refuses what it does not know, so this does. What values mean is not decided here (validation.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec

from kaito.local.azure.errors import ArmError, invalid, refuse, refuse_flatly

Int = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""Azure's integers have 32 bits."""


def _object(name: str, /, **fields: Any) -> Any:
    """A JSON object with these properties, each of which may be absent or null, and no others."""
    return msgspec.defstruct(
        name,
        [(field, kind | None, None) for field, kind in fields.items()],
        forbid_unknown_fields=True,
    )


def _list(kind: Any) -> Any:
    return GenericAlias(list, (kind,))


def _map(kind: Any) -> Any:
    return GenericAlias(dict, (str, kind))


_UpgradeSettings = _object(
    "AgentPoolUpgradeSettings",
    maxSurge=str,
    maxUnavailable=str,
    drainTimeoutInMinutes=Int,
    nodeSoakDurationInMinutes=Int,
    undrainableNodeBehavior=Literal["Cordon", "Schedule"],
)
_PowerState = _object("PowerState", code=Literal["Running", "Stopped"])
_KubeletConfig = _object(
    "KubeletConfig",
    cpuManagerPolicy=str,
    cpuCfsQuota=bool,
    cpuCfsQuotaPeriod=str,
    imageGcHighThreshold=Int,
    imageGcLowThreshold=Int,
    topologyManagerPolicy=str,
    allowedUnsafeSysctls=list[str],
    failSwapOn=bool,
    containerLogMaxSizeMB=Int,
    containerLogMaxFiles=Int,
    podMaxPids=Int,
)
_SysctlConfig = _object(
    "SysctlConfig",
    netIpv4TcpTwReuse=bool,
    netIpv4IpLocalPortRange=str,
    **dict.fromkeys(
        (
            *("netCoreSomaxconn", "netCoreNetdevMaxBacklog", "netCoreOptmemMax"),
            *("netCoreRmemDefault", "netCoreRmemMax", "netCoreWmemDefault", "netCoreWmemMax"),
            *("netIpv4TcpMaxSynBacklog", "netIpv4TcpMaxTwBuckets", "netIpv4TcpFinTimeout"),
            *("netIpv4TcpKeepaliveTime", "netIpv4TcpKeepaliveProbes", "netIpv4TcpkeepaliveIntvl"),
            *("netIpv4NeighDefaultGcThresh1", "netIpv4NeighDefaultGcThresh2"),
            *("netIpv4NeighDefaultGcThresh3", "netNetfilterNfConntrackMax"),
            *("netNetfilterNfConntrackBuckets", "fsInotifyMaxUserWatches", "fsFileMax"),
            *("fsAioMaxNr", "fsNrOpen", "kernelThreadsMax", "vmMaxMapCount", "vmSwappiness"),
            "vmVfsCachePressure",
        ),
        Int,
    ),
)
_LinuxOSConfig = _object(
    "LinuxOSConfig",
    sysctls=_SysctlConfig,
    transparentHugePageEnabled=str,
    transparentHugePageDefrag=str,
    swapFileSizeMB=Int,
)
_IPTag = _object("IPTag", ipTagType=str, tag=str)
_PortRange = _object("PortRange", portStart=Int, portEnd=Int, protocol=Literal["TCP", "UDP"])
_NetworkProfile = _object(
    "AgentPoolNetworkProfile",
    nodePublicIPTags=_list(_IPTag),
    allowedHostPorts=_list(_PortRange),
    applicationSecurityGroups=list[str],
    dranet=_object("DRANETProfile", mode=Literal["Unmanaged", "Managed"]),
)
_SecurityProfile = _object(
    "AgentPoolSecurityProfile",
    enableVTPM=bool,
    enableSecureBoot=bool,
    sshAccess=Literal["LocalUser", "Disabled", "EntraId"],
)
_GPUProfile = _object(
    "GPUProfile",
    driver=Literal["Install", "None"],
    nvidia=_object("NvidiaGPUProfile", managementMode=Literal["Unmanaged", "Managed"]),
)
_ManualScale = _object("ManualScaleProfile", size=str, count=Int)
_AutoScale = _object("AutoScaleProfile", size=str, minCount=Int, maxCount=Int)
_VirtualMachinesProfile = _object(
    "VirtualMachinesProfile",
    scale=_object("ScaleProfile", manual=_list(_ManualScale), autoscale=_list(_AutoScale)),
)
_VirtualMachineNodes = _object("VirtualMachineNodes", size=str, count=Int)
_LocalDNSOverride = _object(
    "LocalDNSOverride",
    queryLogging=Literal["Error", "Log"],
    protocol=Literal["PreferUDP", "ForceTCP"],
    forwardDestination=Literal["ClusterCoreDNS", "VnetDNS"],
    forwardPolicy=Literal["Sequential", "RoundRobin", "Random"],
    maxConcurrent=Int,
    cacheDurationInSeconds=Int,
    serveStaleDurationInSeconds=Int,
    serveStale=Literal["Verify", "Immediate", "Disable"],
)
_LocalDNSProfile = _object(
    "LocalDNSProfile",
    mode=Literal["Preferred", "Required", "Disabled"],
    state=Literal["Enabled", "Disabled"],
    vnetDNSOverrides=_map(_LocalDNSOverride),
    kubeDNSOverrides=_map(_LocalDNSOverride),
)
Properties = _object(
    "ManagedClusterAgentPoolProfileProperties",
    eTag=str,
    count=Int,
    vmSize=str,
    osDiskSizeGB=Int,
    osDiskType=Literal["Managed", "Ephemeral"],
    kubeletDiskType=Literal["OS", "Temporary"],
    workloadRuntime=Literal["OCIContainer", "WasmWasi", "KataVmIsolation"],
    messageOfTheDay=str,
    vnetSubnetID=str,
    podSubnetID=str,
    podIPAllocationMode=Literal["DynamicIndividual", "StaticBlock"],
    maxPods=Int,
    osType=Literal["Linux", "Windows"],
    osSKU=Literal[
        "Ubuntu",
        "AzureLinux",
        "AzureLinux3",
        "CBLMariner",
        "Windows2019",
        "Windows2022",
        "Ubuntu2204",
        "Windows2025",
        "Ubuntu2404",
        "AzureContainerLinux",
    ],
    maxCount=Int,
    minCount=Int,
    enableAutoScaling=bool,
    scaleDownMode=Literal["Delete", "Deallocate"],
    type=Literal["VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines"],
    mode=Literal["System", "User", "Gateway"],
    orchestratorVersion=str,
    currentOrchestratorVersion=str,
    nodeImageVersion=str,
    upgradeSettings=_UpgradeSettings,
    provisioningState=str,
    powerState=_PowerState,
    availabilityZones=list[str],
    enableNodePublicIP=bool,
    nodePublicIPPrefixID=str,
    scaleSetPriority=Literal["Spot", "Regular"],
    scaleSetEvictionPolicy=Literal["Delete", "Deallocate"],
    spotMaxPrice=float,
    tags=dict[str, str],
    nodeLabels=dict[str, str],
    nodeTaints=list[str],
    proximityPlacementGroupID=str,
    kubeletConfig=_KubeletConfig,
    linuxOSConfig=_LinuxOSConfig,
    enableEncryptionAtHost=bool,
    enableUltraSSD=bool,
    enableFIPS=bool,
    gpuInstanceProfile=Literal["MIG1g", "MIG2g", "MIG3g", "MIG4g", "MIG7g"],
    creationData=_object("CreationData", sourceResourceId=str),
    capacityReservationGroupID=str,
    hostGroupID=str,
    networkProfile=_NetworkProfile,
    windowsProfile=_object("AgentPoolWindowsProfile", disableOutboundNat=bool),
    securityProfile=_SecurityProfile,
    gpuProfile=_GPUProfile,
    gatewayProfile=_object("AgentPoolGatewayProfile", publicIPPrefixSize=Int),
    artifactStreamingProfile=_object("AgentPoolArtifactStreamingProfile", enabled=bool),
    virtualMachinesProfile=_VirtualMachinesProfile,
    virtualMachineNodesStatus=_list(_VirtualMachineNodes),
    status=dict[str, Any],
    localDNSProfile=_LocalDNSProfile,
)
PREVIEW = ("nodeInitializationTaints",)
"""Properties that only preview versions have."""
_PreviewProperties = msgspec.defstruct(
    "ManagedClusterAgentPoolProfilePropertiesPreview",
    [(name, list[str] | None, None) for name in PREVIEW],
    bases=(Properties,),
    forbid_unknown_fields=True,
)
_AgentPool = _object("AgentPool", id=str, name=str, type=str, properties=Properties)
_PreviewAgentPool = _object(
    "AgentPoolPreview", id=str, name=str, type=str, properties=_PreviewProperties
)
_MachineNames = _object("AgentPoolDeleteMachinesParameter", machineNames=list[str])


def agent_pool(body: bytes, *, preview: bool = False) -> dict[str, Any]:
    """The properties that a PUT sends, those that are null left out. ArmError 400.

    `preview`: whether it names a preview version.
    """
    sent = _decode(body, _PreviewAgentPool if preview else _AgentPool).get("properties")
    if sent is None:
        raise refuse_flatly("InvalidParameter", "Required parameter properties is missing (null).")
    return {name: value for name, value in sent.items() if value is not None}


def machine_names(body: bytes) -> list[str]:
    """The machines that a deletion of machines names. ArmError 400."""
    names: list[str] = _decode(body, _MachineNames).get("machineNames") or []
    if not names:
        raise refuse_flatly(
            "InvalidParameter", "Required parameter machineNames is missing (null)."
        )
    return names


def _decode(body: bytes, kind: Any) -> dict[str, Any]:
    try:
        msgspec.json.decode(body, type=kind)
        decoded: dict[str, Any] = msgspec.json.decode(body)
    except msgspec.ValidationError as error:
        raise _misshapen(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refuse(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{error}'.",
        ) from None
    return decoded


# What msgspec says, and what AKS, which is written in Go, says of the same.
_WORDS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], ArmError]], ...] = (
    (
        re.compile(r"Object contains unknown field `(.*)`"),
        lambda said, _: _unmarshal(f'json: unknown field "{said[1]}"'),
    ),
    (
        re.compile(r"Invalid enum value (.*)"),
        lambda said, where: invalid(where, f"{said[1]} is not a value of it"),
    ),
    (
        re.compile(r"Expected `(.*?)`(.*)"),
        lambda said, where: _unmarshal(
            f"json: cannot unmarshal {where}: expected {said[1].removesuffix(' | null')}{said[2]}"
        ),
    ),
)


def _misshapen(said: str) -> ArmError:
    words, _, place = said.partition(" - at `")
    where = place.rstrip("`").removeprefix("$.").replace("properties.", "agentPoolProfile.", 1)
    for pattern, answer in _WORDS:
        match = pattern.fullmatch(words)
        if match is not None:
            return answer(match, where)
    return _unmarshal(f"json: {words}")


def _unmarshal(said: str) -> ArmError:
    return refuse_flatly(
        "UnmarshalError",
        f"UnmarshalEntity encountered error: {said}. Check that the field is in the right "
        "location, is spelled correctly, and is supported in the API version. Visit "
        "aka.ms/aks/apiversions for more API version information.",
    )
