"""What the results of many runs tell together: states, change points, verdicts that flap."""
