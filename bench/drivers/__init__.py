"""Load generators: `wrk` for closed loops, our own `pace` for open ones, `h2load` for gRPC."""
