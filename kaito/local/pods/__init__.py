"""What kubelets do: pods run as local processes where a program is known, simulated otherwise."""
