"""The values that named string types may take, as OpenAPI documents list them."""

from __future__ import annotations

# TYPE: VALUES, without the package; lines that are indented continue the one above.
_TABLE = """
AddressType: FQDN|IPv4|IPv6
AllocationConfigSource: FromClaim|FromClass
AppArmorProfileType: Localhost|RuntimeDefault|Unconfined
AzureDataDiskCachingMode: None|ReadOnly|ReadWrite
AzureDataDiskKind: Dedicated|Managed|Shared
CompletionMode: Indexed|NonIndexed
ConcurrencyPolicy: Allow|Forbid|Replace
DNSPolicy: ClusterFirst|ClusterFirstWithHostNet|Default|None
DaemonSetUpdateStrategyType: OnDelete|RollingUpdate
DeploymentStrategyType: Recreate|RollingUpdate
DeviceAllocationMode: All|ExactCount
DeviceTaintEffect: NoExecute|NoSchedule|None
DeviceTolerationOperator: Equal|Exists
FailurePolicyType: Fail|Ignore
FieldValueErrorReason:
  FieldValueDuplicate|FieldValueForbidden|FieldValueInvalid|FieldValueRequired
HostPathType: |BlockDevice|CharDevice|Directory|DirectoryOrCreate|File|FileOrCreate|Socket
IPFamily: |IPv4|IPv6
IPFamilyPolicy: PreferDualStack|RequireDualStack|SingleStack
KeyUsage: any|cert sign|client auth|code signing|content commitment|crl sign|data
  encipherment|decipher only|digital signature|email protection|encipher only|ipsec end
  system|ipsec tunnel|ipsec user|key agreement|key encipherment|microsoft sgc|netscape sgc|ocsp
  signing|s/mime|server auth|signing|timestamping
MatchPolicyType: Equivalent|Exact
MountPropagationMode: Bidirectional|HostToContainer|None
NamespacePhase: Active|Terminating
NodeInclusionPolicy: Honor|Ignore
NodePhase: Pending|Running|Terminated
NodeSelectorOperator: DoesNotExist|Exists|Gt|In|Lt|NotIn
OperationType: *|CONNECT|CREATE|DELETE|UPDATE
PatchType: ApplyConfiguration|JSONPatch
PathType: Exact|ImplementationSpecific|Prefix
PersistentVolumeAccessMode: ReadOnlyMany|ReadWriteMany|ReadWriteOnce|ReadWriteOncePod
PersistentVolumeClaimModifyVolumeStatus: InProgress|Infeasible|Pending
PersistentVolumeClaimPhase: Bound|Lost|Pending
PersistentVolumeMode: Block|Filesystem
PersistentVolumePhase: Available|Bound|Failed|Pending|Released
PersistentVolumeReclaimPolicy: Delete|Recycle|Retain
PodFSGroupChangePolicy: Always|OnRootMismatch
PodFailurePolicyAction: Count|FailIndex|FailJob|Ignore
PodFailurePolicyOnExitCodesOperator: In|NotIn
PodManagementPolicyType: OrderedReady|Parallel
PodPhase: Failed|Pending|Running|Succeeded|Unknown
PodQOSClass: BestEffort|Burstable|Guaranteed
PodReplacementPolicy: Failed|TerminatingOrFailed
PolicyType: Egress|Ingress
PreemptionPolicy: Never|PreemptLowerPriority
ProcMountType: Default|Unmasked
Protocol: SCTP|TCP|UDP
PullPolicy: Always|IfNotPresent|Never
ReinvocationPolicyType: IfNeeded|Never
ResourceQuotaScope:
  BestEffort|CrossNamespacePodAffinity|NotBestEffort|NotTerminating|PriorityClass|Terminating|VolumeAttributesClass
RestartPolicy: Always|Never|OnFailure
ScopeSelectorOperator: DoesNotExist|Exists|In|NotIn
ScopeType: *|Cluster|Namespaced
SeccompProfileType: Localhost|RuntimeDefault|Unconfined
ServiceAffinity: ClientIP|None
ServiceExternalTrafficPolicy: Cluster|Local
ServiceInternalTrafficPolicy: Cluster|Local
ServiceType: ClusterIP|ExternalName|LoadBalancer|NodePort
SideEffectClass: None|NoneOnDryRun|Some|Unknown
StatefulSetUpdateStrategyType: OnDelete|RollingUpdate
SupplementalGroupsPolicy: Merge|Strict
TaintEffect: NoExecute|NoSchedule|PreferNoSchedule
TerminationMessagePolicy: FallbackToLogsOnError|File
TolerationOperator: Equal|Exists|Gt|Lt
URIScheme: HTTP|HTTPS
UnhealthyPodEvictionPolicyType: AlwaysAllow|IfHealthyBudget
UnsatisfiableConstraintAction: DoNotSchedule|ScheduleAnyway
ValidationAction: Audit|Deny|Warn
VolumeBindingMode: Immediate|WaitForFirstConsumer
"""


def _parse() -> dict[str, list[str]]:
    found = {}
    for line in _TABLE.strip().replace("\n  ", " ").splitlines():
        name, _, values = line.partition(": ")
        found[name] = values.split("|")
    return found


ENUMS = _parse()
