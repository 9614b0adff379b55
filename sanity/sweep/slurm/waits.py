"""Why SLURM does not start a job yet, in words."""

ORDINARY = {
    "": "",
    "None": "",
    "Priority": "Priority",
    "Resources": "Resources",
    "Cleaning": "Cleaning",
    "Prolog": "Prolog",
    "Dependency": "for the stages that it goes on from",
    "JobArrayTaskLimit": "for its turn (array_parallelism)",
    "BeginTime": "to be started again",
}
"""What every job may wait for, and what ends by itself."""

OTHERS = {
    "JobHeldUser": "held by its user; scontrol release lets it start",
    "JobHeldAdmin": "held by an administrator",
    "BadConstraints": "no node has all that is asked for "
    "(constraint, gres, gpus_per_node, cpus_per_task, mem_gb)",
    "PartitionTimeLimit": "timeout_min is more than the partition allows",
    "PartitionNodeLimit": "the partition does not allow that many nodes, or has none that fits",
    "PartitionDown": "the partition takes jobs, and starts none",
    "PartitionInactive": "the partition takes no jobs",
    "ReqNodeNotAvail": "nodes that it needs are down, drained or reserved",
    "InvalidAccount": "its account is no longer valid",
    "InvalidQOS": "its qos is no longer valid",
    "AccountNotAllowed": "the partition does not take its account",
    "QOSNotAllowed": "the partition or account does not take its qos",
    "DependencyNeverSatisfied": "what it waits for has failed",
}
"""What may last for ever, or for as long as somebody decides."""

LIMITS = ("Assoc", "QOS", "Max")


def is_ordinary(reason: str) -> bool:
    """Whether a job that waits for this will start, sooner or later."""
    return reason in ORDINARY


def word(reason: str) -> str:
    """The reason alone, without the nodes that SLURM names with it."""
    return reason.split(",")[0].split(" (")[0]


def explain(reason: str) -> str:
    """A reason of squeue's for a person: SLURM's word, and what it means where that is known."""
    if reason in ORDINARY:
        return ORDINARY[reason]
    known = OTHERS.get(word(reason), "")
    if not known and reason.startswith(LIMITS):
        known = "a limit of its account or qos is reached, or lower than what it asks for"
    return f"{reason}: {known}" if known else reason
