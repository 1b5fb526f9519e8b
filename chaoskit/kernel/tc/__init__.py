"""Traffic control: queueing disciplines, filters and actions over rtnetlink, see tc(8)."""
