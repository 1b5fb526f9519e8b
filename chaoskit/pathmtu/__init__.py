"""The path-MTU doctor: how large a packet may be on its way to a host, who says so, and whether TCP heeds it."""
