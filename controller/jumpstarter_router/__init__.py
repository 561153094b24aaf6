"""The router joins the two ends of a stream: a client and the exporter it leased, neither of which can reach the other.

Both dial in with a token of the controller's. The router copies frames between them and looks into none.
"""
