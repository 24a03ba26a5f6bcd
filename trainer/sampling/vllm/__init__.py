"""Responses from stock vLLM servers.

sampler.py    the batch: prompts over the servers, what happens when one goes away
replica.py    one server: its base, the versions it has and that were checked
check.py      whether a server's log-probabilities are those of the policy
adapters.py   a folder and a name for each load of a version, never used again
protocol.py   what is asked and what is answered
wire.py       requests, in an event loop on a thread of its own
"""
