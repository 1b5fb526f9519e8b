"""The tiers of an AI service beside its model: a gateway that runs workflows, policy, retrieval, tools."""
