"""The launcher of vLLM: what comes before its server, and a little that stands in front of it.

It runs in an image that has vLLM and of kaito this package alone. Decisions are pure modules: asked
(the command line), arguments (what vLLM is told), adapters, memory, place (who leads), download,
gate. The processes around them are listener (answers before the engine does), group (Ray),
front (in vLLM's own server) and main. Nothing here is vLLM's work: batching, streaming, the API
and its metrics are its own.
"""
