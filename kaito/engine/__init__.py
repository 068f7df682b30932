"""What runs inside the Pods: the servers of models. It goes into the images alone.

Nothing else of kaito is imported here, and the rest of kaito imports nothing of this but its
values: PyTorch and what builds on it are installed by the `engine` extra only. The shared modules
beside this file need the standard library and PyYAML; `serving` is the transformers server, `vllm`
the launcher of vLLM.
"""
