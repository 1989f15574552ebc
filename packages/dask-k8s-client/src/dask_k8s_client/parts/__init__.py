"""What belongs to a cluster that is there: its groups, its autoscaler, its logs."""
