"""The tiers of an AI service beside its model: gateway, policy, retrieval, tools."""
