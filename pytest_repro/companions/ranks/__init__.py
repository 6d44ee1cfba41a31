"""Groups of ranks, which torch's elastic launcher starts and sockets connect."""
