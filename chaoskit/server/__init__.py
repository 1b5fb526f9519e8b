"""The reference server: streams reproducible LLM responses on a fixed schedule."""
