"""Parts of workloads as the API server hands them out, defaults filled in."""

from __future__ import annotations

from kaito.runtime import Object


def pod_template(**labels: str) -> Object:
    """The template of a Pod with one container."""
    container = {
        "image": "i",
        "imagePullPolicy": "Always",
        "name": "m",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    return {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [container],
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        },
    }
