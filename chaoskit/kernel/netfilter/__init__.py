"""Netfilter: nftables tables that chaoskit owns, and what firewalls of others do; see nft(8)."""
