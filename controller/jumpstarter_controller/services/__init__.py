"""The gRPC services: each call is authenticated, turned into a question or change of the lab, and its answer into protobuf."""
