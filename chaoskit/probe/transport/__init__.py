"""The probe's own transport below httpx: sockets with kernel stamps, HTTP/1.1, HTTP/2 and their reuse.

```
stream --request--> pool --> connect (names, addresses, proxy) --> connection (socket, TLS) --> http1 or http2
stream <--(stamp, bytes)-- exchange <-- http1 or http2 <-- inbox <-- connection: one recvmsg, one stamp
```

Bytes are pushed: a socket that is readable is read at once, and its bytes go through the parser of HTTP into the
stream's own function, without a task in between. Only what takes time is awaited: names, handshakes, a free stream of
HTTP/2, the response's head and its end.
"""
