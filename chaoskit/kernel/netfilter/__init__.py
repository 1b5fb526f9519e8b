"""Manages the nftables tables that chaoskit owns, and reads foreign firewall rules; see nft(8)."""
